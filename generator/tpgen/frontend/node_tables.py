"""The tables of the file as nodes: their raw values, logical nodes, borrowed keys, values of ``--set``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..ir.serving import TABLES
from ..source import SourceFile, Span, TomlDocument
from .keys import Value, near_hint
from .located import Located, locate
from .macros import expand, expand_offsets, report_unknown
from .pipeline_table import check_model_name
from .shown import shown
from .structure import Edge
from .tables import PIPELINE_TABLE, RESERVED_NODE_NAMES


@dataclass(frozen=True)
class NodeTable:
    """A node's raw table; ``given`` are the values of ``--set``, which the document does not hold.

    ``places`` are the paths of the values in the document; ``physical`` is the node that it stands for, too.
    """

    name: str
    document: TomlDocument
    span: Span
    values: dict[str, Value]
    given: dict[str, Located]
    places: dict[str, tuple[str, ...]]
    physical: str

    def located(self, key: str) -> Located:
        """The value of a key as text, with the places of its characters."""
        return self.given.get(key) or locate(self.document, self.places[key])

    def item_span(self, key: str, index: int) -> Span:
        """The place of an item of an array."""
        return self.document.spans[(*self.places[key], str(index))].value

    def logical(self, name: str, span: Span, values: dict[str, Value], own: tuple[str, ...]) -> NodeTable:
        """Another occurrence of the node in the graph: its own values stand above those of this one."""
        places = {**self.places, **{key: (*own, key) for key in values}}
        return NodeTable(name, self.document, span, {**self.values, **values}, {}, places, self.physical)


def split_tables(document: TomlDocument, bag: Bag) -> tuple[dict[str, Value], dict[str, NodeTable]]:
    """The values above the first node, and the nodes' tables, logical nodes and borrowed keys resolved."""
    globals_: dict[str, Value] = {}
    tables: dict[str, NodeTable] = {}
    for name, raw in document.data.items():
        if name == PIPELINE_TABLE:
            continue
        place = document.spans[(name,)]
        if isinstance(raw, list) and any(isinstance(item, dict) for item in raw):
            bag.error("TP103", f"'{name}' is a list of tables", place.key, hint=f"a node is one: [{name}]")
        elif not isinstance(raw, dict):
            globals_[name] = Value(raw, place.value, place.key)
        else:
            if name in RESERVED_NODE_NAMES:
                message = f"'{name}' is a word of the dialect, and cannot be a node's name"
                bag.error("TP109", message, place.key, hint="give the node another name")
            for table in _read_tables(document, (name,), raw, None, bag):
                tables[table.name] = table
    return globals_, _with_borrowed(tables, bag)


def _read_tables(
    document: TomlDocument, path: tuple[str, ...], raw: Mapping[str, Any], outer: NodeTable | None, bag: Bag
) -> Iterator[NodeTable]:
    """The node of a table, and its logical nodes: ``[rec.2]`` inherits the keys of ``[rec]``."""
    name, place = ".".join(path), document.spans[path]
    check_model_name(name, "a node's name", place.key, bag, name)
    inner: dict[str, Mapping[str, Any]] = {}
    values: dict[str, Value] = {}
    for key, value in raw.items():
        at = document.spans[(*path, key)]
        if isinstance(value, dict) and key not in _TABLE_KEYS and not at.value.text.startswith("{"):
            inner[key] = value
        else:
            values[key] = Value(value, at.value, at.key)
    if outer is None:
        places = {key: (*path, key) for key in values}
        table = NodeTable(name, document, place.key, values, {}, places, name)
    else:
        table = outer.logical(name, place.key, values, path)
    if values or outer is not None or not inner:
        yield table
    for key, value in inner.items():
        yield from _read_tables(document, (*path, key), value, table, bag)


_TABLE_KEYS = ("inputs", "outputs", "arguments", *TABLES)  # no logical nodes
_OWN_KEYS = ("next", "map", "filter", "or")  # of the place in the graph, which nobody borrows


def _with_borrowed(tables: dict[str, NodeTable], bag: Bag) -> dict[str, NodeTable]:
    """The tables; one with ``borrow_from`` has the keys of the node that it shares."""
    found = {}
    for name, table in tables.items():
        given = table.values.get("borrow_from")
        found[name] = table
        if given is None:
            continue
        wanted = str(given.raw)
        other = tables.get(wanted)
        if other is None or other is table:
            hint = near_hint(wanted, [one for one in tables if one != name])
            bag.error("TP201", f"unknown node {shown(wanted)} in 'borrow_from'", given.span, hint=hint)
        elif "borrow_from" in other.values:
            message = f"'{other.name}' borrows itself: a node shares one that has a backend of its own"
            bag.error("TP105", message, given.span, hint="name the node that the other one borrows from")
        else:
            kept = {key: value for key, value in other.values.items() if key not in _OWN_KEYS}
            places = {**other.places, **table.places}
            values = {**kept, **table.values}
            found[name] = replace(table, values=values, places=places, physical=other.physical)
    return found


def apply_overrides(
    overrides: Mapping[tuple[str, str], str], tables: Mapping[str, NodeTable], bag: Bag
) -> None:
    """Put the values of ``--set`` into the tables; nodes that do not exist are reported."""
    for (node, key), text in overrides.items():
        source = SourceFile("--set", f"{node}.{key}={text}")
        start = len(node) + len(key) + 2
        value = Value(
            expand(text), Span(source, start, len(source.text)), Span(source, len(node) + 1, start - 1)
        )
        if node not in tables:
            bag.error(
                "TP201",
                f"unknown node {shown(node)}",
                Span(source, 0, len(node)),
                hint=near_hint(node, tables),
            )
            continue
        tables[node].values[key] = value
        offsets = tuple(range(start, len(source.text) + 1))
        report_unknown(text, offsets, value.span, bag)
        tables[node].given[key] = Located(expand(text), value.span, expand_offsets(text, offsets))


def report_orphans(tables: Mapping[str, NodeTable], globals_: Mapping[str, Value], bag: Bag) -> None:
    """Report nested tables without a backend whose outer table is no node: nothing says what they run."""
    for name, table in tables.items():
        outer, _, number = name.rpartition(".")
        is_nested = bool(outer) and name not in table.document.data
        if not is_nested or outer in tables or {"backend", "borrow_from"} & {*table.values, *globals_}:
            continue
        near = did_you_mean(outer, tables.keys() - {name})
        hint = f"did you mean [{near}.{number}]?" if near else f"give it a backend, or write a node [{outer}]"
        message = f"{shown(name)} has no backend, and there is no node {shown(outer)} from which it has one"
        bag.error("TP201", message, table.span, hint=hint, node=name)


def edges_of(table: NodeTable) -> list[Edge]:
    """The edges of a node's ``next``: a string with commas, or an array."""
    if "next" not in table.values:
        return []
    value = table.values["next"]
    owner = table.name if "next" in table.given else ".".join(table.places["next"][:-1])
    if isinstance(value.raw, list):
        spans = (table.item_span("next", index) for index in range(len(value.raw)))
        found = zip(value.raw, spans, strict=True)
        return [Edge(table.name, str(target), span, owner) for target, span in found]
    located = table.located("next")
    edges = []
    start = 0
    for part in located.text.split(","):
        target = part.strip()
        begin = start + len(part) - len(part.lstrip())
        if target:
            edges.append(Edge(table.name, target, located.span(begin, begin + len(target)), owner))
        start += len(part) + 1
    return edges
