"""Reads pages without a server: what pipeline.toml says, in plain OpenCV and ONNX Runtime.

    python reference.py PAGE…            prints the text of each
    python reference.py --score [COUNT]  the share of right characters on generated pages

The crops of a page go through the network together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from text import join

from boxes import find

MODEL = Path(__file__).resolve().parents[1] / "digits" / "digits.onnx"
MEAN = np.float32((201.0, 183.0, 194.0)).reshape(3, 1, 1)
STD = np.float32((40.0, 61.0, 53.0)).reshape(3, 1, 1)
SIDE = 32

Boxes = list[NDArray[np.int32]]


def reader(threads: int = 1) -> Callable[[bytes], tuple[str, Boxes]]:
    """A function from the bytes of a page to its text and boxes; ValueError if they are no image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])

    def read(encoded: bytes) -> tuple[str, Boxes]:
        page = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        if page is None:
            raise ValueError("not a decodable image")
        boxes = find(page)
        if not boxes:
            return "", []
        (logits,) = session.run(None, {"image": np.stack([_prepare(page, box) for box in boxes])})
        return join(list(logits.argmax(axis=1)), boxes), boxes

    return read


def _prepare(page: NDArray[np.uint8], box: NDArray[np.int32]) -> NDArray[np.float32]:
    x1, y1, x2, y2 = box
    crop = cv2.cvtColor(cv2.resize(page[y1:y2, x1:x2], (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
    return (crop.transpose(2, 0, 1).astype(np.float32) - MEAN) / STD


def edit_distance(one: str, other: str) -> int:
    """The fewest characters to insert, delete or replace to get from one text to the other."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def share_right(pairs: Iterable[tuple[str, str]]) -> float:
    """The share of characters that are right, of pairs (text read, text written)."""
    wrong = characters = 0
    for read, written in pairs:
        wrong += edit_distance(read, written)
        characters += len(written)
    return 1 - wrong / characters


def main() -> None:
    read = reader()
    if sys.argv[1:2] == ["--score"]:
        from pages import make_page

        pages = [make_page(seed) for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 200)]
        print(f"{share_right((read(page.image)[0], page.text) for page in pages):.2%} of {len(pages)} pages")
        return
    for path in sys.argv[1:]:
        print(read(Path(path).read_bytes())[0])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
