"""Moves what only prepares an image for a model into the front of the model's graph.

    ResizeMat, cvtColorMat(rgb), Mat2Tensor, Normalize, model(float32[3,224,224])
      ->  ResizeMat, model(uint8[224,224,3] BGR)

A cast or a normalisation in front of a model on a backend of its own makes what crosses to it four times as
large. The order of channels and axes moves on the gpu target only: there, they are two passes less over the
image on the CPU, which prepares images for a GPU that waits for them. On a CPU the stage in front does it
faster than the model's graph would (at 640 × 640 in 0.25 ms, against 2). Who prepares images on the GPU does
all of it there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..ir.filters import DATA, SWAP
from ..ir.graph import DALI, Call, Entry, Graph, Node
from ..ir.op import Op, Trait, neutral
from ..ir.rewrite import ModelRewrite
from ..ir.settings import Profile, Settings
from ..ir.signature import ModelSignature, TensorInfo
from ..types import Array, Color, DType, Layout
from .base import Context, Options
from .device import GPU
from .fold import is_foldable, may_pass_by
from .infer import infer_types
from .liveness import live_after_call
from .looks import takes
from .native import is_native, reason_to_stay

_CHANNELS = (1, 3)  # sizes that tell the channels from height and width
_LARGEST = DType.FLOAT32.itemsize  # what is larger crosses as float32


@dataclass(frozen=True)
class FoldHeads:
    """See the module. Only what leads to nothing but the model is taken away."""

    name: str = "heads"

    def run(self, graph: Graph, context: Context) -> Graph:
        if not is_native(context.options) or context.options.preprocess in (DALI, GPU):
            return graph
        shared = Counter(node.physical or node.name for node in graph.nodes.values())
        changes: dict[str, Call] = {}
        nodes = dict(graph.nodes)
        for entry in graph.entries:
            for name in graph.members(entry.root):
                node = graph.nodes[name]
                for position, call in enumerate(node.calls):
                    if shared[node.physical or name] > 1 or not _takes_all(graph, entry, call):
                        continue
                    head = _head(graph, node, position, context.options)
                    if not head.calls:
                        continue
                    if _has_samples(call):
                        context.decisions.append(_left(node, head))
                        continue
                    changes |= {one.label: replace(one, op=neutral(), spans={}) for one in head.calls}
                    changes[call.label] = _changed(call, head)
                    context.decisions.append(_said(node, head))
                    if head.turns:
                        nodes[name] = replace(node, settings=_turned_shapes(node.settings))
        if not changes:
            return graph
        nodes = {
            name: replace(node, calls=tuple(changes.get(call.label, call) for call in node.calls))
            for name, node in nodes.items()
        }
        return infer_types(replace(graph, nodes=nodes), context)


def _takes_all(graph: Graph, entry: Entry, call: Call) -> bool:
    """True if a call's model takes over an image from all items, and nobody else sees it."""
    if not is_foldable(graph, call) or reason_to_stay(graph, call) is not None:
        return False
    is_free = call.filter == SWAP and not may_pass_by(graph, call) and not any(takes(graph, call))
    return is_free and DATA not in live_after_call(graph, entry, call.label)


def _has_samples(call: Call) -> bool:
    """True if a model's input is known by samples, which are of what arrives by the TOML."""
    op: Any = call.op
    return bool(op.calibrate_input)


@dataclass(frozen=True)
class _Head:
    """What a model's graph can take over: calls, the last one first. ``mean`` is in the model's order.

    ``swapped`` is the colour order in front of an exchange of channels, None if there is none. What may stay
    where it is still changes the order: ``reverses`` says whether the channels come in the opposite one.
    """

    calls: tuple[Call, ...] = ()
    turns: bool = False
    swapped: Color | None = None
    reverses: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def _head(graph: Graph, node: Node, position: int, options: Options) -> _Head:
    model = node.calls[position].op
    can_turn = options.target == GPU and _can_turn(model)
    head = _Head()
    for call in _backwards(graph, node, position):
        if may_pass_by(graph, call) or call.jump is not None or any(takes(graph, call)):
            break
        if not call.op.has(Trait.FORWARDS):
            more = _with(graph, head, call, model, can_turn=can_turn)
            if more is None:
                break
            head = more
        if call.filter != SWAP:
            break
    return head


def _backwards(graph: Graph, node: Node, position: int) -> Iterator[Call]:
    """The calls that every item of a call comes from, the nearest first."""
    mapped = {one.node for other in graph.nodes.values() for one in other.map}
    while node.on_error is None:
        yield from reversed(node.calls[:position])
        before = graph.predecessors()[node.name]
        if node.map or len(before) != 1:
            return
        node = graph.nodes[before[0]]
        if len(node.next) > 1 or node.name in mapped:
            return
        position = len(node.calls)


def _can_turn(model: Any) -> bool:
    """True if a model can take its image in another layout, and who looks at it can tell."""
    channels, height, _ = model.signature.item_shape(model.signature.inputs[0])
    return channels in _CHANNELS and height not in _CHANNELS and "x" not in model.opt


def _with(graph: Graph, head: _Head, call: Call, model: Any, *, can_turn: bool) -> _Head | None:
    """The head with one more call in front, if it is not left where it is; None if nothing gets past it."""
    assert graph.types is not None
    image = graph.types.before[call.label][DATA].type if DATA in call.op.inputs() else None
    if not isinstance(image, Array):
        return None
    op: Any = call.op
    more = replace(head, calls=(*head.calls, call))
    is_float = model.signature.inputs[0].dtype is DType.FLOAT32 and image.dtype.itemsize <= _LARGEST
    if op.has(Trait.TO_FLOAT):
        return more if is_float else None
    if op.has(Trait.NORMALIZES):
        if not is_float or head.mean or model.mean or model.std:
            return None
        order = -1 if head.reverses else 1
        return replace(more, mean=op.mean[::order], std=op.std[::order])
    if image.layout is not Layout.HWC:
        return None
    if op.has(Trait.TO_CHW):
        return replace(more, turns=True) if can_turn else head
    if not _swaps_channels(op, image):
        return None
    found = more if head.turns and head.swapped is None else head
    return replace(found, swapped=image.color if found is more else head.swapped, reverses=not head.reverses)


def _swaps_channels(op: Op, image: Array) -> bool:
    """True for the exchange of red and blue."""
    if not op.has(Trait.SETS_COLOR):
        return False
    color: str = op.color  # type: ignore[attr-defined]
    return {image.color, Color(color)} == {Color.RGB, Color.BGR}


def _changed(call: Call, head: _Head) -> Call:
    """The model's call, which does what the calls of the head did."""
    op: Any = call.op
    # A mean that is new here says nothing of what the model wants.
    wanted = op.expected_color() or "any" if head.mean else op.input_color
    color = "any" if head.swapped else wanted
    changed = replace(op, mean=op.mean or head.mean, std=op.std or head.std, input_color=color)
    if not head.turns:
        return replace(call, op=changed)
    rewrite = call.rewrite or ModelRewrite(op.signature.inputs[0].name)
    return replace(
        call,
        op=replace(changed, signature=_channels_last(op.signature)),
        rewrite=replace(rewrite, layout="HWC", channel_reverse=head.swapped is not None),
    )


def _channels_last(signature: ModelSignature) -> ModelSignature:
    (info,) = signature.inputs
    *lead, channels, height, width = info.shape
    return replace(signature, inputs=(TensorInfo(info.name, info.dtype, (*lead, height, width, channels)),))


def _left(node: Node, head: _Head) -> str:
    why = "the samples of calibrate_input are of what arrives behind it"
    return f"{node.title}: the work of {_names(head)} stays in front of the model's graph: {why}"


def _names(head: _Head) -> str:
    return " and ".join(call.op.name for call in reversed(head.calls))


def _said(node: Node, head: _Head) -> str:
    order = f" and {head.swapped.value.upper()}" if head.swapped else ""
    arriving = f"; images go in as HWC{order}, without a copy in another order on the CPU" * head.turns
    return f"{node.title}: the model's graph begins with what {_names(head)} did{arriving}"


def _turned_shapes(settings: Settings) -> Settings:
    """The settings with the shapes of profiles that are given in full as the model takes them now."""

    def turned(shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple((s[0], *s[2:], s[1]) if len(s) == 4 else s for s in shapes)

    return replace(
        settings,
        groups=tuple(
            replace(group, profiles=tuple(Profile(turned(p.low), turned(p.high)) for p in group.profiles))
            for group in settings.groups
        ),
    )
