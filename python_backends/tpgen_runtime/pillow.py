"""Resizing exactly as Pillow does it (bilinear with antialiasing); the only kernels that need Pillow.

Both axes are resized one after the other and rounded in between, first the rows' pixels, then the columns'.
Pillow did that in this order up to version 12; later ones choose the cheaper order, which moves single
values by one grey level. Two calls keep the order, and so the result, with every version.
"""

import numpy as np
from PIL import Image

from .errors import ItemError

_BILINEAR = Image.Resampling.BILINEAR


def pillow_resize_mat(image, *, resize_h, resize_w):
    """Resize uint8 ``[H,W,1]`` or ``[H,W,3]`` to ``resize_h`` × ``resize_w``."""
    height, width, channels = image.shape
    if not image.size:
        raise ItemError(f"an image of {width} × {height} pixels is empty")
    pixels = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if channels == 1 else image))
    resized = pixels.resize((resize_w, height), _BILINEAR).resize((resize_w, resize_h), _BILINEAR)
    return np.array(resized).reshape(resize_h, resize_w, channels)


def pillow_resize_tensor(image, *, resize_h, resize_w, layout):
    """`pillow_resize_mat` for either layout, with the values as float32."""
    if layout == "HWC":
        return pillow_resize_mat(image, resize_h=resize_h, resize_w=resize_w).astype(np.float32)
    upright = pillow_resize_mat(image.transpose(1, 2, 0), resize_h=resize_h, resize_w=resize_w)
    return np.ascontiguousarray(upright.transpose(2, 0, 1), np.float32)
