"""Random images for the oracles, and the two interpolation formulas in plain numpy."""

from __future__ import annotations

import numpy as np


def random_size(rng: np.random.Generator, largest: int = 80) -> tuple[int, int]:
    """Height and width: mostly small and odd, at times one pixel or an extreme aspect ratio."""
    kind = rng.integers(8)
    if kind == 0:
        return 1, 1
    if kind == 1:
        return 1, int(rng.integers(2, 200))
    if kind == 2:
        return int(rng.integers(2, 200)), 1
    if kind == 3:
        return int(rng.integers(2, 5)), int(rng.integers(150, 300))
    return int(rng.integers(2, largest)), int(rng.integers(2, largest))


def random_image(
    rng: np.random.Generator, *, channels: int = 3, dtype: str = "uint8", size: tuple[int, int] | None = None
) -> np.ndarray:
    """Noise, or a smooth ramp (where a shift by half a pixel shows as a shift, not as noise)."""
    height, width = size or random_size(rng)
    if rng.integers(2):
        image = rng.integers(0, 256, (height, width, channels))
    else:
        rows, columns = np.mgrid[:height, :width]
        slope = rng.uniform(-3, 3, (2, channels))
        image = 128 + rows[:, :, None] * slope[0] + columns[:, :, None] * slope[1]
    image = np.clip(image, 0, 255)
    if dtype == "uint16":
        image = image * 257
    elif dtype == "int16":
        image = image * 100 - 12000
    elif dtype.startswith("float"):
        image = image + rng.uniform(0, 0.9)
    return image.astype(dtype)


def random_channels(rng: np.random.Generator) -> int:
    """Grey or colour."""
    return int(rng.choice([1, 3]))


def random_layout(rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, str]:
    """The HWC image, or the same as CHW."""
    if rng.integers(2):
        return image, "HWC"
    return np.ascontiguousarray(np.moveaxis(image, 2, 0)), "CHW"


def to_hwc(image: np.ndarray, layout: str) -> np.ndarray:
    return np.moveaxis(image, 0, 2) if layout == "CHW" else image


def from_hwc(image: np.ndarray, layout: str) -> np.ndarray:
    return np.moveaxis(image, 2, 0) if layout == "CHW" else image


def half_pixel(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize whose pixels are squares: centres lie at .5, the edge repeats. Exact, in float64."""
    rows = (np.arange(height) + 0.5) * image.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * image.shape[1] / width - 0.5
    return sample(image, rows, columns)


def aligned_corners(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize whose pixels are points: the corner pixels of both images coincide. float64."""
    return sample(image, _spread(image.shape[0], height), _spread(image.shape[1], width))


def _spread(length: int, count: int) -> np.ndarray:
    return np.linspace(0.0, length - 1.0, count) if count > 1 else np.zeros(1)


def sample(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The image at the crossings of fractional rows and columns, bilinearly; beyond the edge it repeats."""
    rows = np.clip(rows, 0, image.shape[0] - 1)
    columns = np.clip(columns, 0, image.shape[1] - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    down, across = (rows - top)[:, None, None], (columns - left)[None, :, None]
    source = image.astype(np.float64)
    upper = source[top][:, left] * (1 - across) + source[top][:, right] * across
    lower = source[bottom][:, left] * (1 - across) + source[bottom][:, right] * across
    return upper * (1 - down) + lower * down


def on_canvas(
    image: np.ndarray, height: int, width: int, top: int, left: int, colour: tuple[float, ...]
) -> np.ndarray:
    """The image on a canvas of a colour: one value, or one per channel."""
    canvas = np.empty((height, width, image.shape[2]), image.dtype)
    for channel in range(image.shape[2]):
        canvas[:, :, channel] = colour[min(channel, len(colour) - 1)]
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
