"""Kernels on boxes: suppression of overlaps, YOLO-style decoding, and DB-style text boxes."""

import cv2
import numpy as np

from .postprocess import best_indices

SAME_LINE = 10  # pixels: text boxes whose tops differ by less are read from left to right
SMALLEST_SIDE = 3  # pixels of the source: text boxes with a shorter side are left out


def suppress(boxes, scores, classes=None, *, iou_threshold, score_threshold, max_detections, class_aware):
    """Greedy non-maximum suppression: the kept boxes, scores (and classes), by descending score.

    ``boxes`` ``[N,4]`` are corners x1,y1,x2,y2. A box goes if its overlap (intersection over union) with a
    better one that stays is more than ``iou_threshold``; with ``class_aware``, only if their classes agree.
    """
    order = np.flatnonzero(scores >= score_threshold)
    order = order[np.argsort(-scores[order], kind="stable")]
    x1, y1, x2, y2 = np.ascontiguousarray(boxes[order].T, np.float64)
    areas = np.maximum(x2 - x1, 0.0) * np.maximum(y2 - y1, 0.0)
    groups = classes[order] if classes is not None and class_aware else None
    gone = np.zeros(len(order), bool)
    kept = []
    for i in range(len(order)):
        if gone[i]:
            continue
        kept.append(order[i])
        if len(kept) == max_detections:
            break
        later = slice(i + 1, None)
        widths = np.minimum(x2[i], x2[later]) - np.maximum(x1[i], x1[later])
        heights = np.minimum(y2[i], y2[later]) - np.maximum(y1[i], y1[later])
        shared = np.maximum(widths, 0.0) * np.maximum(heights, 0.0)
        overlaps = shared > iou_threshold * (areas[i] + areas[later] - shared)
        if groups is not None:
            overlaps &= groups[later] == groups[i]
        gone[later] |= overlaps
    chosen = np.array(kept, np.int64)
    answer = (boxes[chosen], scores[chosen])
    return answer if classes is None else (*answer, classes[chosen])


def decode_yolo(
    output,
    inverse=None,
    *,
    form,
    score_threshold,
    max_candidates,
    input_h,
    input_w,
    strides,
    is_reduced=False,
):
    """Boxes float32 ``[K,4]`` (x1,y1,x2,y2), scores ``[K]`` and classes int64 ``[K]``, by descending score.

    ``inverse`` ``[2,3]`` maps the model's input pixels to those of the source. ``is_reduced``: the model's
    graph has found scores and classes; the rows are the four numbers of a box, its score and its class, and
    the row's number where only the best ones are there.
    """
    if is_reduced:
        rows, numbers = _by_number(output)
        scores = rows[:, 4]
    else:
        rows, numbers = (output.T if form == "yolov8" else output), None
        scores = _class_scores(rows, form)
    kept = np.flatnonzero(scores >= score_threshold)
    kept = kept[best_indices(scores[kept], max_candidates)]
    ratings = rows[kept, _first_class(form) :]
    classes = rows[kept, 5].astype(np.int64) if is_reduced else ratings.argmax(axis=1)
    middles_and_sizes = rows[kept, :4].astype(np.float32)
    if form == "yolox":
        cells = kept if numbers is None else numbers[kept]
        count = None if numbers is not None else len(rows)
        middles_and_sizes = _from_grid(middles_and_sizes, cells, count, input_h, input_w, strides)
    halves = middles_and_sizes[:, 2:] / 2
    corners = np.concatenate([middles_and_sizes[:, :2] - halves, middles_and_sizes[:, :2] + halves], axis=1)
    if inverse is not None:
        corners = np.concatenate([_mapped(corners[:, :2], inverse), _mapped(corners[:, 2:], inverse)], axis=1)
    return corners.astype(np.float32, copy=False), scores[kept], classes


def _first_class(form):
    """The column of the first class: the others are the box, and objectness where there is one."""
    return 4 if form == "yolov8" else 5


def _class_scores(rows, form):
    """The score of each row: its best class, times objectness."""
    scores = rows[:, _first_class(form) :].max(axis=1).astype(np.float32, copy=False)
    if form != "yolov8":
        scores = scores * rows[:, 4].astype(np.float32, copy=False)
    return scores


def _by_number(rows):
    """The best rows in the order that they had in the model's output, and their numbers there; None: all.

    Of equal scores the first one counts, and not every backend keeps to that.
    """
    if rows.shape[1] == 6:
        return rows, None
    numbers = rows[:, 6].astype(np.int64)
    order = np.argsort(numbers)
    return rows[order], numbers[order]


def _from_grid(raw, kept, count, height, width, strides):
    """Offsets in cells and log sizes (YOLOX) as middles and sizes in pixels of the model's input.

    ``kept`` are the numbers of the cells. ``count`` is how many there are, None if that is known to be right.
    """
    cells = [np.mgrid[: height // s, : width // s][::-1].reshape(2, -1).T for s in strides]
    if count is not None and sum(map(len, cells)) != count:
        raise ValueError(
            f"{count} boxes do not belong to an input of {height}x{width} with strides {tuple(strides)}"
        )
    origin = np.concatenate(cells)[kept]
    stride = np.repeat(strides, [len(c) for c in cells])[kept, None].astype(np.float32)
    middles = (raw[:, :2] + origin.astype(np.float32)) * stride
    return np.concatenate([middles, np.exp(raw[:, 2:]) * stride], axis=1)


def _mapped(points, matrix):
    """Points ``[...,2]`` through an affine matrix ``[2,3]``."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def text_boxes(
    probability, reference=None, *, threshold, box_threshold, unclip_ratio, min_size, max_candidates, scaling
):
    """Boxes of text int32 ``[K,4,2]`` (TL, TR, BR, BL) and scores float32 ``[K]``, in reading order.

    ``scaling`` says what ``reference`` is: "inverse_trans" a matrix to source pixels, "source" the source
    image; "" nothing, the boxes are in pixels of the map.
    """
    shrunk = probability.reshape(probability.shape[-2:]).astype(np.float32, copy=False)
    mask = (shrunk > threshold).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]
    found = []
    for contour in contours[:max_candidates]:
        middle, size, angle = cv2.minAreaRect(contour)
        if min(size) < min_size:
            continue
        score = _mean_inside(shrunk, cv2.boxPoints((middle, size, angle)))
        if score < box_threshold:
            continue
        grown = _grown(size, unclip_ratio)
        if min(grown) < min_size + 2:
            continue
        corners = _to_source(cv2.boxPoints((middle, grown, angle)), shrunk.shape, reference, scaling)
        if _shortest_side(corners) > SMALLEST_SIDE:
            found.append((corners, score))
    found = _reading_order(found)
    boxes = np.array([corners for corners, _ in found], np.int32).reshape(-1, 4, 2)
    return boxes, np.array([score for _, score in found], np.float32)


def _grown(size, ratio):
    """The sides of a rectangle moved outwards by area × ratio / perimeter."""
    width, height = size
    distance = width * height * ratio / (2 * (width + height))
    return width + 2 * distance, height + 2 * distance


def _mean_inside(image, corners):
    """The mean of the pixels inside a quadrilateral, its edge included."""
    height, width = image.shape
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width - 1, height - 1)).astype(int)
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return cv2.mean(image[top : bottom + 1, left : right + 1], inside)[0]


def _to_source(corners, map_shape, reference, scaling):
    """Corners TL, TR, BR, BL in whole pixels of the source, none left of it or above it."""
    height, width = map_shape
    limit = None
    if scaling == "inverse_trans":
        corners = _mapped(corners, reference)
    else:
        limit = np.array(reference.shape[1::-1] if scaling == "source" else (width, height))
        corners = corners * (limit / (width, height))
    rounded = np.clip(np.rint(corners), 0, None if limit is None else limit - 1).astype(np.int32)
    return _clockwise(rounded)


def _clockwise(corners):
    """Four corners as TL, TR, BR, BL: the two left ones and the two right ones, each from the top."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    top_left, bottom_left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    top_right, bottom_right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([top_left, top_right, bottom_right, bottom_left])


def _shortest_side(corners):
    top_left, top_right, _, bottom_left = corners.astype(np.float64)
    return int(min(np.hypot(*(top_left - top_right)), np.hypot(*(top_left - bottom_left))))


def _reading_order(found):
    """Sorted by the top left corner's y, then x; neighbours of about one height go from left to right."""
    ordered = sorted(found, key=lambda item: (item[0][0, 1], item[0][0, 0]))
    for end in range(1, len(ordered)):
        for i in range(end, 0, -1):
            above, here = ordered[i - 1][0][0], ordered[i][0][0]
            if abs(int(here[1]) - int(above[1])) >= SAME_LINE or here[0] >= above[0]:
                break
            ordered[i - 1], ordered[i] = ordered[i], ordered[i - 1]
    return ordered
