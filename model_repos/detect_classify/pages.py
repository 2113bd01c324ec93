"""Pages of handwritten digits with their text: what the tests and benchmarks of this example send.

    python pages.py FOLDER [COUNT]     writes 000.jpg, 000.txt, 001.jpg … (every fourth one a PNG)

A page is grey paper in uneven light, ruled in blue, with 0 to 40 digits in red ink: scikit-learn's
handwritten digits that the reader was not trained on, enlarged, tilted, blurred, with noise on top. The
ink is that of `../digits/train.py`, whose model reads them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 480, 640
MOST = 40

_CELL_H, _CELL_W = 90, 76
_LINES, _DIGITS_PER_LINE = 5, 8
_RED = np.float32((0.15, 0.12, 0.85))  # share of light that ink lets through: B, G, R
_BLUE = np.float32((0.9, 0.35, 0.25))

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Page:
    """An encoded page.

    Attributes:
        image: the bytes of a JPEG or PNG.
        text: its digits, one line of text per line of the page; "" for an empty page.
    """

    image: bytes
    text: str


def make_page(seed: int, count: int | None = None) -> Page:
    """The page of a seed, with ``count`` digits (0 to 40), or a number of them that the seed decides."""
    rng = np.random.default_rng(seed)
    if count is None:
        count = int(rng.integers(0, MOST + 1))
    strokes, labels = _held_out_digits()
    chosen = rng.integers(0, len(labels), count)
    cells = np.sort(rng.choice(MOST, count, replace=False))
    page = _paper(rng)
    for digit, cell in zip(chosen, cells, strict=True):
        _write(page, strokes[digit], *divmod(int(cell), _DIGITS_PER_LINE), rng)
    lines: dict[int, str] = {}
    for digit, cell in zip(chosen, cells, strict=True):
        line = int(cell) // _DIGITS_PER_LINE
        lines[line] = lines.get(line, "") + str(labels[digit])
    return Page(_photograph(page, rng, seed), "\n".join(lines.values()))


@cache
def _held_out_digits() -> tuple[Floats, NDArray[np.uint8]]:
    """The digits that `../digits/train.py` keeps for tests: strokes (``[n, 8, 8]``, 0 to 1) and labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))[: len(data.target) // 5]
    return (data.images[order] / 16).astype(np.float32), data.target[order].astype(np.uint8)


def _paper(rng: np.random.Generator) -> Floats:
    """Ruled paper, BGR, 0 to 1: darker toward one side, as by a lamp."""
    across, down = rng.uniform(-0.06, 0.06, 2)
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    light = (0.9 + across * x + down * y).astype(np.float32)
    page = light[..., None] * np.float32(rng.uniform(0.96, 1.0, 3))
    for line in range(1, _LINES + 1):
        y_line = _top(line) - 8
        page[y_line : y_line + 2] *= 1 - 0.5 * (1 - _BLUE)
    return page


def _top(line: int) -> int:
    return (HEIGHT - _LINES * _CELL_H) // 2 + line * _CELL_H


def _write(page: Floats, stroke: Floats, line: int, place: int, rng: np.random.Generator) -> None:
    """A digit in its cell: about 35 to 48 pixels high, tilted and blurred."""
    scale = rng.uniform(4.4, 5.8)
    matrix = cv2.getRotationMatrix2D((3.5, 3.5), rng.uniform(-6, 6), scale)
    matrix[:, 2] += (_CELL_W / 2 - 4 + rng.uniform(-7, 7), _CELL_H / 2 - 4 + rng.uniform(-5, 5))
    placed = cv2.warpAffine(stroke, matrix, (_CELL_W, _CELL_H), flags=cv2.INTER_CUBIC)
    amount = cv2.GaussianBlur(placed.clip(0, 1), (0, 0), rng.uniform(0.4, 1.0))
    top, left = _top(line), (WIDTH - _DIGITS_PER_LINE * _CELL_W) // 2 + place * _CELL_W
    cell = page[top : top + _CELL_H, left : left + _CELL_W]
    cell *= 1 - np.float32(rng.uniform(0.8, 0.95)) * amount[..., None] * (1 - _RED)


def _photograph(page: Floats, rng: np.random.Generator, seed: int) -> bytes:
    noisy = page * 255 + 2 * rng.standard_normal(page.shape, np.float32)
    pixels = noisy.clip(0, 255).astype(np.uint8)
    if seed % 4 == 3:
        written, data = cv2.imencode(".png", pixels)
    else:
        written, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 93))])
    assert written
    return data.tobytes()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 8):
        page = make_page(seed)
        suffix = "png" if page.image.startswith(b"\x89PNG") else "jpg"
        (folder / f"{seed:03}.{suffix}").write_bytes(page.image)
        (folder / f"{seed:03}.txt").write_text(page.text + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
