"""Cutting regions out of images: boxes and quadrilaterals. Coordinates are pixels, x to the right, y down."""

import cv2
import numpy as np

from .errors import ItemError
from .geometry import MAX_PIXELS, MAX_WARP_SIDE, check_warps, resize_linear, with_channels

_INTERPOLATIONS = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR}


def crop(image, box, *, layout):
    """The region ``[x1, y1, x2, y2]`` (half open) of the image; what lies outside the image is left out."""
    x1, y1, x2, y2 = _whole_box(box)
    height, width = image.shape[:2] if layout == "HWC" else image.shape[1:]
    return cut(image, layout, (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)), box)


def _whole_box(box):
    is_whole = box.dtype.kind in "iu"
    if is_whole and box.shape == (4,):
        return box.tolist()
    if box.size != 4 or not (is_whole or np.isfinite(box).all()):
        raise ItemError(f"_box needs four numbers x1, y1, x2, y2, not {box.tolist()}")
    sides = box.reshape(-1).tolist()
    return sides if is_whole else [int(side) for side in sides]  # toward zero


def cut(image, layout, region, box):
    """A region inside the image, ``x1, y1, x2, y2``, as a view of any kind of array.

    Raises:
        ItemError: ``box``, which the region comes from, holds no pixel.
    """
    x1, y1, x2, y2 = region
    if x1 >= x2 or y1 >= y2:
        height, width = image.shape[layout.index("H")], image.shape[layout.index("W")]
        raise ItemError(f"box {box.reshape(-1).tolist()} holds no pixel of the image ({width} × {height})")
    return image[y1:y2, x1:x2] if layout == "HWC" else image[:, y1:y2, x1:x2]


def crop_resize_mat(image, box, *, resize_h, resize_w, enlarge_ratio):
    """Cut out a normalised box (0 to 1), enlarged on each side, and resize it.

    Each side grows by ``enlarge_ratio`` × (box side + 1) pixels, and ends at the image's edge.
    """
    region = enlarged_region(image.shape, box, enlarge_ratio)
    return resize_linear(cut(image, "HWC", region, box), resize_h, resize_w)


def enlarged_region(shape, box, enlarge_ratio):
    """The pixels ``x1, y1, x2, y2`` of a normalised box of an HWC image, enlarged as `crop_resize_mat` does.

    Raises:
        ItemError: the box is not four fractions.
    """
    if box.size != 4 or not np.isfinite(box).all() or np.abs(box).max() > 1e6:
        raise ItemError(f"_box needs four fractions x1, y1, x2, y2 of the image's sides, not {box.tolist()}")
    height, width = shape[:2]
    sides = box.reshape(-1).astype(np.float32) * np.array([width, height, width, height], np.float32)
    x1, y1, x2, y2 = (int(side) for side in sides)
    grow_x = int(np.float32(enlarge_ratio) * np.float32(x2 - x1 + 1))
    grow_y = int(np.float32(enlarge_ratio) * np.float32(y2 - y1 + 1))
    return max(x1 - grow_x, 0), max(y1 - grow_y, 0), min(x2 + grow_x, width), min(y2 + grow_y, height)


def perspective_transform_mat(image, box, *, interpolation):
    """The quadrilateral ``box`` (TL, TR, BR, BL) as an upright image; zero where it leaves the image.

    Its width is the length of the top edge, its height that of the left edge, rounded down.
    """
    matrix, size = upright_matrix(image.shape, box)
    return with_channels(cv2.warpPerspective(image, matrix, size, flags=_INTERPOLATIONS[interpolation]))


def upright_matrix(shape, box):
    """From pixels of an HWC image to those of the upright one; and the width and height of that.

    Raises:
        ItemError: the box is no quadrilateral, or too large.
    """
    if box.size != 8 or not np.isfinite(box).all():
        raise ItemError(f"_box needs four corners (x, y), not {box.tolist()}")
    corners = box.reshape(4, 2).astype(np.float64)
    width, height = (int(np.sqrt(((corners[0] - corners[i]) ** 2).sum())) for i in (1, 3))
    _check_warp(shape, corners, width, height)
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return cv2.getPerspectiveTransform(corners.astype(np.float32), upright), (width, height)


def _check_warp(shape, corners, width, height):
    shown = corners.tolist()
    if width < 1 or height < 1 or _three_in_line(corners):
        raise ItemError(f"box {shown} has no area")
    if max(width, height) > MAX_WARP_SIDE or width * height > MAX_PIXELS:
        raise ItemError(f"box {shown} is too large: {width} × {height} pixels")
    check_warps(*shape[:2])


def _three_in_line(corners):
    """True if three of the four corners lie on a line: no projection maps them to a rectangle."""
    for left_out in range(4):
        a, b, c = np.delete(corners, left_out, axis=0)
        if (b[0] - a[0]) * (c[1] - a[1]) == (b[1] - a[1]) * (c[0] - a[0]):
            return True
    return False


def perspective_transform_mats(image, boxes, *, interpolation):
    """One upright image per quadrilateral of ``boxes`` (a list, or an array ``[N,4,2]``)."""
    return [_upright(image, box, index, interpolation) for index, box in enumerate(boxes)]


def _upright(image, box, index, interpolation):
    try:
        return perspective_transform_mat(image, box, interpolation=interpolation)
    except ItemError as problem:
        raise ItemError(f"element {index} of _box: {problem}") from None
