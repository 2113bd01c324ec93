"""Straight pipelines whose models run on Triton's own backends: an ensemble instead of calls.

    decode, [Sequential: resize, TensorrtTensor, softmax]
      ->  stage (decode, resize)  ->  model  ->  stage (softmax)

An ensemble hands tensors from one model to the next, and no process waits for an answer in between. It
knows no conditions, and a backend neither companions nor rows of several shapes, so that takes a pipeline
whose items all get there, with images of one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..diagnostics import Bag
from ..ir.filters import DATA, RESULT, SWAP
from ..ir.graph import Call, Entry, Graph, Node, Port
from ..ir.op import Trait
from ..types import Array
from . import native
from .base import Context
from .infer import infer_types
from .liveness import live_after_call
from .looks import takes


def split(graph: Graph, entry: Entry, context: Context) -> tuple[Graph, Entry]:
    """The graph with each model of an entry in a node of its own, named as before; and the entry in it."""
    root = entry.root
    graph = _without_forwards(graph, entry)
    for name in graph.component(entry.root):
        node = graph.nodes[name]
        models = [call for call in node.calls if call.op.has(Trait.INFERENCE)]
        if models and len(node.calls) > 1:
            pieces = _pieces(node, models[0])
            graph = _with_pieces(graph, name, pieces)
            root = pieces[0].name if name == root else root
    changed = replace(entry, root=root)
    entries = tuple(changed if one.name == entry.name else one for one in graph.entries)
    return infer_types(replace(graph, entries=entries), replace(context, bag=Bag())), changed


def _without_forwards(graph: Graph, entry: Entry) -> Graph:
    """The graph without nodes that only put ``result`` to ``data`` and back."""
    nodes = dict(graph.nodes)
    for name in graph.component(entry.root)[1:]:
        node = nodes[name]
        if not all(call.filter == SWAP and call.op.has(Trait.FORWARDS) for call in node.calls):
            continue
        if DATA not in live_after_call(graph, entry, node.calls[-1].label):
            behind = next(one for one in nodes.values() if name in one.next)
            nodes[behind.name] = replace(behind, next=node.next)
            del nodes[name]
    return graph if len(nodes) == len(graph.nodes) else graph.with_nodes(nodes)


def _pieces(node: Node, model: Call) -> list[Node]:
    """What stands before a node's model, the model, and what stands behind it."""
    position = node.calls.index(model)
    parts = {
        f"{node.name}__before": node.calls[:position],
        node.name: (model,),
        f"{node.name}__after": node.calls[position + 1 :],
    }
    names = [name for name, calls in parts.items() if calls]
    return [
        replace(
            node,
            name=name,
            calls=parts[name],
            next=(following,) if following else node.next,
            copy_of=node.copy_of or (node.name if name != node.name else ""),
            physical=node.physical or node.name,
        )
        for name, following in zip(names, [*names[1:], ""], strict=True)
    ]


def _with_pieces(graph: Graph, name: str, pieces: Sequence[Node]) -> Graph:
    nodes: dict[str, Node] = {}
    for other in graph.nodes.values():
        if other.name == name:
            nodes.update({piece.name: piece for piece in pieces})
        else:
            following = tuple(pieces[0].name if one == name else one for one in other.next)
            nodes[other.name] = replace(other, next=following)
    return graph.with_nodes(nodes)


def reason_against(graph: Graph, entry: Entry) -> str | None:
    """Why the models of an entry cannot be steps of an ensemble, if they cannot. ``graph`` is a split one."""
    assert graph.types is not None
    names: list[str] = []
    for name in graph.component(entry.root):
        node = graph.nodes[name]
        models = [call for call in node.calls if call.op.has(Trait.INFERENCE)]
        if not models:
            continue
        if len(node.calls) > 1 or node.on_error is not None or node.settings.retry:
            return f"'{node.title}' does more with its items than run a model"
        problem = _reason_against_model(graph, entry, node, models[0])
        if problem is not None:
            return problem
        names.append(node.physical or name)
    return None if len(set(names)) == len(names) else "two nodes share a model"


def _reason_against_model(graph: Graph, entry: Entry, node: Node, call: Call) -> str | None:
    assert graph.types is not None
    if native.reason_to_stay(graph, call) is not None:
        return f"the model of '{node.title}' runs in a Python stage"
    if node.settings.max_batch < entry.max_batch:
        return f"'{node.title}' takes {node.settings.max_batch} items at a time, a request may bring more"
    if any(takes(graph, call)):
        return f"images come to '{node.title}' in different forms"
    if any(_varies(port) for ports in native.ports_of(graph, call) for port in ports):
        return f"the tensors of '{node.title}' vary in size"
    for key, port in zip(call.op.inputs(), native.ports_of(graph, call)[0], strict=True):
        arriving_type, taken = graph.types.read_by(call.label)[key], port.type
        if (
            isinstance(arriving_type, Array)
            and isinstance(taken, Array)
            and arriving_type.dtype is not taken.dtype
        ):
            return f"'{node.title}' takes {taken.dtype.value}, and {arriving_type.dtype.value} arrives"
    states = graph.types.entering[node.name]
    arriving = [RESULT] if call.filter == SWAP else list(call.op.inputs())
    if any(states[key].quiet for key in arriving) or any(
        before in graph.types.ends_quietly for before in graph.predecessors()[node.name]
    ):
        return f"items may end before '{node.title}'"
    return None


def _varies(port: Port) -> bool:
    type_ = port.type
    return not isinstance(type_, Array) or not all(isinstance(dim, int) for dim in type_.shape)


def groups_of(graph: Graph, entry: Entry) -> list[list[str]]:
    """The nodes of each step: a model alone, and what stands between models together."""
    found: list[list[str]] = []
    for name in graph.component(entry.root):
        if is_model(graph, name) or not found or is_model(graph, found[-1][0]):
            found.append([name])
        else:
            found[-1].append(name)
    return found


def is_model(graph: Graph, name: str) -> bool:
    """True for a node that only runs a model."""
    return all(call.op.has(Trait.INFERENCE) for call in graph.nodes[name].calls)


def wires(call: Call) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The tensors of a step's model with the keys that stand for them: of its inputs, and of its outputs."""
    op: Any = call.op
    keys = [RESULT] if call.filter == SWAP else op.inputs()
    written = op.outputs() if len(op.signature.outputs) == 1 else op.outputs()[1:]
    inputs, outputs = native.tensor_names(call)
    return tuple(zip(inputs, keys, strict=True)), tuple(zip(outputs, written, strict=True))
