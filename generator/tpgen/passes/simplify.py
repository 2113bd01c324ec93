"""Leave out calls that do nothing here, such as stream synchronisation inside a sequence.

Sequential[ResizeMat, SyncTensor]                 ->  ResizeMat
cvtColorMat(color="rgb") on an image in RGB       ->  (nothing)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.filters import DATA, SWAP
from ..ir.graph import Call, Graph, Node
from ..ir.op import Trait
from ..types import Array
from .base import Context
from .infer import infer_types
from .looks import takes


@dataclass(frozen=True)
class DropForwards:
    """Drops calls that hand ``data`` on as ``result``, where a ``swap`` stands on both sides.

    ``swap, forward`` puts ``result`` to ``data`` and back: without it, ``result`` just stays. Every node
    keeps at least one call, and a call that another one reads ``data`` behind stays as well.
    """

    name: str = "simplify"

    def run(self, graph: Graph, context: Context) -> Graph:
        nodes = {name: _simplified(graph, node) for name, node in graph.nodes.items()}
        if nodes == dict(graph.nodes):
            return graph
        return infer_types(graph.with_nodes(nodes), context)


def _simplified(graph: Graph, node: Node) -> Node:
    calls = list(node.calls)
    if any(call.fork is not None for call in calls):
        return node  # what stands behind a call is not the next one
    for call in node.calls:
        if len(calls) > 1 and call.filter == SWAP and _forwards(graph, call):
            following = calls[calls.index(call) + 1 :]
            if following[0].filter == SWAP if following else not _leaves_data(graph, node):
                calls.remove(call)
    if len(calls) > 1 and _forwards(graph, calls[0]) and calls[1].filter == SWAP:
        calls = [replace(calls[1], filter=calls[0].filter), *calls[2:]]
    return node if len(calls) == len(node.calls) else replace(node, calls=tuple(calls))


def _leaves_data(graph: Graph, node: Node) -> bool:
    """True if the ``data`` at the node's end is seen: the next node does not swap, or it is an answer."""
    if any(one.node == node.name for other in graph.nodes.values() for one in other.map):
        return True
    if node.next:
        return any(graph.nodes[name].calls[0].filter != SWAP for name in node.next)
    return node.name in _subgraph_ends(graph) or any(
        port.key.rpartition(".")[2] == DATA for entry in graph.entries for port in entry.outputs
    )


def _subgraph_ends(graph: Graph) -> set[str]:
    roots = {*graph.called(), *graph.loops, *graph.bodies()}
    return {leaf for root in roots for leaf in graph.leaves(root)}


def _forwards(graph: Graph, call: Call) -> bool:
    if call.op.has(Trait.FORWARDS):
        return True
    if not call.op.has(Trait.SETS_COLOR) or graph.types is None or call.label not in graph.types.before:
        return False
    if any(takes(graph, call)):  # it also brings images into one layout
        return False
    arriving = graph.types.before[call.label][DATA].type
    wanted: str = call.op.color  # type: ignore[attr-defined]
    return isinstance(arriving, Array) and arriving.color.value == wanted
