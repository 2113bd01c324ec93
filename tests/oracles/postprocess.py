"""Scores to answers: softmax, arg max, top k, thresholds; greedy CTC decoding."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path

import numpy as np

from oracles.harness import FAILED, Case, oracle, same, within

FOLDER = tempfile.TemporaryDirectory(prefix="postprocess_oracles_")


def _file(name: str, content: bytes) -> str:
    path = Path(FOLDER.name) / name
    path.write_bytes(content)
    return str(path)


NAMES = [f"name {i}" for i in range(24)]
NAMES_FILE = _file("names.txt", "\n".join(NAMES).encode())
CHARACTERS = ["a", "字", " ", "\u2028", "é", "0", "\u3000", "b"]  # U+2028 ends no line
CHARACTERS_FILE = _file("characters.txt", b"\xef\xbb\xbf" + "\r\n".join([*CHARACTERS, ""]).encode())


def random_scores(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Logits of very different scale, few distinct values (ties), or probabilities."""
    kind = rng.integers(4)
    if kind == 0:
        scores = rng.normal(scale=float(rng.choice([0.1, 5, 300])), size=shape)
    elif kind == 1:
        scores = rng.integers(-2, 3, shape).astype(np.float64)
    else:
        scores = rng.uniform(size=shape)
    return scores.astype(str(rng.choice(["float32", "float32", "float16", "float64"])))


def _random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 4))))


def _with_axis(rng: np.random.Generator) -> Case:
    shape = _random_shape(rng)
    return Case((random_scores(rng, shape),), {"axis": int(rng.integers(-len(shape), len(shape)))})


def _lines(array: np.ndarray, axis: int) -> tuple[list[list[float]], tuple[int, ...]]:
    moved = np.moveaxis(array, axis, -1)
    return moved.reshape(-1, moved.shape[-1]).tolist(), moved.shape[:-1]


def _softmax(line: list[float]) -> list[float]:
    top = max(line)
    powers = [math.exp(value - top) for value in line]
    return [power / sum(powers) for power in powers]


def _best(line: list[float]) -> int:
    return line.index(max(line))


@oracle("Softmax", generate=_with_axis, tolerance=within(2e-6))
def softmax(array: np.ndarray, *, axis: int) -> np.ndarray:
    lines, others = _lines(array, axis)
    found = np.array([_softmax(line) for line in lines], np.float32).reshape(*others, -1)
    return np.moveaxis(found, -1, axis)


@oracle("ArgMax", generate=_with_axis, tolerance=same)
def arg_max(array: np.ndarray, *, axis: int) -> np.ndarray:
    lines, others = _lines(array, axis)
    return np.array([_best(line) for line in lines], np.int64).reshape(others)


def _last_axis(rng: np.random.Generator) -> Case:
    return Case((random_scores(rng, _random_shape(rng)),))


@oracle("ArgMaxTensor", generate=_last_axis, tolerance=same)
def arg_max_tensor(array: np.ndarray) -> np.ndarray:
    return arg_max(array, axis=-1)


@oracle("SoftmaxArgMaxTensor", generate=_last_axis, tolerance=(same, within(2e-6), same))
def softmax_arg_max(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lines, others = _lines(array, -1)
    best = np.array([_best(line) for line in lines], np.int64).reshape(others)
    score = np.array([max(_softmax(line)) for line in lines], np.float32).reshape(others)
    return best, score, best


@oracle(
    "SoftmaxMax",
    generate=lambda rng: Case((random_scores(rng, (int(rng.integers(1, 30)),)),)),
    tolerance=within(2e-6),
)
def softmax_max(scores: np.ndarray) -> np.ndarray:
    line = scores.tolist()
    return np.array([_best(line), max(_softmax(line))], np.float32)


def _threshold(rng: np.random.Generator) -> Case:
    scores = random_scores(rng, _random_shape(rng))
    limit = float(rng.choice(scores.reshape(-1))) if rng.integers(2) else float(rng.normal())
    return Case((scores,), {"threshold": limit})


@oracle("Threshold", generate=_threshold, tolerance=same)
def threshold(array: np.ndarray, *, threshold: float) -> np.ndarray:
    flags = [value.item() >= threshold for value in array.reshape(-1)]
    return np.array(flags, np.bool_).reshape(array.shape)


def _top_k(rng: np.random.Generator) -> Case:
    scores = random_scores(rng, (int(rng.integers(1, 30)),))
    if not rng.integers(20):
        scores[rng.integers(scores.size)] = np.nan
    k = int(rng.integers(1, scores.size + 1))
    return Case((scores,), {"k": k, "labels": NAMES_FILE if rng.integers(2) else ""})


@oracle("TopK", generate=_top_k, tolerance=same)
def top_k(scores: np.ndarray, *, k: int, labels: str) -> object:
    values = scores.astype(np.float32).tolist()
    if any(math.isnan(value) for value in values):
        return FAILED
    best = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    if labels and max(best) >= len(NAMES):
        return FAILED
    answer = (np.array(best, np.int64), np.array([values[i] for i in best], np.float32))
    return (*answer, [NAMES[i] for i in best]) if labels else answer


def _ctc(rng: np.random.Generator) -> Case:
    space = bool(rng.integers(2))
    classes = len(CHARACTERS) + 1 + space
    blank = int(rng.choice([0, 0, classes - 1, rng.integers(classes)]))
    steps = int(rng.integers(1, 40))
    # A path with repetitions and blanks, so that texts are not only noise.
    path = np.repeat(rng.choice([blank, *rng.integers(0, classes, 4)], steps), rng.integers(1, 4, steps))[
        :steps
    ]
    scores = rng.uniform(0, 1, (steps, classes))
    scores[np.arange(steps), path] += 2
    logits = bool(rng.integers(2))
    if not logits:
        scores /= scores.sum(axis=1, keepdims=True)
    dtype = str(rng.choice(["float32", "float16"]))
    attributes = {"labels": CHARACTERS_FILE, "blank": blank, "space": space, "logits": logits}
    return Case((scores.astype(dtype),), attributes)


@oracle("CTCGreedyDecode", generate=_ctc, tolerance=(same, within(1e-5)))
def ctc(steps: np.ndarray, *, labels: str, blank: int, space: bool, logits: bool) -> tuple[str, np.float32]:
    characters = [*CHARACTERS, " "] if space else list(CHARACTERS)
    characters.insert(blank, "")
    rows = [_softmax(row) if logits else row for row in steps.astype(np.float64).tolist()]
    best = [_best(row) for row in steps.tolist()]
    text, scores = "", []
    for klass, run in itertools.groupby(range(len(rows)), key=lambda t: best[t]):
        if klass != blank:
            text += characters[klass]
            scores.append(rows[next(iter(run))][klass])
    return text, np.float32(sum(scores) / len(scores) if scores else 0)
