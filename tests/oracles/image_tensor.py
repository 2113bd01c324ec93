"""The GPU-named resizing operators: aligned corners in float32, and near-duplicates of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracles.harness import Case, near, oracle, same
from oracles.image_geometry import EXACT, close, fitted, matrix
from oracles.images import (
    aligned_corners,
    from_hwc,
    half_pixel,
    on_canvas,
    random_channels,
    random_image,
    random_layout,
    to_hwc,
)


def fine(expected: np.ndarray, got: Any) -> str | None:
    """A few units in the last place of float32, on the 0 to 255 scale."""
    return near(expected, got, 1e-4)


def _random_image(rng: np.random.Generator, dtypes: tuple[str, ...]) -> tuple[np.ndarray, str]:
    image = random_image(rng, channels=random_channels(rng), dtype=str(rng.choice(dtypes)))
    return random_layout(rng, image)


def _side(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 80))


def _random_resize(
    rng: np.random.Generator, dtypes: tuple[str, ...] = ("uint8", "float16", "float32")
) -> Case:
    image, layout = _random_image(rng, dtypes)
    height, width = (_side(rng), _side(rng)) if rng.integers(6) else to_hwc(image, layout).shape[:2]
    attributes = {"resize_h": height, "resize_w": width}
    return Case((image,), attributes, layout, "rgb", told={"layout": layout})


@oracle("ResizeTensor", "ResizeTensorV1", generate=_random_resize, tolerance=fine)
def resize(image: np.ndarray, *, resize_h: int, resize_w: int, layout: str) -> np.ndarray:
    return from_hwc(aligned_corners(to_hwc(image, layout), resize_h, resize_w), layout)


def _random_dynamic(rng: np.random.Generator) -> Case:
    case = _random_resize(rng)
    height, width = case.attributes["resize_h"], case.attributes["resize_w"]
    sizes: tuple[Any, ...] = (np.array(height, np.int64), str(width))
    return Case((*case.values, *sizes), {}, case.layout, "rgb", told=case.told)


@oracle("DynamicResizeTensor", generate=_random_dynamic, tolerance=fine)
def dynamic(image: np.ndarray, resize_h: Any, resize_w: Any, *, layout: str) -> np.ndarray:
    return resize(image, resize_h=int(resize_h), resize_w=int(resize_w), layout=layout)


def _random_pad(rng: np.random.Generator) -> Case:
    image, layout = _random_image(rng, ("uint8", "float32"))
    pad = tuple(float(v) for v in rng.uniform(0, 255, int(rng.integers(1, 4))))
    attributes = {"max_h": _side(rng), "max_w": _side(rng), "pad_value": pad}
    return Case((image,), attributes, layout, "rgb", told={"layout": layout})


@oracle("ResizePadTensor", generate=_random_pad, tolerance=(fine, EXACT))
def resize_pad(
    image: np.ndarray, *, max_h: int, max_w: int, pad_value: tuple[float, ...], layout: str
) -> tuple[Any, ...]:
    mat = to_hwc(image, layout)
    height, width = fitted(mat.shape, max_h, max_w, up=False)
    result = on_canvas(aligned_corners(mat, height, width), max_h, max_w, 0, 0, pad_value[:1])
    return from_hwc(result, layout), matrix(mat, height, width, 0, 0)


@oracle(
    "PPLResizeTensor",
    "ResizeNvTensor",
    generate=lambda rng: _random_resize(rng, ("uint8", "float32")),
    tolerance=close,
)
def resize_linear(image: np.ndarray, *, resize_h: int, resize_w: int, layout: str) -> np.ndarray:
    return from_hwc(half_pixel(to_hwc(image, layout), resize_h, resize_w), layout)


def _random_zero_pad(rng: np.random.Generator) -> Case:
    case = _random_pad(rng)
    sizes = {key: case.attributes[key] for key in ("max_h", "max_w")}
    return Case(case.values, sizes, case.layout, "rgb", told=case.told)


@oracle("PPLResizePadTensor", generate=_random_zero_pad, tolerance=(close, EXACT))
def resize_zero_pad(image: np.ndarray, *, max_h: int, max_w: int, layout: str) -> tuple[Any, ...]:
    mat = to_hwc(image, layout)
    height, width = fitted(mat.shape, max_h, max_w, up=False)
    result = on_canvas(half_pixel(mat, height, width), max_h, max_w, 0, 0, (0,))
    return from_hwc(result, layout), matrix(mat, height, width, 0, 0)


@oracle(
    "PPLResizeCenterPadTensor",
    generate=lambda rng: _random_resize(rng, ("uint8", "float32")),
    tolerance=(close, same, same, same, same, same),
)
def resize_center_pad(image: np.ndarray, *, resize_h: int, resize_w: int, layout: str) -> tuple[Any, ...]:
    one, mat = np.float32, to_hwc(image, layout)
    scale = min(one(resize_h) / one(mat.shape[0]), one(resize_w) / one(mat.shape[1]))
    height, width = (max(int(np.floor(one(side) * scale)), 1) for side in mat.shape[:2])
    top, left = (resize_h - height) // 2, (resize_w - width) // 2
    result = on_canvas(half_pixel(mat, height, width), resize_h, resize_w, top, left, (0,))
    borders = (top, resize_h - height - top, left, resize_w - width - left)
    return from_hwc(result, layout), *(np.int32(border) for border in borders), one(1) / scale


def _random_border(rng: np.random.Generator) -> Case:
    image, layout = _random_image(rng, ("uint8", "float32"))
    sides = {side: int(rng.integers(0, 9)) for side in ("top", "bottom", "left", "right")}
    return Case((image,), sides, layout, "rgb", told={"layout": layout})


@oracle("CopyMakeBorderTensor", generate=_random_border, tolerance=same)
def border(image: np.ndarray, *, top: int, bottom: int, left: int, right: int, layout: str) -> np.ndarray:
    mat = to_hwc(image, layout)
    height, width = mat.shape[0] + top + bottom, mat.shape[1] + left + right
    return from_hwc(on_canvas(mat, height, width, top, left, (0,)), layout)


def _random_border_of_item(rng: np.random.Generator) -> Case:
    case = _random_border(rng)
    sides = tuple(np.array(side, np.int32) for side in case.attributes.values())
    return Case((*case.values, *sides), {}, case.layout, "rgb", told=case.told)


@oracle("PPLCopyMakeBorderTensor", generate=_random_border_of_item, tolerance=same)
def border_of_item(image: np.ndarray, *sides: np.ndarray, layout: str) -> np.ndarray:
    names = ("top", "bottom", "left", "right")
    return border(image, **dict(zip(names, map(int, sides), strict=True)), layout=layout)


def _random_pillow(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng))
    height, width = (_side(rng), _side(rng)) if rng.integers(4) else (image.shape[0], _side(rng))
    return Case((image,), {"resize_h": height, "resize_w": width}, "HWC", "rgb")


def _pillow_weights(length: int, size: int) -> list[tuple[int, list[int]]]:
    """Per result pixel: the first source pixel, and fixed-point weights (22 bits) of it and the next ones."""
    scale = length / size
    support = max(scale, 1.0)
    weights = []
    for index in range(size):
        centre = (index + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), length)
        taps = [max(0.0, 1 - abs((x - centre + 0.5) * (1 / support))) for x in range(first, last)]
        weights.append((first, [int(0.5 + tap / sum(taps) * (1 << 22)) for tap in taps]))
    return weights


def _pillow_pass(image: np.ndarray, axis: int, size: int) -> np.ndarray:
    """One axis: triangle filter as wide as the shrinking, rounded to whole grey levels."""
    if image.shape[axis] == size:
        return image
    source = np.moveaxis(image, axis, 0).astype(np.int64)
    lines = []
    for first, taps in _pillow_weights(image.shape[axis], size):
        total = sum((source[first + offset] * tap for offset, tap in enumerate(taps)), np.int64(1 << 21))
        lines.append(np.clip(total >> 22, 0, 255))
    return np.moveaxis(np.stack(lines), 0, axis).astype(np.uint8)


@oracle("PillowResizeMat", generate=_random_pillow, tolerance=same)
def pillow_resize(image: np.ndarray, *, resize_h: int, resize_w: int) -> np.ndarray:
    return _pillow_pass(_pillow_pass(image, 1, resize_w), 0, resize_h)


def _random_pillow_tensor(rng: np.random.Generator) -> Case:
    case = _random_pillow(rng)
    image, layout = random_layout(rng, case.values[0])
    return Case((image,), case.attributes, layout, "rgb", told={"layout": layout})


@oracle("PillowResizeTensor", generate=_random_pillow_tensor, tolerance=same)
def pillow_resize_tensor(image: np.ndarray, *, resize_h: int, resize_w: int, layout: str) -> np.ndarray:
    mat = pillow_resize(to_hwc(image, layout), resize_h=resize_h, resize_w=resize_w)
    return from_hwc(mat, layout).astype(np.float32)
