"""Moves post-processing that makes smaller what a model answers to the end of the model's graph.

    model -> float32[T,C], CTCGreedyDecode    ->  model -> float32[T,2] (class, probability), characters
    model -> float32[1000], Softmax, TopK     ->  model -> float32[2,5] (classes, scores), labels
    model -> float32[84,8400], YoloDecode     ->  model -> float32[300,7] (box, score, class), corners

Where the model runs on a backend of its own, what crosses from there is copied, on a GPU over the bus. What
makes nothing smaller moves only for the sake of what follows it, or where nothing else stands behind the
model: then no process is needed there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..ir.filters import DATA, SWAP
from ..ir.graph import Call, Entry, Graph, Node
from ..ir.op import Op, Trait
from ..ir.rewrite import ModelRewrite, Tail
from ..ir.signature import BatchAxis, ModelSignature, TensorInfo
from ..types import Array, Symbol
from . import sizes
from .base import Context
from .infer import infer_types
from .liveness import live_after_call
from .native import is_native


@dataclass(frozen=True)
class FoldTails:
    """See the module. The answers stay the same but for the rounding of softmax."""

    name: str = "tails"

    def run(self, graph: Graph, context: Context) -> Graph:
        if not is_native(context.options):
            return graph
        shared = Counter(node.physical or node.name for node in graph.nodes.values())
        changes: dict[str, Call] = {}
        for entry in graph.entries:
            for name in graph.members(entry.root):
                node = graph.nodes[name]
                for chain in _chains(graph, entry, node):
                    if shared[node.physical or name] == 1:
                        changes |= _folded(node, chain, context)
        if not changes:
            return graph
        nodes = {
            name: replace(node, calls=tuple(changes.get(call.label, call) for call in node.calls))
            for name, node in graph.nodes.items()
        }
        return infer_types(replace(graph, nodes=nodes), context)


@dataclass(frozen=True)
class _Chain:
    """A model of a node with the calls behind it that take over the result of every item, in turn.

    Nothing else reads what these read. ``is_all``: nothing else stands behind the model, in a pipeline that
    can be an ensemble. ``left``: a call that could be one of these, but for the reason that is given.
    """

    model: Call
    behind: tuple[Call, ...]
    is_all: bool
    left: tuple[Call, str] | None


def _chains(graph: Graph, entry: Entry, node: Node) -> Iterator[_Chain]:
    is_own = node.name in graph.component(entry.root)
    is_straight = is_own and graph.is_straight(entry.root) and entry.root not in graph.loops
    for position, model in enumerate(node.calls):
        if not model.op.has(Trait.INFERENCE) or node.on_error is not None:
            continue
        behind: list[Call] = []
        following = _next_call(graph, node, position)
        is_all, left = is_straight, None
        while following is not None:
            call = following[0].calls[following[1]]
            why = _why_no_part(graph, entry, call)
            if why:
                is_all, left = False, (call, why) if call.op.has(Trait.REDUCES) else None
                break
            if call.op.has(Trait.REDUCES):
                behind.append(call)
            elif not call.op.has(Trait.FORWARDS):
                is_all = False
                break
            last, following = following, _next_call(graph, *following)
            is_all = is_all and (following is not None or _is_end(*last))
        if behind or left:
            yield _Chain(model, tuple(behind), is_all, left)


def _why_no_part(graph: Graph, entry: Entry, call: Call) -> str:
    """Why a call behind a model does not take over what the model answers alone, "" if it does."""
    if call.filter != SWAP:
        return f"it has a filter of its own, '{call.filter}'"
    return f"its '{DATA}' is read behind it, too" if DATA in live_after_call(graph, entry, call.label) else ""


def _is_end(node: Node, position: int) -> bool:
    return not node.next and position + 1 == len(node.calls)


def _next_call(graph: Graph, node: Node, position: int) -> tuple[Node, int] | None:
    """The only call that items get to behind another one: its node, and its place there."""
    if any(call.fork is not None for call in node.calls):
        return None
    if position + 1 < len(node.calls):
        return node, position + 1
    mapped = {one.node for other in graph.nodes.values() for one in other.map}
    if len(node.next) != 1 or node.name in mapped:
        return None
    following = graph.nodes[node.next[0]]
    alone = len(graph.predecessors()[following.name]) == 1 and not following.map
    return (following, 0) if alone and following.on_error is None else None


def _folded(node: Node, chain: _Chain, context: Context) -> dict[str, Call]:
    """The model of a chain and calls behind it, changed; nothing if the model cannot end in their work."""
    model = chain.model
    op: Any = model.op
    signature: ModelSignature = op.signature
    steps: list[_Step] = []
    why = _why_as_it_is(model)
    if not why and chain.behind:
        steps, why = _steps(signature, chain.behind, is_all=chain.is_all)
    left = (chain.behind[len(steps)], why) if why and chain.behind else chain.left
    if left:
        context.decisions.append(
            f"{node.title}: {left[0].op.name} stays outside the model's graph: {left[1]}"
        )
    if not steps:
        return {}
    tails = tuple(step.tail for step in steps)
    last = tails[-1]
    (output,) = signature.outputs
    shape = signature.item_shape(output)
    for tail in tails:
        shape = tail.shape(shape)
    smaller = TensorInfo(last.name, last.dtype, (output.shape[0], *shape))
    names = " and ".join(step.call.op.name for step in steps)
    before, after = sizes.shown(output.dtype, signature.item_shape(output)), sizes.shown(last.dtype, shape)
    gain = f"{after} per item leave it, not {before}" if after != before else "no process stands behind it"
    context.decisions.append(
        f"{node.title}: the model's graph ends in what {names} compute{'s' * (len(steps) == 1)}: {gain}"
    )
    op = replace(op, signature=replace(signature, outputs=(smaller,)))
    rewrite = ModelRewrite(signature.inputs[0].name, tails=tails, output_name=output.name)
    changed = {step.call.label: replace(step.call, op=step.rest, spans={}) for step in steps}
    return {**changed, model.label: replace(model, op=op, rewrite=rewrite)}


def _why_as_it_is(model: Call) -> str:
    """Why a model's graph is not changed, "" if it can be."""
    op: Any = model.op
    if not op.has(Trait.REWRITABLE):
        return "the model is no ONNX file"
    if op.groups:
        return "each instance group has a graph of its own"
    if len(op.signature.outputs) != 1:
        return f"the model has {len(op.signature.outputs)} outputs"
    return "the model has no batch axis" if op.signature.batch is BatchAxis.NONE else ""


@dataclass(frozen=True)
class _Step:
    """A call whose work a model's graph takes over, and what is left of it."""

    call: Call
    tail: Tail
    rest: Op


def _steps(signature: ModelSignature, behind: Sequence[Call], *, is_all: bool) -> tuple[list[_Step], str]:
    """The first of the calls whose work can move, up to the one that leaves least to be copied; why no more.

    With ``is_all``, all of them, if that leaves nothing to do and no more to be copied.
    """
    (output,) = signature.outputs
    name, dtype, shape = output.name, output.dtype, signature.item_shape(output)
    found: list[_Step] = []
    whole = smallest = sizes.weight(dtype, shape)
    count = 0
    why = ""
    for call in behind:
        answer = Array(dtype, tuple(dim if isinstance(dim, int) else Symbol(dim or "") for dim in shape))
        reduced = call.op.reduced(answer, name)  # type: ignore[attr-defined]
        if reduced is None:
            why = f"what it does with {answer} has no form in ONNX"
            break
        if reduced[0].opset > signature.opset:
            why = f"that takes opset {reduced[0].opset}, the model has {signature.opset}"
            break
        found.append(_Step(call, *reduced))
        tail, rest = reduced
        name, dtype, shape = tail.name, tail.dtype, tail.shape(shape)
        if sizes.weight(dtype, shape) < smallest:
            smallest, count = sizes.weight(dtype, shape), len(found)
        if not rest.has(Trait.NEUTRAL):  # the next one does not read what the model answers
            why = f"{call.op.name} before it does a part of its work outside"
            break
    does_all = is_all and len(found) == len(behind) and all(step.rest.has(Trait.NEUTRAL) for step in found)
    if does_all and sizes.weight(dtype, shape) <= whole:
        return found, ""
    if count < len(found):
        why = "it makes nothing smaller that is copied"
    return found[:count], why if count < len(behind) else ""
