"""Which values of a node can be put in half precision together: told by the schema of its operator.

An operator names its types by variables: `Conv` takes and gives ``T``, `Resize` takes ``T1`` and gives
``T1``, but its scales are always float. A variable that allows half precision and is float32 in a node can
be lowered; the node can be if that covers every float32 output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .graph import attribute, is_standard
from .loading import subgraphs
from .precision_report import Half

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnx.defs import OpSchema

_TYPE_TEXT: dict[Half, str] = {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}

# Their output type is written in an attribute, or is their own: they are left to give float32.
_FIXED = {
    "BitCast": "it reads the bits of float32",
    "Cast": "it is a conversion itself",
    "Constant": "",
    "ConstantOfShape": "its type is written in it",
    "EyeLike": "its type is written in it",
    "Bernoulli": "its type is written in it",
    "Multinomial": "its type is written in it",
    "RandomNormal": "its type is written in it",
    "RandomNormalLike": "its type is written in it",
    "RandomUniform": "its type is written in it",
    "RandomUniformLike": "its type is written in it",
}

_LOSSY = {
    "CumSum": "running sums lose digits in half precision",
    "GridSample": "positions within an image lose digits in half precision",
    "MeanVarianceNormalization": "TensorRT has no such layer in half precision",
    "Mod": "TensorRT takes no half precision here",
    "NonMaxSuppression": "positions of boxes lose digits in half precision",
    "Range": "TensorRT takes no half precision here",
    "RoiAlign": "positions within an image lose digits in half precision",
    "Upsample": "onnxruntime takes no half precision here",
}


@dataclass(frozen=True)
class Lowerable:
    """The positions of a node's inputs and outputs that become half together."""

    inputs: frozenset[int]
    outputs: frozenset[int]


def value_types(model: ModelProto) -> dict[str, int]:
    """The element type (TensorProto's number) of every value of the main graph that inference can tell."""
    from onnx import shape_inference

    inferred = shape_inference.infer_shapes(model)
    graph = inferred.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name: number for name, number in types.items() if number}


def lowerable(node: NodeProto, opset: int, types: Mapping[str, int], half: Half) -> Lowerable | str:
    """What of a node can be put in half precision, or why nothing can; ``""``: it holds no floats."""
    from onnx import TensorProto

    refusal = _refusal(node)
    if refusal is not None:
        return refusal
    schema = _schema(node, opset)
    if schema is None:
        return f"ONNX {opset} has no such operator"
    unknown = next((name for name in (*node.input, *node.output) if name and name not in types), None)
    if unknown is not None:
        return f"the type of '{unknown}' is not known"
    inputs = {i: _variable(schema, i, taken=True) for i, x in enumerate(node.input) if x}
    floats = {i for i in inputs if types[node.input[i]] == TensorProto.FLOAT}
    allowed = {c.type_param_str for c in schema.type_constraints if _TYPE_TEXT[half] in c.allowed_type_strs}
    chosen = frozenset(i for i in floats if inputs[i] in allowed)
    variables = {inputs[i] for i in chosen}
    outputs = frozenset(i for i, y in enumerate(node.output) if y and types[y] == TensorProto.FLOAT)
    if not floats and not outputs:
        return ""
    if not chosen or any(_variable(schema, i, taken=False) not in variables for i in outputs):
        return f"ONNX {opset} has it in float32 only"
    return Lowerable(chosen, outputs)


def _refusal(node: NodeProto) -> str | None:
    """Why a node is not looked at any further; ``""``: it is not worth a word."""
    if any(True for _ in subgraphs(node)):
        return "what its sub-graphs read stays as it is"
    if not is_standard(node):
        return f"an operator of the domain '{node.domain}'"
    if node.op_type in ("ScatterElements", "ScatterND") and attribute(node, "reduction", b"none") != b"none":
        return "onnxruntime takes no half precision here"
    return _FIXED.get(node.op_type, _LOSSY.get(node.op_type))


def _schema(node: NodeProto, opset: int) -> OpSchema | None:
    from onnx import defs

    try:
        return defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return None


def _variable(schema: OpSchema, position: int, *, taken: bool) -> str:
    """The type variable of an input or output; the last one of a list covers all that follow."""
    parameters = schema.inputs if taken else schema.outputs
    return str(parameters[min(position, len(parameters) - 1)].type_str)
