"""User code of the example: where the digits of a page are."""

import cv2
import numpy as np

from tpgen_runtime import Tensor, op

_GAP = 9  # pixels: parts of a digit that are nearer than this belong together
_SMALLEST = 18  # pixels: lower things are specks


@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3], color="bgr")},
    outputs={"result": [Tensor("int32", [4])]},
)
def find(data, *, redness: int = 45):
    """Square boxes (x1, y1, x2, y2) around what is written in red, in reading order; [] on an empty page.

    A box is 1.4 times as high as its digit: the reader has learnt digits with that much paper around them.
    """
    blue, green, red = cv2.split(cv2.GaussianBlur(data, (3, 3), 0))
    ink = (cv2.subtract(red, cv2.max(blue, green)) > redness).astype(np.uint8)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    _, _, found, _ = cv2.connectedComponentsWithStats(joined)
    digits = [part for part in found[1:] if part[cv2.CC_STAT_HEIGHT] >= _SMALLEST]
    return [box for line in _lines([_square(part, data.shape) for part in digits]) for box in line]


def _square(part, shape):
    """The box of a component, grown to a square that ends at the page's edge."""
    x, y, width, height = (int(value) for value in part[:4])
    half = 0.7 * max(width, height)
    x, y = x + width / 2, y + height / 2
    corners = np.rint([x - half, y - half, x + half, y + half])
    return corners.clip(0, (shape[1], shape[0], shape[1], shape[0])).astype(np.int32)


def _lines(boxes):
    """Boxes by lines from the top, each from left to right: one whose middle is lower starts a new line."""
    lines = []
    for box in sorted(boxes, key=_middle):
        if not lines or _middle(box) - _middle(lines[-1][0]) > (box[3] - box[1]) / 2:
            lines.append([])
        lines[-1].append(box)
    return [sorted(line, key=lambda box: int(box[0])) for line in lines]


def _middle(box):
    return (int(box[1]) + int(box[3])) / 2
