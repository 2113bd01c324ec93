"""Sub-graphs: what a ``jump`` may name, checked once all nodes are built (dialect.md 2.4)."""

from __future__ import annotations

from ..diagnostics import Bag
from ..ir.graph import Call, Graph
from .keys import near_hint
from .shown import shown


def check_jumps(graph: Graph, bag: Bag) -> None:
    """Report jumps to nodes that cannot be sub-graphs, and cycles among them."""
    before = graph.predecessors()
    callers: dict[str, list[Call]] = {}
    for node, call in graph.calls():
        root = call.jump
        if root is None:
            continue
        span = call.spans.get("jump", call.span)
        if root not in graph.nodes:
            hint = near_hint(root, graph.nodes)
            bag.error("TP201", f"unknown node {shown(root)} in 'jump'", span, hint=hint, node=node.name)
        elif before[root]:
            bag.error(
                "TP218",
                f"'{root}' is no root: '{before[root][0]}' goes on to it",
                span,
                hint="a sub-graph is a component of its own; take the node out of that 'next'",
                node=node.name,
            )
        else:
            callers.setdefault(root, []).append(call)
    for root, calls in callers.items():
        _check_subgraph(graph, root, calls, bag)
    _check_cycles(graph, set(callers), bag)


def _check_subgraph(graph: Graph, root: str, calls: list[Call], bag: Bag) -> None:
    leaves = graph.leaves(root)
    if len(leaves) > 1:
        span = calls[0].spans.get("jump", calls[0].span)
        message = f"the sub-graph '{root}' has several ends: {', '.join(leaves)}"
        hint = "let them join in one node, whose map says what it takes from which"
        bag.error("TP219", message, span, hint=hint, node=calls[0].node)


def _check_cycles(graph: Graph, roots: set[str], bag: Bag) -> None:
    calls = {
        root: [c for name in graph.component(root) for c in graph.nodes[name].calls if c.jump in roots]
        for root in roots
    }
    done: set[str] = set()

    def visit(root: str, way: tuple[str, ...]) -> bool:
        for call in calls[root]:
            target = call.jump
            assert target is not None
            if target in way:
                cycle = " -> ".join([*way[way.index(target) :], target])
                span = call.spans.get("jump", call.span)
                hint = "a sub-graph cannot run itself; only an entry's items start again ('restart')"
                bag.error("TP218", f"the jumps form a cycle: {cycle}", span, hint=hint, node=call.node)
                return True
            if target not in done and visit(target, (*way, target)):
                return True
        done.add(root)
        return False

    for root in sorted(roots):
        if root not in done and visit(root, (root,)):
            return
