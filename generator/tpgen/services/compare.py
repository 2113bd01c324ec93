"""Comparing one answer with its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class OfRange:
    """A difference that is allowed, as a share of the range of the reference's values."""

    share: float


Tolerance = float | OfRange | None  # None: `FLOAT_TOLERANCE` times the larger of 1 and the largest value
HALF = OfRange(1e-2)  # of engines that don't compute in fp32


@dataclass(frozen=True)
class Comparison:
    """The largest absolute difference and the one allowed where it was found; ``equal``: within it."""

    difference: float = 0.0
    allowed: float = 0.0
    equal: bool = True

    def worst(self, other: Comparison) -> Comparison:
        """The one that is further from being equal, by the ratio of difference and allowance."""
        return other if _rank(other) >= _rank(self) else self


def _rank(comparison: Comparison) -> tuple[bool, float]:
    ratio = comparison.difference / comparison.allowed if comparison.allowed else comparison.difference
    return not comparison.equal, ratio


DIFFERENT = Comparison(float("inf"), 0.0, equal=False)


def compare_values(found: Any, wanted: Any, tolerance: Tolerance) -> Comparison:
    """Compare an answer with the reference's value; None stands for an absent one.

    Floats may differ by ``tolerance`` (default: 1e-4 times the larger of 1 and the reference's largest
    value); everything else must be equal.
    """
    if wanted is None or found is None:
        return Comparison() if wanted is None and found is None else DIFFERENT
    if isinstance(wanted, bytes | str):
        return Comparison() if _plain(found) == _plain(wanted) else DIFFERENT
    if isinstance(wanted, list | tuple):
        return _compare_lists(found, wanted, tolerance)
    return _compare_arrays(_as_array(found), _as_array(wanted), tolerance)


def is_empty(value: Any) -> bool:
    """True for a value in which nothing else can differ: an absent one, lists and arrays of no element."""
    if isinstance(value, list | tuple):
        return all(is_empty(one) for one in value)
    return value is None or (isinstance(value, np.ndarray) and value.size == 0)


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, bytes | str):
        return np.array([value, None], object)[:1].reshape(())  # an array of numpy's own strings drops NULs
    return np.asarray(value)


def _plain(value: Any) -> bytes:
    item = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return item.encode() if isinstance(item, str) else bytes(item)


def _compare_lists(found: Any, wanted: Any, tolerance: Tolerance) -> Comparison:
    if len(found) != len(wanted):
        return DIFFERENT
    worst = Comparison()
    for one, other in zip(found, wanted, strict=True):
        worst = worst.worst(compare_values(one, other, tolerance))
    return worst


def _compare_arrays(
    found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], tolerance: Tolerance
) -> Comparison:
    # On the wire a scalar and an array of one element are the same, and the client takes them for a scalar.
    if found.size == wanted.size == 1 and 0 in (found.ndim, wanted.ndim):
        found, wanted = found.reshape(()), wanted.reshape(())
    if found.shape != wanted.shape:
        return DIFFERENT
    if wanted.dtype.kind in "OSU":
        same = [_plain(a) == _plain(b) for a, b in zip(found.reshape(-1), wanted.reshape(-1), strict=True)]
        return Comparison() if all(same) else DIFFERENT
    if found.dtype != wanted.dtype:
        return DIFFERENT
    if wanted.dtype.kind != "f":
        return Comparison() if np.array_equal(found, wanted) else DIFFERENT
    if wanted.size == 0:
        return Comparison()
    return _compare_floats(found.astype(np.float64), wanted.astype(np.float64), tolerance)


def _compare_floats(
    found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], tolerance: Tolerance
) -> Comparison:
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(found)) or not np.array_equal(
        found[~finite], wanted[~finite], equal_nan=True
    ):
        return DIFFERENT
    largest = float(np.max(np.abs(wanted[finite]), initial=0.0))
    allowed = FLOAT_TOLERANCE * max(1.0, largest)
    if isinstance(tolerance, OfRange):
        allowed = max(allowed, tolerance.share * float(np.ptp(wanted[finite])) if finite.any() else 0.0)
    elif tolerance is not None:
        allowed = tolerance
    difference = float(np.max(np.abs(found - wanted)[finite], initial=0.0))
    return Comparison(difference, allowed, difference <= allowed)
