"""Writing the changes that `batch_walk` found into a graph, as constants and nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .batch_walk import Change, Multiply, Repeat
from .graph import GraphEditor, attribute, describe

if TYPE_CHECKING:
    from onnx import NodeProto


class Graft:
    """Rewrites a graph node by node; `finish` puts the result in place.

    The batch size is read at run time from the first axis of ``batched_input``.
    """

    def __init__(self, editor: GraphEditor, batched_input: str) -> None:
        self.editor = editor
        self._input = batched_input
        self._front: list[NodeProto] = []  # computes the batch size
        self._nodes: list[NodeProto] = []
        self._factors: dict[tuple[int, int], str] = {}
        self._batch = ""

    def take(self, node: NodeProto, changes: Sequence[Change]) -> list[str]:
        """Take a node over with its changes; says what they are."""
        edits = []
        for change in changes:
            value = node.input[change.index]
            if isinstance(change, Repeat):
                repeats = self._factor(change.rank, change.axis)
                node.input[change.index] = self._add(
                    self._nodes, "Tile", [value, repeats], f"{value}.repeated"
                )
                edits.append(f"{describe(node)}: '{value}' is repeated for each item")
            else:
                node.input[change.index] = self._multiplied(node, value, change)
                edits.append(f"{describe(node)}: entry {change.entry} of its shape follows the batch")
        self._nodes.append(node)
        return edits

    def repeat_output(self, name: str, rank: int) -> None:
        """Let an output, which is the same for every item, hold its value once for each."""
        inner = self.editor.fresh(f"{name}.single")
        for node in self._nodes:
            for index, given in enumerate(node.output):
                if given == name:
                    node.output[index] = inner
            for index, read in enumerate(node.input):
                if read == name:
                    node.input[index] = inner
        self._nodes.append(_node("Tile", [inner, self._factor(rank, 0)], name))

    def finish(self) -> None:
        """Put the nodes into the graph."""
        self.editor.replace_nodes([*self._front, *self._nodes])

    def _multiplied(self, node: NodeProto, shape: str, change: Multiply) -> str:
        known = self.editor.constant(shape)
        if known is not None and node.op_type == "Reshape" and not (known < 0).any():
            fixed = known.copy()
            fixed[change.entry] = -1
            if not (fixed == 0).any() or not attribute(node, "allowzero", 0):
                return self.editor.add_constant(f"{shape}.batched", fixed)
        factor = self._factor(change.length, change.entry)
        return self._add(self._nodes, "Mul", [shape, factor], f"{shape}.batched")

    def _factor(self, length: int, entry: int) -> str:
        """The name of a vector of ones with the batch size at ``entry``."""
        import numpy as np

        if (length, entry) not in self._factors:
            parts = [self._batch_size()]
            if entry > 0:
                parts.insert(0, self.editor.add_constant("batch.ones", np.ones(entry, np.int64)))
            if entry < length - 1:
                parts.append(self.editor.add_constant("batch.ones", np.ones(length - 1 - entry, np.int64)))
            name = f"batch.at_{entry}_of_{length}"
            self._factors[length, entry] = self._add(self._front, "Concat", parts, name, axis=0)
        return self._factors[length, entry]

    def _batch_size(self) -> str:
        import numpy as np

        if not self._batch:
            shape = self._add(self._front, "Shape", [self._input], "batch.shape")
            first = self.editor.add_constant("batch.first", np.zeros(1, np.int64))
            self._batch = self._add(self._front, "Gather", [shape, first], "batch.size", axis=0)
        return self._batch

    def _add(self, nodes: list[NodeProto], kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        out = self.editor.fresh(name)
        nodes.append(_node(kind, inputs, out, **attributes))
        return out


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    from onnx import helper

    return helper.make_node(kind, inputs, [output], output, **attributes)
