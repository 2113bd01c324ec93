"""Type inference: the state of every key before every call and after every node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..ir.filters import DATA, RESULT, SWAP, Otherwise
from ..ir.graph import Call, Graph, Node, TypeTable
from ..ir.op import InferError
from ..types import ABSENT, Dim, State, Symbol, Type
from .base import Context
from .flow import End, Keys, after_call, early_end, join_ends, split_by


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
    ends_with_result: set[str] = set()
    for entry in graph.entries:
        keys: Keys = {port.key: port.state for port in entry.inputs}
        ends: list[End] = []
        reached = True
        quiet_so_far = with_result_so_far = False
        for name in graph.component(entry.root):
            node = graph.nodes[name]
            entering[name] = keys
            ended_before = len(ends)
            takes_all = any(not _swaps(graph.nodes[follower]) for follower in node.next)
            outcome = _infer_node(node, keys, before, ends, context, takes_all=takes_all) if reached else None
            if outcome is None:
                reached = False
                leaving[name] = {}
                continue
            keys = leaving[name] = outcome
            quiet_so_far = quiet_so_far or any(end.missing.quiet for end in ends[ended_before:])
            with_result_so_far = with_result_so_far or any(_has_result(end) for end in ends[ended_before:])
            if quiet_so_far:
                ends_quietly.add(name)
            if with_result_so_far:
                ends_with_result.add(name)
        if reached:
            ends.append(End(keys))
        final[entry.root] = join_ends(ends, entry.root)
    ended = frozenset(ends_quietly), frozenset(ends_with_result)
    return replace(graph, types=TypeTable(before, entering, leaving, final, *ended))


def _swaps(node: Node) -> bool:
    """True if items without a ``result`` end where they come to the node."""
    return node.calls[0].filter.checks[:1] == SWAP.checks


def _has_result(end: End) -> bool:
    return end.keys.get(RESULT, end.missing).present


def _infer_node(
    node: Node, keys: Keys, before: dict[str, Keys], ends: list[End], context: Context, *, takes_all: bool
) -> Keys | None:
    """The keys behind a node; None if it is never left (an error was reported).

    ``takes_all``: the next node also takes items without a ``result``; for any other, they end here.
    """
    leaving: list[Keys] = []  # of the items that do not go on to the node's end
    for position, call in enumerate(node.calls):
        split = split_by(call.filter, keys)
        skipping: list[Keys] = []
        for otherwise, aside in split.aside:
            if position == 0 and otherwise is Otherwise.BREAK:
                ends.append(early_end(aside))
            elif position == 0 or otherwise is Otherwise.BREAK:
                leaving.append(aside)
            else:
                skipping.append(aside)
        if split.running is None:
            _report_never_runs(node, call, context)
            return None
        before[call.label] = split.running
        written = _infer_call(node, call, split.running, context)
        if written is None:
            return None
        keys = _joined(call.label, after_call(call.op, split.running, written, call.label), skipping)
    going_on = [one for one in leaving if one.get(RESULT, ABSENT).present or takes_all]
    ends += [early_end(one) for one in leaving if one not in going_on]
    return _joined(node.name, keys, going_on)


def _joined(owner: str, keys: Keys, others: list[Keys]) -> Keys:
    return join_ends([End(keys), *map(early_end, others)], owner) if others else keys


def _report_never_runs(node: Node, call: Call, context: Context) -> None:
    if call.filter == SWAP:
        why = f"what stands before it leaves no '{RESULT}'"
        hint = f"an operator takes over the '{RESULT}' of the one before it as '{DATA}'"
    else:
        conditions = " and ".join(str(check.condition) for check in call.filter.checks)
        why = f"its filter '{call.filter}' asks that {conditions}"
        hint = "take the filter away, or the operator"
    message = f"'{call.op.name}' never runs: {why}"
    context.bag.error("TP208", message, call.span, hint=hint, node=node.name)


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
