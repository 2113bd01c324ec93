"""FROZEN BASELINE: finds the digits of a page, and puts what was read into lines. See ../../../README.md."""

import cv2
import numpy as np

MEAN = np.array([201.0, 183.0, 194.0], np.float32).reshape(3, 1, 1)
SCALE = 1 / np.array([40.0, 61.0, 53.0], np.float32).reshape(3, 1, 1)


def find(page, redness=45):
    """Square boxes (x1, y1, x2, y2) around what is written in red, in reading order."""
    rows, columns = page.shape[:2]
    half_size = (max(1, columns // 2), max(1, rows // 2))
    blue, green, red = cv2.split(cv2.resize(page, half_size, interpolation=cv2.INTER_AREA))
    ink = (cv2.subtract(red, cv2.max(blue, green)) > redness).astype(np.uint8)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    stats = cv2.connectedComponentsWithStats(joined)[2]
    digits = stats[1:][stats[1:, cv2.CC_STAT_HEIGHT] >= 9, :4] * 2
    reach = 0.7 * digits[:, 2:].max(axis=1, initial=0)[:, None]
    middles = digits[:, :2] + digits[:, 2:] / 2
    corners = np.rint(np.concatenate([middles - reach, middles + reach], axis=1))
    squares = corners.clip(0, (columns, rows, columns, rows)).astype(int).tolist()
    lines = []
    for box in sorted(squares, key=lambda b: b[1] + b[3]):
        if not lines or box[1] + box[3] - lines[-1][0][1] - lines[-1][0][3] > box[3] - box[1]:
            lines.append([])
        lines[-1].append(box)
    return [box for line in lines for box in sorted(line)]


def prepare(page, box, planes):
    """Cuts a digit out, and writes it into float32 ``[3, 32, 32]``, RGB, normalised."""
    x1, y1, x2, y2 = box
    crop = cv2.resize(page[y1:y2, x1:x2], (32, 32), interpolation=cv2.INTER_LINEAR)
    planes[:] = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
    planes -= MEAN
    planes *= SCALE


def join(digits, boxes):
    """Text: a digit that is below the one before it starts a new line."""
    text = ""
    for i, digit in enumerate(digits):
        if i and (boxes[i][1] + boxes[i][3]) / 2 > boxes[i - 1][3]:
            text += "\n"
        text += str(digit)
    return text
