"""Lets models on a GPU take images as the resize leaves them: their graph moves and swaps the channels.

    ResizeMat, cvtColorMat(rgb), Mat2Tensor, model(float32[3,224,224])
      ->  ResizeMat, model(uint8[224,224,3] BGR)

Both are passes over the image on the CPU, which prepares images for a GPU that waits for them; there they
are read in another order, once. On a CPU the stage in front does it faster than the model's graph would
(at 640 × 640 0.25 ms against 2), so this is for the gpu target. DALI turns images on the GPU itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..ir.filters import DATA, SWAP
from ..ir.graph import DALI, Call, Entry, Graph, Node
from ..ir.op import Trait, neutral
from ..ir.rewrite import ModelRewrite
from ..ir.settings import Profile, Settings
from ..ir.signature import ModelSignature, TensorInfo
from ..types import Array, Color, Layout
from .base import Context
from .fold import is_foldable, may_pass_by
from .infer import infer_types
from .liveness import live_after_call
from .looks import takes
from .native import is_native, reason_to_stay

_CHANNELS = (1, 3)  # sizes that tell the channels from height and width


@dataclass(frozen=True)
class FoldLayout:
    """See the module. Only what leads to nothing but the model is taken away."""

    name: str = "layout"

    def run(self, graph: Graph, context: Context) -> Graph:
        options = context.options
        if not is_native(options) or options.target != "gpu" or options.preprocess == DALI:
            return graph
        shared = Counter(node.physical or node.name for node in graph.nodes.values())
        changes: dict[str, Call] = {}
        nodes = dict(graph.nodes)
        for entry in graph.entries:
            for name in graph.members(entry.root):
                node = graph.nodes[name]
                for position, call in enumerate(node.calls):
                    if shared[node.physical or name] > 1 or not _can_turn(graph, entry, call):
                        continue
                    found = _calls_before(graph, node, position)
                    turned = _turned(graph, node, call, found, context)
                    if turned:
                        changes |= turned
                        nodes[name] = replace(node, settings=_turned_shapes(node.settings))
        if not changes:
            return graph
        nodes = {
            name: replace(node, calls=tuple(changes.get(call.label, call) for call in node.calls))
            for name, node in nodes.items()
        }
        return infer_types(replace(graph, nodes=nodes), context)


def _can_turn(graph: Graph, entry: Entry, call: Call) -> bool:
    """True if a call's model can take its image in another layout."""
    if not is_foldable(graph, call) or reason_to_stay(graph, call) is not None:
        return False
    op: Any = call.op
    # Samples, and the shape that an engine is tuned for, are of images as they arrive in the TOML.
    if op.calibrate_input or "x" in op.opt or any(takes(graph, call)):
        return False
    channels, height, _ = op.signature.item_shape(op.signature.inputs[0])
    is_clear = channels in _CHANNELS and height not in _CHANNELS
    return is_clear and call.filter == SWAP and DATA not in live_after_call(graph, entry, call.label)


def _calls_before(graph: Graph, node: Node, position: int) -> list[Call]:
    """The two calls that all items of a call come from, the nearer one first; none that something passes."""
    found: list[Call] = []
    for call in _backwards(graph, node, position):
        if len(found) == 2 or may_pass_by(graph, call) or any(takes(graph, call)):
            break
        found.append(call)
    return [] if may_pass_by(graph, node.calls[position]) else found


def _backwards(graph: Graph, node: Node, position: int) -> Iterator[Call]:
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


def _turned(graph: Graph, node: Node, call: Call, before: list[Call], context: Context) -> dict[str, Call]:
    """The model's call and those before it that it makes superfluous, changed; nothing if there are none."""
    if not before or not before[0].op.has(Trait.TO_CHW) or before[0].jump is not None:
        return {}
    to_chw = before[0]
    image = _image(graph, to_chw)
    if image is None or image.layout is not Layout.HWC:
        return {}
    found = _swapped_before(graph, before[1]) if to_chw.filter == SWAP and len(before) > 1 else None
    op: Any = call.op
    turned = replace(
        op, signature=_channels_last(op.signature), input_color="any" if found else op.input_color
    )
    rewrite = call.rewrite or ModelRewrite(op.signature.inputs[0].name)
    rewrite = replace(rewrite, layout="HWC", channel_reverse=found is not None)
    order = f" and {found.value.upper()}" if found else ""
    context.decisions.append(
        f"{node.title}: images go into the model's graph as they come, HWC{order}:"
        " on the GPU it moves the channels, and no copy is made in front of it"
    )
    gone = before if found else [to_chw]
    changes = {one.label: replace(one, op=neutral(), spans={}) for one in gone}
    return {**changes, call.label: replace(call, op=turned, rewrite=rewrite)}


def _image(graph: Graph, call: Call) -> Array | None:
    assert graph.types is not None
    found = graph.types.before[call.label][DATA].type
    return found if isinstance(found, Array) else None


def _swapped_before(graph: Graph, call: Call) -> Color | None:
    """The channel order in front of a call that exchanges red and blue; None for other calls."""
    image = _image(graph, call) if call.op.has(Trait.SETS_COLOR) else None
    if image is None or image.layout is not Layout.HWC:
        return None
    color: str = call.op.color  # type: ignore[attr-defined]
    return image.color if {image.color, Color(color)} == {Color.RGB, Color.BGR} else None


def _channels_last(signature: ModelSignature) -> ModelSignature:
    (info,) = signature.inputs
    *lead, channels, height, width = info.shape
    return replace(signature, inputs=(TensorInfo(info.name, info.dtype, (*lead, height, width, channels)),))


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
