"""Which keys are read later: what must cross from one stage to the next, what a pass may change."""

from __future__ import annotations

from ..ir.graph import DATA, RESULT, SWAP, Call, Entry, Graph


def live_before_nodes(graph: Graph, entry: Entry) -> dict[str, frozenset[str]]:
    """For each node of an entry: the keys that it, what follows it, or the entry's answer may read."""
    answered = _answered(entry)
    live = frozenset(port.key for port in entry.outputs)
    found: dict[str, frozenset[str]] = {}
    for name in reversed(graph.component(entry.root)):
        for call in reversed(graph.nodes[name].calls):
            live = _before(call, live, answered)
        found[name] = live
    return found


def live_after_call(graph: Graph, entry: Entry, label: str) -> frozenset[str]:
    """The keys that may be read behind a call of this entry.

    Raises:
        KeyError: the entry has no such call.
    """
    answered = _answered(entry)
    live = frozenset(port.key for port in entry.outputs)
    for name in reversed(graph.component(entry.root)):
        for call in reversed(graph.nodes[name].calls):
            if call.label == label:
                return live
            live = _before(call, live, answered)
    raise KeyError(label)


def _answered(entry: Entry) -> frozenset[str]:
    """Outputs that an item may answer with from any point on, because it can end before the last node.

    ``result`` is not among them: an item ends early just because it has none.
    """
    return frozenset(port.key for port in entry.outputs) - {RESULT}


def _before(call: Call, live: frozenset[str], answered: frozenset[str]) -> frozenset[str]:
    live = (live - frozenset(call.op.outputs())) | frozenset(call.op.inputs()) | answered
    return (live - {DATA}) | {RESULT} if call.filter == SWAP else live
