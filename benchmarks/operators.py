"""What operators cost on the CPU: the figures of the compiler's cost model (`tpgen/passes/figures.py`).

    python benchmarks/operators.py [--rounds 30] [--update]

Every kernel is timed on one core, in CPU time, at several sizes of what it reads and writes; the figures are
the milliseconds of a call, of a megapixel read (a million numbers, where no image is), and of one written,
that come nearest to the fastest times, none below zero.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

import tpgen.ops  # noqa: F401  (declares the operators)
from tpgen.ir.op import REGISTRY, Trait
from tpgen.types import Array, Bytes, Color, DType, Layout, Type

_HERE = Path(__file__).parent
_FIGURES = _HERE.parent / "generator" / "tpgen" / "passes" / "figures.py"
_SIZES = ((480, 854), (720, 1280))
_SMALL, _LARGE = 224, 640
_HWC = Array(DType.UINT8, (4, 4, 3), Layout.HWC, Color.BGR)
_CHW = Array(DType.UINT8, (3, 4, 4), Layout.CHW, Color.RGB)
_NUMBERS = Array(DType.FLOAT32, (1000,))


@dataclass(frozen=True)
class Case:
    """An operator with its keys and what it reads at one size, and the megapixels read and written."""

    operator: str
    keys: dict[str, Any]
    types: dict[str, Type]
    values: tuple[Any, ...]
    read: float
    written: float


def cases() -> Iterator[Case]:
    for height, width in _SIZES:
        image = picture(height, width)
        size = image.size / 3e6
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        for name in ("DecodeMat", "DecodeTensor"):
            yield Case(name, {}, {"data": Bytes()}, (jpeg,), 0, size)
        for side in (_SMALL, _LARGE):
            yield from _resized(image, size, side)
    for height, width in ((_SMALL, _SMALL), (_LARGE, _LARGE), _SIZES[1]):
        yield from _same_size(picture(height, width))
    for count in (1_000, 200_000):
        numbers = np.random.default_rng(0).normal(size=(count,)).astype(np.float32)
        for name in ("Softmax", "ArgMax", "SoftmaxMax", "TopK"):
            yield Case(name, {}, {"data": _NUMBERS}, (numbers,), count / 1e6, 0)
    for side in (320, _LARGE):
        words = _map_of_words(side)
        types: dict[str, Type] = {"data": Array(DType.FLOAT32, (1, side, side))}
        yield Case("DBPostProcess", {}, types, (words,), side * side / 1e6, 0)


def _resized(image: Any, size: float, side: int) -> Iterator[Case]:
    tensor = np.ascontiguousarray(image.transpose(2, 0, 1))
    fixed, largest = {"resize_h": side, "resize_w": side}, {"max_h": side, "max_w": side}
    row = {"resize_h": side, "max_w": side}
    whole, fitted = side * side / 1e6, side * side * 9 / 16 / 1e6
    for name, keys, written in (
        *((name, fixed, whole) for name in ("ResizeMat", "LetterBoxMat", "TopLeftResizeMat")),
        ("PillowResizeMat", fixed, whole),
        *((name, largest, whole) for name in ("ResizePadMat", "ResizeCenterPadMat")),
        ("FixRatioResizeMat", largest, fitted),
        ("FixHResizePadMat", row, whole),
    ):
        yield Case(name, keys, {"data": _HWC}, (image,), size, written)
    for name, keys in (
        *((name, fixed) for name in ("ResizeTensor", "PillowResizeTensor", "PPLResizeTensor")),
        *((name, largest) for name in ("ResizePadTensor", "PPLResizePadTensor")),
        ("PPLResizeCenterPadTensor", fixed),
    ):
        yield Case(name, keys, {"data": _CHW}, (tensor,), size, whole)
    box = np.array([10, 10, 10 + side // 2, 10 + side // 2], np.int32)
    types = {"data": _HWC, "_box": Array(DType.INT32, (4,))}
    yield Case("CropMat", {}, types, (image, box), size, (side // 2) ** 2 / 1e6)
    corners = np.array([[[10, 10], [10 + side, 14], [10 + side, 44], [10, 40]]], np.int32)
    types = {"data": _HWC, "_box": Array(DType.INT32, (1, 4, 2))}
    yield Case("PerspectiveTransformMats", {}, types, (image, corners), size, side * 30 / 1e6)


def _same_size(image: Any) -> Iterator[Case]:
    size = image.size / 3e6
    tensor = np.ascontiguousarray(image.transpose(2, 0, 1))
    for name, keys in (
        ("cvtColorMat", {"color": "rgb"}),
        ("Mat2Tensor", {}),
        ("Mat2GpuTensor", {}),
        ("NCHWTensor", {}),
        ("FloatNCHWTensor", {}),
        ("FloatMat", {}),
        ("Normalize", {"mean": (1.0, 2.0, 3.0), "std": (1.0, 2.0, 3.0)}),
        ("PackImage", {"mean": (1.0, 2.0, 3.0)}),
    ):
        yield Case(name, keys, {"data": _HWC}, (image,), size, size)
    for name, keys in (
        ("cvtColorTensor", {"color": "bgr"}),
        ("Tensor2Mat", {}),
        ("FloatTensor", {}),
        ("CopyMakeBorderTensor", {"top": 4, "bottom": 4, "left": 4, "right": 4}),
        ("ContiguousTensor", {}),
    ):
        yield Case(name, keys, {"data": _CHW}, (tensor,), size, size)


def _map_of_words(side: int) -> Any:
    """What a detector gives for a page: rectangles of high probability, in rows."""
    found = np.zeros((1, side, side), np.float32)
    for top in range(10, side - 20, 40):
        for left in range(10, side - 60, 80):
            found[0, top : top + 14, left : left + 50] = 0.9
    return found


def picture(height: int, width: int) -> Any:
    """Large shapes and fine detail: about 0.3 bytes of JPEG a pixel at quality 90, as photographs have."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 256, (9, 16, 3)).astype(np.uint8), (width, height), interpolation=3)
    grain = cv2.GaussianBlur(rng.normal(0, 60, (height, width, 3)), (0, 0), 1.6)
    return np.clip(coarse + grain, 0, 255).astype(np.uint8)


def kernel_of(case: Case) -> tuple[str, Callable[..., Any]]:
    """The name that the figures know an operator's kernel by, and the kernel."""
    from tpgen.runner.kernels import load_kernel

    made: Any = REGISTRY[case.operator]
    op = made(**case.keys)
    op = op.bind(frozenset(case.types), is_root=False) if op.has(Trait.BINDS) else op
    call: Any = SimpleNamespace(op=op)
    kernel = load_kernel(call, case.types, {}, threads=1)
    assert kernel is not None, case.operator
    if not op.has(Trait.BATCHED):
        return op.kernel, kernel
    return op.kernel, lambda *values: kernel(*([value] for value in values))


def _milliseconds(kernel: Callable[..., Any], values: tuple[Any, ...], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.thread_time()
        kernel(*values)
        best = min(best, time.thread_time() - begin)
    return best * 1000


def measured(rounds: int) -> dict[str, tuple[float, float, float]]:
    """Milliseconds of a call, a megapixel read and a megapixel written, by kernel."""
    cv2.setNumThreads(1)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for case in cases():
        name, kernel = kernel_of(case)
        took = _milliseconds(kernel, case.values, rounds)
        rows.setdefault(name, []).append((case.read, case.written, took))
        print(f"{case.operator:<26} {case.read:6.3f} {case.written:6.3f} {took:8.3f} ms", file=sys.stderr)
    return {name: _fitted(np.array(found)) for name, found in sorted(rows.items())}


def _fitted(rows: Any) -> tuple[float, float, float]:
    """Least squares of relative errors, with no figure below zero: of all choices of columns, the best."""
    columns = np.stack([np.ones(len(rows)), rows[:, 0], rows[:, 1]], axis=1)
    weights = 1 / np.maximum(rows[:, 2], 1e-3)
    best, least = np.zeros(3), float("inf")
    for mask in range(1, 8):
        chosen = [i for i in range(3) if mask >> i & 1]
        part = columns[:, chosen] * weights[:, None]
        found, *_ = np.linalg.lstsq(part, rows[:, 2] * weights, rcond=None)
        error = float((((part @ found) - rows[:, 2] * weights) ** 2).sum())
        if (found >= 0).all() and error < least - 1e-9:
            best, least = np.zeros(3), error
            best[chosen] = found
    return float(best[0]), float(best[1]), float(best[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    lines = [
        f'    "{name}": Figure({", ".join(f"{value:.3g}" for value in found)}),'
        for name, found in measured(options.rounds).items()
    ]
    print("\n".join(lines))
    if options.update:
        text = _FIGURES.read_text()
        between = re.compile(r"(# <measured>\n).*?(    # </measured>)", re.DOTALL)
        _FIGURES.write_text(between.sub(lambda m: m[1] + "\n".join(lines) + "\n" + m[2], text))


if __name__ == "__main__":
    main()
