"""The keys of a node that are about the Triton model that it runs in."""

from __future__ import annotations

from ..ir.serving import KEYS, Asked, Serving
from ..source import Span
from .keys import NodeValues
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
        if values.errors == before:
            found[key] = Asked(parsed, value.key_span, key in values.own, _inside(table, key))
    return found


def _inside(table: NodeTable, key: str) -> dict[tuple[str, ...], Span]:
    """The places of what a table holds, by path in it; a value of ``--set`` has none."""
    if key in table.given:
        return {}
    path = table.places.get(key, (key,))
    spans = table.document.spans
    return {at[len(path) :]: spans[at].key for at in spans if at[: len(path)] == path and at != path}
