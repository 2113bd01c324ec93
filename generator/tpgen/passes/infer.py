"""Type inference: the state of every key before every call and after every node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..ir.graph import DATA, RESULT, Call, Graph, Node, TypeTable
from ..ir.op import InferError
from ..types import ABSENT, Dim, State, Symbol, Type
from .base import Context
from .flow import End, Keys, after_call, after_filter, early_end, join_ends


@dataclass(frozen=True)
class Infer:
    """Fills `Graph.types`, from the entries' inputs on."""

    name: str = "infer"

    def run(self, graph: Graph, context: Context) -> Graph:
        return infer_types(graph, context)


def infer_types(graph: Graph, context: Context) -> Graph:
    """The graph with its type table; types that do not meet are reported at their TOML line."""
    before: dict[str, Keys] = {}
    entering: dict[str, Keys] = {}
    leaving: dict[str, Keys] = {}
    final: dict[str, Keys] = {}
    ends_quietly: set[str] = set()
    for entry in graph.entries:
        keys: Keys = {port.key: port.state for port in entry.inputs}
        ends: list[End] = []
        reached = True
        quiet_so_far = False
        for name in graph.component(entry.root):
            node = graph.nodes[name]
            entering[name] = keys
            ended_before = len(ends)
            outcome = _infer_node(node, keys, before, ends, context) if reached else None
            if outcome is None:
                reached = False
                leaving[name] = {}
                continue
            keys = leaving[name] = outcome
            quiet_so_far = quiet_so_far or any(end.missing.quiet for end in ends[ended_before:])
            if quiet_so_far:
                ends_quietly.add(name)
        if reached:
            ends.append(End(keys))
        final[entry.root] = join_ends(ends, entry.root)
    return replace(graph, types=TypeTable(before, entering, leaving, final, frozenset(ends_quietly)))


def _infer_node(
    node: Node, keys: Keys, before: dict[str, Keys], ends: list[End], context: Context
) -> Keys | None:
    """The keys behind a node; None if it is never left (an error was reported)."""
    for call in node.calls:
        running, ended = after_filter(call.filter, keys)
        if ended is not None:
            ends.append(early_end(ended))
        if running is None:
            _report_no_result(node, call, context)
            return None
        before[call.label] = running
        written = _infer_call(node, call, running, context)
        if written is None:
            return None
        keys = after_call(call.op, running, written, call.label)
    return keys


def _report_no_result(node: Node, call: Call, context: Context) -> None:
    context.bag.error(
        "TP208",
        f"'{call.op.name}' never runs: what stands before it leaves no '{RESULT}'",
        call.span,
        hint=f"an operator takes over the '{RESULT}' of the one before it as '{DATA}'",
        node=node.name,
    )


def _infer_call(node: Node, call: Call, keys: Keys, context: Context) -> dict[str, Type] | None:
    asked = _Asked(call, keys)
    try:
        for key in call.op.inputs():
            asked.type(key)
        return dict(call.op.infer(asked))
    except InferError as problem:
        place = call.spans.get(problem.attribute or "", call.span)
        message = f"{call.op.name}: {problem.message[:1000]}"  # it may quote what the user wrote
        context.bag.error(problem.code, message, place, hint=problem.hint, node=node.name)
        return None


@dataclass
class _Asked:
    """The `InferCall` of one call. Equations between dimensions hold inside the call."""

    call: Call
    keys: Keys
    equal: dict[Symbol, Dim] = field(default_factory=dict)

    def type(self, key: str) -> Type:
        state = self.state(key)
        if state.absent or state.type is None:
            hint = "no operator before it writes this key, or one took it away"
            raise InferError("TP307", f"reads '{key}', which does not exist here", hint)
        if state.optional:
            raise InferError(
                "TP307",
                f"reads '{key}', which can be absent here",
                "only 'result' may be absent: the next operator takes it over, or ends the item",
            )
        return state.type

    def state(self, key: str) -> State:
        return self.keys.get(key, ABSENT)

    def symbol(self, name: str) -> Symbol:
        return Symbol(name)

    def equate(self, left: Dim, right: Dim) -> bool:
        left, right = self._resolve(left), self._resolve(right)
        if left == right:
            return True
        if isinstance(left, Symbol):
            self.equal[left] = right
            return True
        return False  # a number against another number, or against a size that varies

    def _resolve(self, dim: Dim) -> Dim:
        while isinstance(dim, Symbol) and dim in self.equal:
            dim = self.equal[dim]
        return dim
