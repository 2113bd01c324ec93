"""Resizing and padding with half-pixel centres, in plain numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracles.harness import Case, near, oracle, same, within
from oracles.images import half_pixel, on_canvas, random_channels, random_image

ROUNDING = 0.9  # half a unit, and what 11 bits of OpenCV's weights for uint8 add
EXACT = within(1e-9, rtol=1e-12)


def random_target(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(1, 90)), int(rng.integers(1, 90))


def _dtype(rng: np.random.Generator) -> str:
    return str(rng.choice(["uint8", "uint8", "uint8", "uint16", "int16", "float32", "float64"]))


def _random_resize(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=int(rng.choice([1, 2, 3, 4])), dtype=_dtype(rng))
    height, width = random_target(rng) if rng.integers(6) else image.shape[:2]
    return Case((image,), {"resize_h": height, "resize_w": width}, "HWC", "bgr")


def close(expected: np.ndarray, got: Any) -> str | None:
    """Compare with exact values (float64); of floats, a hundredth is left to OpenCV's float32 positions."""
    return near(expected, got, 0.02 if np.asarray(got).dtype.kind == "f" else ROUNDING)


def rounded(expected: np.ndarray, got: Any) -> str | None:
    """The same for a float array that was rounded to whole numbers on the way."""
    return near(expected, got, ROUNDING)


@oracle("ResizeMat", generate=_random_resize, tolerance=close)
def resize(image: np.ndarray, *, resize_h: int, resize_w: int) -> np.ndarray:
    return half_pixel(image, resize_h, resize_w)


def _random_dynamic(rng: np.random.Generator) -> Case:
    height, width = random_target(rng)
    if rng.integers(2):
        sizes: tuple[Any, ...] = (str(height), str(width))
    else:
        sizes = (np.array(height, np.int32), np.array([width], np.int64))
    return Case((random_image(rng, dtype=_dtype(rng)), *sizes), {}, "HWC", "rgb")


@oracle("DynamicResizeMat", generate=_random_dynamic, tolerance=close)
def dynamic_resize(image: np.ndarray, resize_h: Any, resize_w: Any) -> np.ndarray:
    return half_pixel(image, int(resize_h), int(np.ravel(resize_w)[0]))


def fitted(shape: tuple[int, ...], max_h: int, max_w: int, *, up: bool) -> tuple[int, int]:
    """The dialect's rule, in float32; ``up``: the free side is rounded up instead of to the nearest."""
    one = np.float32
    ratio = one(shape[1]) / one(shape[0])
    is_tall = one(max_h) * ratio <= one(max_w)
    free = float(one(max_h) * ratio if is_tall else one(max_w) / ratio)
    side = max(math.ceil(free) if up else int(free + 0.5), 1)
    return (max_h, min(side, max_w)) if is_tall else (min(side, max_h), max_w)


def _random_pad(rng: np.random.Generator, *, fraction: bool = False) -> Case:
    channels = random_channels(rng)
    dtype = "uint8" if fraction else str(rng.choice(["uint8", "uint8", "float32"]))
    image = random_image(rng, channels=channels, dtype=dtype)
    pad: tuple[float, ...] = tuple(float(v) for v in rng.integers(0, 256, int(rng.integers(1, 4))))
    if fraction and rng.integers(2):
        pad = (*pad[:-1], float(rng.uniform(1, 254)))
    return Case((image,), {"max_h": _side(rng), "max_w": _side(rng), "pad_value": pad}, "HWC", "bgr")


def _side(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 70))


def matrix(image: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    """From a pixel of the padded result to the source."""
    x, y = image.shape[1] / width, image.shape[0] / height
    return np.array([[x, 0, -left * x], [0, y, -top * y]], np.float64)


@oracle("ResizePadMat", generate=_random_pad, tolerance=(close, EXACT))
def resize_pad(image: np.ndarray, *, max_h: int, max_w: int, pad_value: tuple[float, ...]) -> tuple[Any, ...]:
    height, width = fitted(image.shape, max_h, max_w, up=False)
    result = on_canvas(half_pixel(image, height, width), max_h, max_w, 0, 0, pad_value)
    return result, matrix(image, height, width, 0, 0)


@oracle(
    "ResizeCenterPadMat", generate=lambda rng: _random_pad(rng, fraction=True), tolerance=(rounded, EXACT)
)
def resize_center_pad(
    image: np.ndarray, *, max_h: int, max_w: int, pad_value: tuple[float, ...]
) -> tuple[Any, ...]:
    height, width = fitted(image.shape, max_h, max_w, up=False)
    top, left = (max_h - height) // 2, (max_w - width) // 2
    return on_canvas(half_pixel(image, height, width), max_h, max_w, top, left, pad_value), matrix(
        image, height, width, top, left
    )


def _random_fit(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng), dtype=_dtype(rng))
    return Case((image,), {"max_h": _side(rng), "max_w": _side(rng)}, "HWC", "bgr")


@oracle("FixRatioResizeMat", generate=_random_fit, tolerance=(close, EXACT))
def fix_ratio_resize(image: np.ndarray, *, max_h: int, max_w: int) -> tuple[Any, ...]:
    height, width = fitted(image.shape, max_h, max_w, up=True)
    return half_pixel(image, height, width), matrix(image, height, width, 0, 0)


def _random_letter_box(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng), dtype=str(rng.choice(["uint8", "float32"])))
    pad = tuple(int(v) for v in rng.integers(0, 256, int(rng.choice([1, 3]))))
    return Case((image,), {"resize_h": _side(rng), "resize_w": _side(rng), "pad_val": pad}, "HWC", "bgr")


def _letter_box(
    image: np.ndarray, size: tuple[int, int], pad_val: tuple[int, ...], centred: bool
) -> tuple[Any, ...]:
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(math.floor(side * scale + 0.5), 1) for side in image.shape[:2])
    gaps = (size[0] - height, size[1] - width)
    top, left = (gaps[0] // 2, gaps[1] // 2) if centred else (0, 0)
    result = on_canvas(half_pixel(image, height, width), *size, top, left, pad_val)
    return result, np.float32(scale), np.array([left, top], np.int32)


@oracle("LetterBoxMat", generate=_random_letter_box, tolerance=(close, same, same))
def letter_box(
    image: np.ndarray, *, resize_h: int, resize_w: int, pad_val: tuple[int, ...]
) -> tuple[Any, ...]:
    return _letter_box(image, (resize_h, resize_w), pad_val, centred=True)


@oracle("TopLeftResizeMat", generate=_random_letter_box, tolerance=(close, same, same))
def top_left(image: np.ndarray, *, resize_h: int, resize_w: int, pad_val: tuple[int, ...]) -> tuple[Any, ...]:
    return _letter_box(image, (resize_h, resize_w), pad_val, centred=False)


def _random_fix_h(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng))
    pad = (float(rng.integers(0, 256)),)
    attributes = {"resize_h": _side(rng), "max_w": int(rng.integers(2, 120)), "pad_value": pad}
    return Case((image,), attributes, "HWC", "bgr")


@oracle("FixHResizePadMat", generate=_random_fix_h, tolerance=close)
def fix_h(image: np.ndarray, *, resize_h: int, max_w: int, pad_value: tuple[float, ...]) -> np.ndarray:
    ratio = np.float32(image.shape[1]) / np.float32(image.shape[0])
    width = min(int(np.ceil(np.float32(resize_h) * ratio)), max_w)
    return on_canvas(half_pixel(image, resize_h, width), resize_h, max_w, 0, 0, pad_value)


def _random_dynamic_fix_h(rng: np.random.Generator) -> Case:
    case = _random_fix_h(rng)
    height, width = str(case.attributes["resize_h"]), str(case.attributes["max_w"])
    return Case((*case.values, height, width), {"pad_value": case.attributes["pad_value"]}, "HWC", "bgr")


@oracle("DynamicFixHResizePadMat", generate=_random_dynamic_fix_h, tolerance=close)
def dynamic_fix_h(
    image: np.ndarray, resize_h: str, max_w: str, *, pad_value: tuple[float, ...]
) -> np.ndarray:
    return fix_h(image, resize_h=int(resize_h), max_w=int(max_w), pad_value=pad_value)


def _random_bucket(rng: np.random.Generator) -> Case:
    align = int(rng.choice([1, 8, 16, 32]))
    attributes = {"resize_h": _side(rng), "max_w": align * int(rng.integers(1, 12)), "align": align}
    return Case((random_image(rng),), attributes, "HWC", "bgr")


def _bucket_width(image: np.ndarray, resize_h: int, max_w: int, align: int) -> int:
    target = int(np.float32(math.ceil(resize_h * image.shape[1])) / np.float32(image.shape[0]))
    target = max(target, 1)
    if target % align:
        target = (target // align + 1) * align
    return min(target, max_w)


@oracle("BatchFixHLimitW", generate=_random_bucket, tolerance=same)
def batch_fix_h(image: np.ndarray, *, resize_h: int, max_w: int, align: int) -> tuple[Any, ...]:
    return image, str(_bucket_width(image, resize_h, max_w, align)), str(resize_h)


@oracle("AlignMat", generate=_random_bucket, tolerance=same)
def align_mat(image: np.ndarray, *, resize_h: int, max_w: int, align: int) -> tuple[Any, ...]:
    width = np.array(_bucket_width(image, resize_h, max_w, align), np.int32)
    return image, np.array(resize_h, np.int32), width
