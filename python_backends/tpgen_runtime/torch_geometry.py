"""Resizing and padding kernels on torch tensors.

Named as the kernels of `geometry`, `bilinear` and `compat`, whose conventions they keep: bilinear with
half-pixel centres and the dtype kept, or with aligned corners in float32. What is not an image (boxes,
matrices, sizes) stays a numpy array or a Python value, as on the CPU.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from . import geometry, padding
from .compat import centred_place
from .errors import ItemError
from .geometry import (
    MAX_PIXELS,
    fit_size,
    inverse,
    letter_box_place,
    requested_size,
    round_half_up,
    whole_number,
    width_of_height,
)
from .torch_image import size_of


def resize_linear(image, height, width, layout="HWC"):
    """The image at another size: bilinear with half-pixel centres, dtype kept.

    Raises:
        ItemError: the image has no pixels.
    """
    if size_of(image, layout) == (height, width):
        return image
    return _from_planes(_resized(_planes(image, layout), height, width), image.dtype, layout)


def resize_mat(image, *, resize_h, resize_w):
    """Resize to ``resize_h`` × ``resize_w``, ignoring the aspect ratio."""
    return resize_linear(image, resize_h, resize_w)


def dynamic_resize_mat(image, resize_h, resize_w):
    """`resize_mat` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("resize_w", resize_w))
    return resize_linear(image, height, width)


def pad(image, height, width, top, left, values, layout="HWC"):
    """Put the image on a canvas of constant colour: ``values`` per channel, the last one repeated."""
    own_h, own_w = size_of(image, layout)
    padding.note_pixels(height * width, height * width - own_h * own_w)
    return bordered(image, height, width, top, left, values, layout)


def bordered(image, height, width, top, left, values, layout="HWC"):
    """`pad`, which is not counted as padding."""
    own_h, own_w = size_of(image, layout)
    if (own_h, own_w) == (height, width):
        return image
    planes = _planes(image, layout)
    colours = [_colour(value, image.dtype) for value in values[: len(planes)]]
    canvas = planes.new_full((len(planes), height, width), colours[-1])
    for plane, colour in zip(canvas, colours[:-1], strict=False):
        plane.fill_(colour)
    canvas[:, top : top + own_h, left : left + own_w] = planes
    return _laid_out(canvas, layout)


def resize_pad_mat(image, *, max_h, max_w, pad_value):
    """Scale to fit ``max_h`` × ``max_w`` and pad at the bottom and right; also the inverse matrix."""
    return _resize_pad(image, max_h, max_w, pad_value, "HWC")


def resize_pad_linear(image, *, max_h, max_w, layout):
    """`resize_pad_mat` with zeros, for either layout."""
    return _resize_pad(image, max_h, max_w, (0,), layout)


def _resize_pad(image, max_h, max_w, pad_value, layout):
    height, width = size_of(image, layout)
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    resized = resize_linear(image, new_h, new_w, layout)
    return pad(resized, max_h, max_w, 0, 0, pad_value, layout), inverse(height, width, new_h, new_w)


def resize_center_pad_mat(image, *, max_h, max_w, pad_value, dtype):
    """`resize_pad_mat` with the image in the middle; ``dtype`` is the dtype of the result."""
    height, width = size_of(image)
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    top, left = (max_h - new_h) // 2, (max_w - new_w) // 2
    resized = resize_linear(image, new_h, new_w).to(getattr(torch, dtype))
    padded = pad(resized, max_h, max_w, top, left, pad_value)
    return padded, inverse(height, width, new_h, new_w, top, left)


def resize_center_pad_linear(image, *, resize_h, resize_w, layout):
    """Scale to fit and centre on zeros; the scaled sides are computed in float32 and rounded down.

    Also top, bottom, left, right (int32) and source / result size (float32).
    """
    new_h, new_w, borders, ratio = centred_place(*size_of(image, layout), resize_h, resize_w)
    top, left = int(borders[0]), int(borders[2])
    padded = pad(resize_linear(image, new_h, new_w, layout), resize_h, resize_w, top, left, (0,), layout)
    return padded, *borders, ratio


def fix_ratio_resize_mat(image, *, max_h, max_w):
    """Scale to fit ``max_h`` × ``max_w``, the other side rounded up, no padding; also the inverse matrix."""
    height, width = size_of(image)
    new_h, new_w = fit_size(height, width, max_h, max_w, math.ceil)
    return resize_linear(image, new_h, new_w), inverse(height, width, new_h, new_w)


def letter_box_mat(image, *, resize_h, resize_w, pad_val):
    """Scale to fit and centre on a canvas; also the scale (float32) and the offset (int32 x, y)."""
    return _letter_box(image, resize_h, resize_w, pad_val, centred=True)


def top_left_resize_mat(image, *, resize_h, resize_w, pad_val):
    """Scale to fit and put into the top left corner of a canvas; also the scale and the offset (0, 0)."""
    return _letter_box(image, resize_h, resize_w, pad_val, centred=False)


def _letter_box(image, canvas_h, canvas_w, pad_val, centred):
    new_h, new_w, top, left, scale = letter_box_place(*size_of(image), canvas_h, canvas_w, centred)
    padded = pad(resize_linear(image, new_h, new_w), canvas_h, canvas_w, top, left, pad_val)
    return padded, np.asarray(scale, np.float32), np.array([left, top], np.int32)


def fix_h_resize_pad_mat(image, *, resize_h, max_w, pad_value):
    """Scale to the height ``resize_h``, at most ``max_w`` wide, and pad on the right to ``max_w``."""
    resized = resize_linear(image, resize_h, width_of_height(*size_of(image), resize_h, max_w))
    return pad(resized, resize_h, max_w, 0, 0, pad_value)


def dynamic_fix_h_resize_pad_mat(image, resize_h, max_w, *, pad_value):
    """`fix_h_resize_pad_mat` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("max_w", max_w))
    return fix_h_resize_pad_mat(image, resize_h=height, max_w=width, pad_value=pad_value)


def batch_fix_h_limit_w(image, **sizes):
    """The image, the width of its bucket and the height, both as texts."""
    return image, *geometry.batch_fix_h_limit_w(_outline(image), **sizes)[1:]


def align_mat(image, **sizes):
    """The image, the height and the width of its bucket (int32 scalars)."""
    return image, *geometry.align_mat(_outline(image), **sizes)[1:]


def resize_tensor(image, *, resize_h, resize_w, layout):
    """Resize to float32 with aligned corners; an image of that size is only cast."""
    if size_of(image, layout) == (resize_h, resize_w):
        return image.float()
    resized = _resized(_planes(image, layout), resize_h, resize_w, align_corners=True)
    return _laid_out(resized, layout)


def dynamic_resize_tensor(image, resize_h, resize_w, *, layout):
    """`resize_tensor` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("resize_w", resize_w))
    return resize_tensor(image, resize_h=height, resize_w=width, layout=layout)


def resize_pad_tensor(image, *, max_h, max_w, pad_value, layout):
    """Scale to fit ``max_h`` × ``max_w`` with aligned corners, and pad at the bottom and right.

    Also the inverse matrix. Of ``pad_value`` only the first number counts.
    """
    height, width = size_of(image, layout)
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    resized = resize_tensor(image, resize_h=new_h, resize_w=new_w, layout=layout)
    padded = pad(resized, max_h, max_w, 0, 0, pad_value[:1], layout)
    return padded, inverse(height, width, new_h, new_w)


def resize_tensor_linear(image, *, resize_h, resize_w, layout):
    """Resize to ``resize_h`` × ``resize_w``: bilinear with half-pixel centres, dtype kept."""
    return resize_linear(image, resize_h, resize_w, layout)


def copy_make_border(image, *, top, bottom, left, right, layout):
    """Add a border of zeros, in pixels."""
    height, width = size_of(image, layout)
    return bordered(image, height + top + bottom, width + left + right, top, left, (0,), layout)


def copy_make_border_of_item(image, top, bottom, left, right, *, layout):
    """`copy_make_border` with the widths of the item."""
    named = {"top": top, "bottom": bottom, "left": left, "right": right}
    sides = {key: whole_number(key, value) for key, value in named.items()}
    height, width = size_of(image, layout)
    area = (height + sides["top"] + sides["bottom"]) * (width + sides["left"] + sides["right"])
    if min(sides.values()) < 0 or area > MAX_PIXELS:
        raise ItemError(f"a border of {sides} pixels cannot be added to an image of {width} × {height}")
    return copy_make_border(image, **sides, layout=layout)


def _planes(image, layout):
    return image.permute(2, 0, 1) if layout == "HWC" else image


def _laid_out(planes, layout):
    return planes.permute(1, 2, 0) if layout == "HWC" else planes


def _from_planes(planes, dtype, layout):
    return _laid_out(_whole_levels(planes, dtype), layout)


def _whole_levels(planes, dtype):
    """float32 in a dtype; whole numbers by rounding."""
    if dtype.is_floating_point:
        return planes.to(dtype)
    return planes.round().clamp(0, torch.iinfo(dtype).max).to(dtype)


def _resized(planes, height, width, *, align_corners=False):
    """``[C,H,W]`` of any dtype at another size, in float32."""
    return functional.interpolate(
        planes.float()[None],
        (height, width),
        mode="bilinear",
        align_corners=align_corners,
    )[0]


def _colour(value, dtype):
    """A colour in a dtype: OpenCV rounds halves to even, and keeps to what the dtype holds."""
    return value if dtype.is_floating_point else min(max(round(value), 0), torch.iinfo(dtype).max)


def _outline(image):
    """An array of the image's shape that takes no memory."""
    return np.broadcast_to(np.uint8(0), tuple(image.shape))
