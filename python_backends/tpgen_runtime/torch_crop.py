"""Cutting regions out of images on torch tensors. Boxes are numpy arrays, as for the kernels of `crop`."""

import cv2
import numpy as np
import torch

from . import crop as on_cpu
from .errors import ItemError
from .torch_geometry import resize_linear

_STEPS = {"nearest": 1, "linear": 32}  # places between two pixels that OpenCV knows


def crop(image, box, *, layout):
    """The region ``[x1, y1, x2, y2]`` (half open) of the image: a view."""
    return on_cpu.crop(image, box, layout=layout)  # it only cuts, whatever it is given


def crop_resize_mat(image, box, *, resize_h, resize_w, enlarge_ratio):
    """Cut out a normalised box (0 to 1), enlarged on each side, and resize it."""
    region = on_cpu.enlarged_region(image.shape, box, enlarge_ratio)
    return resize_linear(on_cpu.cut(image, "HWC", region, box), resize_h, resize_w)


def perspective_transform_mat(image, box, *, interpolation):
    """The quadrilateral ``box`` (TL, TR, BR, BL) as an upright image; zero where it leaves the image."""
    matrix, (width, height) = on_cpu.upright_matrix(image.shape, box)
    return _warp(image, cv2.invert(matrix)[1], height, width, _STEPS[interpolation])


def perspective_transform_mats(image, boxes, *, interpolation):
    """One upright image per quadrilateral of ``boxes`` (a list, or an array ``[N,4,2]``)."""
    return [_upright(image, box, index, interpolation) for index, box in enumerate(boxes)]


def _upright(image, box, index, interpolation):
    try:
        return perspective_transform_mat(image, box, interpolation=interpolation)
    except ItemError as problem:
        raise ItemError(f"element {index} of _box: {problem}") from None


def _warp(image, matrix, height, width, steps):
    """OpenCV's ``warpPerspective``: positions in float64, rounded to 1 / ``steps`` pixels."""
    rows = torch.arange(height, dtype=torch.float64, device=image.device)[:, None]
    columns = torch.arange(width, dtype=torch.float64, device=image.device)[None, :]
    x, y, scale = (a * columns + b * rows + c for a, b, c in matrix.astype(np.float64).tolist())
    scale = torch.where(scale == 0, 0.0, steps / scale)
    x, y = ((axis * scale).clamp(-(2**31), 2**31 - 1).round().long() for axis in (x, y))
    left, top = (axis.div(steps, rounding_mode="floor") for axis in (x, y))
    if steps == 1:
        return _pixels(image, top, left)
    right_part, lower_part = ((axis.remainder(steps).float() / steps)[..., None] for axis in (x, y))
    result = torch.zeros((), device=image.device)
    for down, vertical in ((0, 1 - lower_part), (1, lower_part)):
        for right, horizontal in ((0, 1 - right_part), (1, right_part)):
            result = result + _pixels(image, top + down, left + right).float() * (vertical * horizontal)
    if image.dtype.is_floating_point:
        return result.to(image.dtype)
    return (result + 0.5).floor().clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def _pixels(image, rows, columns):
    """The pixels at some places; zero outside the image."""
    height, width = image.shape[:2]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = image[rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return torch.where(inside[..., None], found, torch.zeros((), dtype=image.dtype, device=image.device))
