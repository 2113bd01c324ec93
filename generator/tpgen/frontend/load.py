"""From a TOML document to a graph, with all structural diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import Bag, did_you_mean
from ..ir.graph import Graph, Mapped, Node
from ..ir.op import REGISTRY, attributes_of
from ..source import Span, TomlDocument
from .calls import build_calls
from .entries import add_entries
from .expression import whole
from .filters import node_filter
from .groups import with_batch_ranges
from .jumps import check_jumps
from .keys import Globals, NodeValues, Value, near_hint, report_keys
from .located import Located
from .loops import add_loops, ignored_loop_keys, loop_engine
from .macros import expand_document
from .maps import check_sources, parse_map
from .node_tables import NodeTable, apply_overrides, edges_of, report_orphans, split_tables
from .pipeline_table import PipelineTable, read_pipeline_table
from .serving import serving_of
from .settings import NODE_FIELDS, on_error_of, settings_of
from .shown import shown
from .structure import Edge, check_edges, check_joins, topological_order
from .tables import WITHOUT_EFFECT
from .user_files import UserCode, included_files

MOST_NODES = 10_000


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
    globals_, tables = split_tables(document, bag)
    apply_overrides(overrides, tables, bag)
    report_orphans(tables, globals_, bag)
    edges = [edge for table in tables.values() for edge in edges_of(table)]
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
    nodes: dict[str, Node] = {}
    engine = loop_engine(globals_)
    ignored = _ignored_globals({k: v for k, v in globals_.items() if engine is None or k != engine[0]})
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
    if not bag.has_errors or graph.nodes.keys() == names.keys():
        graph = add_entries(graph, pipeline.keys.entries, pipeline.spans.get("entries"), user, bag)
        graph = add_loops(graph, engine[1] if engine else None, pipeline, user, bag)
        ignored += ignored_loop_keys(graph, pipeline)
    if bag.has_errors:
        return None
    return Loaded(graph, pipeline, tuple(ignored), user.files)


def _maps(
    tables: Mapping[str, NodeTable],
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
            maps[name] = parsed.keys
    return maps


def _user_code(document: TomlDocument, pipeline: PipelineTable, bag: Bag) -> UserCode:
    base = Path(document.source.path).parent
    includes = included_files(base, pipeline.keys.include, pipeline.spans.get("include"), bag)
    return UserCode(base, frozenset(NODE_FIELDS), includes, {})


def _build_node(
    values: NodeValues,
    table: NodeTable,
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
    settings = settings_of(values)
    serving = serving_of(values, table)
    report_keys(values, _unknown_keys(values), NODE_FIELDS)
    if calls is None:
        return None
    calls = tuple(with_batch_ranges(call, settings) for call in calls)
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
        on_error_of(values),
        serving=serving,
    )


def _backend(values: NodeValues, table: NodeTable) -> Located:
    value = values.find("backend")
    if value is None:
        return Located("Identity", values.span, ())
    if not isinstance(value.raw, str):
        values.error("TP103", "'backend' is a string", value.span, 'backend = "DecodeMat"')
        return Located("Identity", value.span, ())
    if "backend" in table.values:
        return table.located("backend")
    return Located(value.raw, value.span, ())


def _unknown_keys(values: NodeValues) -> list[str]:
    """The node's keys that nothing takes."""
    known = values.used | WITHOUT_EFFECT.keys() | NODE_FIELDS.keys()
    return [key for key in values.own if key not in known]


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
    known = {*NODE_FIELDS, *WITHOUT_EFFECT, *_spellings()}
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
        if globals_.is_open and did_you_mean(key, NODE_FIELDS) is None:
            continue  # the operator that takes it may be the one that is unknown
        hint = near_hint(key, [*NODE_FIELDS, *_spellings()])
        bag.error("TP102", f"unknown global key {shown(key)}", globals_.values[key].key_span, hint=hint)
    for key, value in globals_.values.items():
        if key in _OF_ONE_NODE:
            message = f"'{key}' stands above the first node, where it holds for every node"
            bag.error("TP102", message, value.key_span, hint=_OF_ONE_NODE[key])
