"""Resizing as torch's ``upsample_bilinear2d(float32, align_corners=True)`` does it, without antialiasing.

The corner pixels of source and result lie on each other: result pixel i samples the source at
``i × (n_in - 1) / (n_out - 1)``. Positions are computed in float64, values in float32.
"""

import numpy as np

from . import padding
from .errors import ItemError
from .geometry import fit_size, inverse, requested_size, round_half_up


def resize_tensor(image, *, resize_h, resize_w, layout):
    """Resize to float32 with aligned corners; an image of that size is only cast."""
    rows, columns = _axes(image, layout)
    return _resize_axis(_resize_axis(image, rows, resize_h), columns, resize_w)


def dynamic_resize_tensor(image, resize_h, resize_w, *, layout):
    """`resize_tensor` with the sizes of the item."""
    height, width = requested_size(("resize_h", resize_h), ("resize_w", resize_w))
    return resize_tensor(image, resize_h=height, resize_w=width, layout=layout)


def resize_pad_tensor(image, *, max_h, max_w, pad_value, layout):
    """Scale to fit ``max_h`` × ``max_w`` with aligned corners, and pad at the bottom and right.

    Also the inverse matrix. Of ``pad_value`` only the first number counts.
    """
    rows, columns = _axes(image, layout)
    height, width = image.shape[rows], image.shape[columns]
    new_h, new_w = fit_size(height, width, max_h, max_w, round_half_up)
    resized = resize_tensor(image, resize_h=new_h, resize_w=new_w, layout=layout)
    widths = [(0, 0)] * 3
    widths[rows], widths[columns] = (0, max_h - new_h), (0, max_w - new_w)
    padded = np.pad(resized, widths, constant_values=np.float32(pad_value[0]))
    padding.note_pixels(max_h * max_w, max_h * max_w - new_h * new_w)
    return padded, inverse(height, width, new_h, new_w)


def _axes(image, layout):
    rows, columns = layout.index("H"), layout.index("W")
    if not image.size:
        raise ItemError(f"an image of {image.shape[columns]} × {image.shape[rows]} pixels is empty")
    return rows, columns


def _resize_axis(image, axis, size):
    length = image.shape[axis]
    if length == size:
        return image.astype(np.float32)
    step = (length - 1) / (size - 1) if size > 1 else 0.0
    position = np.arange(size) * step
    low = np.minimum(position.astype(np.int64), length - 1)
    high = np.minimum(low + 1, length - 1)
    weight = (position - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    result = np.take(image, low, axis).astype(np.float32)
    result += (np.take(image, high, axis).astype(np.float32) - result) * weight
    return result
