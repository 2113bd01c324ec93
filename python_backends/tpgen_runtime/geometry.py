"""Resizing and padding kernels in OpenCV's convention: bilinear with half-pixel centres, dtype kept.

Images are HWC with 1 or more channels; grey images keep their axis. ``inverse`` results are float64
``[2,3]`` affine matrices that take a pixel ``(x, y, 1)`` of the result to the source image.
"""

import math

import cv2
import numpy as np

from . import padding
from .errors import ItemError

MAX_PIXELS = 64_000_000  # of an image whose size comes from the request
MAX_WARP_SIDE = 32766  # OpenCV addresses pixels of a warp with 16 bits


def resize_linear(image, height, width):
    """The image at another size.

    Raises:
        ItemError: the image has no pixels.
    """
    size_of(image)
    return with_channels(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def with_channels(image):
    """The image with its channel axis, which OpenCV drops from grey images."""
    return image if image.ndim == 3 else image[:, :, np.newaxis]


def resize_mat(image, *, resize_h, resize_w):
    """Resize to ``resize_h`` × ``resize_w``, ignoring the aspect ratio."""
    return resize_linear(image, resize_h, resize_w)


def round_half_up(value):
    """The nearest whole number, halves away from zero (for values >= 0)."""
    whole = math.floor(value)
    return whole + 1 if value - whole >= 0.5 else whole


def fit_size(height, width, max_h, max_w, rounding):
    """Height and width of an image scaled to fill ``max_h`` × ``max_w`` without exceeding it; at least 1 × 1.

    Computed in float32, as the dialect does: a size near .5 would round differently in float64.
    """
    ratio = np.float32(width) / np.float32(height)
    by_height = np.float32(max_h) * ratio
    if by_height <= np.float32(max_w):
        return max_h, min(max(rounding(float(by_height)), 1), max_w)
    return min(max(rounding(float(np.float32(max_w) / ratio)), 1), max_h), max_w


def size_of(image):
    """Height and width of an HWC image.

    Raises:
        ItemError: it has no pixels.
    """
    height, width = image.shape[:2]
    if not image.size:
        raise ItemError(f"an image of {width} × {height} pixels is empty")
    return height, width


def check_warps(height, width):
    """Raise ItemError for an image of which OpenCV cannot warp anything."""
    if not height or not width or max(height, width) > MAX_WARP_SIDE:
        raise ItemError(f"an image of {width} × {height} pixels cannot be warped")


def pad(image, height, width, top, left, values):
    """`bordered`, counted as padding."""
    padding.note_pixels(height * width, height * width - image.shape[0] * image.shape[1])
    return bordered(image, height, width, top, left, values)


def bordered(image, height, width, top, left, values):
    """Put the image on a canvas of constant colour: ``values`` per channel, the last one repeated."""
    if image.shape[:2] == (height, width):
        return image
    channels = image.shape[2]
    colour = (tuple(values) + (values[-1],) * channels)[:channels]
    bottom, right = height - image.shape[0] - top, width - image.shape[1] - left
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)
    return with_channels(padded)


def inverse(height, width, resized_h, resized_w, top=0, left=0):
    """The affine matrix from pixels of a resized and padded image to those of its source."""
    x, y = width / resized_w, height / resized_h
    return np.array([[x, 0.0, 0.0 - x * left], [0.0, y, 0.0 - y * top]], np.float64)


def resize_pad_mat(image, *, max_h, max_w, pad_value):
    """Scale to fit ``max_h`` × ``max_w`` and pad at the bottom and right; also the inverse matrix."""
    height, width = size_of(image)
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    resized = resize_linear(image, new_h, new_w)
    return pad(resized, max_h, max_w, 0, 0, pad_value), inverse(height, width, new_h, new_w)


def resize_center_pad_mat(image, *, max_h, max_w, pad_value, dtype):
    """`resize_pad_mat` with the image in the middle; ``dtype`` is the dtype of the result."""
    height, width = size_of(image)
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    top, left = (max_h - new_h) // 2, (max_w - new_w) // 2
    resized = resize_linear(image, new_h, new_w).astype(dtype, copy=False)
    padded = pad(resized, max_h, max_w, top, left, pad_value)
    return padded, inverse(height, width, new_h, new_w, top, left)


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


def letter_box_place(height, width, canvas_h, canvas_w, centred):
    """Where an image lies on a letter box: its new height and width, top, left, and the scale."""
    scale = min(canvas_w / width, canvas_h / height)
    new_h, new_w = (max(round_half_up(side * scale), 1) for side in (height, width))
    top, left = ((canvas_h - new_h) // 2, (canvas_w - new_w) // 2) if centred else (0, 0)
    return new_h, new_w, top, left, scale


def fix_h_resize_pad_mat(image, *, resize_h, max_w, pad_value):
    """Scale to the height ``resize_h``, at most ``max_w`` wide, and pad on the right to ``max_w``."""
    resized = resize_linear(image, resize_h, width_of_height(*size_of(image), resize_h, max_w))
    return pad(resized, resize_h, max_w, 0, 0, pad_value)


def width_of_height(height, width, resize_h, max_w):
    """The width of an image scaled to the height ``resize_h``, at most ``max_w``; computed in float32."""
    wanted = math.ceil(float(np.float32(resize_h) * (np.float32(width) / np.float32(height))))
    return min(wanted, max_w)


def dynamic_fix_h_resize_pad_mat(image, resize_h, max_w, *, pad_value):
    """`fix_h_resize_pad_mat` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("max_w", max_w))
    return fix_h_resize_pad_mat(image, resize_h=height, max_w=width, pad_value=pad_value)


def dynamic_resize_mat(image, resize_h, resize_w):
    """`resize_mat` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("resize_w", resize_w))
    return resize_linear(image, height, width)


def requested_size(*sides):
    """Height and width out of the item's keys, given as ``(key, value)`` of texts or scalar arrays.

    Raises:
        ItemError: a value is no positive whole number, or the image would be too large.
    """
    height, width = (whole_number(key, value) for key, value in sides)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ItemError(
            f"{sides[0][0]} = {height}, {sides[1][0]} = {width}: not a size of 1 to {MAX_PIXELS} pixels"
        )
    return height, width


def whole_number(key, value):
    """An int from a text or an array of one element.

    Raises:
        ItemError: it is something else.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(()).item()
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ItemError(f"{key} = {value!r} is not a whole number") from None


def batch_fix_h_limit_w(image, *, resize_h, max_w, align):
    """The image, the width of its bucket and the height, both as texts."""
    return image, str(_bucket_width(image, resize_h, max_w, align)), str(resize_h)


def align_mat(image, *, resize_h, max_w, align):
    """The image, the height and the width of its bucket (int32 scalars)."""
    width = _bucket_width(image, resize_h, max_w, align)
    return image, np.array(resize_h, np.int32), np.array(width, np.int32)


def _bucket_width(image, resize_h, max_w, align):
    """The image's width at the height ``resize_h``, rounded up to ``align``, at most ``max_w``."""
    height, width = image.shape[:2]
    if not image.size:
        return align  # it fails where it is resized
    scaled = int(np.float32(resize_h * width) / np.float32(height))
    return min(max(math.ceil(scaled / align), 1) * align, max_w)
