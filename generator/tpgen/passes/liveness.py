"""Which keys are read later: what must cross from one stage to the next, what a pass may change."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.filters import RESULT, Check, Has, Otherwise
from ..ir.graph import Call, Entry, Graph, Node


def live_before_nodes(graph: Graph, entry: Entry) -> dict[str, frozenset[str]]:
    """For each node of an entry: the keys that it, what follows it, or the entry's answer may read."""
    live = _outputs(entry)
    found: dict[str, frozenset[str]] = {}
    for name in reversed(graph.component(entry.root)):
        *_, (_, live) = _walk_back(graph.nodes[name], entry, live)
        found[name] = live
    return found


def live_after_call(graph: Graph, entry: Entry, label: str) -> frozenset[str]:
    """The keys that may be read behind a call of this entry.

    Raises:
        KeyError: the entry has no such call.
    """
    live = _outputs(entry)
    for name in reversed(graph.component(entry.root)):
        behind = live
        for call, before in _walk_back(graph.nodes[name], entry, live):
            if call.label == label:
                return behind
            behind = before
        live = behind
    raise KeyError(label)


def _outputs(entry: Entry) -> frozenset[str]:
    return frozenset(port.key for port in entry.outputs)


def _walk_back(node: Node, entry: Entry, live: frozenset[str]) -> Iterator[tuple[Call, frozenset[str]]]:
    """The calls from the last to the first, each with the keys that are live before its filter."""
    behind_node = live
    for position, call in reversed([*enumerate(node.calls)]):
        behind_call = live
        live = (live - frozenset(call.op.outputs())) | frozenset(call.op.inputs())
        live -= {target for _, target in call.filter.moves}
        live |= call.filter.keys
        for check in call.filter.checks:
            if position > 0:
                live |= behind_call if check.otherwise is Otherwise.SKIP else behind_node
            else:
                live |= behind_node if check.otherwise is Otherwise.SKIP else _answered(entry, check)
        live |= _answered_anyway(entry)
        yield call, live


def _answered(entry: Entry, check: Check) -> frozenset[str]:
    """Outputs that an item which ends here answers with. One that ends for want of a key does not have it."""
    missing = {check.condition.key} if isinstance(check.condition, Has) else set()
    return _outputs(entry) - missing


def _answered_anyway(entry: Entry) -> frozenset[str]:
    """Outputs that an item may answer with from any point on, because an operator may fail or decline.

    ``result`` is not among them: it is then gone.
    """
    return _outputs(entry) - {RESULT}
