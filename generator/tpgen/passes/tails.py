"""Moves post-processing that makes smaller what a model answers to the end of the model's graph.

    model -> float32[T,C], CTCGreedyDecode  ->  model -> float32[T,2] (class, probability), characters
    model -> float32[1000], ArgMax          ->  model -> int64[]

Where the model runs on a backend of its own, what crosses from there is copied, on a GPU over the bus.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from ..ir.filters import DATA, SWAP
from ..ir.graph import Call, Entry, Graph, Node
from ..ir.op import Trait
from ..ir.rewrite import ModelRewrite, Tail
from ..ir.signature import BatchAxis, TensorInfo
from ..types import DType
from .base import Context
from .infer import infer_types
from .liveness import live_after_call
from .native import is_native

_DTYPES = {"index": DType.INT64, "best": DType.FLOAT32, "at_least": DType.BOOL}


@dataclass(frozen=True)
class FoldTails:
    """See the module. The answers stay the same but for rounding."""

    name: str = "tails"

    def run(self, graph: Graph, context: Context) -> Graph:
        if not is_native(context.options):
            return graph
        shared = Counter(node.physical or node.name for node in graph.nodes.values())
        changes: dict[str, Call] = {}
        for entry in graph.entries:
            for name in graph.members(entry.root):
                node = graph.nodes[name]
                for model, behind in _pairs(graph, node):
                    if shared[node.physical or name] == 1 and _is_last_reader(graph, entry, behind):
                        changes |= _folded(node, model, behind, context)
        if not changes:
            return graph
        nodes = {
            name: replace(node, calls=tuple(changes.get(call.label, call) for call in node.calls))
            for name, node in graph.nodes.items()
        }
        return infer_types(replace(graph, nodes=nodes), context)


def _pairs(graph: Graph, node: Node) -> list[tuple[Call, Call]]:
    """Models of a node, each with the call behind it that takes over the result of every item."""
    found = []
    for position, model in enumerate(node.calls):
        if not model.op.has(Trait.INFERENCE) or node.on_error is not None:
            continue
        behind = _next_call(graph, node, position)
        if behind is not None and behind.filter == SWAP and behind.op.has(Trait.REDUCES):
            found.append((model, behind))
    return found


def _next_call(graph: Graph, node: Node, position: int) -> Call | None:
    """The only call that items get to behind another one."""
    if any(call.fork is not None for call in node.calls):
        return None
    if position + 1 < len(node.calls):
        return node.calls[position + 1]
    mapped = {one.node for other in graph.nodes.values() for one in other.map}
    if len(node.next) != 1 or node.name in mapped:
        return None
    following = graph.nodes[node.next[0]]
    alone = len(graph.predecessors()[following.name]) == 1 and not following.map
    return following.calls[0] if alone and following.on_error is None else None


def _is_last_reader(graph: Graph, entry: Entry, call: Call) -> bool:
    """True if nothing behind a call reads what it reads."""
    return DATA not in live_after_call(graph, entry, call.label)


def _folded(node: Node, model: Call, behind: Call, context: Context) -> dict[str, Call]:
    """A model and the call behind it, changed; nothing if the model cannot end in the call's work."""
    op: Any = model.op
    signature = op.signature
    if (
        not op.has(Trait.REWRITABLE)
        or op.groups
        or len(signature.outputs) != 1
        or signature.batch is BatchAxis.NONE
    ):
        return {}
    (output,) = signature.outputs
    reduced = behind.op.reduced(output.dtype, output.name)  # type: ignore[attr-defined]
    if reduced is None:
        return {}
    tail, rest = reduced
    smaller = replace(signature, outputs=(_reduced_output(output, tail),))
    rewrite = ModelRewrite(signature.inputs[0].name, tail=tail)
    context.decisions.append(f"{node.title}: the model's graph ends in what {behind.op.name} computes")
    return {
        model.label: replace(model, op=replace(op, signature=smaller), rewrite=rewrite),
        behind.label: replace(behind, op=rest, spans={}),
    }


def _reduced_output(output: TensorInfo, tail: Tail) -> TensorInfo:
    shape = list(output.shape)
    if tail.kind == "index":
        del shape[tail.axis + 1 if tail.axis >= 0 else tail.axis]
    elif tail.kind == "best":
        shape[-1] = 2
    return TensorInfo(tail.name, _DTYPES[tail.kind], tuple(shape))
