"""Finds ``mean`` and ``std`` for values of 0 to 1 where images of 0 to 255 arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..diagnostics import Bag
from ..ir.graph import Call, Graph
from ..ir.op import Trait
from ..passes.origins import Before, makers
from ..types import ABSENT, Array, Bytes, DType, State

CODE = "TP313"
_DATA = "data"
_KEPT = ("image", "tensor")  # groups of operators that leave the scale of an image as it is ...
_CHANGED = (Trait.NORMALIZES, Trait.USER_CODE)  # ... but for these


def warn_of_small_scales(graph: Graph, bag: Bag) -> None:
    """Warn where an image of 0 to 255 is normalised with numbers that are meant for 0 to 1."""
    assert graph.types is not None
    calls = {call.label: call for _, call in graph.calls()}
    before = graph.types.before
    for node, call in graph.calls():
        op: Any = call.op
        if "mean" not in call.spans or "std" not in call.spans or not _is_small(op.mean, op.std):
            continue
        state = before.get(call.label, {}).get(op.inputs()[0], ABSENT)
        if not _is_of_bytes(calls, before, state, set()):
            continue
        named = " and ".join(f'{key} = "{_times_255(getattr(op, key))}"' for key in ("mean", "std"))
        bag.warning(
            CODE,
            f"{op.name}: 'mean' and 'std' are for values of 0 to 1, but the image has those of 0 to 255",
            call.spans["mean"],
            hint=f"nothing divides by 255 here; times 255 it is {named}",
            node=node.title,
        )


def _is_small(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    """True for numbers of 0 to 1, unless they are those that change nothing."""
    if not mean or not std or (not any(mean) and set(std) == {1.0}):
        return False
    return all(0 <= value <= 1 for value in mean) and all(0 < value <= 1 for value in std)


def _times_255(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value * 255:.6g}" for value in values)


def _is_of_bytes(calls: Mapping[str, Call], before: Before, state: State, seen: set[str]) -> bool:
    """True if an image has values of 0 to 255 on all ways: it is uint8, or was, and only its form changed."""
    if isinstance(state.type, Array) and state.type.dtype is DType.UINT8:
        return True
    made = makers(calls, state)
    if not made or len(made) != len(state.writers):
        return False
    for call in made:
        if call.op.group not in _KEPT or any(map(call.op.has, _CHANGED)) or _DATA not in call.op.inputs():
            return False
        arriving = before.get(call.label, {}).get(_DATA, ABSENT)
        is_decoded = isinstance(arriving.type, Bytes)
        if is_decoded or call.label in seen:
            continue
        seen.add(call.label)
        if not _is_of_bytes(calls, before, arriving, seen):
            return False
    return True
