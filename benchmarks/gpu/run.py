"""What a stage on a GPU costs and gains, for RESULTS.md.

    pip install '.[serve,torch]'
    python benchmarks/gpu/run.py [--device cuda:0] [--only hop context turns pool pipelines] [--seconds 5]

In this order: a hop by dlpack against one by the host, the memory of a context, two processes that take
turns, a tensor that does not fit into Triton's pool, and two pipelines, served, against plain torch. With
`--device cpu --quick` it only shows that it runs: the figures mean nothing then.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hops
import numpy as np
import pipelines
import processes
import torch

from tpgen import Client
from tpgen.driver import BuildOptions, build
from tpgen.emit.config_pbtxt import messages, parse, render
from tpgen.services.perf import Settings, perf
from tpgen.services.server import TritonServer

PARTS = ("hop", "context", "turns", "pool", "pipelines")
GOAL = 0.9  # of plain torch's images a second
_MIB = 1 << 20
_IMAGE = 3 * 224 * 224


def main() -> None:
    given = _arguments()
    print(f"{_machine(given.device)}; {_quick(given.quick)}\n")
    for part in PARTS:
        if part in given.only:
            print("\n".join(globals()[f"_{part}"](given)) + "\n", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no NVIDIA GPU that torch can use; --device cpu --quick only shows that it runs")
    return given


def _machine(device: str) -> str:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "no GPU"
    return f"{name}, {len(os.sched_getaffinity(0))} CPUs, torch {torch.__version__}, Triton 24.10"


def _quick(quick: bool) -> str:
    return "small sizes: the figures mean nothing" if quick else "medians"


def _table(*rows: tuple[object, ...]) -> Iterator[str]:
    for number, row in enumerate(rows):
        cells = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"| {' | '.join(['---', *['---:'] * (len(row) - 1)])} |"


def _hop(given: argparse.Namespace) -> Iterator[str]:
    sizes = [_IMAGE] if given.quick else [_IMAGE, 4 * _IMAGE, 32 * _IMAGE, 32 * 4 * _IMAGE]
    rows = []
    for size in sizes:
        times = [_hop_time(given, size, way) - _hop_time(given, 4, way) for way in hops.WAYS]
        rows.append((f"{size / _MIB:.2f} MiB", *times))
    yield from _table(("one hop, ms", *hops.WAYS), *rows)


def _hop_time(given: argparse.Namespace, size: int, way: str, pool: int = 0) -> float:
    with tempfile.TemporaryDirectory() as folder:
        requests = 5 if given.quick else 200
        return hops.milliseconds(Path(folder), size, way, given.device, requests=requests, pool=pool)


def _context(given: argparse.Namespace) -> Iterator[str]:
    found = processes.memory_of_a_context(given.device)
    yield from _table(("a process with torch", *found), ("for one small tensor", *found.values()))


def _turns(given: argparse.Namespace) -> Iterator[str]:
    rows = []
    for side in (64,) if given.quick else (256, 1024, 4096):
        alone, both = processes.turns(given.device, side, given.seconds)
        rows.append((f"{side} × {side}", alone, both, both / alone))
    yield from _table(("products a second", "one process", "two, together", "ratio"), *rows)


def _pool(given: argparse.Namespace) -> Iterator[str]:
    """157 MB, a batch of 32 images of 3 × 640 × 640 floats, through Triton's pool and one that holds it."""
    size = _IMAGE if given.quick else 32 * 3 * 640 * 640 * 4
    times = [_hop_time(given, size, "dlpack", pool * _MIB) for pool in (64, 512)]
    yield from _table(("one request, ms", "pool of 64 MiB", "512 MiB"), (f"{size / _MIB:.0f} MiB", *times))


def _pipelines(given: argparse.Namespace) -> Iterator[str]:
    jpegs = list(pipelines.photographs(2 if given.quick else 16))
    threads = len(os.sched_getaffinity(0))
    rows = []
    for batch in (2,) if given.quick else (8, 16, 32):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = pipelines.write_files(folder, batch, 4 if given.quick else 64)
            plain = pipelines.Plain(folder / "network.pt", given.device, threads)
            for pipeline, file in files.items():
                loop = getattr(plain, pipeline)
                ours, answers = _served(given, file, folder / "repository", pipeline, jpegs, batch)
                theirs = pipelines.rate(loop, jpegs, batch, given.seconds)
                same = np.mean(np.array(answers) == np.array(loop(jpegs)))
                goal = "" if given.quick else "met" if ours >= GOAL * theirs else "not met"
                rows.append((f"{pipeline}, batch {batch}", ours, theirs, ours / theirs, goal, f"{same:.1%}"))
    yield from _table(("images/s", "served", "plain torch", "ratio", f"goal {GOAL}", "same class"), *rows)


def _served(
    given: argparse.Namespace, file: Path, repository: Path, name: str, jpegs: list[bytes], batch: int
) -> tuple[float, list[Any]]:
    """Images a second of a pipeline on a server, with twice as many clients as make a batch; its answers."""
    build(file, repository, BuildOptions(runtime="python"))
    if given.device == "cpu":
        _on_the_cpu(repository)
    settings = Settings(round(given.seconds * 1000 / 3), 1e6, 3)
    with TritonServer(repository) as server, Client(server.http_url) as client:
        answers = [client(name, data=jpeg)["result"] for jpeg in jpegs]
        report = perf(server, name, [{"data": jpeg} for jpeg in jpegs], 2 * batch, settings=settings)
    row = report.measured[0]
    if row.throughput is None:
        raise SystemExit(f"{name}: {row.note}")
    return row.throughput, answers


def _on_the_cpu(repository: Path) -> None:
    """The server refuses instances on a GPU where there is none."""
    for path in repository.glob("*/config.pbtxt"):
        config = parse(path.read_text())
        for group in config.instance_group:
            group.kind = messages().ModelInstanceGroup.KIND_CPU
        path.write_text(render(config))


if __name__ == "__main__":
    main()
