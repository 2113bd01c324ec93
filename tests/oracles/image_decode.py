"""Decoding, with Pillow as the second opinion. What must be refused is decided by whoever made the bytes."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from oracles.harness import FAILED, Case, levels, oracle
from oracles.images import random_image

MAX_PIXELS = 64_000_000
ORIENTATION = 0x0112  # the EXIF tag

# What an EXIF orientation says: how the stored rows and columns become the upright image.
UPRIGHT = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image[::-1].transpose(1, 0, 2),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image[:, ::-1].transpose(1, 0, 2),
}
LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000")
JPEGS = ("rgb", "gray", "progressive", "exif", "420")


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def random_jpeg(rng: np.random.Generator, kind: str) -> bytes:
    image = Image.fromarray(random_image(rng))
    options: dict[str, Any] = {"quality": int(rng.integers(30, 100))}
    if kind == "gray":
        return encode(image.convert("L"), "JPEG", **options)
    if kind == "cmyk":
        return encode(image.convert("CMYK"), "JPEG", **options)
    if kind == "progressive":
        options["progressive"] = True
    if kind == "420":
        options["subsampling"] = 2
    if kind == "exif":
        options["exif"] = image.getexif()
        options["exif"][ORIENTATION] = int(rng.integers(1, 9))
    return encode(image, "JPEG", **options)


def broken(rng: np.random.Generator) -> bytes:
    """Bytes that are no whole image."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 200)))
    whole = random_jpeg(rng, "rgb") if kind < 3 else encode(Image.fromarray(random_image(rng)), "PNG")
    if kind == 1:
        return whole[: int(rng.integers(2, len(whole) - 1))]
    return whole[: len(whole) - int(rng.integers(1, 20))]


def _random_file(rng: np.random.Generator) -> Case:
    kind = rng.integers(10)
    attributes = {"max_pixels": MAX_PIXELS}
    if kind < 3:
        return Case((random_jpeg(rng, str(rng.choice(JPEGS))),), attributes)
    if kind == 3:
        return Case((broken(rng),), attributes, told={"is_broken": True})
    if kind == 4:
        data = random_jpeg(rng, "cmyk")
        return Case((data,), attributes)
    if kind == 5:
        return Case((random_jpeg(rng, "rgb"),), {"max_pixels": int(rng.integers(1, 2000))})
    if kind == 6:
        return _random_16_bits(rng)
    if kind == 7:
        mode = str(rng.choice(["L", "RGBA", "P", "1", "LA"]))
        return Case((encode(Image.fromarray(random_image(rng)).convert(mode), "PNG"),), attributes)
    form = str(rng.choice(LOSSLESS))
    options = {"lossless": True} if form == "WEBP" else {}
    return Case((encode(Image.fromarray(random_image(rng)), form, **options),), attributes)


def _random_16_bits(rng: np.random.Generator) -> Case:
    image = rng.integers(0, 65536, (9, 7, int(rng.choice([1, 3])))).astype(np.uint16)
    form = str(rng.choice([".png", ".tiff"]))
    data = cv2.imencode(form, image)[1].tobytes()
    eight = np.broadcast_to(image >> 8, (9, 7, 3)).astype(np.uint8)  # the lower byte is lost
    return Case((data,), {"max_pixels": MAX_PIXELS}, told={"pixels": eight})


def bgr(data: bytes) -> np.ndarray:
    """Upright BGR pixels by Pillow."""
    image = Image.open(io.BytesIO(data))
    orientation = image.getexif().get(ORIENTATION, 1)
    if image.mode == "CMYK":
        return _cmyk(255 - np.asarray(image).astype(np.int64))
    rgb = np.asarray(image.convert("RGBA").convert("RGB") if image.mode == "LA" else image.convert("RGB"))
    return np.ascontiguousarray(UPRIGHT[orientation](rgb)[:, :, ::-1])


def _cmyk(stored: np.ndarray) -> np.ndarray:
    """BGR from the inverted inks that JPEG stores: each is darkened by black."""
    black = stored[:, :, 3]
    inks = [black - ((255 - stored[:, :, index]) * black >> 8) for index in (2, 1, 0)]
    return np.stack(inks, axis=2).astype(np.uint8)


@oracle("DecodeMat", generate=_random_file, tolerance=levels(1, share=0.02), count=400)
def decode(data: bytes, *, max_pixels: int, is_broken: bool = False, pixels: np.ndarray | None = None) -> Any:
    if is_broken:
        return FAILED
    width, height = Image.open(io.BytesIO(data)).size
    if width * height > max_pixels:
        return FAILED
    return bgr(data) if pixels is None else pixels


def _random_tensor_file(rng: np.random.Generator) -> Case:
    attributes = {
        "color": str(rng.choice(["rgb", "bgr"])),
        "data_format": str(rng.choice(["nchw", "hwc"])),
        "max_pixels": int(rng.choice([25_000_000, 2000])),
    }
    kind = rng.integers(6)
    if kind == 0:
        return Case((broken(rng),), attributes, told={"is_broken": True})
    if kind == 1:
        return Case((random_jpeg(rng, "cmyk"),), attributes, told={"is_broken": True})
    if kind == 2:
        data = encode(Image.fromarray(random_image(rng)), str(rng.choice(LOSSLESS[:4])))
        return Case((data,), attributes, told={"is_broken": True})
    return Case((random_jpeg(rng, str(rng.choice(JPEGS))),), attributes)


@oracle("DecodeTensor", generate=_random_tensor_file, tolerance=levels(1, share=0.02))
def decode_tensor(
    data: bytes, *, color: str, data_format: str, max_pixels: int, is_broken: bool = False
) -> Any:
    image = decode(data, max_pixels=max_pixels, is_broken=is_broken)
    if image is FAILED:
        return FAILED
    ordered = image if color == "bgr" else image[:, :, ::-1]
    return ordered if data_format == "hwc" else np.moveaxis(ordered, 2, 0)
