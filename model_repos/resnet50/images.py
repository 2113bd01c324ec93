"""Synthetic photographs: gradients, shapes, texture and lettering, different for every seed.

They stand for real photos in calibration, tests, demos and benchmarks: the same seed gives the same picture
everywhere, nothing has to be downloaded, and a JPEG has the size and the detail of a photo's.

``python images.py photo.jpg`` writes one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # HWC, BGR
_LETTERS = np.array(list("ABCDEFGHJKLMNPRSTUVWXYZabdeghnqrt0123456789"))


def synthetic_image(seed: int, width: int = 640, height: int = 444) -> Image:
    """A picture as uint8 ``[height, width, 3]``, BGR."""
    rng = np.random.default_rng(seed)
    canvas = _gradient(rng, width, height)
    canvas = _add_texture(rng, canvas, octaves=4, strength=28)
    for _ in range(int(rng.integers(8, 24))):
        _draw_shape(rng, canvas)
    for _ in range(int(rng.integers(2, 7))):
        _draw_text(rng, canvas)
    return _add_texture(rng, canvas, octaves=8, strength=13)


def synthetic_jpeg(seed: int, width: int = 640, height: int = 444) -> bytes:
    """A picture as a JPEG of quality 90 with halved chroma (4:2:0); 60 to 100 KB at the default size."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        90,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    written, data = cv2.imencode(".jpg", synthetic_image(seed, width, height), options)
    assert written
    return data.tobytes()


def _gradient(rng: np.random.Generator, width: int, height: int) -> Image:
    corners = rng.integers(20, 236, (2, 2, 3), dtype=np.uint8)
    return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)


def _add_texture(rng: np.random.Generator, image: Image, *, octaves: int, strength: int) -> Image:
    """Noise on several scales, the coarse ones stronger, as in most photos."""
    height, width = image.shape[:2]
    total = image.astype(np.int32)
    for octave in range(octaves):
        cells = 3 << octave
        rows, columns = min(height, cells), min(width, cells * width // height + 1)
        amplitude = max(4, round(strength * 0.9**octave))
        grey = rng.integers(128 - amplitude, 129 + amplitude, (rows, columns, 1))
        tint = rng.integers(-amplitude // 3, amplitude // 3 + 1, (rows, columns, 3))
        noise = cv2.resize((grey + tint).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        total += noise.astype(np.int32) - 128
    return total.clip(0, 255).astype(np.uint8)


def _draw_shape(rng: np.random.Generator, image: Image) -> None:
    height, width = image.shape[:2]
    color = tuple(int(c) for c in rng.integers(0, 256, 3))
    center = int(rng.integers(0, width)), int(rng.integers(0, height))
    size = max(2, int(min(width, height) * rng.uniform(0.02, 0.3)))
    kind = rng.integers(4)
    if kind == 0:
        corner = center[0] + size, center[1] + int(size * rng.uniform(0.4, 2))
        cv2.rectangle(image, center, corner, color, cv2.FILLED)
    elif kind == 1:
        axes = size // 2 + 1, int(size * rng.uniform(0.3, 1)) // 2 + 1
        cv2.ellipse(image, center, axes, int(rng.integers(180)), 0, 360, color, cv2.FILLED, cv2.LINE_AA)
    elif kind == 2:
        points = np.array(center) + rng.integers(-size, size + 1, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(image, [points.astype(np.int32)], color, cv2.LINE_AA)
    else:
        end = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.line(image, center, end, color, max(1, size // 20), cv2.LINE_AA)


def _draw_text(rng: np.random.Generator, image: Image) -> None:
    height, width = image.shape[:2]
    text = "".join(rng.choice(_LETTERS, int(rng.integers(3, 10))))
    place = int(rng.integers(0, max(1, width * 3 // 4))), int(rng.integers(height // 8, height))
    color = tuple(int(c) for c in rng.integers(0, 256, 3))
    scale = float(rng.uniform(0.6, 2.5)) * height / 444
    cv2.putText(
        image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, max(1, round(scale * 2)), cv2.LINE_AA
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a synthetic photo.")
    parser.add_argument("output", type=Path, metavar="PHOTO.jpg")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.output.write_bytes(synthetic_jpeg(arguments.seed))


if __name__ == "__main__":
    main()
