"""Decoding, colour order, plain resizing and layout, in plain numpy."""

from __future__ import annotations

import numpy as np

from oracles.harness import Case, oracle, same


def random_size(rng: np.random.Generator) -> tuple[int, int]:
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
    return int(rng.integers(2, 80)), int(rng.integers(2, 80))


def random_image(rng: np.random.Generator, *, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    """Noise, or a smooth ramp (where a shift by half a pixel shows as a shift, not as noise)."""
    height, width = random_size(rng)
    if rng.integers(2):
        image = rng.integers(0, 256, (height, width, channels))
    else:
        rows, columns = np.mgrid[:height, :width]
        slope = rng.uniform(-3, 3, (2, channels))
        image = 128 + rows[:, :, None] * slope[0] + columns[:, :, None] * slope[1]
    return np.clip(image, 0, 255).astype(dtype)


def _random_convert(rng: np.random.Generator) -> Case:
    source, target = rng.choice(["bgr", "rgb"], 2)
    dtype = str(rng.choice(["uint8", "float32"]))
    return Case(
        (random_image(rng, dtype=dtype),),
        {"color": str(target)},
        "HWC",
        str(source),
        told={"source": str(source)},
    )


@oracle("cvtColorMat", generate=_random_convert, tolerance=same)
def convert(image: np.ndarray, *, color: str, source: str) -> np.ndarray:
    planes = [image[:, :, channel] for channel in range(3)]
    return np.stack(planes if source == color else planes[::-1], axis=2)
