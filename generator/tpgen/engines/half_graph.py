"""Writing a graph whose chosen nodes compute in half precision, and one in float32 that rounds alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .graph import GraphEditor, outer_names
from .operator_types import Lowerable
from .precision_report import Half

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

_SIZE_READERS = ("Shape", "Size")  # they take what there is


def lowered_model(
    model: ModelProto, chosen: Mapping[int, Lowerable], half: Half, *, emulate: bool = False
) -> ModelProto:
    """A copy of the model whose chosen nodes (by position) compute in half precision.

    Inputs and outputs keep their names and types: casts stand where a half value meets a float32 one, at
    most one per value and direction.

    With ``emulate`` all is float32, but every value and weight that would be half is rounded to it: that is
    what a GPU computes that sums up in float32. onnxruntime has few half kernels for the CPU and drops the
    rounding between the float32 ones that it takes instead, so its answers to a half model look too good.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]  # types that may no longer hold
    writer = _Writer(GraphEditor(copy, Path("model.onnx")), chosen, half, emulate)
    writer.write()
    return copy


class _Writer:
    """Rewrites the nodes one after the other; ``_half`` knows the half counterpart of each float32 value."""

    def __init__(
        self, editor: GraphEditor, chosen: Mapping[int, Lowerable], half: Half, emulate: bool
    ) -> None:
        self._editor, self._chosen, self._type, self._emulate = editor, chosen, half, emulate
        self._half: dict[str, str] = {}
        self._nodes: list[NodeProto] = []
        self._wanted_whole = self._read_whole()

    def write(self) -> None:
        for position, node in enumerate(list(self._editor.graph.node)):
            lowered = self._chosen.get(position)
            if lowered is None:
                self._keep(node)
            else:
                self._lower(node, lowered)
        self._editor.replace_nodes(self._nodes)
        self._drop_unread()

    def _read_whole(self) -> set[str]:
        """The values that somebody reads in float32."""
        wanted = {output.name for output in self._editor.graph.output}
        for position, node in enumerate(self._editor.graph.node):
            lowered = self._chosen.get(position)
            taken = lowered.inputs if lowered else frozenset()
            if node.op_type not in _SIZE_READERS:
                wanted.update(x for i, x in enumerate(node.input) if i not in taken)
            wanted |= outer_names(node)
        return wanted

    def _keep(self, node: NodeProto) -> None:
        if node.op_type in _SIZE_READERS and node.input[0] in self._half:
            node.input[0] = self._half[node.input[0]]
        self._nodes.append(node)

    def _lower(self, node: NodeProto, lowered: Lowerable) -> None:
        for i in lowered.inputs:
            node.input[i] = self._half_of(node.input[i])
        self._nodes.append(node)
        for i in sorted(lowered.outputs):
            value = node.output[i]
            if self._emulate:
                node.output[i] = self._editor.fresh(f"{value}_unrounded")
                self._round(node.output[i], value)
                self._half[value] = value
                continue
            node.output[i] = self._half[value] = self._editor.fresh(f"{value}_{self._type}")
            if value in self._wanted_whole:
                self._cast(node.output[i], value, whole=True)

    def _half_of(self, value: str) -> str:
        if value not in self._half:
            constant = self._editor.constant(value)
            chosen = self._half[value] = self._editor.fresh(f"{value}_{self._type}")
            if constant is not None:
                self._editor.graph.initializer.append(self._weights(chosen, constant))
            elif self._emulate:
                self._round(value, chosen)
            else:
                self._cast(value, chosen, whole=False)
        return self._half[value]

    def _weights(self, name: str, array: NDArray[np.generic]) -> TensorProto:
        from onnx import TensorProto, numpy_helper

        rounded, stored = half_values(array, self._type)
        if self._emulate:
            return numpy_helper.from_array(rounded, name)
        kind = TensorProto.FLOAT16 if self._type == "fp16" else TensorProto.BFLOAT16
        return TensorProto(name=name, data_type=kind, dims=array.shape, raw_data=stored)

    def _round(self, source: str, target: str) -> None:
        between = self._editor.fresh(f"{target}_rounded")
        self._cast(source, between, whole=False)
        self._cast(between, target, whole=True)

    def _cast(self, source: str, target: str, *, whole: bool) -> None:
        from onnx import TensorProto, helper

        half = TensorProto.FLOAT16 if self._type == "fp16" else TensorProto.BFLOAT16
        kind = TensorProto.FLOAT if whole else half
        name = self._editor.fresh(f"cast_{target}")
        self._nodes.append(helper.make_node("Cast", [source], [target], name, to=kind))

    def _drop_unread(self) -> None:
        """Remove float32 weights, and Constant nodes, of which only the half form is read."""
        graph = self._editor.graph
        read = set(_names_read(graph.node)) | {output.name for output in graph.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        nodes = [n for n in graph.node if n.op_type != "Constant" or n.output[0] in read]
        self._editor.replace_nodes(nodes)


def half_values(array: NDArray[np.generic], half: Half) -> tuple[NDArray[np.float32], bytes]:
    """The array rounded to half precision (to nearest, ties to even), as float32 and as stored bytes."""
    import numpy as np

    whole = np.asarray(array, np.float32).reshape(-1)
    if half == "fp16":
        rounded = whole.astype(np.float16)
        return rounded.astype(np.float32).reshape(array.shape), rounded.astype("<f2").tobytes()
    bits = whole.view(np.uint32)
    up = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    top = np.where(np.isfinite(whole), (bits + up) >> 16, bits >> 16).astype(np.uint32)
    return (top << 16).view(np.float32).reshape(array.shape), top.astype("<u2").tobytes()


def _names_read(nodes: Iterable[NodeProto]) -> Iterable[str]:
    for node in nodes:
        yield from node.input
        yield from outer_names(node)
