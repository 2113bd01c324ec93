"""From a TOML document to a graph, with all structural diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..diagnostics import Bag
from ..ir.graph import RUN, SWAP, Call, Graph, Node, Settings
from ..ir.op import REGISTRY, Trait, attributes_of, declared_attributes
from ..source import SourceFile, Span, TomlDocument
from .calls import WRAPPERS, UserCode, build_calls
from .expression import whole
from .keys import NodeValues, Value, near_hint
from .located import Located, locate
from .pipeline_table import PipelineTable, check_model_name, read_pipeline_table
from .structure import Edge, check_edges, check_joins, topological_order
from .tables import CONTROL_FLOW, PIPELINE_TABLE, RESERVED_NODE_NAMES, WITHOUT_EFFECT, NodeKeys
from .values import ValueProblem, parse_extent

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
    table = read_pipeline_table(document, bag)
    globals_, tables = _split_tables(document, bag)
    _apply_overrides(overrides, tables, bag)
    edges = [edge for name, raw in tables.items() for edge in _edges(name, raw)]
    if not tables:
        bag.error(
            "TP205",
            "the file has no node",
            Span(document.source, 0, 0),
            hint='a node is a table, for example [decoder] with backend = "DecodeMat"',
        )
    names = {name: raw.span for name, raw in tables.items()}
    edges = check_edges(names, edges, bag)
    order = topological_order(names, edges, bag)
    if order is None or not check_joins(order, edges, bag):
        return None
    followed = {edge.target for edge in edges}
    following: dict[str, list[str]] = {name: [] for name in order}
    for edge in edges:
        following[edge.source].append(edge.target)
    nodes: dict[str, Node] = {}
    ignored: list[tuple[str, Span, str]] = []
    user = UserCode(Path(document.source.path).parent, frozenset(_NODE_FIELDS), {})
    for name in order:
        values = NodeValues(name, tables[name].span, tables[name].values, globals_, bag)
        node = _build_node(
            values, tables[name], is_root=name not in followed, following=following[name], user=user
        )
        if node is not None:
            nodes[name] = node
        ignored += _ignored_keys(values, node)
    ignored += _check_globals(globals_, bag)
    if bag.has_errors:
        return None
    return Loaded(Graph(table.name, document.source, nodes), table, tuple(ignored), user.files)


@dataclass(frozen=True)
class _Table:
    """A node's raw table; ``located`` holds its string values with the places of their characters."""

    span: Span
    values: dict[str, Value]
    located: dict[str, Located]


def _split_tables(document: TomlDocument, bag: Bag) -> tuple[dict[str, Value], dict[str, _Table]]:
    globals_: dict[str, Value] = {}
    tables: dict[str, _Table] = {}
    for name, raw in document.data.items():
        if name == PIPELINE_TABLE:
            continue
        place = document.spans[(name,)]
        if not isinstance(raw, dict):
            globals_[name] = Value(raw, place.value, place.key)
            continue
        if name in RESERVED_NODE_NAMES:
            bag.error("TP109", f"'{name}' is a reserved name", place.key, hint="give the node another name")
        check_model_name(name, "a node's name", place.key, bag, name)
        tables[name] = _read_table(document, name, raw, place.key, bag)
    return globals_, tables


def _read_table(document: TomlDocument, name: str, raw: Mapping[str, Any], span: Span, bag: Bag) -> _Table:
    values: dict[str, Value] = {}
    located: dict[str, Located] = {}
    for key, value in raw.items():
        place = document.spans[(name, key)]
        if isinstance(value, dict) and not _is_type_table(key):
            bag.error(
                "TP292",
                f"'{name}.{key}' is a logical node; these are not compiled by this version",
                place.key,
                node=name,
            )
            continue
        values[key] = Value(value, place.value, place.key)
        located[key] = locate(document, (name, key))
    return _Table(span, values, located)


def _is_type_table(key: str) -> bool:
    return key in ("inputs", "outputs")


def _apply_overrides(
    overrides: Mapping[tuple[str, str], str], tables: Mapping[str, _Table], bag: Bag
) -> None:
    for (node, key), text in overrides.items():
        source = SourceFile("--set", f"{node}.{key}={text}")
        start = len(node) + len(key) + 2
        value = Value(text, Span(source, start, len(source.text)), Span(source, len(node) + 1, start - 1))
        if node not in tables:
            bag.error(
                "TP201", f"unknown node '{node}'", Span(source, 0, len(node)), hint=near_hint(node, tables)
            )
            continue
        tables[node].values[key] = value
        offsets = tuple(range(start, len(source.text) + 1))
        tables[node].located[key] = Located(text, value.span, offsets)


def _edges(name: str, raw: _Table) -> list[Edge]:
    """The edges of a node's ``next``: a string with commas, or an array."""
    if "next" not in raw.values:
        return []
    value = raw.values["next"]
    if isinstance(value.raw, list):
        return [Edge(name, str(target), value.span) for target in value.raw]
    located = raw.located["next"]
    edges = []
    start = 0
    for part in located.text.split(","):
        target = part.strip()
        begin = start + len(part) - len(part.lstrip())
        if target:
            edges.append(Edge(name, target, located.span(begin, begin + len(target))))
        start += len(part) + 1
    return edges


def _build_node(
    values: NodeValues, raw: _Table, *, is_root: bool, following: list[str], user: UserCode
) -> Node | None:
    backend = _backend(values, raw)
    calls = build_calls(whole(backend), RUN if is_root else SWAP, values, user)
    settings = _settings(values)
    for key in ("next", "backend"):
        values.used.add(key)
    _report_unknown(values, calls)
    if calls is None:
        return None
    calls = tuple(_with_batch_range(call, settings) for call in calls)
    return Node(
        values.node,
        calls,
        values.span,
        tuple(following),
        settings,
        {key: value.span for key, value in raw.values.items()},
        backend.text,
    )


def _backend(values: NodeValues, raw: _Table) -> Located:
    value = values.find("backend")
    if value is None:
        return Located("Identity", values.span, ())
    if not isinstance(value.raw, str):
        values.bag.error(
            "TP103", "'backend' is a string", value.span, hint='backend = "DecodeMat"', node=values.node
        )
        return Located("Identity", value.span, ())
    if "backend" in raw.located:
        return raw.located["backend"]
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
        return None if value is None else values.parse(_NODE_FIELDS[key], value)

    low, high = _extent(values, "min", 0), _extent(values, "max", 1)
    if low > high:
        at = values.own.get("min") or values.own.get("max")
        values.bag.error(
            "TP104",
            f"'min' is {low}, more than 'max', which is {high}",
            at.span if at else values.span,
            node=values.node,
        )
    return Settings(low, high, number("instance_num") or 1, number("batching_timeout"), number("timeout_ms"))


def _extent(values: NodeValues, key: str, which: int) -> int:
    value = values.find(key)
    if value is None:
        return 1
    if isinstance(value.raw, str) and "&" in value.raw:
        values.bag.error(
            "TP293",
            "instance groups ('&') are not compiled by this version",
            value.span,
            hint="one range serves every batch size: min = 1, max = 8",
            node=values.node,
        )
        return 1
    try:
        return parse_extent(key, value.raw)[which]
    except ValueProblem as problem:
        values.bag.error(problem.code, problem.message, value.span, hint=problem.hint, node=values.node)
        return 1


def _report_unknown(values: NodeValues, calls: tuple[Call, ...] | None) -> None:
    for key, value in values.own.items():
        if key in values.used or key in WITHOUT_EFFECT or key in _NODE_FIELDS:
            continue
        if key in CONTROL_FLOW:
            values.bag.error(
                "TP290",
                f"'{key}' belongs to {CONTROL_FLOW[key]}, which this version does not compile",
                value.key_span,
                node=values.node,
            )
        elif calls is not None:  # else the operator that takes the key may be the one that is unknown
            operators = ", ".join(dict.fromkeys(f"'{call.op.name}'" for call in calls))
            values.bag.error(
                "TP102",
                f"unknown key '{key}' for {operators}",
                value.key_span,
                hint=near_hint(key, _known_keys(calls)),
                node=values.node,
            )


def _known_keys(calls: tuple[Call, ...]) -> list[str]:
    own = [f.key for call in calls for f in attributes_of(type(call.op)) if f.declared.from_toml]
    return [*_NODE_FIELDS, *(key for key in own if key != "argument")]


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


def _check_globals(globals_: Mapping[str, Value], bag: Bag) -> list[tuple[str, Span, str]]:
    """Report globals that no operator of tpgen knows; list those that have no effect."""
    known = {f.key for cls in set(REGISTRY.values()) for f in attributes_of(cls) if f.declared.from_toml}
    spellings = known | {
        spelling for cls in set(REGISTRY.values()) for f in attributes_of(cls) for spelling in f.spellings
    }
    ignored = []
    for key, value in globals_.items():
        operator = key.partition("::")[0]
        if key in WITHOUT_EFFECT:
            ignored.append((key, value.key_span, WITHOUT_EFFECT[key]))
        elif key in CONTROL_FLOW:
            bag.error(
                "TP290",
                f"'{key}' belongs to {CONTROL_FLOW[key]}, which this version does not compile",
                value.key_span,
            )
        elif key not in _NODE_FIELDS and key not in spellings and operator not in {*REGISTRY, *WRAPPERS}:
            bag.error(
                "TP102",
                f"unknown global key '{key}'",
                value.key_span,
                hint=near_hint(key, [*_NODE_FIELDS, *known]),
            )
    return ignored
