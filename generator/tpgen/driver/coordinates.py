"""Finds boxes that stay in pixels of the model's input because nothing maps them back to the source."""

from __future__ import annotations

from collections.abc import Mapping

from ..diagnostics import Bag
from ..ir.graph import Call, Graph
from ..ir.op import Trait
from ..ops.boxes import INVERSE, MapsBack
from ..passes.origins import Before, makers
from ..types import ABSENT, State

CODE = "TP314"
_LETTER_BOX = ("scale", "offset")


def warn_of_unmapped_boxes(graph: Graph, bag: Bag) -> None:
    """Warn where an operator that would map boxes back does not get what a resizing one wrote for that."""
    assert graph.types is not None
    calls = {call.label: call for _, call in graph.calls()}
    before = graph.types.before
    for node, call in graph.calls():
        if not isinstance(call.op, MapsBack) or not call.op.misses_matrix or INVERSE in call.spans:
            continue
        state = before.get(call.label, {}).get(call.op.inputs()[0], ABSENT)
        placed = _placed_by(calls, before, state)
        if placed is None:
            continue
        name, title = placed.op.name, graph.title(placed.node)
        if INVERSE in placed.op.outputs():
            reason = f"the '{INVERSE}' that {name} in [{title}] writes does not get here"
            hint = f'let the map bring it: map = "...,{title}[{INVERSE}:{INVERSE}]"'
        else:
            reason = f"{name} in [{title}] writes 'scale' and 'offset', but no '{INVERSE}'"
            hint = (
                "ResizeCenterPadMat places the image in the same way, ResizePadMat at the top left, and both "
                "write the matrix (max_h, max_w)"
            )
        bag.warning(
            CODE,
            f"{call.op.name}: the boxes are in pixels of the model's input, not of the source: {reason}",
            call.span,
            hint=f'{hint}; if these pixels are meant, say so: {INVERSE} = ""',
            node=node.title,
        )


def _placed_by(calls: Mapping[str, Call], before: Before, state: State) -> Call | None:
    """The last operator on the way here that says where it placed the image; None if there is none."""
    seen: set[str] = set()
    waiting = makers(calls, state)
    while waiting:
        call = waiting.pop()
        written = call.op.outputs()
        if INVERSE in written or set(_LETTER_BOX) <= set(written):
            return call
        if call.label in seen:
            continue
        seen.add(call.label)
        arriving = before.get(call.label, {})
        inputs = call.op.inputs() if call.op.has(Trait.INFERENCE) else call.op.inputs()[:1]
        for key in inputs:  # of others the image alone: boxes that cut it out tell nothing of where it lies
            waiting += makers(calls, arriving.get(key, ABSENT))
    return None
