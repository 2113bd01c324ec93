"""How much a converted model's answers differ from the original's, and whether that is too much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ranges import Sample
from .session import open_session, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAME_TOP1 = 0.995  # half precision: the share of rows whose largest value stays where it is
LARGEST_DIFFERENCE = 1e-2  # half precision: of the range of an output that has no classes
ACCURACY_LOST = 0.01  # int8
_AXES_OF_MAPS = 4  # rows of classes are [N, C] or [N, T, C]


@dataclass(frozen=True)
class Comparison:
    """One output of a converted model beside the original's.

    Attributes:
        output: its name.
        rows: how many rows of classes (the last axis) were compared, or numbers of classes that the model
            gives itself; 0: the output has neither.
        same_top1: the share of rows with the largest value at the same place.
        largest: the largest difference, relative to the range of the original's values.
        mean: the mean difference, likewise.
    """

    output: str
    rows: int
    same_top1: float
    largest: float
    mean: float

    def text(self) -> str:
        same = f"top-1 the same in {self.same_top1:.2%} of {self.rows} rows, " if self.rows else ""
        return (
            f"{self.output}: {same}difference {self.largest:.2e} of the range at most, {self.mean:.2e} mean"
        )


@dataclass(frozen=True)
class Gate:
    """A figure with its limit."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """False for a figure that is no number, too."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def accepts(self) -> float:
        """The least loss that would have to be accepted for this to pass; two digits, rounded up."""
        lost = 1.0 - self.value if self.at_least else self.value
        digits = 1 - math.floor(math.log10(lost)) if 0 < lost < math.inf else 0
        return math.ceil(round(lost * 10**digits, 6)) / 10**digits if lost < math.inf else 1.0

    @property
    def figure(self) -> str:
        """What was found beside what is allowed."""
        side = "at least" if self.at_least else "at most"
        return f"{self.what}: {self.value:.5g} ({side} {self.limit:g})"

    def text(self) -> str:
        return f"{'ok' if self.passed else 'FAILED'}: {self.figure}"


@dataclass
class _Tally:
    """Sums over samples for one output; the last axis of a ``best`` one is a class, and its value."""

    best: bool = False
    low: float = float("inf")
    high: float = float("-inf")
    largest: float = 0.0
    total: float = 0.0
    values: int = 0
    rows: int = 0
    same: int = 0
    classes: bool = True

    def add(self, reference: NDArray[np.generic], found: NDArray[np.generic]) -> None:
        import numpy as np

        one, other = np.asarray(reference, np.float64), np.asarray(found, np.float64)
        if not one.size:
            return
        if one.shape != other.shape:
            self.largest = self.total = float("inf")
            return
        if self.best:
            self._count(one[..., 0] == other[..., 0])
            one, other = one[..., 1], other[..., 1]
        elif reference.dtype.kind in "biu":
            self._count(one == other)
        elif self.classes and 1 < one.ndim < _AXES_OF_MAPS and one.shape[-1] > 1:
            self._count(one.argmax(-1) == other.argmax(-1))
        else:
            self.classes = False
        self.low, self.high = min(self.low, float(one.min())), max(self.high, float(one.max()))
        with np.errstate(invalid="ignore"):
            difference = np.where(one == other, 0.0, np.abs(one - other))
        difference[np.isnan(difference)] = np.inf  # a number on one side only
        self.largest = max(self.largest, float(difference.max()))
        self.total += float(difference.sum())
        self.values += one.size

    def _count(self, same: NDArray[np.bool_]) -> None:
        self.rows += same.size
        self.same += int(same.sum())

    def result(self, output: str) -> Comparison:
        spread = self.high - self.low
        scale = spread if spread > 0 else 1.0
        rows = self.rows if self.classes else 0
        share = self.same / rows if rows else 1.0
        mean = self.total / max(self.values, 1)
        return Comparison(output, rows, share, self.largest / scale, mean / scale)


def compare(
    original: bytes, converted: bytes, samples: Iterable[Sample], best: str = ""
) -> tuple[Comparison, ...]:
    """Compute both models on the samples, on the CPU; one comparison per output.

    Give `Converted.emulated` rather than ``model``: see there. ``best`` names an output that pairs the number
    of the best class with its value (`ir.rewrite.Tail`).

    Raises:
        ModelError: onnxruntime refuses one of them.
        RunFailed: a sample does not fit.
    """
    one, other = open_session(original), open_session(converted)
    names = [output.name for output in one.get_outputs()]
    tallies = {name: _Tally(best=name == best) for name in names}
    for sample in samples:
        for name, reference, found in zip(
            names, run(one, names, sample), run(other, names, sample), strict=True
        ):
            tallies[name].add(reference, found)
    return tuple(tally.result(name) for name, tally in tallies.items())


def half_gates(comparisons: Iterable[Comparison]) -> tuple[Gate, ...]:
    """The limits of fp16 and bf16: the same class, or where an output has none, close values."""
    return tuple(
        _same_classes(c, 1.0 - SAME_TOP1)
        if c.rows
        else Gate(f"{c.output}: largest difference, of the range", c.largest, LARGEST_DIFFERENCE)
        for c in comparisons
    )


def gates_of(comparisons: Iterable[Comparison], precision: str, most: float | None) -> tuple[Gate, ...]:
    """The limits of a conversion; ``most`` is the loss that the user accepts, None for the usual ones.

    The loss: the share of rows whose largest value moves (which is more than what accuracy can lose); where
    an output has no classes, a difference as a share of its range: the largest one, of int8 the mean.
    """
    if precision != "int8" and most is None:
        return half_gates(comparisons)
    found = []
    for c in comparisons:
        limit = ACCURACY_LOST if most is None else most
        if c.rows:
            found.append(_same_classes(c, limit, exactly=most is not None))
        elif precision == "int8":
            found.append(Gate(f"{c.output}: mean difference, of the range", c.mean, limit))
        else:
            found.append(Gate(f"{c.output}: largest difference, of the range", c.largest, limit))
    return tuple(found)


def _same_classes(found: Comparison, lost: float, *, exactly: bool = False) -> Gate:
    """A limit on rows that change; one row of few may, unless the limit is the user's own."""
    lost = lost if exactly else max(lost, 1.0 / found.rows)
    what = f"{found.output}: share of rows with the same top-1"
    return Gate(what, found.same_top1, 1.0 - lost, at_least=True)


def accuracy_gate(original: float, converted: float) -> Gate:
    """The limit of int8: at most a point of accuracy (both 0 to 1) is lost."""
    return Gate("accuracy lost", original - converted, ACCURACY_LOST)


def gates_text(comparisons: Sequence[Comparison], gates: Sequence[Gate]) -> str:
    """Comparisons and verdicts, a line each."""
    lines = [comparison.text() for comparison in comparisons] + [gate.text() for gate in gates]
    return "".join(f"{line}\n" for line in lines)
