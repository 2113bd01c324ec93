"""From a TOML document to a graph, with all structural diagnostics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..ir.graph import Call, Graph, Mapped, Node, OnError, Settings
from ..ir.op import REGISTRY, Trait, attributes_of, declared_attributes
from ..source import SourceFile, Span, TomlDocument
from .calls import build_calls
from .expression import whole
from .filters import node_filter
from .jumps import check_jumps
from .keys import Globals, NodeValues, Value, near_hint, report_keys
from .located import Located, locate
from .macros import expand, expand_document, expand_offsets, report_unknown
from .maps import check_sources, parse_map
from .pipeline_table import PipelineTable, check_model_name, read_pipeline_table
from .shown import shown
from .structure import Edge, check_edges, check_joins, topological_order
from .tables import CONTROL_FLOW, PIPELINE_TABLE, RESERVED_NODE_NAMES, WITHOUT_EFFECT, NodeKeys
from .user_files import UserCode, included_files
from .values import ValueProblem, parse_extent

MOST_NODES = 10_000
_NODE_FIELDS = {f.key: f for f in declared_attributes(NodeKeys)}


@dataclass(frozen=True)
class Loaded:
    """A parsed pipeline. ``ignored``: keys without effect, each with its place and the reason.

    ``user_files`` are the files of user code by call label.
    """

    graph: Graph
    table: PipelineTable
    ignored: tuple[tuple[str, Span, str], ...]
    user_files: Mapping[str, tuple[Path, ...]]


def load(document: TomlDocument, overrides: Mapping[tuple[str, str], str], bag: Bag) -> Loaded | None:
    """Build the graph of a document; None if it cannot be built (the bag says why).

    ``overrides`` are values of ``--set NODE.KEY=VALUE``.
    """
    document = expand_document(document, bag)
    pipeline = read_pipeline_table(document, bag)
    globals_, tables = _split_tables(document, bag)
    _apply_overrides(overrides, tables, bag)
    edges = [edge for table in tables.values() for edge in _edges(table)]
    if not tables:
        bag.error(
            "TP205",
            "the file has no node",
            Span(document.source, 0, 0),
            hint='a node is a table, for example [decoder] with backend = "DecodeMat"',
        )
    if len(tables) > MOST_NODES:
        message = f"{len(tables)} nodes are more than the {MOST_NODES} that a pipeline can have"
        bag.error("TP206", message, list(tables.values())[MOST_NODES].span)
        return None
    names = {name: raw.span for name, raw in tables.items()}
    edges = check_edges(names, edges, bag)
    order = topological_order(names, edges, bag)
    before: dict[str, list[str]] = {name: [] for name in names}
    following: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        following[edge.source].append(edge.target)
        before[edge.target].append(edge.source)
    maps = _maps(tables, order, edges, before, bag)
    _check_entries(pipeline, names, {edge.target for edge in edges}, bag)
    nodes: dict[str, Node] = {}
    ignored = _ignored_globals(globals_)
    user = _user_code(document, pipeline, bag)
    shared = Globals(globals_, _stray_globals(globals_))
    for name in order or names:  # a wrong shape does not hide what is wrong inside the nodes
        table = tables[name]
        values = NodeValues(name, table.span, table.values, shared, bag)
        values.used.update(("map", "borrow_from"))
        node = _build_node(values, table, maps.get(name), before[name], following[name], user)
        if node is not None:
            nodes[name] = node
        ignored += _ignored_keys(values, node)
    _report_globals(shared, bag)
    graph = Graph(pipeline.name, document.source, nodes)
    if not bag.has_errors:
        check_jumps(graph, bag)
    if bag.has_errors:
        return None
    return Loaded(graph, pipeline, tuple(ignored), user.files)


def _maps(
    tables: Mapping[str, _Table],
    order: list[str] | None,
    edges: list[Edge],
    before: Mapping[str, list[str]],
    bag: Bag,
) -> dict[str, tuple[Mapped, ...]]:
    """The maps of the nodes that have one, checked; a join without one is reported here."""
    if order is None:
        return {}
    check_joins(order, edges, [name for name, table in tables.items() if "map" in table.values], bag)
    ancestors: dict[str, frozenset[str]] = {}
    maps = {}
    for name in order:
        ancestors[name] = frozenset(before[name]).union(*(ancestors[one] for one in before[name]))
        if "map" not in tables[name].values:
            continue
        parsed = parse_map(name, tables[name].located("map"), before[name], bag)
        if parsed is not None:
            check_sources(name, parsed, ancestors[name], tables, bag)
            maps[name] = parsed
    return maps


def _check_entries(
    pipeline: PipelineTable, names: Collection[str], followed: Collection[str], bag: Bag
) -> None:
    """Report entries that are no nodes, or not the first of their chain."""
    span = pipeline.spans.get("entries")
    for name in pipeline.keys.entries:
        if name not in names:
            message = f"unknown node {shown(name)} in 'entries'"
            bag.error("TP201", message, span, hint=near_hint(name, names))
        elif name in followed:
            message = f"'{name}' is no root: entries inside a chain are not compiled by this version"
            bag.error("TP294", message, span, hint="write a pipeline that begins with this node")


def _user_code(document: TomlDocument, pipeline: PipelineTable, bag: Bag) -> UserCode:
    base = Path(document.source.path).parent
    includes = included_files(base, pipeline.keys.include, pipeline.spans.get("include"), bag)
    return UserCode(base, frozenset(_NODE_FIELDS), includes, {})


@dataclass(frozen=True)
class _Table:
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

    def logical(self, name: str, span: Span, values: dict[str, Value], own: tuple[str, ...]) -> _Table:
        """Another occurrence of the node in the graph: its own values stand above those of this one."""
        places = {**self.places, **{key: (*own, key) for key in values}}
        return _Table(name, self.document, span, {**self.values, **values}, {}, places, self.physical)


def _split_tables(document: TomlDocument, bag: Bag) -> tuple[dict[str, Value], dict[str, _Table]]:
    globals_: dict[str, Value] = {}
    tables: dict[str, _Table] = {}
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
    document: TomlDocument, path: tuple[str, ...], raw: Mapping[str, Any], outer: _Table | None, bag: Bag
) -> Iterator[_Table]:
    """The node of a table, and its logical nodes: ``[rec.2]`` inherits the keys of ``[rec]``."""
    name, place = ".".join(path), document.spans[path]
    check_model_name(name, "a node's name", place.key, bag, name)
    inner: dict[str, Mapping[str, Any]] = {}
    values: dict[str, Value] = {}
    for key, value in raw.items():
        at = document.spans[(*path, key)]
        if isinstance(value, dict) and key not in _TYPE_TABLES and not at.value.text.startswith("{"):
            inner[key] = value
        else:
            values[key] = Value(value, at.value, at.key)
    if outer is None:
        places = {key: (*path, key) for key in values}
        table = _Table(name, document, place.key, values, {}, places, name)
    else:
        table = outer.logical(name, place.key, values, path)
    if values or outer is not None or not inner:
        yield table
    for key, value in inner.items():
        yield from _read_tables(document, (*path, key), value, table, bag)


_TYPE_TABLES = ("inputs", "outputs")
_OWN_KEYS = ("next", "map", "filter", "or")  # of the place in the graph, which nobody borrows


def _with_borrowed(tables: dict[str, _Table], bag: Bag) -> dict[str, _Table]:
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


def _apply_overrides(
    overrides: Mapping[tuple[str, str], str], tables: Mapping[str, _Table], bag: Bag
) -> None:
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


def _edges(table: _Table) -> list[Edge]:
    """The edges of a node's ``next``: a string with commas, or an array."""
    if "next" not in table.values:
        return []
    value = table.values["next"]
    if isinstance(value.raw, list):
        spans = (table.item_span("next", index) for index in range(len(value.raw)))
        return [Edge(table.name, str(target), span) for target, span in zip(value.raw, spans, strict=True)]
    located = table.located("next")
    edges = []
    start = 0
    for part in located.text.split(","):
        target = part.strip()
        begin = start + len(part) - len(part.lstrip())
        if target:
            edges.append(Edge(table.name, target, located.span(begin, begin + len(target))))
        start += len(part) + 1
    return edges


def _build_node(
    values: NodeValues,
    table: _Table,
    mapped: tuple[Mapped, ...] | None,
    before: list[str],
    following: list[str],
    user: UserCode,
) -> Node | None:
    backend = _backend(values, table)
    first = node_filter(
        values, is_root=not before, mapped=tuple(one.target for one in mapped or ()), user=user
    )
    calls = build_calls(whole(backend), first, values, user)
    settings = _settings(values)
    report_keys(values, _unknown_keys(values), _NODE_FIELDS)
    if calls is None:
        return None
    calls = tuple(_with_batch_range(call, settings) for call in calls)
    return Node(
        values.node,
        calls,
        values.span,
        tuple(following),
        settings,
        {key: value.span for key, value in table.values.items()},
        backend.text,
        mapped or (),
        table.physical,
        _on_error(values),
    )


def _backend(values: NodeValues, table: _Table) -> Located:
    value = values.find("backend")
    if value is None:
        return Located("Identity", values.span, ())
    if not isinstance(value.raw, str):
        values.error("TP103", "'backend' is a string", value.span, 'backend = "DecodeMat"')
        return Located("Identity", value.span, ())
    if "backend" in table.values:
        return table.located("backend")
    return Located(value.raw, value.span, ())


def _with_batch_range(call: Call, settings: Settings) -> Call:
    """Tell operators that take batches how large a call of theirs may be."""
    if not call.op.has(Trait.INFERENCE):
        return call
    op: Any = call.op
    return replace(call, op=replace(op, max_batch=settings.max_batch, min_batch=settings.min_batch))


def _settings(values: NodeValues) -> Settings:
    def number(key: str) -> Any:
        value = values.find(key)
        if value is None or _names_groups(values, value):
            return None
        return values.parse(_NODE_FIELDS[key], value)

    low, high = _extent(values, "min", 0), _extent(values, "max", 1)
    if low > high:
        at = values.own.get("min") or values.own.get("max")
        message = f"'min' is {low}, more than 'max', which is {high}"
        values.error("TP104", message, at.span if at else values.span)
    instances, wait, timeout = (number(key) for key in ("instance_num", "batching_timeout", "timeout_ms"))
    return Settings(low, high, instances or 1, wait, timeout, number("retry") or 0)


def _on_error(values: NodeValues) -> OnError | None:
    value = values.find("on_error")
    if value is None or value.raw == "fail":
        return None
    if value.raw == "skip":
        return OnError(value.span)
    return OnError(value.span, value.raw, has_default=True)


def _extent(values: NodeValues, key: str, which: int) -> int:
    value = values.find(key)
    if value is None or _names_groups(values, value):
        return 1
    try:
        return parse_extent(key, value.raw)[which]
    except ValueProblem as problem:
        values.error(problem.code, problem.message, value.span, problem.hint)
        return 1


def _names_groups(values: NodeValues, value: Value) -> bool:
    """Report a value with a part per instance group."""
    if not (isinstance(value.raw, str) and "&" in value.raw):
        return False
    message = "instance groups ('&') are not compiled by this version"
    values.error("TP293", message, value.span, "one range serves every batch size: min = 1, max = 8")
    return True


def _unknown_keys(values: NodeValues) -> list[str]:
    """The node's keys that nothing takes; those of control flow are reported here."""
    unknown = []
    for key, value in values.own.items():
        if key in values.used or key in WITHOUT_EFFECT or key in _NODE_FIELDS:
            continue
        if key in CONTROL_FLOW:
            message = f"'{key}' belongs to {CONTROL_FLOW[key]}, which this version does not compile"
            values.error("TP290", message, value.key_span)
        else:
            unknown.append(key)
    return unknown


def _ignored_keys(values: NodeValues, node: Node | None) -> list[tuple[str, Span, str]]:
    """The node's keys that have no effect here, for `explain`."""
    found = [
        (key, value.key_span, WITHOUT_EFFECT[key])
        for key, value in values.own.items()
        if key in WITHOUT_EFFECT
    ]
    found += [
        (f.key, call.spans[f.name], f"has a meaning on the {f.declared.target} target")
        for call in (node.calls if node else ())
        for f in attributes_of(type(call.op))
        if f.declared.target and f.name in call.spans
    ]
    return found


def _ignored_globals(globals_: Mapping[str, Value]) -> list[tuple[str, Span, str]]:
    return [
        (key, value.key_span, WITHOUT_EFFECT[key]) for key, value in globals_.items() if key in WITHOUT_EFFECT
    ]


def _stray_globals(globals_: Mapping[str, Value]) -> tuple[str, ...]:
    """The global keys that neither nodes nor operators have; only user code could take them."""
    known = {*_NODE_FIELDS, *WITHOUT_EFFECT, *CONTROL_FLOW, *_spellings()}
    return tuple(key for key in globals_ if key not in known and not _is_qualified_key(key))


def _spellings() -> set[str]:
    return {
        spelling
        for cls in set(REGISTRY.values())
        for f in attributes_of(cls)
        if f.is_key
        for spelling in f.spellings
    }


def _is_qualified_key(key: str) -> bool:
    """Whether a key has its operator's name in front, such as ``ResizeMat::resize_h``."""
    operator, _, bare = key.rpartition("::")
    declared = attributes_of(REGISTRY[operator]) if operator in REGISTRY else ()
    return any(bare in f.spellings for f in declared if f.is_key)


_OF_ONE_NODE = {
    "next": "write it in the node that goes on to another",
    **dict.fromkeys(("filter", "or"), "write it in the node whose items it chooses"),
}


def _report_globals(globals_: Globals, bag: Bag) -> None:
    for key in globals_.unknown():
        if globals_.is_open and did_you_mean(key, _NODE_FIELDS) is None:
            continue  # the operator that takes it may be the one that is unknown
        hint = near_hint(key, [*_NODE_FIELDS, *_spellings()])
        bag.error("TP102", f"unknown global key {shown(key)}", globals_.values[key].key_span, hint=hint)
    for key, value in globals_.values.items():
        if key in CONTROL_FLOW:
            message = f"'{key}' belongs to {CONTROL_FLOW[key]}, which this version does not compile"
            bag.error("TP290", message, value.key_span)
        elif key in _OF_ONE_NODE:
            message = f"'{key}' stands above the first node, where it holds for every node"
            bag.error("TP102", message, value.key_span, hint=_OF_ONE_NODE[key])
