"""Operators of GPU libraries (PPL, CV-CUDA, NPP) in OpenCV's convention, for either layout."""

import cv2
import numpy as np

from .errors import ItemError
from .geometry import (
    MAX_PIXELS,
    bordered,
    check_warps,
    pad,
    resize_linear,
    resize_pad_mat,
    size_of,
    whole_number,
    with_channels,
)
from .image import to_chw


def _hwc(image, layout):
    return image if layout == "HWC" else np.ascontiguousarray(image.transpose(1, 2, 0))


def _restore(image, layout):
    return image if layout == "HWC" else to_chw(image)


def resize_tensor_linear(image, *, resize_h, resize_w, layout):
    """Resize to ``resize_h`` × ``resize_w``: bilinear with half-pixel centres, dtype kept."""
    return _restore(resize_linear(_hwc(image, layout), resize_h, resize_w), layout)


def resize_pad_linear(image, *, max_h, max_w, layout):
    """Scale to fit ``max_h`` × ``max_w``, pad with zeros at the bottom and right; also the inverse matrix."""
    padded, matrix = resize_pad_mat(_hwc(image, layout), max_h=max_h, max_w=max_w, pad_value=(0,))
    return _restore(padded, layout), matrix


def resize_center_pad_linear(image, *, resize_h, resize_w, layout):
    """Scale to fit and centre on zeros; the scaled sides are computed in float32 and rounded down.

    Also top, bottom, left, right (int32) and source / result size (float32).
    """
    image = _hwc(image, layout)
    new_h, new_w, borders, ratio = centred_place(*size_of(image), resize_h, resize_w)
    top, left = int(borders[0]), int(borders[2])
    padded = pad(resize_linear(image, new_h, new_w), resize_h, resize_w, top, left, (0,))
    return _restore(padded, layout), *borders, ratio


def centred_place(height, width, resize_h, resize_w):
    """New height and width, the borders (top, bottom, left, right, int32), source / result size (float32)."""
    ratio = min(np.float32(resize_h) / np.float32(height), np.float32(resize_w) / np.float32(width))
    new_h, new_w = (max(int(np.float32(side) * ratio), 1) for side in (height, width))
    top, left = (resize_h - new_h) // 2, (resize_w - new_w) // 2
    borders = (top, resize_h - new_h - top, left, resize_w - new_w - left)
    whole = tuple(np.array(border, np.int32) for border in borders)
    return new_h, new_w, whole, np.array(np.float32(1) / ratio, np.float32)


def copy_make_border(image, *, top, bottom, left, right, layout):
    """Add a border of zeros, in pixels."""
    image = _hwc(image, layout)
    height, width = size_of(image)
    return _restore(bordered(image, height + top + bottom, width + left + right, top, left, (0,)), layout)


def copy_make_border_of_item(image, top, bottom, left, right, *, layout):
    """`copy_make_border` with the widths of the item."""
    named = {"top": top, "bottom": bottom, "left": left, "right": right}
    sides = {key: whole_number(key, value) for key, value in named.items()}
    height, width = size_of(_hwc(image, layout))
    area = (height + sides["top"] + sides["bottom"]) * (width + sides["left"] + sides["right"])
    if min(sides.values()) < 0 or area > MAX_PIXELS:
        raise ItemError(f"a border of {sides} pixels cannot be added to an image of {width} × {height}")
    return copy_make_border(image, **sides, layout=layout)


def warp_affine(image, matrix, *, target_h, target_w, layout):
    """Fill ``target_h`` × ``target_w`` from where ``matrix`` takes each pixel of the result; zero outside.

    ``matrix``: six numbers, rows (x, y): from pixels of the result to pixels of the image.
    """
    image = _hwc(image, layout)
    check_warps(*size_of(image))
    matrix = affine_matrix(matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (target_w, target_h), flags=flags)
    return _restore(with_channels(warped), layout)


def affine_matrix(matrix):
    """Six numbers as a matrix, float64 ``[2,3]``.

    Raises:
        ItemError: they are others.
    """
    if matrix.size != 6 or not np.isfinite(matrix).all():
        raise ItemError(f"affine_matrix needs six finite numbers, not {matrix.tolist()}")
    return matrix.reshape(2, 3).astype(np.float64)
