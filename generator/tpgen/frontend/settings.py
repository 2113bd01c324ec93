"""A node's scheduling keys: batches, instances, waiting, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.op import declared_attributes
from ..ir.settings import InstanceGroup, OnError, Settings
from .batches import Shapes, parse_forced, parse_range, parse_shapes, profiles_of, range_of, unreachable
from .groups import group_count, part
from .keys import NodeValues, Value
from .tables import NodeKeys
from .values import ValueProblem

NODE_FIELDS = {f.key: f for f in declared_attributes(NodeKeys)}


def settings_of(values: NodeValues) -> Settings:
    """The scheduling keys of a node."""

    def number(key: str, value: Value | None) -> Any:
        return None if value is None else values.parse(NODE_FIELDS[key], value)

    count = group_count(values)
    groups = tuple(_group(values, index) for index in range(count))
    ranges = [(group.min_batch, group.max_batch) for group in groups]
    if count > 1:
        _check_gap(values, ranges)
    low, high = _node_range(values, ranges)
    waits = [number("batching_timeout", part(values, "batching_timeout", index)) for index in range(count)]
    return Settings(
        low,
        high,
        sum(group.instance_num for group in groups),
        max((wait for wait in waits if wait is not None), default=None),
        number("timeout_ms", values.find("timeout_ms")),
        number("retry", values.find("retry")) or 0,
        groups,
    )


def _group(values: NodeValues, index: int) -> InstanceGroup:
    """One instance group; where its values are wrong, which is reported, a plain one."""
    before = values.errors
    number = part(values, "instance_num", index)
    instances = values.parse(NODE_FIELDS["instance_num"], number) if number is not None else None
    shapes = [_shapes(values, key, index) for key in ("min", "max")]
    if values.errors > before:
        return InstanceGroup()  # what stands in for a wrong value does not fit the others
    try:
        profiles = profiles_of(*shapes)
    except ValueProblem as problem:
        at = values.own.get("min") or values.own.get("max")
        values.error(problem.code, problem.message, at.span if at else values.span, problem.hint)
        return InstanceGroup()
    low, high = range_of(profiles)
    forced = part(values, "force_range", index)
    if forced is not None:
        try:
            low, high = parse_forced(forced.raw, (len(profiles), instances or 1))
        except ValueProblem as problem:
            values.error(problem.code, problem.message, forced.span, problem.hint)
    return InstanceGroup(low, high, instances or 1, profiles)


def _shapes(values: NodeValues, key: str, index: int) -> tuple[Shapes, ...]:
    value = part(values, key, index)
    if value is not None:
        try:
            return parse_shapes(key, value.raw)
        except ValueProblem as problem:
            values.error(problem.code, problem.message, value.span, problem.hint)
    return (((1,),),)


def _check_gap(values: NodeValues, ranges: Sequence[tuple[int, int]]) -> None:
    """Report sizes that no group takes, and no calls of several groups add up to."""
    missing = unreachable(ranges)
    at = values.find("min") or values.find("max")
    if missing and at is not None:
        sizes = ", ".join(map(str, missing))
        message = f"the instance groups leave a gap: no calls make a batch of {sizes}"
        hint = 'one group has to take a single item: min = "1&4", max = "1&4"'
        values.error("TP293", message, at.span, hint)


def _node_range(values: NodeValues, ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The batches that the node takes: what its groups do, or the ``range`` of a ``Range[...]``."""
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if "Range" not in values.containers:
        stray = values.own.get("range")
        if stray is not None and "range" not in values.used:
            message = "'range' belongs to Range[...], which this node does not have"
            values.error("TP291", message, stray.key_span, 'write backend = "Range[TensorrtTensor]"')
        return low, high
    value = values.find("range")
    if value is None:
        message = "'Range' needs the key 'range' (the smallest and the largest batch that the node takes)"
        values.error("TP108", message, values.span, f'add it to [{values.node}]: range = "1,{high}"')
        return low, high
    try:
        smallest, largest = parse_range("range", value.raw)
    except ValueProblem as problem:
        values.error(problem.code, problem.message, value.span, problem.hint)
        return low, high
    if largest < low:
        message = f"'range' goes from {smallest} to {largest}, but the operator takes {low} to {high}"
        hint = "every call would be filled up with rows that nobody asked for"
        values.error("TP291", message, value.span, hint)
    return smallest, largest


def on_error_of(values: NodeValues) -> OnError | None:
    """What the node does with items that an operator fails on; None: they fail."""
    value = values.find("on_error")
    if value is None or value.raw == "fail":
        return None
    if value.raw == "skip":
        return OnError(value.span)
    return OnError(value.span, value.raw, has_default=True)
