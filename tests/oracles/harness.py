"""What an oracle is: the meaning of an operator, written without any of the project's code.

An oracle module (``tests/oracles/*.py``) registers, per operator, how random inputs are made, what the
operator has to answer, and how near the answer must be::

    @oracle("ResizeMat", generate=random_resize, tolerance=levels(1))
    def resize_mat(image, *, resize_h, resize_w):
        return ...          # numpy, cv2, Pillow: nothing of ours

``generate(rng)`` returns a `Case`. The oracle function is called with the case's values and attributes.
It returns the value of the one written key, or a tuple in the order of the written keys; `FAILED` where
the operator must refuse the item; None where it must decline it. For an operator that works on batches,
every value is a list with one entry per item, and so is every answer.

Modules are found by their place: a new file in this folder is part of the suite. `all_oracles` loads them.
"""

from __future__ import annotations

import importlib
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Tolerance = Callable[[Any, Any], "str | None"]


class _Failed:
    def __repr__(self) -> str:
        return "FAILED"


FAILED = _Failed()


@dataclass(frozen=True)
class Case:
    """One random input of an operator.

    ``values`` stand in the order of the keys that the operator reads. ``layout`` ("HWC", "CHW", "none")
    and ``color`` ("bgr", "rgb", "gray", "unknown", "none") describe the first value, if it is an image.
    ``compile`` holds attributes that the operator gets and the oracle does not; ``told`` what only the
    oracle gets (such as a colour order that the operator reads from the type).
    """

    values: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    layout: str = "none"
    color: str = "none"
    compile: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Oracle:
    """How an operator is tested; ``tolerance`` is one rule, or one per written key."""

    name: str
    generate: Callable[[np.random.Generator], Case]
    expect: Callable[..., Any]
    tolerance: Tolerance | tuple[Tolerance, ...]
    count: int = 200


ORACLES: dict[str, Oracle] = {}


def oracle(
    *names: str,
    generate: Callable[[np.random.Generator], Case],
    tolerance: Tolerance | tuple[Tolerance, ...],
    count: int = 200,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the oracle of the operators ``names`` (their first names)."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            if name in ORACLES:
                raise ValueError(f"operator {name!r} has two oracles")
            ORACLES[name] = Oracle(name, generate, function, tolerance, count)
        return function

    return register


def all_oracles() -> dict[str, Oracle]:
    """Every registered oracle; loads the modules of this folder first."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        importlib.import_module(f"oracles.{path.stem}")
    return ORACLES


def same(expected: Any, got: Any) -> str | None:
    """Equal in type and value: arrays bit by bit (dtype and shape too), NaN equal to NaN."""
    if isinstance(expected, np.ndarray | np.generic):
        problem = _array_form(expected, got)
        if problem is None and not np.array_equal(expected, got, equal_nan=expected.dtype.kind == "f"):
            problem = _difference(expected, got)
        return problem
    if type(expected) is not type(got) or expected != got:
        return f"expected {reprlib.repr(expected)}, got {reprlib.repr(got)}"
    return None


def within(atol: float, rtol: float = 0.0) -> Tolerance:
    """Same dtype and shape, and ``|got - expected| <= atol + rtol × |expected|`` everywhere."""

    def compare(expected: Any, got: Any) -> str | None:
        problem = _array_form(np.asarray(expected), np.asarray(got))
        if problem is None and not np.allclose(got, expected, rtol=rtol, atol=atol, equal_nan=True):
            problem = _difference(np.asarray(expected), np.asarray(got))
        return problem

    return compare


def near(expected: np.ndarray, got: Any, most: float) -> str | None:
    """Same shape, and no element off by more than ``most``; ``expected`` holds exact values, of any dtype."""
    got = np.asarray(got)
    if expected.shape != got.shape:
        return f"expected {list(expected.shape)}, got {list(got.shape)}"
    gap = np.abs(expected.astype(np.float64) - got.astype(np.float64))
    return None if not gap.size or gap.max() <= most else _difference(expected, got)


def levels(most: float, *, share: float = 1.0) -> Tolerance:
    """Grey levels: no element is off by more than ``most``, at most the fraction ``share`` is off at all."""
    return _both(within(most), mostly(0.01, share=share))


def mostly(most: float, *, share: float) -> Tolerance:
    """At most the fraction ``share`` of the elements is off by more than ``most``.

    Fewer than 200 elements say little about a share: of those, half may be off.
    """

    def compare(expected: Any, got: Any) -> str | None:
        expected, got = np.asarray(expected), np.asarray(got)
        problem = _array_form(expected, got)
        if problem is not None or not got.size:
            return problem
        gap = np.abs(expected.astype(np.float64) - got.astype(np.float64))
        off = float(np.mean(~(gap <= most)))
        allowed = share if got.size >= 200 else max(share, 0.5)
        return None if off <= allowed else f"{off:.1%} of the elements are off (at most {allowed:.1%})"

    return compare


def _both(first: Tolerance, second: Tolerance) -> Tolerance:
    return lambda expected, got: first(expected, got) or second(expected, got)


def _array_form(expected: Any, got: Any) -> str | None:
    if not isinstance(got, np.ndarray | np.generic):
        return f"expected an array, got {type(got).__name__}"
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return f"expected {expected.dtype}{list(expected.shape)}, got {got.dtype}{list(got.shape)}"
    return None


def _difference(expected: Any, got: Any) -> str:
    if expected.dtype.kind not in "biuf":
        return f"expected {reprlib.repr(expected)}, got {reprlib.repr(got)}"
    gap = np.abs(np.asarray(expected, np.float64) - np.asarray(got, np.float64))
    gap = np.where(np.isnan(gap), np.inf, gap)
    where = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.ndim else ()
    place = [int(i) for i in where]
    return f"differs by up to {gap.max():.6g} at {place}: expected {expected[where]}, got {got[where]}"
