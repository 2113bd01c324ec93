"""A node's scheduling keys: batches, instances, waiting, and what becomes of failures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir.graph import Call, OnError, Settings
from ..ir.op import Trait, declared_attributes
from .keys import NodeValues, Value
from .tables import NodeKeys
from .values import ValueProblem, parse_extent

NODE_FIELDS = {f.key: f for f in declared_attributes(NodeKeys)}


def with_batch_range(call: Call, settings: Settings) -> Call:
    """Tell operators that take batches how large a call of theirs may be."""
    if not call.op.has(Trait.INFERENCE):
        return call
    op: Any = call.op
    return replace(call, op=replace(op, max_batch=settings.max_batch, min_batch=settings.min_batch))


def settings_of(values: NodeValues) -> Settings:
    """The scheduling keys of a node."""

    def number(key: str) -> Any:
        value = values.find(key)
        if value is None or names_groups(values, value):
            return None
        return values.parse(NODE_FIELDS[key], value)

    low, high = _extent(values, "min", 0), _extent(values, "max", 1)
    if low > high:
        at = values.own.get("min") or values.own.get("max")
        message = f"'min' is {low}, more than 'max', which is {high}"
        values.error("TP104", message, at.span if at else values.span)
    instances, wait, timeout = (number(key) for key in ("instance_num", "batching_timeout", "timeout_ms"))
    return Settings(low, high, instances or 1, wait, timeout, number("retry") or 0)


def on_error_of(values: NodeValues) -> OnError | None:
    """What the node does with items that an operator fails on; None: they fail."""
    value = values.find("on_error")
    if value is None or value.raw == "fail":
        return None
    if value.raw == "skip":
        return OnError(value.span)
    return OnError(value.span, value.raw, has_default=True)


def _extent(values: NodeValues, key: str, which: int) -> int:
    value = values.find(key)
    if value is None or names_groups(values, value):
        return 1
    try:
        return parse_extent(key, value.raw)[which]
    except ValueProblem as problem:
        values.error(problem.code, problem.message, value.span, problem.hint)
        return 1


def names_groups(values: NodeValues, value: Value) -> bool:
    """Report a value with a part per instance group."""
    if not (isinstance(value.raw, str) and "&" in value.raw):
        return False
    message = "instance groups ('&') are not compiled by this version"
    values.error("TP293", message, value.span, "one range serves every batch size: min = 1, max = 8")
    return True
