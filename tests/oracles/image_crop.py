"""Crops, quadrilaterals and affine maps, in plain numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracles.harness import FAILED, Case, mostly, oracle, same
from oracles.image_geometry import close
from oracles.images import from_hwc, half_pixel, random_channels, random_image, random_layout, to_hwc


def _random_box(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Mostly inside, at times reaching out, empty or outside; int or float."""
    height, width = image.shape[:2]
    reach = int(rng.choice([0, 0, 10]))
    xs = np.sort(rng.integers(-reach, width + reach + 1, 2))
    ys = np.sort(rng.integers(-reach, height + reach + 1, 2))
    box = np.array([xs[0], ys[0], xs[1], ys[1]])
    if rng.integers(10) == 0:
        box = box[[2, 3, 0, 1]]
    if rng.integers(4) == 0:
        return (box + rng.uniform(0, 0.99, 4)).astype(np.float32)
    return box.astype(str(rng.choice(["int32", "int64"])))


def _random_crop(rng: np.random.Generator, *, any_layout: bool = False) -> Case:
    image = random_image(rng, channels=random_channels(rng), dtype=str(rng.choice(["uint8", "float32"])))
    box = _random_box(rng, image)
    layout = "HWC"
    if any_layout:
        image, layout = random_layout(rng, image)
    return Case((image, box), {}, layout, "bgr", told={"layout": layout})


@oracle("CropMat", generate=_random_crop, tolerance=same)
@oracle(
    "CropTensor", "PPLCropTensor", generate=lambda rng: _random_crop(rng, any_layout=True), tolerance=same
)
def crop(image: np.ndarray, box: np.ndarray, *, layout: str) -> Any:
    """Each pixel of the image is kept if its row and column are in the box."""
    x1, y1, x2, y2 = (int(side) for side in box)
    mat = to_hwc(image, layout)
    rows = [row for row in range(mat.shape[0]) if y1 <= row < y2]
    columns = [column for column in range(mat.shape[1]) if x1 <= column < x2]
    if not rows or not columns:
        return FAILED
    return from_hwc(mat[rows][:, columns], layout)


def _random_crop_resize(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng))
    corners = np.sort(rng.uniform(-0.2, 1.2, (2, 2)), axis=0)
    box = corners.reshape(4).astype(np.float32)
    if rng.integers(10) == 0:
        box[int(rng.integers(4))] = rng.choice([np.nan, np.inf, -5.0])
    attributes = {"resize_h": int(rng.integers(1, 50)), "resize_w": int(rng.integers(1, 50))}
    ratio = float(rng.choice([0.0, 0.1, 0.3, 1.5]))
    return Case((image, box), {**attributes, "enlarge_ratio": ratio}, "HWC", "bgr")


@oracle("CropResizeMat", generate=_random_crop_resize, tolerance=close)
def crop_resize(
    image: np.ndarray, box: np.ndarray, *, resize_h: int, resize_w: int, enlarge_ratio: float
) -> Any:
    if not np.all(np.isfinite(box)):
        return FAILED
    height, width = image.shape[:2]
    left, right = (int(np.float32(side) * np.float32(width)) for side in box[[0, 2]])
    top, bottom = (int(np.float32(side) * np.float32(height)) for side in box[[1, 3]])
    across = int(np.float32(enlarge_ratio) * np.float32(right - left + 1))
    down = int(np.float32(enlarge_ratio) * np.float32(bottom - top + 1))
    left, right = max(left - across, 0), min(right + across, width)
    top, bottom = max(top - down, 0), min(bottom + down, height)
    if left >= right or top >= bottom:
        return FAILED
    return half_pixel(image[top:bottom, left:right], resize_h, resize_w)


def _random_quad(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Top left, top right, bottom right, bottom left; at times not convex, a line or a point."""
    height, width = image.shape[:2]
    kind = rng.integers(12)
    if kind == 0:
        return np.repeat(rng.integers(0, 20, (1, 2)), 4, axis=0)
    if kind == 1:
        return np.array([[0, 0], [5, 5], [9, 9], [3, 1]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    return corners + rng.integers(-6, 7, (4, 2))


def homography(quad: np.ndarray, width: int, height: int) -> np.ndarray | None:
    """The matrix from pixels of a width × height rectangle to the quadrilateral; None if there is none."""
    equations, values = [], []
    for (u, v), (x, y) in zip([(0, 0), (width, 0), (width, height), (0, height)], quad.tolist(), strict=True):
        equations += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        values += [x, y]
    try:
        solved = np.linalg.solve(np.array(equations, np.float64), np.array(values, np.float64))
    except np.linalg.LinAlgError:
        return None
    return np.append(solved, 1.0).reshape(3, 3)


def quad_size(quad: np.ndarray) -> tuple[int, int]:
    """Width and height: the top and the left edge, rounded down."""
    return int(math.dist(quad[0], quad[1])), int(math.dist(quad[0], quad[3]))


def is_flat(quad: np.ndarray) -> bool:
    """True if three corners lie on a line, or an edge is shorter than a pixel."""
    for a, b, c in ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)):
        first, second = quad[b] - quad[a], quad[c] - quad[a]
        if first[0] * second[1] - first[1] * second[0] == 0:
            return True
    return min(quad_size(quad)) < 1


def _positions(quad: np.ndarray) -> np.ndarray:
    """Where each pixel of the upright image lies in the source: ``[height, width, 2]`` (x, y)."""
    width, height = quad_size(quad)
    matrix = homography(quad, width, height)
    assert matrix is not None
    rows, columns = np.mgrid[:height, :width]
    points = np.stack([columns, rows, np.ones_like(rows)], axis=2) @ matrix.T
    return points[:, :, :2] / points[:, :, 2:]


def _random_perspective(rng: np.random.Generator, interpolation: str) -> Case:
    while True:
        image = random_image(rng, channels=random_channels(rng))
        quad = _random_quad(rng, image)
        if is_flat(quad) or not _is_on_an_edge(quad):
            break
    box: np.ndarray = quad.astype(str(rng.choice(["int32", "int64", "float32"])))
    return Case((image, box), {"interpolation": interpolation}, "HWC", "bgr")


def _is_on_an_edge(quad: np.ndarray) -> bool:
    """True if rounding could go either way for a pixel, or the map turns over: no fair question."""
    width, height = quad_size(quad)
    matrix = homography(quad, width, height)
    if matrix is None:
        return True
    depth = [float(matrix[2] @ (u, v, 1)) for u, v in ((0, 0), (width, 0), (width, height), (0, height))]
    if min(depth) < 0.05:
        return True
    fraction = np.mod(_positions(quad), 1.0)
    return bool(np.any(np.abs(fraction - 0.5) < 1e-6))


@oracle("PerspectiveTransformMat", generate=lambda rng: _random_perspective(rng, "nearest"), tolerance=same)
def perspective(image: np.ndarray, box: np.ndarray, *, interpolation: str) -> Any:
    quad = box.reshape(4, 2).astype(np.float64)
    if is_flat(quad):
        return FAILED
    places = np.rint(_positions(quad)).astype(int)
    columns, rows = places[:, :, 0], places[:, :, 1]
    inside = (columns >= 0) & (columns < image.shape[1]) & (rows >= 0) & (rows < image.shape[0])
    result = np.zeros((*columns.shape, image.shape[2]), image.dtype)
    result[inside] = image[rows[inside], columns[inside]]
    return result


def _random_perspectives(rng: np.random.Generator) -> Case:
    case = _random_perspective(rng, "nearest")
    image = case.values[0]
    quads = []
    while len(quads) < int(rng.integers(1, 5)):
        quad = _random_quad(rng, image)
        if is_flat(quad) if rng.integers(20) == 0 else not (is_flat(quad) or _is_on_an_edge(quad)):
            quads.append(quad.astype(np.int32))
    boxes: Any = np.stack(quads) if rng.integers(2) else quads
    return Case((image, boxes), case.attributes, "HWC", "bgr")


@oracle("PerspectiveTransformMats", generate=_random_perspectives, tolerance=same)
def perspectives(image: np.ndarray, boxes: Any, *, interpolation: str) -> Any:
    upright = [perspective(image, box, interpolation=interpolation) for box in boxes]
    return FAILED if any(one is FAILED for one in upright) else upright


def _random_warp(rng: np.random.Generator) -> Case:
    image = random_image(rng, channels=random_channels(rng), dtype=str(rng.choice(["uint8", "float32"])))
    linear = np.eye(2) * rng.uniform(0.3, 2) + rng.uniform(-0.4, 0.4, (2, 2))
    matrix = np.concatenate([linear, rng.uniform(-10, 20, (2, 1))], axis=1).astype(np.float32)
    image, layout = random_layout(rng, image)
    shape = [(6,), (2, 3)][int(rng.integers(2))]
    attributes = {"target_h": int(rng.integers(1, 50)), "target_w": int(rng.integers(1, 50))}
    return Case((image, matrix.reshape(shape)), attributes, layout, "bgr", told={"layout": layout})


@oracle("PPLWarpAffineTensor", generate=_random_warp, tolerance=mostly(2.0, share=0.03))
def warp(image: np.ndarray, matrix: np.ndarray, *, target_h: int, target_w: int, layout: str) -> np.ndarray:
    """Bilinear on a grid of 1/32 pixel, as OpenCV does it; outside the image everything is 0."""
    rows, columns = np.mgrid[:target_h, :target_w]
    points = np.stack([columns, rows, np.ones_like(rows)], axis=2) @ matrix.reshape(2, 3).T.astype(np.float64)
    x, y = np.moveaxis(np.floor(points * 32 + 0.5) / 32, 2, 0)
    mat = to_hwc(image, layout).astype(np.float64)
    result = np.zeros((target_h, target_w, mat.shape[2]))
    for down in (0, 1):
        for across in (0, 1):
            row, column = np.floor(y).astype(int) + down, np.floor(x).astype(int) + across
            inside = (row >= 0) & (row < mat.shape[0]) & (column >= 0) & (column < mat.shape[1])
            weight = (1 - np.abs(y - row)) * (1 - np.abs(x - column))
            result[inside] += weight[inside][:, None] * mat[row[inside], column[inside]]
    rounded = np.floor(result + 0.5) if image.dtype.kind == "u" else result
    return from_hwc(rounded.astype(image.dtype), layout)
