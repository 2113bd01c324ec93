"""The compiler's cost model beside a real server: predicted and measured CPU time of an item.

    python benchmarks/cost_model.py [--seconds 6] [--update]

Pictures have the size that the model assumes where none is known. CPU time is compared, which other programs
change less than images per second, which follow from it on idle cores. What the models themselves take is
measured in this process and given as `engine_rate`, as a user would. How fast the machine is today, beside
the one of the figures, is measured by the decoder, on all cores and beside each pipeline: predictions are
multiplied by that.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import report
from measure import Served, measure
from operators import cases, kernel_of, picture

from tpgen.driver import BuildOptions, build
from tpgen.passes.figures import KERNELS

_HERE = Path(__file__).resolve().parent
_EXAMPLES = _HERE.parent / "model_repos"
_CORES = 2
_IMAGES = (
    '[pipeline]\nname = "{name}"\n[decode]\nbackend = "{backend}"\nresize_h = 224\nresize_w = 224\nmax = 8\n'
)


@dataclass(frozen=True)
class Row:
    """A pipeline: milliseconds of CPU time of an item, as predicted and measured, and items per second.

    ``slower``: how many times as long the decoder takes as its figure says; it is in ``predicted``.
    """

    name: str
    slower: float
    predicted: float
    measured: float
    throughput: float
    foreign: float

    @property
    def ratio(self) -> float:
        return self.predicted / self.measured


def _pipelines(folder: Path) -> list[tuple[str, Path, float]]:
    """Each pipeline in a folder of its own, with its model's rate; and what the model takes of an item."""
    found = []
    for name, backend in (
        ("decode_resize", "Sequential[DecodeMat,ResizeMat]"),
        ("decode_aligned", "Sequential[DecodeTensor,ResizeTensor]"),
    ):
        place = folder / name
        place.mkdir()
        (place / "pipeline.toml").write_text(_IMAGES.format(name=name, backend=backend))
        found.append((name, place / "pipeline.toml", 0.0))
    for name in ("digits", "resnet50"):
        place = folder / name
        shutil.copytree(_EXAMPLES / name, place)
        model = place / f"{name}.onnx"
        if not model.exists():
            sys.path.insert(0, str(place))
            import make_model

            make_model.build(model, variant="small")
        toml = (place / "pipeline.toml").read_text()
        model_ms = _model_ms(model)
        rate = f"engine_rate = {1000 * _CORES / model_ms:.1f}\n"
        has_table = "[pipeline]\n" in toml
        toml = (
            toml.replace("[pipeline]\n", f"[pipeline]\n{rate}")
            if has_table
            else f"{toml}\n[pipeline]\n{rate}"
        )
        (place / "pipeline.toml").write_text(toml)
        found.append((name, place / "pipeline.toml", model_ms))
    return found


def _model_ms(model: Path) -> float:
    """CPU time of an item in batches of four, as the server forms them under load."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    batch = np.zeros((4, *given.shape[1:]), np.float32)
    return _on_all_cores(lambda: session.run(None, {given.name: batch})) / 4


def _slower() -> float:
    """How many times as long the decoder takes as the figures say."""
    case = next(one for one in cases() if one.operator == "DecodeMat" and one.written > 0.9)
    name, kernel = kernel_of(case)
    figure = KERNELS[name]
    return _on_all_cores(lambda: kernel(*case.values)) / (figure.ms + figure.written * case.written)


def _on_all_cores(work: Callable[[], Any]) -> float:
    """Milliseconds of CPU time that some work takes while all cores do the same, as is usual in service."""

    def median() -> float:
        taken = []
        for _ in range(100):
            begin = time.thread_time()
            work()
            taken.append(time.thread_time() - begin)
        return statistics.median(taken) * 1000

    with ThreadPoolExecutor(_CORES) as pool:
        return statistics.mean(one.result() for one in [pool.submit(median) for _ in range(_CORES)])


def _row(name: str, toml: Path, model_ms: float, images: Path, folder: Path, seconds: float) -> Row:
    from tpgen.driver.explain import explain

    repository = folder / f"{name}_repository"
    built = build(toml, repository, BuildOptions(target="cpu", cores=_CORES))
    (compiled,) = built.compiled
    (entry,) = compiled.graph.entries
    cost: Any = explain(compiled).cost
    slower = _slower()
    found = measure(Served(name, name, repository, entry.name, entry.inputs[0].key), images, seconds)
    predicted = (cost.ms - model_ms) * slower + model_ms  # which was measured on the machine as it is
    return Row(name, slower, predicted, found.cpu_ms, found.throughput, found.foreign)


def table(rows: list[Row]) -> str:
    lines = [
        "| pipeline | decoder | predicted CPU ms | measured | ratio | predicted items/s | measured |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        most = 1000 * _CORES / row.predicted
        lines.append(
            f"| `{row.name}` | {row.slower:.2f} | {row.predicted:.2f} | {row.measured:.2f} |"
            f" **{row.ratio:.2f}** | {most:.0f} | {row.throughput:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = folder / "images"
        images.mkdir()
        for number in range(8):
            moved = np.roll(picture(720, 1280), number * 100, axis=1)
            cv2.imwrite(str(images / f"{number}.jpg"), moved, [cv2.IMWRITE_JPEG_QUALITY, 90])
        rows = [_row(*pipeline, images, folder, options.seconds) for pipeline in _pipelines(folder)]
    text = table(rows)
    foreign = max(row.foreign for row in rows)
    print(text, f"other programs took up to {foreign:.2f} cores")
    if options.update:
        heading = (
            f"{_CORES} cores, Triton 24.10, perf_analyzer (its CPU time is in it) with 10 clients over gRPC,"
            f" JPEGs of 1280 × 720. Other programs took up to {foreign:.2f} cores."
        )
        report.update(_HERE / "RESULTS.md", heading, text, "benchmarks/cost_model.py")


if __name__ == "__main__":
    main()
