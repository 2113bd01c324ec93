"""Detection: suppression of overlaps, YOLO-style decoding, DB-style text boxes."""

from __future__ import annotations

import cv2
import numpy as np

from oracles.harness import Case, oracle, same, within


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Corners in clusters, so that many overlap; some are empty."""
    middles = rng.uniform(0, 60, (max(1, count // 4), 2))
    low = middles[rng.integers(len(middles), size=count)] + rng.normal(scale=3, size=(count, 2))
    sizes = rng.choice([0.0, 5.0, 12.0, 20.0], (count, 2), p=[0.05, 0.35, 0.3, 0.3]) * rng.uniform(0.7, 1.3)
    return np.concatenate([low, low + sizes], axis=1).astype(np.float32)


def _nms(rng: np.random.Generator) -> Case:
    count = int(rng.integers(0, 40))
    scores = rng.uniform(size=count) if rng.integers(3) else rng.integers(0, 4, count) / 4
    classes = rng.integers(0, 3, count)
    with_classes = bool(rng.integers(4))
    values = (_boxes(rng, count), scores.astype(np.float32), classes)
    return Case(
        values if with_classes else values[:2],
        {
            "iou_threshold": float(rng.uniform(0.05, 0.95)),
            "score_threshold": float(rng.choice([0.0, 0.3])),
            "max_detections": int(rng.choice([1, 5, 300])),
            "class_aware": bool(rng.integers(2)),
        },
        compile={"classes": "classes" if with_classes else ""},
    )


def _overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared
    return shared / union if union > 0 else 0.0


@oracle("NMS", generate=_nms, tolerance=same)
def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray | None = None,
    *,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
    class_aware: bool,
) -> tuple[np.ndarray, ...]:
    corners = boxes.astype(np.float64).tolist()
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        rivals = [j for j in kept if classes is None or not class_aware or classes[i] == classes[j]]
        covered = any(_overlap(corners[i], corners[j]) > iou_threshold for j in rivals)
        if scores[i] >= score_threshold and not covered and len(kept) < max_detections:
            kept.append(i)
    answer = (boxes[kept], scores[kept])
    return answer if classes is None else (*answer, classes[kept])


STRIDES = (4, 8)


def _yolo(rng: np.random.Generator) -> Case:
    form = str(rng.choice(["yolov5", "yolox", "yolov8"]))
    height, width = int(rng.integers(2, 6)) * 8, int(rng.integers(2, 6)) * 8
    count = sum((height // s) * (width // s) for s in STRIDES)
    classes = int(rng.integers(1, 5))
    boxes = rng.normal(size=(count, 4)) if form == "yolox" else rng.uniform(0, 64, (count, 4))
    scores = rng.uniform(size=(count, classes + (form != "yolov8")))
    if not rng.integers(3):
        scores = scores.round(1)  # ties
    output = np.concatenate([boxes, scores], axis=1).astype(str(rng.choice(["float32", "float16"])))
    output = np.ascontiguousarray(output.T) if form == "yolov8" else output
    inverse = np.concatenate([rng.normal(size=(2, 2)), rng.normal(scale=40, size=(2, 1))], axis=1)
    mapped = bool(rng.integers(2))
    return Case(
        (output, inverse) if mapped else (output,),
        {
            "form": form,
            "score_threshold": float(rng.choice([0.0, 0.25, 0.6, 1.0])),
            "max_candidates": int(rng.choice([3, 30_000])),
            "input_h": height,
            "input_w": width,
            "strides": STRIDES,
        },
        compile={"inverse_trans": "inverse_trans" if mapped else ""},
    )


def _cells(height: int, width: int, strides: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Column, row and cell size of each box of a YOLOX output."""
    return [(x, y, s) for s in strides for y in range(height // s) for x in range(width // s)]


@oracle("YoloDecode", generate=_yolo, tolerance=(within(1e-3, 1e-5), same, same))
def yolo(
    output: np.ndarray,
    inverse: np.ndarray | None = None,
    *,
    form: str,
    score_threshold: float,
    max_candidates: int,
    input_h: int,
    input_w: int,
    strides: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = list(zip(*output, strict=True)) if form == "yolov8" else list(output)
    found = []
    for row, (column, line, size) in zip(rows, _cells(input_h, input_w, strides), strict=True):
        scores = list(row[4:] if form == "yolov8" else row[5:])
        best = scores.index(max(scores))
        score = np.float32(scores[best])
        if form != "yolov8":
            score *= np.float32(row[4])
        x, y, w, h = (float(value) for value in row[:4])
        if form == "yolox":
            x, y, w, h = (x + column) * size, (y + line) * size, np.exp(w) * size, np.exp(h) * size
        corners = np.array([[x - w / 2, y - h / 2, 1], [x + w / 2, y + h / 2, 1]])
        points = corners[:, :2] if inverse is None else corners @ inverse.T
        if score >= score_threshold:
            found.append((points.reshape(-1), score, best))
    found = sorted(found, key=lambda item: -item[1])[:max_candidates]
    return (
        np.array([item[0] for item in found], np.float32).reshape(-1, 4),
        np.array([item[1] for item in found], np.float32),
        np.array([item[2] for item in found], np.int64),
    )


def _text_map(rng: np.random.Generator) -> np.ndarray:
    """A probability map with slanted bars in their own tiles, weak noise between them."""
    tile = 48
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    image = rng.uniform(0, 0.25, (rows * tile, columns * tile))
    for row in range(rows):
        for column in range(columns):
            middle = (column * tile + rng.uniform(20, 28), row * tile + rng.uniform(20, 28))
            size = (rng.uniform(2, 32), rng.uniform(1, 14))
            bar = np.zeros(image.shape, np.uint8)
            corners = cv2.boxPoints((middle, size, float(rng.uniform(-80, 80))))
            cv2.fillPoly(bar, [np.rint(corners).astype(np.int32)], 1)
            image[bar > 0] = rng.uniform(0.35, 1.0) - rng.uniform(0, 0.04, int(bar.sum()))
    return image


def _db(rng: np.random.Generator) -> Case:
    image = _text_map(rng)
    image = image.astype(str(rng.choice(["float32", "float16"])))
    values: list[np.ndarray] = [image[None] if rng.integers(2) else image]
    kind = str(rng.choice(["", "inverse_trans", "source"]))
    if kind == "source":
        values.append(np.zeros((int(rng.integers(9, 400)), int(rng.integers(9, 400)), 3), np.uint8))
    elif kind:
        scale = float(rng.choice([0.1, 0.3, 1.0, 2.7]))
        values.append(np.array([[scale, 0, rng.uniform(-9, 9)], [0, scale, rng.uniform(-9, 9)]]))
    return Case(
        tuple(values),
        {
            "threshold": 0.3,
            "box_threshold": float(rng.uniform(0.4, 0.8)),
            "unclip_ratio": float(rng.choice([1.5, 2.0])),
            "min_size": int(rng.choice([3, 6])),
            "max_candidates": 1000,
        },
        compile={
            "inverse_trans": kind if kind == "inverse_trans" else "",
            "source": kind if kind == "source" else "",
        },
        told={"scaling": kind},
    )


def _mean_inside(image: np.ndarray, corners: np.ndarray) -> float:
    """Mean of the pixels inside; a corner stands for the pixel it lies in."""
    origin = np.maximum(np.floor(corners.min(axis=0)), 0)
    inside = np.zeros(image.shape, np.uint8)
    cv2.fillPoly(inside, [(np.trunc(corners - origin) + origin).astype(np.int32)], 1)
    return float(image[inside > 0].astype(np.float64).mean())


def _ordered(corners: np.ndarray) -> list[list[int]]:
    """Top left, top right, bottom right, bottom left."""
    by_x = sorted(corners.tolist(), key=lambda corner: corner[0])
    top_left, bottom_left = sorted(by_x[:2], key=lambda corner: corner[1])
    top_right, bottom_right = sorted(by_x[2:], key=lambda corner: corner[1])
    return [top_left, top_right, bottom_right, bottom_left]


def _comes_first(a: list[list[int]], b: list[list[int]]) -> bool:
    """Whether box a, found behind b from the top, is to be read before it: same line, further left."""
    return abs(a[0][1] - b[0][1]) < 10 and a[0][0] < b[0][0]


@oracle("DBPostProcess", generate=_db, tolerance=(same, within(1e-5)))
def text_boxes(
    probability: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    threshold: float,
    box_threshold: float,
    unclip_ratio: float,
    min_size: int,
    max_candidates: int,
    scaling: str,
) -> tuple[np.ndarray, np.ndarray]:
    image = probability.reshape(probability.shape[-2:]).astype(np.float32)
    height, width = image.shape
    count, labels = cv2.connectedComponents((image > threshold).astype(np.uint8), connectivity=8)
    assert count <= max_candidates
    found: list[tuple[list[list[int]], float]] = []
    for label in range(1, count):
        points = np.argwhere(labels == label)[:, ::-1]
        middle, (w, h), angle = cv2.minAreaRect(points.astype(np.float32))
        score = _mean_inside(image, cv2.boxPoints((middle, (w, h), angle)))
        distance = w * h * unclip_ratio / (2 * w + 2 * h) if w + h else 0.0
        if min(w, h) < min_size or score < box_threshold or min(w, h) + 2 * distance < min_size + 2:
            continue
        corners = cv2.boxPoints((middle, (w + 2 * distance, h + 2 * distance), angle))
        size = (width, height)
        if scaling == "inverse_trans":
            corners = np.concatenate([corners, np.ones((4, 1))], axis=1) @ reference.T
            size = (np.inf, np.inf)
        elif scaling == "source":
            size = reference.shape[1::-1]
            corners = corners * np.array(size) / (width, height)
        box = _ordered(np.minimum(np.maximum(np.round(corners), 0), np.subtract(size, 1)))
        across_top, down_left = np.subtract(box[1], box[0]), np.subtract(box[3], box[0])
        if min(int(np.linalg.norm(across_top)), int(np.linalg.norm(down_left))) > 3:
            found.append((box, score))
    lines: list[tuple[list[list[int]], float]] = []
    for box in sorted(found, key=lambda item: (item[0][0][1], item[0][0][0])):
        place = len(lines)
        while place and _comes_first(box[0], lines[place - 1][0]):
            place -= 1
        lines.insert(place, box)
    boxes = np.array([box for box, _ in lines], np.float64).astype(np.int32).reshape(-1, 4, 2)
    return boxes, np.array([score for _, score in lines], np.float32)
