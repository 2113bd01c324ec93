"""Moves normalisation and channel order to where they cost least.

On the CPU, in one stage::

    cvtColorMat(rgb), Mat2Tensor, model(mean, std)
      ->  a model that takes uint8 [H,W,C], and whose weights hold 1 / std

The model brings colour order, layout and mean about where it puts its batch together (`packed`): in few calls
for all images, and into the memory that it reads.

``mean`` cannot pass a zero-padded convolution exactly, so it stays in front; scale and channel order can.
Where the model runs in another stage than the image operators, ``mean``, ``std`` and the cast move into
the model's graph, so that uint8 crosses between the stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..ir.filters import DATA, RUN, SWAP
from ..ir.graph import Call, Entry, Graph, Node
from ..ir.op import Trait, neutral
from ..ir.rewrite import ModelRewrite
from ..types import Array, Color, DType, Layout
from . import sizes
from .base import Context
from .infer import infer_types
from .liveness import live_after_call
from .looks import takes

_CROSSING = frozenset((DType.BOOL, DType.UINT8, DType.INT32, DType.INT64, DType.FLOAT16, DType.FLOAT32))
_MOST_BEHIND = 2  # calls before a model that can be folded into it


@dataclass(frozen=True)
class FoldPreprocessing:
    """See the module. Only models whose one input is an image read from ``data`` are touched."""

    name: str = "fold"

    def run(self, graph: Graph, context: Context) -> Graph:
        stages = {name: stage.name for stage in graph.stages if not stage.is_called for name in stage.nodes}
        elsewhere = {label: stage for stage in graph.stages for label in stage.runs}
        changes: dict[str, Call | None] = {}
        for entry in graph.entries:
            for name in graph.members(entry.root):
                node = graph.nodes[name]
                for position, call in enumerate(node.calls):
                    if is_foldable(graph, call):
                        behind = [*_calls_behind(graph, node, stages), *node.calls[:position]]
                        stage = elsewhere.get(call.label)
                        is_native = stage is not None and not stage.is_python
                        behind = [] if stage is not None or _turns(graph, call) else behind
                        _fold(graph, entry, node, call, behind, changes, context, is_native=is_native)
        if not changes:
            return graph
        nodes = {name: _changed(node, changes) for name, node in graph.nodes.items()}
        return infer_types(replace(graph, nodes=nodes), context)


def _turns(graph: Graph, call: Call) -> bool:
    """True if the call brings images into a layout or colour order itself, which has to happen first."""
    return any(takes(graph, call))


def _calls_behind(graph: Graph, node: Node, stages: Mapping[str, str]) -> list[Call]:
    """The calls of the nodes that only lead to this one, in its stage: each has the next as only follower."""
    found: list[Call] = []
    mapped = {one.node for other in graph.nodes.values() for one in other.map}
    while not node.map and len(before := graph.predecessors()[node.name]) == 1:
        node, follower = graph.nodes[before[0]], node
        if len(node.next) > 1 or stages[node.name] != stages[follower.name] or node.name in mapped:
            break
        found = [*node.calls, *found]
        if len(found) > _MOST_BEHIND:
            break
    return found


def _changed(node: Node, changes: dict[str, Call | None]) -> Node:
    """The node with its changed calls; the first one left takes over the first one's filter."""
    calls = [c for call in node.calls if (c := changes.get(call.label, call)) is not None]
    if not calls:
        return replace(node, calls=(replace(node.calls[0], op=neutral()),))
    return replace(node, calls=(replace(calls[0], filter=node.calls[0].filter), *calls[1:]))


def is_foldable(graph: Graph, call: Call) -> bool:
    """True if what happens to a model's input can move into its graph: its one input is an image.

    That is CHW, or HWC where the graph turns it already; or an array of any number of channels, where it is
    normalised as such.
    """
    if not call.op.has(Trait.REWRITABLE) or call.op.inputs() != (DATA,) or not _leaves_values(call.rewrite):
        return False
    assert graph.types is not None
    arriving = graph.types.before.get(call.label, {}).get(DATA)
    if arriving is None or not isinstance(arriving.type, Array):
        return False
    layout = Layout(call.rewrite.layout) if call.rewrite and call.rewrite.layout else Layout.CHW
    return arriving.type.layout is layout or _is_normalised(call, arriving.type)


def _is_normalised(call: Call, arriving: Array) -> bool:
    """True for an array that is no image by its type, whose first axis has a mean or std for each place."""
    op: Any = call.op
    if arriving.layout is not Layout.NONE or len(arriving.shape) != 3 or not (op.mean or op.std):
        return False
    return "channels_last" not in op.kernel_arguments({DATA: arriving})


def _leaves_values(rewrite: ModelRewrite | None) -> bool:
    """True if no cast, mean or scale was asked of a model's input yet."""
    return rewrite is None or replace(rewrite, tails=(), layout=None, channel_reverse=False).is_empty


def _fold(
    graph: Graph,
    entry: Entry,
    node: Node,
    call: Call,
    behind: list[Call],
    changes: dict[str, Call | None],
    context: Context,
    *,
    is_native: bool,
) -> None:
    op: Any = call.op
    packed = _packable(graph, entry, call, behind)
    if packed is not None:
        to_chw, convert = packed
        to_chw_op: Any = to_chw.op
        op = replace(op, packs=to_chw_op.packed(mean=op.mean, swap_rb=convert is not None))
        changes[to_chw.label] = None
        if convert is not None:
            changes[convert.label] = None
        rewrite = _scale_only(op) if op.std else None
        what = "channel order, layout, cast and mean on the way into the batch"
        what += ", 1/std in the weights" if op.std else ""
    elif op.mean or op.std or is_native:
        rewrite = _whole(graph, call, is_native=is_native)
        if rewrite.is_empty:
            return
        what = f"mean, std and the cast in the model's graph{_smaller(graph, call, rewrite)}"
    else:
        return
    color = op.expected_color() or op.input_color  # which the order of the mean may have shown
    if call.rewrite is not None:
        rewrite = replace(
            call.rewrite,
            scale=rewrite.scale if rewrite else None,
            mean=rewrite.mean if rewrite else None,
            input_dtype=rewrite.input_dtype if rewrite else None,
        )
    changes[call.label] = replace(call, op=replace(op, mean=(), std=(), input_color=color), rewrite=rewrite)
    context.decisions.append(f"{_place(entry, node)}: {what}")


def _place(entry: Entry, node: Node) -> str:
    """A node for people; one of an added entry with this entry's name."""
    return f"{node.title} of {entry.name}" if entry.is_added else node.title


def _packable(graph: Graph, entry: Entry, call: Call, behind: list[Call]) -> tuple[Call, Call | None] | None:
    """The layout call (and the colour call before it) that can become one packing call, if any."""
    if not behind or call.filter != SWAP or not behind[-1].op.has(Trait.TO_CHW):
        return None
    to_chw = behind[-1]
    if any(may_pass_by(graph, one) for one in (call, *behind[-2:])):
        return None
    image = _type_before(graph, to_chw)
    model_input: Any = call.op
    if image.dtype is not DType.UINT8 or model_input.signature.inputs[0].dtype is not DType.FLOAT32:
        return None
    if image.shape[2] != 3 or DATA in live_after_call(graph, entry, call.label):
        return None
    convert = behind[-2] if len(behind) > 1 else None
    if to_chw.filter != SWAP or convert is None or not _swaps_channels(graph, convert):
        return to_chw, None
    return to_chw, convert


def may_pass_by(graph: Graph, call: Call) -> bool:
    """True if some items may go on without the call, by a filter in its node."""
    (node,) = (node for node in graph.nodes.values() if any(c.label == call.label for c in node.calls))
    first, *others = node.calls
    is_sure = not first.filter.can_skip and all(one.filter in (RUN, SWAP) for one in others)
    return not is_sure or any(one.fork is not None for one in node.calls)


def _swaps_channels(graph: Graph, call: Call) -> bool:
    """True for the exchange of red and blue, where what stands behind the call can take its place."""
    if not call.op.has(Trait.SETS_COLOR) or not _passes_filter_on(graph, call):
        return False
    color: str = call.op.color  # type: ignore[attr-defined]
    return {_type_before(graph, call).color, Color(color)} == {Color.RGB, Color.BGR}


def _passes_filter_on(graph: Graph, call: Call) -> bool:
    """True if the call's filter stays where it is when the call goes (see `_changed`), or is a swap."""
    return call.filter == SWAP or any(node.calls[0].label == call.label for node in graph.nodes.values())


def _type_before(graph: Graph, call: Call) -> Array:
    assert graph.types is not None
    found = graph.types.before[call.label][DATA].type
    assert isinstance(found, Array)
    return found


def _scale_only(op: Any) -> ModelRewrite:
    return ModelRewrite(op.signature.inputs[0].name, scale=tuple(1.0 / s for s in op.std))


def crossing_dtype(arriving: DType, model: DType) -> DType:
    """The dtype in which an image goes to a model on a backend of its own: as it arrives, if it can.

    TensorRT has neither float64 nor most integers: images in these are cast before they go.
    """
    return arriving if arriving in _CROSSING else model


def _smaller(graph: Graph, call: Call, rewrite: ModelRewrite) -> str:
    """What goes into the model then, where the cast makes it smaller."""
    op: Any = call.op
    info, arriving = op.signature.inputs[0], _type_before(graph, call)
    if rewrite.input_dtype is None or arriving.dtype.itemsize >= info.dtype.itemsize:
        return ""
    now, before = (sizes.shown(dtype, arriving.shape) for dtype in (arriving.dtype, info.dtype))
    return f": {now} per item go in, not {before}"


def _whole(graph: Graph, call: Call, *, is_native: bool) -> ModelRewrite:
    """All of the normalisation inside the model, which then takes what arrives."""
    op: Any = call.op
    info = op.signature.inputs[0]
    arriving = _type_before(graph, call).dtype
    if is_native:
        arriving = crossing_dtype(arriving, info.dtype)
    return ModelRewrite(
        info.name,
        scale=tuple(1.0 / s for s in op.std) or None,
        mean=op.mean or None,
        input_dtype=arriving if arriving is not info.dtype else None,
    )
