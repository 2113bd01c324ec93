"""Image kernels: decoding, colour order, layout, normalising. Arrays are HWC unless said otherwise.

Images may have any number of channels where a kernel does not name a number; grey images keep their axis.
"""

import itertools
import os

import cv2
import numpy as np

from .errors import ItemError
from .image_header import read_header
from .image_structure import sound

_PACKED_AT_ONCE = 1 << 15  # pixels: as many images as have so few are packed in one go, within the cache
_CV_COLOR_DTYPES = (np.uint8, np.uint16, np.float32)


def decode_mat(data, *, max_pixels):
    """Decode an encoded image (bytes) to uint8 BGR ``[H,W,3]``; EXIF orientation is applied."""
    data = bytes(data)
    return _decode(data, _checked_header(data, max_pixels), max_pixels)


def decode_tensor(data, *, color, data_format, max_pixels):
    """Decode a JPEG to uint8 of the given colour order; ``data_format``: "nchw" gives CHW, "hwc" HWC."""
    data = bytes(data)
    header = _checked_header(data, max_pixels)
    if header.format != "JPEG":
        raise ItemError(f"not a JPEG but {header.format}, which only DecodeMat decodes")
    if header.channels == 4:
        raise ItemError("a JPEG with four colour components (CMYK), which only DecodeMat decodes")
    image = convert_color(_decode(data, header, max_pixels), source="bgr", color=color, layout="HWC")
    return mat_to_tensor(image, data_format=data_format)


def _checked_header(data, max_pixels):
    header = read_header(data)
    if header is None:
        raise ItemError(_not_decodable(data))
    _check_size(header.width, header.height, max_pixels)
    return header


def _check_size(width, height, max_pixels):
    if width * height > max_pixels:
        raise ItemError(f"image of {width} × {height} pixels exceeds max_pixels = {max_pixels}")


def _not_decodable(data):
    if not data:
        return "not a decodable image (0 bytes)"
    start = data[:4].hex(" ") + (" …" if len(data) > 4 else "")
    return f"not a decodable image ({len(data)} bytes starting {start})"


def _decode(data, header, max_pixels):
    try:
        encoded = np.frombuffer(sound(data, header.format), np.uint8)
        if header.format == "JPEG 2000" and header.channels < 3:  # OpenCV needs to be told
            image = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2BGR)
        else:
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ItemError(f"{_not_decodable(data)}: broken, truncated or unsupported {header.format}")
    _check_size(image.shape[1], image.shape[0], max_pixels)  # where the header did not tell the truth
    return image


def convert_color(image, *, source, color, layout):
    """Bring three channels from the order ``source`` into ``color`` ("rgb" or "bgr")."""
    if source == color:
        return image
    if layout == "CHW":
        return np.ascontiguousarray(image[::-1])
    if image.dtype.type in _CV_COLOR_DTYPES and image.size:
        return cv2.cvtColor(
            image, cv2.COLOR_BGR2RGB
        )  # the same exchange in both directions, 50 × numpy's speed
    return np.ascontiguousarray(image[:, :, ::-1])


def mat_to_tensor(image, *, data_format):
    """``[H,W,C]`` to ``[C,H,W]`` ("nchw"), or the image as it is ("hwc"); a list element by element."""
    if isinstance(image, list):
        return [mat_to_tensor(element, data_format=data_format) for element in image]
    return np.ascontiguousarray(image) if data_format == "hwc" else to_chw(image)


def mat_to_chw(image):
    """``[H,W,C]`` to ``[C,H,W]``: values and dtype kept; a list element by element."""
    return mat_to_tensor(image, data_format="nchw")


def to_chw(image):
    """One HWC image as a contiguous CHW array."""
    height, width, channels = image.shape
    if channels != 3 or not image.size or image.dtype.itemsize > 4 or image.dtype.kind not in "uif":
        return np.ascontiguousarray(image.transpose(2, 0, 1))
    same_bits = image.view(_SPLIT_DTYPES[image.dtype.itemsize])  # split only moves bits, but knows few dtypes
    planes = np.empty((channels, height, width), same_bits.dtype)
    cv2.split(same_bits, [planes[0], planes[1], planes[2]])  # 10 × the speed of a transposed copy
    return planes.view(image.dtype)


_SPLIT_DTYPES = {1: np.uint8, 2: np.uint16, 4: np.float32}


def tensor_to_mat(tensor, *, layout):
    """To HWC; float16 becomes float32, other dtypes are kept."""
    image = tensor if layout == "HWC" else tensor.transpose(1, 2, 0)
    return np.ascontiguousarray(image, np.float32 if image.dtype == np.float16 else None)


def float_mat(image):
    """Values as float32."""
    return image.astype(np.float32)


def normalize(image, *, mean, std, layout):
    """``(image - mean) / std`` per channel, in float32."""
    shape = (-1, 1, 1) if layout == "CHW" else (1, 1, -1)
    result = image.astype(np.float32)  # a copy, so the steps below may work in place
    result -= np.asarray(mean, np.float32).reshape(shape)
    result /= np.asarray(std, np.float32).reshape(shape)
    return result


def pack_image(image, *, mean, swap_rb):
    """uint8 HWC to contiguous float32 CHW minus ``mean`` (one value per channel of the result, or none).

    ``swap_rb`` reverses the three channels. Equal, bit for bit, to convert_color, mat_to_tensor and
    normalize (with std 1) in a row, in a third of their time.
    """
    packing = Packing(mean=mean, swap_rb=swap_rb)
    packed = np.empty((1, *packing.shape(image)), np.float32)
    packing([image], packed)
    return packed[0]


class Packing:
    """`pack_image` for images of one size, into the rows of a batch."""

    def __init__(self, *, mean, swap_rb):
        # Arrays of one value: with a scalar, numpy may compute in float16.
        self._means = np.float32(mean).reshape(-1, 1) if mean else None
        self._step = -1 if swap_rb else 1

    def shape(self, image):
        """The shape that an image gets."""
        height, width, channels = image.shape
        return channels, height, width

    def __call__(self, images, batch):
        """Pack images into ``batch``, float32 ``[N,C,H,W]``; a few small ones cost as many calls as one."""
        height, width, _ = images[0].shape
        if not height * width:
            return
        count = max(1, _PACKED_AT_ONCE // (height * width))
        for start in range(0, len(images), count):
            some = images[start : start + count]
            column = some[0] if len(some) == 1 else np.concatenate(some)
            self._pack(column, batch[start : start + count])

    def _pack(self, column, rows):
        """Pack images that stand on each other, ``[N*H,W,C]``."""
        count, _, height, width = rows.shape
        for index, plane in enumerate(cv2.split(column)[:: self._step]):
            planes = plane.reshape(count, height, width)
            if self._means is None:
                rows[:, index] = planes
            else:
                np.subtract(planes, self._means[index], out=rows[:, index])


def any_to_mats(value):
    """A list of uint8 ``[H,W,3]`` images from any Python list or tuple of them."""
    if not isinstance(value, (list, tuple)):
        raise ItemError(f"a list of images is needed, not {type(value).__name__}")
    for index, image in enumerate(value):
        is_array = isinstance(image, np.ndarray)
        if not is_array or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            found = f"{image.dtype}{list(image.shape)}" if is_array else type(image).__name__
            raise ItemError(f"element {index} is {found}, not an image (uint8[H,W,3])")
    return list(value)


class SaveMat:
    """Writes each image as a PNG file into an existing folder, for debugging, and hands it on."""

    def __init__(self, *, save_dir, source):
        if not os.path.isdir(save_dir):
            raise FileNotFoundError(f"SaveMat: save_dir = {save_dir!r} is no folder on this machine")
        self._folder = save_dir
        self._source = source
        self._numbers = itertools.count()

    def __call__(self, image):
        for element in image if isinstance(image, list) else [image]:
            self._write(element)
        return image

    def _write(self, image):
        if self._source == "rgb" and image.shape[2] == 3:
            image = convert_color(image, source="rgb", color="bgr", layout="HWC")
        path = os.path.join(self._folder, f"{os.getpid()}_{next(self._numbers)}.png")
        if not cv2.imwrite(path, image):
            raise OSError(f"SaveMat: cannot write {path}")
