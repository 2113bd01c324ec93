"""How much a converted model's answers differ from the original's, and whether that is too much."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Comparison:
    """One output of a converted model beside the original's.

    Attributes:
        output: its name.
        rows: how many rows of classes (the last axis) were compared; 0: the output has no such axis.
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

    def text(self) -> str:
        verdict = "ok" if self.passed else "FAILED"
        side = "at least" if self.at_least else "at most"
        return f"{verdict}: {self.what}: {self.value:.5g} ({side} {self.limit:g})"


@dataclass
class _Tally:
    """Sums over samples for one output."""

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
        self.low, self.high = min(self.low, float(one.min())), max(self.high, float(one.max()))
        with np.errstate(invalid="ignore"):
            difference = np.where(one == other, 0.0, np.abs(one - other))
        difference[np.isnan(difference)] = np.inf  # a number on one side only
        self.largest = max(self.largest, float(difference.max()))
        self.total += float(difference.sum())
        self.values += one.size
        self.classes = self.classes and one.ndim > 1 and one.shape[-1] > 1
        if self.classes:
            self.rows += one.size // one.shape[-1]
            self.same += int((one.argmax(-1) == other.argmax(-1)).sum())

    def result(self, output: str) -> Comparison:
        spread = self.high - self.low
        scale = spread if spread > 0 else 1.0
        rows = self.rows if self.classes else 0
        share = self.same / rows if rows else 1.0
        mean = self.total / max(self.values, 1)
        return Comparison(output, rows, share, self.largest / scale, mean / scale)


def compare(original: bytes, converted: bytes, samples: Iterable[Sample]) -> tuple[Comparison, ...]:
    """Compute both models on the samples, on the CPU; one comparison per output.

    Give `Converted.emulated` rather than ``model``: see there.

    Raises:
        ModelError: onnxruntime refuses one of them.
        RunFailed: a sample does not fit.
    """
    one, other = open_session(original), open_session(converted)
    names = [output.name for output in one.get_outputs()]
    tallies = {name: _Tally() for name in names}
    for sample in samples:
        for name, reference, found in zip(
            names, run(one, names, sample), run(other, names, sample), strict=True
        ):
            tallies[name].add(reference, found)
    return tuple(tally.result(name) for name, tally in tallies.items())


def half_gates(comparisons: Iterable[Comparison]) -> tuple[Gate, ...]:
    """The limits of fp16 and bf16: the same class, or where an output has none, close values."""
    return tuple(
        Gate(f"{c.output}: share of rows with the same top-1", c.same_top1, SAME_TOP1, at_least=True)
        if c.rows
        else Gate(f"{c.output}: largest difference, of the range", c.largest, LARGEST_DIFFERENCE)
        for c in comparisons
    )


def accuracy_gate(original: float, converted: float) -> Gate:
    """The limit of int8: at most a point of accuracy (both 0 to 1) is lost."""
    return Gate("accuracy lost", original - converted, ACCURACY_LOST)


def gates_text(comparisons: Sequence[Comparison], gates: Sequence[Gate]) -> str:
    """Comparisons and verdicts, a line each."""
    lines = [comparison.text() for comparison in comparisons] + [gate.text() for gate in gates]
    return "".join(f"{line}\n" for line in lines)
