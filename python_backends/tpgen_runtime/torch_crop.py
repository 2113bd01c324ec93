"""Cutting regions out of images on torch tensors. Boxes are numpy arrays, as for the kernels of `crop`."""

import cv2

from . import crop as on_cpu
from .errors import ItemError
from .torch_geometry import resize_linear
from .torch_warp import LINEAR, NEAREST, perspective

_STEPS = {"nearest": NEAREST, "linear": LINEAR}


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
    return perspective(image, cv2.invert(matrix)[1], height, width, _STEPS[interpolation])


def perspective_transform_mats(image, boxes, *, interpolation):
    """One upright image per quadrilateral of ``boxes`` (a list, or an array ``[N,4,2]``)."""
    return [_upright(image, box, index, interpolation) for index, box in enumerate(boxes)]


def _upright(image, box, index, interpolation):
    try:
        return perspective_transform_mat(image, box, interpolation=interpolation)
    except ItemError as problem:
        raise ItemError(f"element {index} of _box: {problem}") from None
