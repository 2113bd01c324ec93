"""Post-processing at the end of a model's graph, where it makes smaller what leaves the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..ir.rewrite import Tail
from ..types import DType
from .errors import REWRITE, ModelError
from .graph import GraphEditor
from .loading import number_of

_AXES_AS_INPUT = 18  # the opset from which on ReduceMax takes its axes as an input


def check_tail(editor: GraphEditor, path: Path) -> None:
    """See that a model can end in something else.

    Raises:
        ModelError: it has several outputs.
    """
    if (count := len(editor.graph.output)) != 1:
        raise ModelError(REWRITE, f"model '{path}' has {count} outputs; only one can be reduced")


def append_tail(editor: GraphEditor, tail: Tail, path: Path) -> None:
    """Let a model end in ``tail``, whose name its output gets. Items have a batch axis in front."""
    check_tail(editor, path)
    (output,) = editor.graph.output
    tensor = output.type.tensor_type
    dims = list(tensor.shape.dim)
    axis = tail.axis + 1 if tail.axis >= 0 else tail.axis + len(dims)
    if tail.kind == "index":
        _add(editor, "ArgMax", [output.name], tail.name, axis=axis, keepdims=0)
        dtype = DType.INT64
        del dims[axis]
    elif tail.kind == "best":
        _append_best(editor, tail, output.name, len(dims) - 1)
        dtype = DType.FLOAT32
        dims[-1] = type(dims[-1])(dim_value=2)
    else:
        _add(editor, "Greater", [output.name, _below(editor, tail, tensor.elem_type)], tail.name)
        dtype = DType.BOOL
    shape = type(tensor.shape)(dim=dims)
    output.name = tail.name
    tensor.elem_type = number_of(dtype)
    tensor.shape.CopyFrom(shape)


def _append_best(editor: GraphEditor, tail: Tail, value: str, axis: int) -> None:
    """Index and value of the largest element of the last axis, side by side."""
    float32 = number_of(DType.FLOAT32)
    index = _add(editor, "ArgMax", [value], f"{tail.name}.index", axis=axis, keepdims=1)
    index = _add(editor, "Cast", [index], f"{tail.name}.index_as_float", to=float32)
    scores = _add(editor, "Cast", [value], f"{tail.name}.scores", to=float32)
    if tail.softmax:
        scores = _add(editor, "Softmax", [scores], f"{tail.name}.softmax", axis=axis)
    largest = _largest(editor, scores, f"{tail.name}.largest", axis)
    _add(editor, "Concat", [index, largest], tail.name, axis=axis)


def _largest(editor: GraphEditor, value: str, name: str, axis: int) -> str:
    import numpy as np

    if editor.opset < _AXES_AS_INPUT:
        return _add(editor, "ReduceMax", [value], name, axes=[axis], keepdims=1)
    axes = editor.add_constant(f"{name}.axes", np.array([axis], np.int64))
    return _add(editor, "ReduceMax", [value, axes], name, keepdims=1)


def _below(editor: GraphEditor, tail: Tail, elem_type: int) -> str:
    """The number below the threshold: what is greater is at least the threshold. All opsets know Greater."""
    import numpy as np
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    least = np.array(tail.threshold, dtype)  # numpy, too, compares in the dtype of the array
    return editor.add_constant(f"{tail.name}.below", np.nextafter(least, np.array(-np.inf, dtype)))


def _add(editor: GraphEditor, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
    from onnx import helper

    editor.graph.node.append(helper.make_node(kind, inputs, [output], output, **attributes))
    return output
