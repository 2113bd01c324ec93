"""How far a converted model's answers are from the original's, on samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ..ir.decisive import Boxes, Classes, Decisive
from .ranges import Sample
from .session import open_session, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.float64]

_AXES_OF_SCORES = 2  # [N,C], where nothing is known of an answer
_COORDINATES = 4
_AS_GOOD = 1e-3  # scores of classes that are no farther apart are equal: fp16 tells them apart no better


@dataclass(frozen=True)
class Comparison:
    """A part of what a converted model answers, beside the original's.

    Attributes:
        output: the name of the output, and which part of it.
        rows: how many rows of classes were compared, boxes, or numbers of classes that the model gives
            itself; 0: there are none.
        same_top1: the share of rows with the largest value at the same place.
        largest: the largest difference, relative to the range of the original's values.
        mean: the mean difference, likewise; of boxes, of the values of each that differ most.
        by_value: the differences count, too, where rows do.
    """

    output: str
    rows: int
    same_top1: float
    largest: float
    mean: float
    by_value: bool = False

    def text(self) -> str:
        same = f"top-1 the same in {self.same_top1:.2%} of {self.rows} rows, " if self.rows else ""
        return (
            f"{self.output}: {same}difference {self.largest:.2e} of the range at most, {self.mean:.2e} mean"
        )


@dataclass
class _Differences:
    """Differences, summed over samples, and the range that they are relative to."""

    low: float = float("inf")
    high: float = float("-inf")
    largest: float = 0.0
    total: float = 0.0
    count: int = 0

    def widen(self, values: Values) -> None:
        """The range holds these values, too; infinite ones would make every difference small."""
        import numpy as np

        values = values[np.isfinite(values)]
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def add(self, one: Values, other: Values, axis: int | None = None) -> None:
        """With an ``axis``, the largest difference along it counts, else each does."""
        import numpy as np

        with np.errstate(invalid="ignore"):
            found = np.where(one == other, 0.0, np.abs(one - other))
        found[np.isnan(found)] = np.inf  # a number on one side only, ...
        found[np.isnan(one) & np.isnan(other)] = 0.0  # ... not on neither
        found = found if axis is None else found.max(axis, initial=0.0)
        if found.size:
            self.largest = max(self.largest, float(found.max()))
            self.total += float(found.sum())
            self.count += found.size

    def result(self, output: str, rows: int = 0, same: int = 0, *, by_value: bool = False) -> Comparison:
        scale = self.high - self.low if self.high > self.low else 1.0
        share = same / rows if rows else 1.0
        mean = self.total / max(self.count, 1)
        return Comparison(output, rows, share, self.largest / scale, mean / scale, by_value)


@dataclass
class _Answers:
    """An output of arrays: their values, and of each row the place of the largest one along an axis.

    ``axis``: counted from the end; None: there are no classes. ``is_whole``: each number is a class.
    """

    name: str
    axis: int | None
    is_whole: bool = False
    rows: int = 0
    same: int = 0
    values: _Differences = field(default_factory=_Differences)

    def add(self, one: Values, other: Values) -> None:
        if self.is_whole:
            self._count(one == other)
        elif self.axis is not None and one.shape[self.axis] > 1:
            self._count(one.argmax(self.axis) == other.argmax(self.axis))
        self.values.widen(one)
        self.values.add(one, other)

    def _count(self, same: NDArray[np.bool_]) -> None:
        self.rows += same.size
        self.same += int(same.sum())

    def differs(self) -> None:
        self.values.largest = self.values.total = float("inf")

    def results(self) -> tuple[Comparison, ...]:
        return (self.values.result(self.name, self.rows, self.same),)


@dataclass
class _Detections:
    """An output of a detector: class, scores and coordinates of the boxes that pass in either model.

    Where no box ever does, the scores and coordinates of all boxes count.
    """

    name: str
    part: Boxes
    rows: int = 0
    same: int = 0
    scores: _Differences = field(default_factory=lambda: _Differences(0.0, 1.0))
    boxes: _Differences = field(default_factory=_Differences)
    all_scores: _Differences = field(default_factory=lambda: _Differences(0.0, 1.0))
    all_boxes: _Differences = field(default_factory=_Differences)

    def add(self, one: Values, other: Values) -> None:
        import numpy as np

        (box, scores), (other_box, other_scores) = self._split(one), self._split(other)
        passing = np.maximum(scores.max(-1), other_scores.max(-1)) >= self.part.threshold
        passing |= scores.max(-1) >= self.part.threshold  # a maximum with NaN is NaN
        chosen = other_scores[passing].argmax(-1)[:, None]
        lost = scores[passing].max(-1) - np.take_along_axis(scores[passing], chosen, -1)[:, 0]
        self.rows += lost.size
        self.same += int((lost <= _AS_GOOD).sum())
        for boxes in (self.boxes, self.all_boxes):
            boxes.widen(box)
        self.all_scores.add(scores, other_scores, -1)
        self.all_boxes.add(box, other_box, -1)
        self.scores.add(scores[passing], other_scores[passing], -1)
        self.boxes.add(box[passing], other_box[passing], -1)

    def _split(self, answer: Values) -> tuple[Values, Values]:
        """The coordinates and the scores by class of each box: ``[..., N, 4]`` and ``[..., N, C]``."""
        import numpy as np

        rows = answer.swapaxes(-1, -2) if self.part.is_columns else answer
        scores = rows[..., _COORDINATES:]
        if self.part.has_objectness:
            with np.errstate(invalid="ignore"):
                scores = scores[..., :1] * scores[..., 1:]
        return rows[..., :_COORDINATES], scores

    def differs(self) -> None:
        for one in (self.scores, self.boxes, self.all_scores, self.all_boxes):
            one.largest = one.total = float("inf")

    def results(self) -> tuple[Comparison, ...]:
        if not self.rows:
            which = f"all boxes, as none scores {self.part.threshold:g}"
            return (
                self.all_scores.result(f"{self.name}: scores of {which}"),
                self.all_boxes.result(f"{self.name}: coordinates of {which}"),
            )
        which = f"boxes that score {self.part.threshold:g}"
        return (
            self.scores.result(f"{self.name}: classes of {which}", self.rows, self.same, by_value=True),
            self.boxes.result(f"{self.name}: coordinates of {which}"),
        )


def compare(
    original: bytes,
    converted: bytes,
    samples: Iterable[Sample],
    decisive: Mapping[str, Decisive] | None = None,
) -> tuple[Comparison, ...]:
    """Compute both models on the samples, on the CPU; one comparison per output, of a detector's two.

    Give `Converted.emulated` rather than ``model``: see there. ``decisive`` says by output what is read of
    it. Where nothing does, ``[N,C]`` is taken for scores of classes, and values count in all other arrays.

    Raises:
        ModelError: onnxruntime refuses one of them.
        RunFailed: a sample does not fit.
    """
    import numpy as np

    one, other = open_session(original), open_session(converted)
    names = [output.name for output in one.get_outputs()]
    tallies: dict[str, _Answers | _Detections] = {}
    for sample in samples:
        answers = zip(names, run(one, names, sample), run(other, names, sample), strict=True)
        for name, reference, found in answers:
            if name not in tallies:
                tallies[name] = _tally(name, reference, (decisive or {}).get(name))
            if reference.shape != found.shape:
                tallies[name].differs()
            elif reference.size:
                tallies[name].add(np.asarray(reference, np.float64), np.asarray(found, np.float64))
    return tuple(one for tally in tallies.values() for one in tally.results())


def _tally(name: str, answer: NDArray[np.generic], part: Decisive | None) -> _Answers | _Detections:
    match part:
        case Boxes() if _has_scores(answer, part):
            return _Detections(name, part)
        case Classes(axis) if answer.ndim >= -axis:
            return _Answers(name, axis)
    if answer.dtype.kind in "biu":
        return _Answers(name, None, is_whole=True)
    return _Answers(name, -1 if answer.ndim == _AXES_OF_SCORES else None)


def _has_scores(answer: NDArray[np.generic], part: Boxes) -> bool:
    axis = -2 if part.is_columns else -1
    return answer.ndim >= 2 and answer.shape[axis] > _COORDINATES + part.has_objectness
