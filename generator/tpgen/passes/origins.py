"""Which calls a value comes from: for messages that name the operator that has to be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir.filters import DATA
from ..ir.graph import Call
from ..ir.op import SizeKey, attributes_of
from ..types import ABSENT, Array, Dim, Layout, State, Type

# How operators call the height and the width of what they make, as attributes or as keys of the item.
_SIDES = (("resize_h", "max_h", "target_h"), ("resize_w", "max_w", "target_w"))

Before = Mapping[str, Mapping[str, State]]  # the keys before each call, by its label


def makers(calls: Mapping[str, Call], state: State) -> list[Call]:
    """The calls that a value may come from; ``calls`` are those of the graph, by label."""
    return [calls[label] for label in sorted(state.writers) if label in calls]


def sides(type_: Type | None) -> tuple[Dim, Dim] | None:
    """Height and width of an image; None for what is none, or has them in an order that varies."""
    if not isinstance(type_, Array) or type_.layout not in (Layout.HWC, Layout.CHW):
        return None
    return type_.shape[:2] if type_.layout is Layout.HWC else type_.shape[1:]  # type: ignore[return-value]


def size_keys(
    calls: Mapping[str, Call], before: Before, state: State, type_: Type
) -> tuple[SizeKey | None, SizeKey | None]:
    """What fixes the height and the width of an image; None for a side that no key of one operator does."""
    found = sides(type_)
    if found is None:
        return None, None
    height, width = (_fixed(calls, before, state, side, size) for side, size in enumerate(found))
    return height, width


def _fixed(calls: Mapping[str, Call], before: Before, state: State, side: int, size: Dim) -> SizeKey | None:
    """The attribute that gives a side of an image its size, found from the last operator to the first."""
    seen: set[str] = set()
    while isinstance(size, int) and len(made := makers(calls, state)) == 1 == len(state.writers):
        (call,) = made
        own = _attribute(call, side, size)
        if own is not None or call.label in seen:
            return own
        seen.add(call.label)
        arriving = before.get(call.label, {})
        asked = next((key for key in _SIDES[side] if key in call.op.inputs()), None)
        if asked is not None:
            writers = makers(calls, arriving.get(asked, ABSENT))
            return _attribute(writers[0], side, size) if len(writers) == 1 else None
        state = arriving.get(DATA, ABSENT)
        came = sides(state.type)
        if DATA not in call.op.inputs() or came is None or came[side] != size:
            return None
    return None


def _attribute(call: Call, side: int, size: int) -> SizeKey | None:
    op: Any = call.op
    for one in attributes_of(type(op)):
        if one.is_key and one.name in _SIDES[side] and getattr(op, one.name) == size:
            return SizeKey(op.name, call.node, one.key)
    return None
