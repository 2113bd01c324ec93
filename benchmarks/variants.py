"""What is compared: builds of the example pipeline, and the frozen baselines of ``peers/``."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tpgen.driver import BuildOptions, build

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
LOOP = PEERS / "loop.py"
EXAMPLE = HERE.parent / "model_repos" / "resnet50"
CORES = 2
IMAGES = 16

sys.path.insert(0, str(EXAMPLE))


@dataclass(frozen=True)
class Served:
    """A model repository, the model in it that takes JPEGs, and the input for them."""

    name: str
    what: str
    repository: Path
    model: str
    input: str


@dataclass(frozen=True)
class Loop:
    """The plain in-process loop."""

    name: str
    what: str
    network: Path
    threads: int


@dataclass(frozen=True)
class Goal:
    """``variant`` shall give at least ``factor`` times the inferences per second of ``baseline``."""

    variant: str
    baseline: str
    factor: float


GOALS = (
    Goal("default", "handwritten_4", 1.4),
    Goal("default", "loop", 0.8),
    Goal("fuse_none", "handwritten_4", 0.95),
    Goal("fuse_none", "handwritten_nodes", 0.95),
)


def check_frozen() -> list[str]:
    """The baseline files that are no longer as they were when they were frozen."""
    listed = {}
    for line in (PEERS / "FROZEN").read_text().splitlines():
        if not line.startswith("#"):
            digest, name = line.split()
            listed[name] = digest
    present = {
        path.relative_to(PEERS).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("*.py", "*.pbtxt")
        for path in PEERS.rglob(pattern)
    }
    return sorted(name for name in listed.keys() | present.keys() if listed.get(name) != present.get(name))


def make_images(folder: Path) -> Path:
    """Writes the JPEGs that are sent: 640 × 444, quality 90."""
    from images import synthetic_jpeg

    folder.mkdir()
    for seed in range(IMAGES):
        (folder / f"{seed:03}.jpg").write_bytes(synthetic_jpeg(seed, 640, 444))
    return folder


def make_variants(folder: Path) -> list[Served | Loop]:
    """Builds and copies everything into ``folder``; the loop comes first."""
    from make_model import build as write_network

    network = write_network(folder / "resnet.onnx", "small")
    peers = {
        "handwritten_4": "written by hand: decode, preprocess, infer, ensemble",
        "handwritten_nodes": "written by hand: the nodes of the TOML, ensemble",
        "handwritten_2": "written by hand: decode and preprocess in one, infer, ensemble",
    }
    builds = {"default": ("auto", "tpgen build"), "fuse_none": ("none", "tpgen build --fuse none")}
    return [
        Loop("loop", "plain loop of 2 threads in one process, no server", network, threads=2),
        *(_copy_peer(name, what, network, folder) for name, what in peers.items()),
        *(_build(name, what, fuse, network, folder) for name, (fuse, what) in builds.items()),
    ]


def _copy_peer(name: str, what: str, network: Path, folder: Path) -> Served:
    repository = folder / name
    shutil.copytree(PEERS / name, repository)
    shutil.copy(network, repository / "infer" / "1" / "model.onnx")
    return Served(name, what, repository, "classify", "image")


def _build(name: str, what: str, fuse: str, network: Path, folder: Path) -> Served:
    repository = folder / name
    options = BuildOptions(cores=CORES, fuse=fuse, models={"resnet50": str(network)})
    (entry,) = build(EXAMPLE / "pipeline.toml", repository, options).pipelines
    return Served(name, what, repository, entry, "data")
