"""Which keys the client sends: those that are read before anything writes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..diagnostics import did_you_mean
from ..ir.filters import DATA, RESULT, Equals, Has, Lacks, OwnStatus, UserStatus
from ..ir.graph import RESTART, Call, Graph, Mapped, Node, Port
from ..ir.op import Trait
from ..source import Span
from ..types import Bytes, Text, Type, crosses_wire, present
from .base import Context, DeclaredPort

CONTEXT = "context"  # the dialect's key that all branches of an item share


@dataclass(frozen=True)
class _Written:
    """The keys that stand at a point. ``closed``: a map made the dictionary, clients add nothing to it."""

    keys: frozenset[str] = frozenset()
    closed: bool = False


@dataclass(frozen=True)
class _Asked:
    """A key that a map takes and nothing before it writes: the client's, if it is known to send it."""

    node: Node
    one: Mapped
    there: frozenset[str]


@dataclass
class Binder:
    """Walks the components of a graph; ``nodes`` get their models bound to keys on the way."""

    graph: Graph
    context: Context
    nodes: dict[str, Node] = field(init=False)
    _inputs: dict[str, Port] = field(default_factory=dict)
    _declared: Mapping[str, DeclaredPort] = field(default_factory=dict)
    _asked: list[_Asked] = field(default_factory=list)
    _told: set[Span] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.nodes = dict(self.graph.nodes)

    def entry(self, root: str) -> tuple[Port, ...]:
        """The inputs of the entry at a root."""
        self._inputs = {}
        self._asked = []
        options = self.context.options
        self._declared = {**options.inputs, **options.entry_inputs.get(self.graph.title(root), {})}
        end = self._component(root, _Written())
        if root in self.graph.loops:
            self._loop(root, end)
        self._settle()
        return tuple(self._inputs.values())

    def _loop(self, root: str, end: _Written) -> None:
        """What runs again reads what stands at the ends, and else what clients send."""
        keys: frozenset[str] = end.keys
        before: frozenset[str] | None = None
        asked = self._asked
        while keys != before:
            before = keys
            self._asked = [*asked]  # the keys of the last round are all that stand there
            for body in self.graph.loops[root].bodies.values():
                keys |= self._component(body, _Written(keys - {RESTART}, end.closed)).keys

    def _component(self, root: str, start: _Written) -> _Written:
        """The keys that stand at the end of a component."""
        behind: dict[str, _Written] = {}
        for name in self.graph.component(root):
            node = self.nodes[name]
            if name == root:
                arriving = start
            elif node.map:
                node = self._with_context(node, behind)
                arriving = self._mapped(node, behind)
            else:
                (before,) = self.graph.predecessors()[name]
                arriving = behind[before]
            behind[name] = self._node(node, arriving)
        leaves = [behind[name] for name in self.graph.leaves(root)]
        return _Written(frozenset().union(*(leaf.keys for leaf in leaves)), leaves[-1].closed)

    def _mapped(self, node: Node, behind: dict[str, _Written]) -> _Written:
        for one in node.map:
            there = behind[one.node]
            if one.source in there.keys or there.closed:
                continue
            if one.source == DATA or one.source in self._declared:
                self._add(one.source, self._wanted(node, one.target), node.calls[0])
            else:
                self._asked.append(_Asked(node, one, there.keys))
        return _Written(frozenset(one.target for one in node.map), closed=True)

    def _settle(self) -> None:
        """Report keys that only maps take: nothing but a declaration tells a client's key from a typo."""
        for asked in self._asked:
            one, inputs = asked.one, self._inputs
            if one.source in inputs or one.span in self._told:
                continue
            self._told.add(one.span)
            known = sorted({*asked.there, *inputs})
            near = did_you_mean(one.source, known)
            nearest = f"did you mean '{near}'?" if near else f"it leaves: {', '.join(known) or 'nothing'}."
            self.context.bag.error(
                "TP307",
                f"the map takes '{one.source}', which '{self.graph.title(one.node)}' does not leave",
                one.span,
                hint=f"{nearest} Keys that clients send and only maps take are declared in [pipeline.inputs]",
                node=asked.node.title,
            )

    def _with_context(self, node: Node, behind: dict[str, _Written]) -> Node:
        """The node with ``context`` in its map: what branches share by reference goes through every map."""
        before = self.graph.predecessors()[node.name][-1]
        if CONTEXT not in behind[before].keys or any(one.target == CONTEXT for one in node.map):
            return node
        return replace(node, map=(*node.map, Mapped(before, CONTEXT, CONTEXT, node.span)))

    def _node(self, node: Node, arriving: _Written) -> _Written:
        reaching: dict[int, set[str]] = defaultdict(set)  # by the position of the call
        reaching[0] = set(arriving.keys)
        closed = arriving.closed
        calls = []
        for position, call in enumerate(node.calls):
            written = reaching[position]
            if not closed:
                self._bind_filter(node, call, written)
            if not call.filter.can_skip:
                written.difference_update(source for source, _ in call.filter.certain_moves)
            written.update(target for _, target in call.filter.certain_moves)
            if call.op.has(Trait.BINDS):
                there = written | set(self._declared)
                bound = call.op.bind(there, is_root=not written)  # type: ignore[attr-defined]
                call = replace(call, op=bound)
            for key in call.op.inputs() if not closed else ():
                if key not in written:
                    self._add(key, call.op.wants(key), call)
            if call.jump is not None:
                element: str | None = call.op.element  # type: ignore[attr-defined]
                given = written | ({element} if element else set())
                end = self._component(call.jump, _Written(frozenset(given), closed))
                written |= end.keys if not call.op.writes else set()
            if not call.filter.can_skip:
                written.difference_update(call.op.deletes())
            written.update(call.op.outputs())
            calls.append(call)
            for following in (node.following(position), *node.behind(position)):
                reaching[following] |= written
        self.nodes[node.name] = replace(node, calls=tuple(calls))
        return _Written(frozenset(reaching[len(calls)]), closed)

    def _bind_filter(self, node: Node, call: Call, written: set[str]) -> None:
        """What a filter decides on is the client's where nothing writes it: optional if only asked for."""
        there = {*written, RESULT}
        if call.fork is not None and call.fork not in there:
            self._add(call.fork, self._wanted(node, call.fork), call, optional=True)
        match call.filter.verdict:
            case OwnStatus(key) if key not in there:
                self._add(key, Text(), call)
            case UserStatus() as status:
                self._bind_status(node, call, status, there)
        for source, target in call.filter.moves:
            if source not in there:
                self._add(source, self._wanted(node, target), call)
        for check in call.filter.checks:
            match check.condition:
                case Equals(key) if key not in there:
                    self._add(key, Text(), call)
                case Has(key) | Lacks(key) if key not in there:
                    self._add(key, self._wanted(node, key), call, optional=True)

    def _bind_status(self, node: Node, call: Call, status: UserStatus, there: set[str]) -> None:
        """The keys that a user's function decides on; an optional one only where the user declares it."""
        for key in status.keys:
            is_optional = key in status.optional
            if key not in there and (not is_optional or key in self._declared):
                wanted = Text() if key in status.texts else self._wanted(node, key)
                self._add(key, wanted, call, optional=is_optional)

    def _wanted(self, node: Node, key: str) -> Type | None:
        readers = (call.op for call in node.calls if key in call.op.inputs())
        return next((type_ for op in readers if (type_ := op.wants(key)) is not None), None)

    def _add(self, key: str, wanted: Type | None, call: Call, *, optional: bool = False) -> None:
        if key in self._inputs:
            return
        declared = self._declared.get(key)
        type_, span, raw = wanted or Bytes(), call.span, False
        if declared is not None:
            type_, span, raw = declared.type, declared.span, declared.raw
            if not crosses_wire(type_):
                message = f"input '{key}' is {type_}, which Python models cannot take"
                self.context.bag.error("TP308", message, span, hint="declare float32: operators cast it")
        state = replace(present(type_), quiet=optional)
        self._inputs[key] = Port(key, state, span, raw, optional)
