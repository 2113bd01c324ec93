"""What a filter makes of one item, and the values of defaults: as the reference sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir.filters import (
    RESULT,
    RUNS,
    SWAPS,
    Condition,
    Equals,
    Filter,
    Has,
    Lacks,
    Never,
    Otherwise,
    OwnStatus,
)
from ..types import Array, Bytes, DType, ListOf, Type
from .kernels import Asked

_SHOWN = 40  # characters of what is no status


class UnknownStatus(Exception):
    """An item brings a status that is none; to the item what a kernel's own ``ItemError`` is."""


def status_of(filter_: Filter, values: Mapping[str, Any], asked: Asked | None) -> str:
    """What becomes of an item with these keys; ``asked`` is the function of a user's filter.

    Raises:
        UnknownStatus: the item's own status is none.
    """
    for check in filter_.checks:
        if not _holds(check.condition, values):
            return check.otherwise.value
    if isinstance(filter_.verdict, OwnStatus):
        status = text_of(values[filter_.verdict.key])
        known = (RUNS, *(one.value for one in Otherwise))
        if status not in known:
            raise UnknownStatus(f"{status[:_SHOWN]!r} is no status; known: {', '.join(known)}")
        return status
    status = asked(values) if asked is not None else RUNS
    return Otherwise.BREAK.value if status == SWAPS and RESULT not in values else status


def wants(filter_: Filter, values: Mapping[str, Any]) -> bool:
    """True if a key that a filter asks for is not there."""
    conditions = (check.condition for check in filter_.checks)
    return any(isinstance(one, Has) and one.key not in values for one in conditions)


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    match condition:
        case Has(key):
            return key in values
        case Lacks(key):
            return key not in values
        case Equals(key, value):
            return key in values and text_of(values[key]) == value
        case Never():
            return False


def text_of(value: Any) -> str:
    """A value as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def default_value(value: Any, type_: Type) -> Any:
    """A TOML value as a value of a type."""
    import numpy as np  # which the command line does without

    if isinstance(type_, Array):
        return np.asarray(value, object if type_.dtype is DType.STRING else type_.dtype.value)
    if isinstance(type_, ListOf):
        return [default_value(element, type_.item) for element in value]
    return value.encode() if isinstance(type_, Bytes) else value
