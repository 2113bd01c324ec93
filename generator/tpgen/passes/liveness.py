"""Which keys are read later: what must cross from one stage to the next, what a pass may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir.filters import RESULT, Check, Has, Otherwise
from ..ir.graph import RESTART, Call, Entry, Graph, Loop

Keys = frozenset[str]


def live_before_nodes(graph: Graph, entry: Entry) -> dict[str, Keys]:
    """For each node of an entry: the keys that it, what follows it, or the entry's answer may read."""
    return _walked(graph, entry).before_node


def live_after_call(graph: Graph, entry: Entry, label: str) -> Keys:
    """The keys that may be read behind a call of this entry.

    Raises:
        KeyError: the entry has no such call.
    """
    return _walked(graph, entry).after_call[label]


def _walked(graph: Graph, entry: Entry) -> _Walk:
    leaves = graph.leaves(entry.root)
    keys = [port.key for port in entry.outputs]
    answered = {
        leaf: frozenset(
            key.removeprefix(f"{graph.title(leaf)}.")
            for key in keys
            if len(leaves) == 1 or key.startswith(f"{graph.title(leaf)}.")
        )
        for leaf in leaves
    }
    walk = _Walk(graph)
    loop = graph.loops.get(entry.root)
    if loop is not None:
        again = walk.loop(loop, next(iter(answered.values())))
        answered = {leaf: keys | again for leaf, keys in answered.items()}
    walk.component(entry.root, answered)
    return walk


@dataclass
class _Walk:
    """Goes through components from the end. A sub-graph that several calls run collects what all read."""

    graph: Graph
    before_node: dict[str, Keys] = field(default_factory=dict)
    after_call: dict[str, Keys] = field(default_factory=dict)

    def loop(self, loop: Loop, answered: Keys) -> Keys:
        """The keys that are read behind an end because its items may go on: a body's, or another one's."""
        found: Keys = frozenset()
        while True:
            ends = answered | found | {RESTART}
            before = (
                self.component(body, dict.fromkeys(self.graph.leaves(body), ends))
                for body in loop.bodies.values()
            )
            more = frozenset({RESTART}).union(*before)
            if more <= found:
                return found
            found |= more

    def component(self, root: str, answered: Mapping[str, Keys]) -> Keys:
        """The keys that are live before a component; ``answered`` are those read behind each leaf."""
        members = self.graph.component(root)
        leaves = self.graph.leaves_behind(root)
        mapped: dict[str, set[str]] = {}
        for one in (one for name in members for one in self.graph.nodes[name].map):
            mapped.setdefault(one.node, set()).add(one.source)
        behind: dict[str, Keys] = {}
        before: dict[str, Keys] = {}
        for name in reversed(members):
            node = self.graph.nodes[name]
            unmapped = [f for f in node.next if not self.graph.nodes[f].map]
            live = frozenset(mapped.get(name, ())).union(*(before[f] for f in unmapped))
            outputs = frozenset().union(*(answered[leaf] for leaf in leaves[name]))
            behind[name] = live if node.next else live | answered[name]
            before[name] = self._node(name, behind, outputs)
            self.before_node[name] = self.before_node.get(name, frozenset()) | before[name]
        return before[root]

    def _node(self, name: str, behind: Mapping[str, Keys], outputs: Keys) -> Keys:
        """What is live before a node; ``outputs`` are the keys that an item which ends here answers with."""
        node = self.graph.nodes[name]
        before = {len(node.calls): behind[name]}  # by the position of the call
        for position, call in reversed([*enumerate(node.calls)]):
            behind_call = live = frozenset().union(*(before[one] for one in node.behind(position)))
            self.after_call[call.label] = self.after_call.get(call.label, frozenset()) | behind_call
            live = (live - frozenset(call.op.outputs())) | frozenset(call.op.inputs())
            if call.jump is not None:
                live |= self._called(call, behind_call)
            if call.fork is not None:
                live |= {call.fork}
            live -= {target for _, target in call.filter.moves}
            live |= call.filter.keys
            for check in call.filter.checks:
                if position == 0 and check.otherwise is Otherwise.BREAK:
                    live |= _answered(outputs, check)
            for otherwise in call.filter.outcomes:
                if position > 0:
                    is_skip = otherwise is Otherwise.SKIP
                    live |= before[node.following(position)] if is_skip else behind[name]
                elif otherwise is Otherwise.BREAK and call.filter.verdict is not None:
                    live |= outputs
                else:
                    passed = self.graph.passed_by(name, otherwise)
                    live = live.union(*(behind[one] for one in passed))
            # An operator may fail or decline, after which the item may answer; then there is no `result`.
            before[position] = live | (outputs - {RESULT})
        return before[0] | behind[name] if node.on_error else before[0]

    def _called(self, call: Call, behind: Keys) -> Keys:
        """What the sub-graph of a call reads of the caller's keys."""
        assert call.jump is not None
        kept = frozenset(call.op.outputs()) if call.op.writes else behind
        element: str | None = call.op.element  # type: ignore[attr-defined]
        inside = self.component(call.jump, dict.fromkeys(self.graph.leaves(call.jump), kept))
        return inside - ({element} if element else set())


def _answered(outputs: Keys, check: Check) -> Keys:
    """What an item that ends here answers with. One that ends for want of a key does not have it."""
    missing = {check.condition.key} if isinstance(check.condition, Has) else set()
    return outputs - missing
