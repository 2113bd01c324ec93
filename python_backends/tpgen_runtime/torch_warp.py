"""Sampling images at computed places, on torch tensors, at the places and with the weights that OpenCV has.

OpenCV rounds places to a part of a pixel, so these are whole numbers here: of steps, `LINEAR` to a pixel.
"""

import torch

from .compat import affine_matrix
from .geometry import check_warps
from .torch_image import size_of

NEAREST, LINEAR = 1, 32  # places between two pixels that OpenCV knows
_INT32 = -(2**31), 2**31 - 1
_AFFINE_BITS = 10  # OpenCV adds up affine places in 1 / 1024 pixel


def warp_affine(image, matrix, *, target_h, target_w, layout):
    """Fill ``target_h`` × ``target_w`` from where ``matrix`` takes each pixel of the result; zero outside.

    ``matrix``: six numbers, rows (x, y): from pixels of the result to pixels of the image.
    """
    check_warps(*size_of(image, layout))
    image = image if layout == "HWC" else image.permute(1, 2, 0)
    rows, columns = _grid(target_h, target_w, image.device)
    x, y = (_affine_places(line, rows, columns) for line in affine_matrix(matrix).tolist())
    warped = sample(image, x, y, LINEAR)
    return warped if layout == "HWC" else warped.permute(2, 0, 1)


def _affine_places(line, rows, columns):
    """Places of an axis: int32, whose sums wrap around as in OpenCV."""
    own, other, shift = line
    scale = 1 << _AFFINE_BITS
    along, across = (_as_int32(value * scale) for value in (own * columns, other * rows + shift))
    half = scale // LINEAR // 2
    return ((across + half) + along) >> (_AFFINE_BITS - LINEAR.bit_length() + 1)


def perspective(image, matrix, height, width, steps):
    """OpenCV's ``warpPerspective`` of an HWC image: positions in float64, rounded to 1 / ``steps`` pixels."""
    rows, columns = _grid(height, width, image.device)
    x, y, scale = (a * columns + b * rows + c for a, b, c in matrix.astype("float64").tolist())
    scale = torch.where(scale == 0, 0.0, steps / scale)
    return sample(image, *(_as_int32(axis * scale) for axis in (x, y)), steps)


def sample(image, x, y, steps):
    """The image ``[H,W,C]`` at places in ``steps`` to a pixel, whole numbers; zero outside."""
    x, y = x.long(), y.long()
    left, top = (axis.div(steps, rounding_mode="floor") for axis in (x, y))
    if steps == NEAREST:
        return _pixels(image, top, left)
    right_part, lower_part = ((axis.remainder(steps).float() / steps)[..., None] for axis in (x, y))
    result = torch.zeros((), device=image.device)
    for down, vertical in ((0, 1 - lower_part), (1, lower_part)):
        for right, horizontal in ((0, 1 - right_part), (1, right_part)):
            result = result + _pixels(image, top + down, left + right).float() * (vertical * horizontal)
    if image.dtype.is_floating_point:
        return result.to(image.dtype)
    return (result + 0.5).floor().clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def _grid(height, width, device):
    """Numbers of rows ``[H,1]`` and of columns ``[1,W]``, float64."""
    rows = torch.arange(height, dtype=torch.float64, device=device)[:, None]
    return rows, torch.arange(width, dtype=torch.float64, device=device)[None, :]


def _as_int32(values):
    """Rounded, and kept to what OpenCV's whole numbers hold."""
    return values.clamp(*_INT32).round().to(torch.int32)


def _pixels(image, rows, columns):
    """The pixels at some places; zero outside the image."""
    height, width = image.shape[:2]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = image[rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return torch.where(inside[..., None], found, torch.zeros((), dtype=image.dtype, device=image.device))
