"""Models that bring the ranges of int8 themselves: quantised by whoever trained or exported them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import REWRITE, ModelError
from .loading import load_skeleton
from .precision_choice import layer_name

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

PAIR = ("QuantizeLinear", "DequantizeLinear")


def is_quantised(path: Path) -> bool:
    """True if a file holds such a model; false for what can't be read, which others complain of."""
    try:
        return has_pairs(load_skeleton(path))
    except (ModelError, OSError):
        return False


def has_pairs(model: ModelProto) -> bool:
    """True for a graph with QuantizeLinear or DequantizeLinear."""
    return any(node.op_type in PAIR for node in model.graph.node)


def quantised_layers(model: ModelProto) -> list[NodeProto]:
    """The layers that read what a DequantizeLinear gives."""
    given = {name for node in model.graph.node if node.op_type == PAIR[1] for name in node.output}
    return [node for node in model.graph.node if node.op_type not in PAIR and given & set(node.input)]


def check_pairs(model: ModelProto) -> None:
    """Check that TensorRT takes the pairs of a model.

    Raises:
        ModelError: one has another type than int8, or a zero point that is not 0.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in model.graph.node:
        problem = next(_problems(node, constants), None) if node.op_type in PAIR else None
        if problem is not None:
            message = f"TensorRT takes int8 around 0 only, and '{layer_name(node)}' has {problem}"
            hint = (
                "quantise it anew, activations and weights symmetric in int8, biases left in float32;"
                " or name the model before that, and samples in calibrate_input"
            )
            raise ModelError(REWRITE, message, hint)


def _problems(node: NodeProto, constants: dict[str, TensorProto]) -> Iterator[str]:
    from onnx import TensorProto, numpy_helper

    whole: dict[int, str] = {
        TensorProto.UINT8: "uint8",
        TensorProto.INT32: "int32",
        TensorProto.UINT16: "uint16",
    }
    places = (0, 2) if node.op_type == PAIR[1] else (2,)  # a value, and the zero point
    for tensor in (constants.get(node.input[i]) for i in places if i < len(node.input)):
        if tensor is not None and tensor.data_type in whole:
            yield whole[tensor.data_type]
    zero = constants.get(node.input[2]) if len(node.input) > 2 else None
    if zero is not None and zero.data_type == TensorProto.INT8 and numpy_helper.to_array(zero).any():
        yield "a zero point that is not 0"
