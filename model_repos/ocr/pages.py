"""Pages of printed words with what they say: for the training, tests and benchmarks of this example.

    python pages.py FOLDER [COUNT]     writes 000.jpg, 000.txt, 001.jpg …

A page holds 2 to 8 words of digits and capital letters, each a little askew, some upside down. One of them is
"P" and six digits, the page's number: a client that reads its own number got its own answer.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 480, 640
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_ROWS, _COLUMNS = 5, 2
_CELL_H, _CELL_W = HEIGHT // _ROWS, WIDTH // _COLUMNS
_FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif")
_ONE_WAY_UP = "AEFGJKLPRTVY347"  # no word without one of these: the others can look right upside down

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Word:
    """A word on a page: its middle (x, y) in pixels, and whether it stands on its head."""

    text: str
    middle: tuple[float, float]
    upside_down: bool


@dataclass(frozen=True)
class Page:
    """A JPEG of a page; ``words`` come row by row, and one of them is ``P`` with ``number`` in six digits."""

    image: bytes
    words: tuple[Word, ...]
    number: int


def make_page(seed: int, number: int | None = None, count: int | None = None) -> Page:
    """The page of a seed, which also chooses ``number`` (0 to 999999) and ``count`` (1 to 10) if need be."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(0, 1_000_000)) if number is None else number
    count = int(rng.integers(2, 9)) if count is None else count
    page = _paper(rng)
    cells = np.sort(rng.choice(_ROWS * _COLUMNS, count, replace=False))
    numbered = int(rng.integers(0, count))
    words = []
    for place, cell in enumerate(cells):
        text = f"P{number:06}" if place == numbered else _random_word(rng)
        words.append(_print(page, text, *divmod(int(cell), _COLUMNS), rng))
    noisy = page * 255 + rng.uniform(1, 5) * rng.standard_normal(page.shape, np.float32)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 96))]
    written, data = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8), quality)
    assert written
    return Page(data.tobytes(), tuple(words), number)


def _random_word(rng: np.random.Generator) -> str:
    letters = [CHARACTERS[i] for i in rng.integers(0, len(CHARACTERS), rng.integers(3, 11))]
    letters[rng.integers(0, len(letters))] = _ONE_WAY_UP[rng.integers(0, len(_ONE_WAY_UP))]
    return "".join(letters)


def _paper(rng: np.random.Generator) -> Floats:
    """Paper in uneven light, BGR, 0 to 1."""
    across, down = rng.uniform(-0.06, 0.06, 2)
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    light = (rng.uniform(0.82, 0.92) + across * x + down * y).astype(np.float32)
    return light[..., None] * np.float32(rng.uniform(0.93, 1.0, 3))


def _print(page: Floats, text: str, row: int, column: int, rng: np.random.Generator) -> Word:
    """Print a word into its cell."""
    shape = _shape_of(text, _font(_FACES[rng.integers(0, len(_FACES))], int(rng.integers(22, 33))))
    upside_down = bool(rng.random() < 0.3)
    angle = rng.uniform(-4.5, 4.5) + 180 * upside_down
    height, width = shape.shape
    space = max(0.0, (_CELL_W - width) / 2 - 10)
    middle = (_CELL_W / 2 + rng.uniform(-space, space), _CELL_H / 2 + rng.uniform(-10, 10))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    matrix[:, 2] += (middle[0] - (width - 1) / 2, middle[1] - (height - 1) / 2)
    placed = cv2.warpAffine(shape, matrix, (_CELL_W, _CELL_H))
    amount = cv2.GaussianBlur(placed, (0, 0), rng.uniform(0.3, 0.9))[..., None]
    top, left = row * _CELL_H, column * _CELL_W
    cell = page[top : top + _CELL_H, left : left + _CELL_W]
    ink = np.float32(rng.uniform(0.02, 0.25) + rng.uniform(0, 0.1, 3))
    cell *= 1 - amount * (1 - ink)
    return Word(text, (left + middle[0], top + middle[1]), upside_down)


def _shape_of(text: str, font: ImageFont.FreeTypeFont) -> Floats:
    """The ink of a word, 0 to 1, without space around it."""
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    canvas = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.asarray(canvas, np.float32) / 255


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """One of the DejaVu fonts that matplotlib brings along."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the fonts come with matplotlib: pip install matplotlib")
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf", size)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 8):
        page = make_page(seed)
        (folder / f"{seed:03}.jpg").write_bytes(page.image)
        (folder / f"{seed:03}.txt").write_text("\n".join(word.text for word in page.words) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
