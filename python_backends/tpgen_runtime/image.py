"""Image kernels on the CPU: numpy arrays, HWC unless said otherwise, never changed in place."""

import cv2
import numpy as np

from .errors import ItemError


def decode_mat(data, *, max_pixels):
    """Decode an encoded image (bytes) to uint8 BGR ``[H,W,3]``."""
    ...


def convert_color(image, *, source, color):
    """Reorder the channels of ``[H,W,3]`` from ``source`` to ``color`` ("rgb" or "bgr")."""
    return image if source == color else np.ascontiguousarray(image[:, :, ::-1])


def resize_mat(image, *, resize_h, resize_w):
    """Resize to ``resize_h`` × ``resize_w``: bilinear with half-pixel centres, dtype kept."""
    return cv2.resize(image, (resize_w, resize_h), interpolation=cv2.INTER_LINEAR)


def mat_to_tensor(image):
    """``[H,W,C]`` to ``[C,H,W]``: values and dtype kept."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))
