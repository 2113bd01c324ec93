"""Instance groups: values with ``&`` split a node into groups of instances with ranges of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from ..ir.graph import Call
from ..ir.op import REGISTRY, AttributeField, Op, Trait, attributes_of
from ..ir.settings import Settings
from .keys import NodeValues, Use, Value, build_op, group_part

CODE = "TP293"
SCHEDULING = ("max", "min", "instance_num", "batching_timeout", "force_range")


def group_count(values: NodeValues) -> int:
    """How many instance groups a node has: the longest list among its keys that ``&`` may part."""
    return max(map(_count, _grouped(values).values()), default=1)


def part(values: NodeValues, key: str, index: int) -> Value | None:
    """The value of a scheduling key for one group; a list that doesn't have one for each is reported."""
    value = values.find(key)
    return value and group_part(value, key, index, group_count(values), values)


def build_model(use: Use, values: NodeValues) -> tuple[Op, Any] | None:
    """`build_op` for an operator that runs a model: one that holds those of all groups, if there are some."""
    count = group_count(values)
    if count == 1:
        return build_op(use, values)
    built = [build_op(replace(use, group=index, groups=count), values) for index in range(count)]
    found = [one for one in built if one is not None]
    if len(found) < count:
        return None
    ops = [op for op, _ in found]
    first, spans = found[0]
    for attribute in attributes_of(type(first)):
        differs = any(getattr(op, attribute.name) != getattr(first, attribute.name) for op in ops)
        if differs and not _is_groups_own(attribute):
            message = f"'{attribute.key}' differs between the instance groups, which are one model"
            values.error(CODE, message, spans[attribute.name], "give one value for all groups")
            return None
    changed: Any = first
    return replace(changed, groups=tuple(ops)), spans


def with_batch_ranges(call: Call, settings: Settings) -> Call:
    """Tell operators that run models, and the groups inside them, how large a call of theirs may be."""
    if not call.op.has(Trait.INFERENCE):
        return call
    op: Any = call.op
    groups = settings.groups
    low, high = min(one.min_batch for one in groups), max(one.max_batch for one in groups)
    parts = tuple(
        replace(one, min_batch=group.min_batch, max_batch=group.max_batch)
        for one, group in zip(op.groups, groups, strict=False)
    )
    return replace(call, op=replace(op, min_batch=low, max_batch=high, groups=parts))


def _is_groups_own(attribute: AttributeField) -> bool:
    """True for what each group has of its own: files, and what the engine is built with."""
    declared = attribute.declared
    return declared.file or declared.target is not None


def _grouped(values: NodeValues) -> dict[str, Value]:
    """The values that are lists with a part per group."""
    given = {**values.globals.values, **values.own}
    known = _keys()
    return {
        key: value
        for key, value in given.items()
        if (key in known or key.rpartition("::")[2] in known) and _count(value) > 1
    }


@cache
def _keys() -> frozenset[str]:
    models = {cls for cls in REGISTRY.values() if Trait.INFERENCE in cls.traits}
    own = (
        spelling for cls in models for one in attributes_of(cls) if one.is_key for spelling in one.spellings
    )
    return frozenset({*SCHEDULING, *own})


def _count(value: Value) -> int:
    return value.raw.count("&") + 1 if isinstance(value.raw, str) else 1
