"""Invariants of a graph, checked after every pass: a broken one is a bug in tpgen."""

from __future__ import annotations

from ..diagnostics import InternalError
from .graph import Graph


def verify(graph: Graph, after: str) -> None:
    """Check the graph.

    Raises:
        InternalError: the pass ``after`` broke an invariant.
    """
    problems = [*_structure(graph), *_types(graph), *_stages(graph)]
    if problems:
        raise InternalError(f"after pass '{after}': " + "; ".join(problems[:5]))


def _structure(graph: Graph) -> list[str]:
    problems = []
    seen: set[str] = set()
    labels: set[str] = set()
    for name, node in graph.nodes.items():
        seen.add(name)
        if node.name != name:
            problems.append(f"node '{node.name}' stands under '{name}'")
        if not node.calls:
            problems.append(f"node '{name}' has no call")
        for follower in node.next:
            if follower not in graph.nodes:
                problems.append(f"'{name}' goes on to '{follower}', which is no node")
            elif follower in seen:
                problems.append(f"'{follower}' stands before '{name}', which goes on to it")
        for call in node.calls:
            if call.label in labels:
                problems.append(f"label '{call.label}' is used twice")
            labels.add(call.label)
    return problems


def _types(graph: Graph) -> list[str]:
    if graph.types is None:
        return []
    return [
        f"'{call.label}' reads '{key}', which is not there"
        for _, call in graph.calls()
        if call.label in graph.types.before
        for key in call.op.inputs()
        if key not in graph.types.before[call.label]
    ]


def _stages(graph: Graph) -> list[str]:
    if not graph.stages:
        return []
    staged = [name for stage in graph.stages if not stage.is_called for name in stage.nodes]
    known = set(staged)
    shared = {name for root in (*graph.called(), *graph.bodies()) for name in graph.members(root)}
    problems = [f"node '{name}' is in no stage" for name in graph.nodes if name not in known | shared]
    if len([name for name in staged if name not in shared]) != len(known - shared):
        problems.append("a node is in two stages")
    return problems
