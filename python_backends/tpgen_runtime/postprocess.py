"""Kernels that turn scores into answers: softmax, the best class, the best k, thresholds."""

import numpy as np

from .errors import ItemError
from .text import read_labels


def softmax(array, *, axis):
    """Softmax along an axis, float32; computed after subtracting the maximum, so nothing overflows."""
    scores = array.astype(np.float32, copy=False)
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def arg_max(array, *, axis):
    """The index of the largest element along an axis, int64; the first of equal ones."""
    return array.argmax(axis=axis)


def softmax_arg_max(array, *, is_reduced=False):
    """Best class along the last axis and its softmax: class, score, class.

    ``is_reduced``: the last axis holds class and score already, found in the model's graph.
    """
    if is_reduced:
        best = array[..., 0].astype(np.int64)
        return best, array[..., 1], best
    best = array.argmax(axis=-1)
    score = softmax(array, axis=-1).max(axis=-1)
    return best, score, best


def softmax_max(array):
    """``[C]`` scores to float32 ``[2]``: the best class and its softmax."""
    best = array.argmax()
    return np.array([best, softmax(array, axis=-1)[best]], np.float32)


def at_least(array, *, threshold):
    """True where the element is at least ``threshold``."""
    return array >= threshold


def best_indices(scores, count):
    """The indices of the ``count`` largest of ``scores`` ``[N]``, descending, the first of equal ones first.

    Sorting starts from the few that can be among them: N is often far larger than ``count``.
    """
    if count >= scores.size:
        return np.argsort(-scores, kind="stable")
    least = np.partition(scores, scores.size - count)[scores.size - count]
    candidates = np.flatnonzero(scores >= least)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


class TopK:
    """The k best classes of ``[C]`` scores: their ids, scores and (with a labels file) names.

    ``is_reduced``: what comes are their ids and scores ``[2,k]``, found in the model's graph.
    """

    def __init__(self, *, k, labels, is_reduced=False):
        self.k = k
        self.is_reduced = is_reduced
        self.labels = read_labels(labels) if labels else None

    def __call__(self, scores):
        """Ids int64 ``[k]`` and scores float32 ``[k]``, then the names if there is a labels file.

        Raises:
            ItemError: a class has no label, or a score is NaN.
        """
        values = scores.astype(np.float32, copy=False)
        if np.isnan(values).any():
            raise ItemError("a score is NaN")
        if self.is_reduced:
            best, found = _best_first(*values)
        else:
            best = best_indices(values, self.k)
            found = values[best]
        if self.labels is None:
            return best, found
        if best.max(initial=0) >= len(self.labels):
            raise ItemError(f"class {best.max()} has no label: the labels file has {len(self.labels)} lines")
        return best, found, [self.labels[index] for index in best]


def _best_first(ids, scores):
    """Ids int64 and scores by descending score, the lower id first: not every backend keeps to that."""
    order = np.lexsort((ids, -scores))
    return ids[order].astype(np.int64), scores[order]
