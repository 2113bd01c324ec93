"""Whether a converted model's answers differ too much from the original's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .comparing import Comparison

SAME_TOP1 = 0.995  # half precision: the share of rows whose largest value stays where it is
LARGEST_DIFFERENCE = 1e-2  # half precision: of the range of an output that is judged by its values
ACCURACY_LOST = 0.01  # int8


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


def half_gates(comparisons: Iterable[Comparison]) -> tuple[Gate, ...]:
    """The limits of fp16 and bf16: the same class, or where an output has none, close values."""
    return gates_of(comparisons, "fp16", None)


def gates_of(comparisons: Iterable[Comparison], precision: str, most: float | None) -> tuple[Gate, ...]:
    """The limits of a conversion; ``most`` is the loss that the user accepts, None for the usual ones.

    The loss: the share of rows whose largest value moves (which is more than what accuracy can lose); where
    an output has no classes, or too few rows to tell so small a share, a difference as a share of its range:
    the largest one, of int8 the mean.
    """
    return tuple(gate for one in comparisons for gate in _gates(one, precision == "int8", most))


def _gates(found: Comparison, is_int8: bool, most: float | None) -> Iterator[Gate]:
    share = ACCURACY_LOST if is_int8 else 1.0 - SAME_TOP1
    needed = round(1.0 / share)  # one row of fewer is more than may move
    if found.rows >= needed:
        what = f"{found.output}: share of rows with the same top-1"
        yield Gate(what, found.same_top1, 1.0 - (share if most is None else most), at_least=True)
        if not found.by_value:
            return
    name, value = ("mean", found.mean) if is_int8 else ("largest", found.largest)
    if most is None:
        most = ACCURACY_LOST if is_int8 else LARGEST_DIFFERENCE
    few = f" (top-1 is not judged: {found.rows} rows, of {needed})" if 0 < found.rows < needed else ""
    yield Gate(f"{found.output}: {name} difference, of the range{few}", value, most)


def accuracy_gate(original: float, converted: float) -> Gate:
    """The limit of int8: at most a point of accuracy (both 0 to 1) is lost."""
    return Gate("accuracy lost", original - converted, ACCURACY_LOST)
