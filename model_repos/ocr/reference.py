"""Reads pages without a server: what pipeline.toml says, in plain OpenCV, numpy and ONNX Runtime.

python reference.py PAGE…            prints the words of each
python reference.py --score [COUNT]  the share of right characters on generated pages
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent

MEAN = STD = 127.5
DETECTOR_SIDE = 640
TEXT_PROBABILITY, BOX_PROBABILITY, UNCLIP, SMALLEST = 0.3, 0.5, 0.8, 5
HEIGHT = 32  # of a word, for the angle classifier and the recogniser
ANGLE_WIDTH = 128
LARGEST_WIDTH, WIDTH_STEP = 320, 32
BATCH = 8

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Corners = NDArray[np.int32]


@dataclass(frozen=True)
class Reading:
    """A word that was read; ``box`` are its corners TL, TR, BR, BL on the page, int32 ``[4, 2]``."""

    text: str
    box: Corners
    upside_down: bool


class Reader:
    """The three networks and the code between them."""

    def __init__(self, threads: int = 1) -> None:
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._detector = self._load("detector")
        self._classifier = self._load("classifier")
        self._recogniser = self._load("recogniser")
        self._keys = (HERE / "keys.txt").read_text().split()

    def _load(self, name: str) -> onnxruntime.InferenceSession:
        path = str(HERE / f"{name}.onnx")
        return onnxruntime.InferenceSession(path, self._options, providers=["CPUExecutionProvider"])

    def __call__(self, encoded: bytes) -> list[Reading]:
        """The words of a page, from the top.

        Raises:
            ValueError: not a decodable image.
        """
        page = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        if page is None:
            raise ValueError("not a decodable image")
        boxes = find_boxes(self._detector, page)
        crops = [straighten(page, box) for box in boxes]
        turned = self._upside_down(crops)
        upright = [cv2.rotate(c, cv2.ROTATE_180) if t else c for c, t in zip(crops, turned, strict=True)]
        texts = self._recognise(upright)
        return [Reading(*found) for found in zip(texts, boxes, turned, strict=True)]

    def _upside_down(self, crops: Sequence[Image]) -> list[bool]:
        if not crops:
            return []
        batch = np.stack([to_input(fit(crop, ANGLE_WIDTH)) for crop in crops])
        (scores,) = self._classifier.run(None, {"image": batch})
        return [bool(one) for one in scores.argmax(axis=1)]

    def _recognise(self, crops: Sequence[Image]) -> list[str]:
        """Words of one width bucket share a batch."""
        buckets: dict[int, list[int]] = {}
        for i, crop in enumerate(crops):
            buckets.setdefault(bucket_width(crop), []).append(i)
        texts = [""] * len(crops)
        for width, members in buckets.items():
            for start in range(0, len(members), BATCH):
                chosen = members[start : start + BATCH]
                batch = np.stack([to_input(fit(crops[i], width)) for i in chosen])
                (steps,) = self._recogniser.run(None, {"image": batch})
                for i, scores in zip(chosen, steps, strict=True):
                    texts[i] = self._decode(scores.argmax(axis=1))
        return texts

    def _decode(self, best: NDArray[np.int64]) -> str:
        """Class 0 is the blank; a character that lasts several steps counts once."""
        kept = [now for before, now in zip([0, *best[:-1]], best, strict=True) if now and now != before]
        return "".join(self._keys[i - 1] for i in kept)


def to_input(image: Image) -> Floats:
    """BGR ``[H, W, 3]`` as a network takes it."""
    return (image.transpose(2, 0, 1).astype(np.float32) - np.float32(MEAN)) / np.float32(STD)


# --- finding words ---


def find_boxes(detector: onnxruntime.InferenceSession, page: Image) -> list[Corners]:
    """The corners of the words of a page, in its pixels."""
    height, width = page.shape[:2]
    factor = min(DETECTOR_SIDE / height, DETECTOR_SIDE / width)
    small = cv2.resize(page, (round(width * factor), round(height * factor)))
    canvas = np.full((DETECTOR_SIDE, DETECTOR_SIDE, 3), 255, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    (probability,) = detector.run(None, {"image": to_input(canvas)[np.newaxis]})
    scale = np.array([width / small.shape[1], height / small.shape[0]])
    boxes = [ordered(corners * scale) for corners in _rectangles(probability[0, 0])]
    return sorted(boxes, key=lambda box: (int(box[0, 1]), int(box[0, 0])))


def _rectangles(probability: Floats) -> list[Floats]:
    mask = (probability > TEXT_PROBABILITY).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        middle, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < SMALLEST:
            continue
        inside = np.zeros_like(mask)
        cv2.fillPoly(inside, [cv2.boxPoints((middle, (width, height), angle)).astype(np.int32)], 1)
        if cv2.mean(probability, inside)[0] < BOX_PROBABILITY:
            continue
        more = width * height * UNCLIP / (width + height)
        found.append(cv2.boxPoints((middle, (width + more, height + more), angle)))
    return found


def ordered(corners: NDArray[np.float64]) -> Corners:
    """Four corners in whole pixels, as TL, TR, BR, BL."""
    whole = np.clip(np.rint(corners), 0, None).astype(np.int32)
    left_to_right = whole[np.argsort(whole[:, 0], kind="stable")]
    left, right = (side[np.argsort(side[:, 1], kind="stable")] for side in np.split(left_to_right, 2))
    return np.stack([left[0], right[0], right[1], left[1]])


def straighten(page: Image, box: Corners) -> Image:
    """The quadrilateral as an upright image."""
    corners = box.astype(np.float64)
    width, height = (int(np.linalg.norm(corners[0] - corners[i])) for i in (1, 3))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return cv2.warpPerspective(page, matrix, (width, height), flags=cv2.INTER_LINEAR)


# --- sizes of words ---


def width_at_height(crop: Image) -> int:
    """Its width at the height 32."""
    return int(np.ceil(HEIGHT * crop.shape[1] / crop.shape[0]))


def bucket_width(crop: Image) -> int:
    """The width that a word is filled up to: its own, in steps of 32, 320 at most."""
    return min(-(-width_at_height(crop) // WIDTH_STEP) * WIDTH_STEP, LARGEST_WIDTH)


def fit(crop: Image, width: int) -> Image:
    """32 pixels high and ``width`` wide: squeezed if it is wider, else filled up with grey on the right."""
    scaled = cv2.resize(crop, (min(width_at_height(crop), width), HEIGHT))
    canvas = np.full((HEIGHT, width, 3), 127, np.uint8)
    canvas[:, : scaled.shape[1]] = scaled
    return canvas


# --- scoring ---


def edit_distance(one: str, other: str) -> int:
    """The fewest characters to insert, delete or replace to get from one text to the other."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def wrong_characters(read: Iterable[str], printed: Iterable[str]) -> int:
    """Wrong characters of a page, each printed word compared with the word read that is most like it."""
    left = list(read)
    wrong = 0
    for word in sorted(printed, key=len, reverse=True):
        if not left:
            wrong += len(word)
            continue
        best = min(left, key=lambda text: edit_distance(text, word))
        wrong += edit_distance(best, word)
        left.remove(best)
    return wrong + sum(map(len, left))


def share_right(pages: Iterable[tuple[Iterable[str], Sequence[str]]]) -> float:
    """The share of characters that are right, of pairs (words read, words printed)."""
    wrong = characters = 0
    for read, printed in pages:
        wrong += wrong_characters(read, printed)
        characters += sum(map(len, printed))
    return 1 - wrong / characters


def main() -> None:
    read = Reader()
    if sys.argv[1:2] == ["--score"]:
        from pages import make_page

        pages = [make_page(seed) for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 100)]
        words = (([w.text for w in read(p.image)], [w.text for w in p.words]) for p in pages)
        print(f"{share_right(words):.2%} of the characters of {len(pages)} pages are right")
        return
    for path in sys.argv[1:]:
        print("\n".join(word.text for word in read(Path(path).read_bytes())))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
