"""The keys of a node that are about the Triton model that it runs in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.serving import GPUS, KEYS, PROVIDER_OPTIONS, Asked, Serving
from ..source import Span
from .keys import NodeValues, Value
from .node_tables import NodeTable
from .settings import NODE_FIELDS


def serving_of(values: NodeValues, table: NodeTable) -> Serving:
    """What a node, or the table of globals, asks of the model; what is wrong is reported."""
    found = {}
    for key in KEYS:
        value = values.find(key)
        if value is None:
            continue
        before = values.errors
        parsed = values.parse(NODE_FIELDS[key], value)
        if key == GPUS and values.errors == before:
            _check_gpus(values, value, parsed)
        if key == PROVIDER_OPTIONS and values.errors == before:
            _check_options(values, value, parsed, _inside(table, key))
        if values.errors == before:
            found[key] = Asked(parsed, value.key_span, key in values.own, _inside(table, key))
    return found


def _check_gpus(values: NodeValues, value: Value, gpus: Sequence[int]) -> None:
    """Report lists that Triton takes for something else than what they say."""
    if not gpus:
        message = "'gpus' names none, which Triton takes for all GPUs"
        hint = "leave the key out for all, or name some: gpus = [0]"
        values.error("TP104", message, value.span, hint)
    twice = sorted({gpu for gpu in gpus if list(gpus).count(gpu) > 1})
    if twice:
        message = f"'gpus' names GPU {', '.join(map(str, twice))} more than once"
        hint = 'instance_num with [pipeline] instances = "as-written" is the number of instances on each'
        values.error("TP104", message, value.span, hint)


def _check_options(
    values: NodeValues, value: Value, options: Mapping[str, Any], places: Mapping[tuple[str, ...], Span]
) -> None:
    """Report values that are no text, number or switch, which is all that a provider can be given."""
    for name, option in options.items():
        if not isinstance(option, str | int | float):
            kind = "a table" if isinstance(option, Mapping) else "a list"
            message = f"'{name}' of '{PROVIDER_OPTIONS}' is {kind}, but a text, a number or true is needed"
            values.error("TP103", message, places.get((name,), value.span), f'for example {name} = "..."')


def _inside(table: NodeTable, key: str) -> dict[tuple[str, ...], Span]:
    """The places of what a table holds, by path in it; a value of ``--set`` has none."""
    if key in table.given:
        return {}
    path = table.places.get(key, (key,))
    spans = table.document.spans
    return {at[len(path) :]: spans[at].key for at in spans if at[: len(path)] == path and at != path}
