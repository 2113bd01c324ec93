"""Image kernels on torch tensors: colour order, layout, casts, normalising. See `image` for what they mean.

Each is named as its kernel on the CPU and takes the same arguments. Images are tensors on the stage's device,
without a batch axis; results may be views, and their memory need not be contiguous. Nothing is changed in
place.
"""

import torch

from .errors import ItemError


def size_of(image, layout="HWC"):
    """Height and width of an image.

    Raises:
        ItemError: it has no pixels.
    """
    height, width = image.shape[layout.index("H")], image.shape[layout.index("W")]
    if not image.numel():
        raise ItemError(f"an image of {width} × {height} pixels is empty")
    return height, width


def convert_color(image, *, source, color, layout):
    """Bring three channels from the order ``source`` into ``color`` ("rgb" or "bgr")."""
    return image if source == color else image.flip(layout.index("C"))


def mat_to_tensor(image, *, data_format):
    """``[H,W,C]`` to ``[C,H,W]`` ("nchw"), or the image as it is ("hwc")."""
    return image if data_format == "hwc" else image.permute(2, 0, 1)


def mat_to_chw(image):
    """``[H,W,C]`` to ``[C,H,W]``: values and dtype kept."""
    return image.permute(2, 0, 1)


def tensor_to_mat(tensor, *, layout):
    """To HWC; float16 becomes float32, other dtypes are kept."""
    image = tensor if layout == "HWC" else tensor.permute(1, 2, 0)
    return image.float() if image.dtype == torch.float16 else image


def float_mat(image):
    """Values as float32."""
    return image.float()


def float_tensor(array):
    """To float32; values kept (no scaling)."""
    return array.float()


def channels_first(image, *, layout):
    """An image of ``layout`` "HWC" or "CHW" as CHW."""
    return image.permute(2, 0, 1) if layout == "HWC" else image


def float_channels_first(image, *, layout):
    """An image of ``layout`` "HWC" or "CHW" as float32 CHW; values kept."""
    return channels_first(image, layout=layout).float()


def contiguous(array):
    """The same values in one C-ordered block of memory."""
    return array.contiguous()


class Normalize:
    """``(image - mean) / std`` per channel, in float32."""

    def __init__(self, *, mean, std, layout, device):
        shape = (-1, 1, 1) if layout == "CHW" else (1, 1, -1)
        self._mean, self._std = (_constant(values, shape, device) for values in (mean, std))

    def __call__(self, image):
        return (image.float() - self._mean) / self._std


class PackImage:
    """uint8 HWC to float32 CHW minus ``mean`` (one value per channel of the result, or none).

    ``swap_rb`` reverses the three channels.
    """

    def __init__(self, *, mean, swap_rb, device):
        self._mean = _constant(mean or (0.0,), (-1, 1, 1), device)
        self._swap = swap_rb

    def __call__(self, image):
        planes = image.permute(2, 0, 1)
        return (planes.flip(0) if self._swap else planes).float() - self._mean


def _constant(values, shape, device):
    """Numbers that lie on the device from the start: bringing them there would make every call wait."""
    return torch.tensor(values, dtype=torch.float32, device=device).reshape(shape)
