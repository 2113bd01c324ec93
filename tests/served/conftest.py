"""Real servers on built examples: one stage per pipeline, and one model per node."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import examples
from tpgen.driver import BuildOptions, Compiled, build, reference
from tpgen.runner.interpreter import Interpreter
from tpgen.services.client import Client
from tpgen.services.server import TritonServer

SERVED = ("digits", "fallback", "hello", "python_node", "resnet50", "two_inputs")

# Answers 1 if the compiler can be imported where the stage runs, which must not be.
SPY = """
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("string", [])}, outputs={"result": Tensor("int32", [])})
def spy(data):
    try:
        import tpgen
    except ImportError:
        return 0
    return 1
"""
BROKEN = """
import numpy as np
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("int32", [])}, outputs={"result": Tensor("int32", [])})
def broken(data):
    if data == 13:
        raise RuntimeError("thirteen")
    if data < 0:
        return None
    return np.int32(data + 1)
"""
# Values of one element and lists, in and out.
KINDS = """
import numpy as np
from tpgen_runtime import Tensor, op

@op(
    inputs={"boxes": [Tensor("int32", [4])], "name": Tensor("string", [])},
    outputs={"count": Tensor("int64", []), "title": Tensor("string", []), "raw": Tensor("bytes", []),
             "first": Tensor("bool", []), "areas": [Tensor("float32", [])], "words": [Tensor("string", [])]},
)
def kinds(boxes, name):
    areas = [np.float32(b[2] * b[3]) for b in boxes]
    return {"count": np.int64(len(boxes)), "title": name.title(), "raw": name.encode() + b"\\0",
            "first": np.bool_(bool(boxes)), "areas": areas, "words": name.split()}
"""

# Answers RGB for JPEGs and BGR for other images, which cross from model to model and say what they are.
VARYING = """
[jpeg]
backend = "DecodeTensor"
next = "other"
[other]
backend = "DecodeMat"
filter = "or"
next = "kept"
[kept]
backend = "Copy[data:original]"
next = "turned"
[turned]
backend = "Sequential[cvtColorTensor(color=rgb),Copy[data:planes]]"
[pipeline]
outputs = ["original", "planes"]
"""


@pytest.fixture(scope="session")
def varying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("varying") / "varying.toml"
    path.write_text(VARYING)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """``--model`` options of the examples whose models are not checked in."""
    return {"resnet50": str(examples.small_resnet(tmp_path_factory.mktemp("models")))}


@pytest.fixture(scope="session")
def user_pipelines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = []
    for name, code in (("spy", SPY), ("broken", BROKEN), ("kinds", KINDS)):
        folder = tmp_path_factory.mktemp("user") / name
        folder.mkdir()
        (folder / f"{name}_ops.py").write_text(code)
        (folder / "pipeline.toml").write_text(f'[only]\nbackend = "Python[{name}_ops:{name}]"\n')
        found.append(folder / "pipeline.toml")
    return found


def _build(example: str, directory: Path, models: dict[str, str], fuse: str) -> None:
    wanted = {node: path for node, path in models.items() if node == example}
    build(examples.pipeline(example), directory, BuildOptions(fuse=fuse, cores=2, models=wanted))


def _make_read_only(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    models: dict[str, str],
    user_pipelines: list[Path],
    varying: Path,
) -> Iterator[TritonServer]:
    """Default server flags, in an environment without tpgen, from a read-only path with a space in it."""
    directory = tmp_path_factory.mktemp("read only") / "the repository"
    for example in SERVED:
        _build(example, directory, models, "auto")
    build([*user_pipelines, varying], directory, BuildOptions(cores=2))
    _make_read_only(directory)
    with TritonServer(directory, isolated=True) as running:
        yield running


@pytest.fixture(scope="session")
def unfused_server(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, str], varying: Path
) -> Iterator[TritonServer]:
    """One model per node, complete configurations only."""
    directory = tmp_path_factory.mktemp("unfused") / "repository"
    for example in ("python_node", "resnet50"):
        _build(example, directory, models, "none")
    build(varying, directory, BuildOptions(fuse="none", cores=2))
    with TritonServer(directory, extra_args=["--disable-auto-complete-config"]) as running:
        yield running


@pytest.fixture(scope="session", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: TritonServer) -> Iterator[Client]:
    with Client(server.http_url if request.param == "http" else server.grpc_url) as connected:
        yield connected


@pytest.fixture(scope="session")
def resnet(models: dict[str, str]) -> tuple[Compiled, Interpreter]:
    """The reference of resnet50."""
    return reference(examples.pipeline("resnet50"), BuildOptions(models=models))
