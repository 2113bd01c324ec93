"""Colour order, layout, dtype and normalising, in plain numpy."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oracles.harness import FAILED, Case, oracle, same, within
from oracles.images import random_channels, random_image, random_layout, to_hwc

DTYPES = ("uint8", "uint8", "uint16", "int16", "int32", "float16", "float32", "float64")
FOLDER = tempfile.TemporaryDirectory(prefix="image_oracles_")


def _dtype(rng: np.random.Generator) -> str:
    return str(rng.choice(DTYPES))


def _random_convert(rng: np.random.Generator, *, any_layout: bool = False) -> Case:
    source, target = (str(color) for color in rng.choice(["bgr", "rgb"], 2))
    image, layout = random_image(rng, dtype=_dtype(rng)), "HWC"
    if any_layout:
        image, layout = random_layout(rng, image)
    told = {"source": source, "layout": layout}
    return Case((image,), {"color": target}, layout, source, told=told)


@oracle("cvtColorMat", generate=_random_convert, tolerance=same)
@oracle(
    "cvtColorTensor",
    "CvtColorNvTensor",
    generate=lambda rng: _random_convert(rng, any_layout=True),
    tolerance=same,
)
def convert(image: np.ndarray, *, color: str, source: str, layout: str) -> np.ndarray:
    axis = layout.index("C")
    planes = [np.take(image, channel, axis) for channel in range(3)]
    return np.stack(planes if source == color else planes[::-1], axis=axis)


def _any_image(rng: np.random.Generator) -> np.ndarray:
    """Of any dtype; at times a crop, whose rows do not follow each other in memory."""
    image = random_image(rng, channels=int(rng.integers(1, 6)), dtype=_dtype(rng))
    return image[:, image.shape[1] // 3 :] if rng.integers(3) == 0 else image


def _mat_or_list(rng: np.random.Generator) -> Any:
    if rng.integers(4):
        return _any_image(rng)
    return [random_image(rng) for _ in range(int(rng.integers(1, 4)))]


def _random_mat(rng: np.random.Generator) -> Case:
    return Case((_mat_or_list(rng),), {"data_format": str(rng.choice(["nchw", "hwc"]))}, "HWC", "rgb")


@oracle("Mat2Tensor", generate=_random_mat, tolerance=same)
def mat_to_tensor(image: Any, *, data_format: str = "nchw") -> Any:
    if isinstance(image, list):
        return [mat_to_tensor(one, data_format=data_format) for one in image]
    if data_format == "hwc":
        return image
    return np.stack([image[:, :, channel] for channel in range(image.shape[2])])


@oracle(
    "Mat2GpuTensor",
    "Mat2CpuTensor",
    generate=lambda rng: Case((_mat_or_list(rng),), {}, "HWC", "rgb"),
    tolerance=same,
)
def mat_to_chw(image: Any) -> Any:
    return mat_to_tensor(image)


def _random_tensor(rng: np.random.Generator) -> Case:
    image, layout = random_layout(rng, random_image(rng, channels=random_channels(rng), dtype=_dtype(rng)))
    return Case((image,), {}, layout, "unknown", told={"layout": layout})


@oracle("Tensor2Mat", generate=_random_tensor, tolerance=same)
def tensor_to_mat(image: np.ndarray, *, layout: str) -> np.ndarray:
    mat = to_hwc(image, layout)
    return mat.astype(np.float32) if mat.dtype == np.float16 else mat


@oracle(
    "Tensor2NvTensor",
    generate=lambda rng: Case((_any_image(rng),), {}, "HWC", "rgb"),
    tolerance=same,
)
def forward(image: np.ndarray) -> np.ndarray:
    return image


@oracle("FloatMat", generate=lambda rng: Case((_any_image(rng),), {}, "HWC", "bgr"), tolerance=same)
def float_mat(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32)


def _random_any(rng: np.random.Generator) -> Case:
    images: Any = [random_image(rng) for _ in range(int(rng.integers(0, 4)))]
    wrong = rng.integers(6)
    if wrong == 0:
        images = [*images, random_image(rng, dtype="float32")]
    elif wrong == 1:
        images = [*images, "no image"]
    elif wrong == 2:
        images = random_image(rng)[:, :, 0]
    return Case((_Opaque(images),), {}, told={"is_wrong": bool(wrong < 3)})


class _Opaque(tuple):
    """A Python value without a type of its own: a tuple, whatever it holds."""

    __slots__ = ()


@oracle("Any2Mat", generate=_random_any, tolerance=same)
def any_to_mats(images: Any, *, is_wrong: bool) -> Any:
    return FAILED if is_wrong else list(images)


def _random_save(rng: np.random.Generator) -> Case:
    folder = tempfile.mkdtemp(dir=FOLDER.name)
    color = str(rng.choice(["bgr", "rgb", "unknown"]))
    image = random_image(rng, channels=random_channels(rng))
    return Case((image,), {"save_dir": folder}, "HWC", color, told={"color": color})


@oracle("SaveMat", generate=_random_save, tolerance=same)
def save(image: np.ndarray, *, save_dir: str, color: str) -> Any:
    return image if _is_saved(image, save_dir, 0, color) else "the file does not hold the image"


def _is_saved(image: np.ndarray, folder: str, number: int, color: str) -> bool:
    files = sorted(Path(folder).glob(f"*_{number}.png"))
    saved = np.asarray(Image.open(files[0])) if len(files) == 1 else np.zeros(0)
    wanted = image if color == "rgb" else image[:, :, ::-1]
    return bool(np.array_equal(saved.reshape(-1), wanted.reshape(-1)))


def _random_saves(rng: np.random.Generator) -> Case:
    case = _random_save(rng)
    return Case(([case.values[0], case.values[0][::-1]],), case.attributes, "HWC", case.color, told=case.told)


@oracle("SaveMats", generate=_random_saves, tolerance=same)
def save_all(images: list[np.ndarray], *, save_dir: str, color: str) -> Any:
    is_saved = all(_is_saved(image, save_dir, number, color) for number, image in enumerate(images))
    return images if is_saved else "the files do not hold the images"


def _random_normalize(rng: np.random.Generator) -> Case:
    channels = int(rng.integers(1, 5))
    dtype = str(rng.choice(["uint8", "float32", "float16"]))
    image = random_image(rng, channels=channels, dtype=dtype)
    image, layout = random_layout(rng, image)
    mean = tuple(float(v) for v in rng.uniform(0, 255, channels))
    std = tuple(float(v) for v in rng.uniform(0.5, 80, channels))
    return Case((image,), {"mean": mean, "std": std}, layout, "rgb", told={"layout": layout})


@oracle("Normalize", generate=_random_normalize, tolerance=within(1e-5, rtol=1e-6))
def normalize(
    image: np.ndarray, *, mean: tuple[float, ...], std: tuple[float, ...], layout: str
) -> np.ndarray:
    result = np.empty(image.shape, np.float32)
    for channel in range(len(mean)):
        place = (channel,) if layout == "CHW" else (slice(None), slice(None), channel)
        result[place] = (image[place].astype(np.float64) - mean[channel]) / std[channel]
    return result


def _random_pack(rng: np.random.Generator) -> Case:
    size = (4, 1) if rng.integers(8) == 0 else None  # a size that OpenCV can mistake for four numbers
    swap = bool(rng.integers(2))
    channels = 3 if swap else int(rng.integers(1, 5))
    image = random_image(rng, channels=channels, size=size)
    if rng.integers(3) == 0:
        image = image[:, image.shape[1] // 2 :]
    mean = tuple(float(v) for v in rng.uniform(0, 255, channels)) if rng.integers(5) else ()
    return Case((image,), {"mean": mean, "swap_rb": swap}, "HWC", "bgr")


@oracle("PackImage", generate=_random_pack, tolerance=same)
def pack(image: np.ndarray, *, mean: tuple[float, ...], swap_rb: bool) -> np.ndarray:
    order = range(image.shape[2])[:: -1 if swap_rb else 1]
    values = mean or (0.0,) * image.shape[2]
    planes = (image[:, :, channel].astype(np.float32) for channel in order)
    return np.stack([plane - np.float32(value) for plane, value in zip(planes, values, strict=True)])
