"""What a model takes and gives: its inputs, its outputs, and how it treats batches."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..ir.signature import ModelSignature, TensorInfo
from ..types import DType
from .batch_axis import BATCH, BatchVerdict, Shape, decide
from .errors import UNSUPPORTED_TYPE, ModelError
from .given_pairs import has_pairs
from .graph import opset_of
from .loading import check_external_data, dtype_of, load_skeleton, number_of
from .session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

_HINTS = {
    "sequence_type": "return its tensors as outputs of their own (scikit-learn: options={'zipmap': False})",
    "map_type": "export it without the class names (scikit-learn: options={'zipmap': False})",
    "optional_type": "export it as a plain tensor, or leave it out",
    "sparse_tensor_type": "export it as a dense tensor",
}

# Where onnxruntime's names differ from ours: "tensor(float)" is float32.
_ORT_TYPES = {f"tensor({dtype.value})": dtype for dtype in DType} | {
    "tensor(float)": DType.FLOAT32,
    "tensor(double)": DType.FLOAT64,
}


def read_signature(path: Path, fmt: Literal["onnx"] = "onnx") -> ModelSignature:
    """The signature of a model file, without loading its weights; read once per process and file version.

    Shapes hold the batch axis and keep the names of dimensions. Initializers that are listed as inputs too
    are not inputs.

    Raises:
        ModelError: the file is missing, is no model, or has an input or output that Triton can't carry.
    """
    return _read(path, fmt)[0]


def explain_batch(path: Path, fmt: Literal["onnx"] = "onnx") -> str:
    """One sentence on how the model treats batches and how that is known.

    Raises:
        ModelError: as `read_signature`.
    """
    return _read(path, fmt)[1].why


def _read(path: Path, fmt: str) -> tuple[ModelSignature, BatchVerdict]:
    if fmt != "onnx":
        raise ValueError(f"no reader for the model format {fmt!r}")
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        load_skeleton(path)  # says what is wrong
        raise
    return _read_version(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _read_version(path: Path, mtime_ns: int, size: int) -> tuple[ModelSignature, BatchVerdict]:
    del mtime_ns, size  # only keys of the cache
    model = load_skeleton(path)
    check_external_data(model, path)
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    _complete_outputs(model, path)
    taken = tuple(_info(value, "input", path) for value in inputs)
    given = tuple(_info(value, "output", path) for value in model.graph.output)
    verdict = decide(taken, given, _inferred_outputs(model, [value.name for value in inputs]))
    signature = ModelSignature(
        taken, given, verdict.axis, verdict.size, opset_of(model), precision=_precision(model)
    )
    return signature, verdict


def _precision(model: ModelProto) -> str:
    """What most weights of a model are in, or int8 for one that is quantised."""
    from onnx import TensorProto

    if has_pairs(model):
        return "int8"
    names = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16", TensorProto.FLOAT: "fp32"}
    weights = Counter({"fp32": 0})
    for tensor in model.graph.initializer:
        if tensor.data_type in names:
            weights[names[tensor.data_type]] += math.prod(tensor.dims)
    return weights.most_common(1)[0][0]


def _info(value: ValueInfoProto, role: str, path: Path) -> TensorInfo:
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise ModelError(
            UNSUPPORTED_TYPE, f"model '{path}': {role} '{value.name}' has no type", "export it again"
        )
    if kind != "tensor_type":
        what = kind.removesuffix("_type").replace("_", " ")
        message = f"model '{path}': {role} '{value.name}' is a {what}; Triton carries dense tensors only"
        raise ModelError(UNSUPPORTED_TYPE, message, _HINTS.get(kind, "export it as a plain tensor"))
    dtype = dtype_of(value.type.tensor_type.elem_type)
    if dtype is None:
        kind = _type_name(value)
        message = f"model '{path}': {role} '{value.name}' has the element type {kind}, which Triton lacks"
        raise ModelError(
            UNSUPPORTED_TYPE, message, "export the model with a cast to float32 or an integer there"
        )
    shape = shape_of(value)
    if shape is None:
        message = f"model '{path}': the rank of {role} '{value.name}' is not known, and can't be inferred"
        raise ModelError(
            UNSUPPORTED_TYPE, message, "export the model with shapes, or run onnx.shape_inference on it"
        )
    return TensorInfo(value.name, dtype, shape)


def shape_of(value: ValueInfoProto) -> Shape | None:
    """The declared shape: numbers, names, None for a dimension of which nothing is said; None: no shape."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else (d.dim_param or None)
        for d in tensor.shape.dim
    )


def _type_name(value: ValueInfoProto) -> str:
    from onnx import TensorProto

    number = value.type.tensor_type.elem_type
    return TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else str(number)


def _complete_outputs(model: ModelProto, path: Path) -> None:
    """Give a shape to outputs that are declared without one: by inference, else as onnxruntime sees it."""
    missing = [v for v in model.graph.output if v.type.WhichOneof("value") in (None, "tensor_type")]
    missing = [v for v in missing if shape_of(v) is None or not v.type.tensor_type.elem_type]
    if not missing:
        return
    found = {value.name: value for value in _infer(model).graph.output}
    for value in missing:
        value.CopyFrom(found[value.name])
    if any(shape_of(value) is None or not value.type.tensor_type.elem_type for value in missing):
        _ask_onnxruntime(missing, path)


def _ask_onnxruntime(values: Iterable[ValueInfoProto], path: Path) -> None:
    from onnx import helper

    seen = {output.name: output for output in open_session(path).get_outputs()}
    for value in values:
        output = seen[value.name]
        dtype = _ORT_TYPES.get(output.type)
        if dtype is not None:
            value.CopyFrom(helper.make_tensor_value_info(value.name, number_of(dtype), output.shape))


def _infer(model: ModelProto) -> ModelProto:
    from onnx import checker, shape_inference

    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except (shape_inference.InferenceError, checker.ValidationError, RuntimeError, ValueError):
        return model  # it is stricter than onnxruntime: such a model may run, but nothing was learnt of it


def _inferred_outputs(model: ModelProto, inputs: list[str]) -> dict[str, Shape | None]:
    """Output shapes by inference alone, with the first axis of every input named ``BATCH``."""
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in inputs and dims and not dims[0].dim_value:
            dims[0].dim_param = BATCH
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    return {value.name: shape_of(value) for value in _infer(copy).graph.output}
