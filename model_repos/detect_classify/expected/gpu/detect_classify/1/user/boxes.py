"""User code of the example: where the digits of a page are."""

import cv2
import numpy as np

from tpgen_runtime import Tensor, op

_STEP = 2  # pixels: the page is looked at in steps of this
_GAP = 5  # steps: parts of a digit that are nearer than this belong together
_SMALLEST = 9  # steps: lower things are specks


@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3], color="bgr")},
    outputs={"result": [Tensor("int32", [4])]},
)
def find(data, *, redness: int = 45):
    """Square boxes (x1, y1, x2, y2) around what is written in red, in reading order; [] on an empty page.

    A box is 1.4 times as high as its digit: the reader has learnt digits with that much paper around them.
    """
    height, width = data.shape[:2]
    small = (max(1, width // _STEP), max(1, height // _STEP))
    blue, green, red = cv2.split(cv2.resize(data, small, interpolation=cv2.INTER_AREA))
    ink = (cv2.subtract(red, cv2.max(blue, green)) > redness).astype(np.uint8)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    _, _, found, _ = cv2.connectedComponentsWithStats(joined)
    digits = found[1:][found[1:, cv2.CC_STAT_HEIGHT] >= _SMALLEST, :4]
    squares = _squares(digits * _STEP, width, height).tolist()  # Python's numbers sort faster than numpy's
    ordered = [box for line in _lines(squares) for box in line]
    return list(np.array(ordered, np.int32).reshape(-1, 4))


def _squares(parts, page_width, page_height):
    """Boxes ``[K,4]``: parts (x, y, width, height) grown to squares that end at the page's edge."""
    sides = parts[:, 2:]
    reach = 0.7 * sides.max(axis=1, initial=0)[:, None]
    middles = parts[:, :2] + sides / 2
    corners = np.rint(np.concatenate([middles - reach, middles + reach], axis=1))
    return corners.clip(0, (page_width, page_height, page_width, page_height)).astype(int)


def _lines(boxes):
    """Boxes by lines from the top, each from left to right: one whose middle is lower starts a new line."""
    lines = []
    for box in sorted(boxes, key=_middle):
        if not lines or _middle(box) - _middle(lines[-1][0]) > (box[3] - box[1]) / 2:
            lines.append([])
        lines[-1].append(box)
    return [sorted(line) for line in lines]


def _middle(box):
    return (box[1] + box[3]) / 2
