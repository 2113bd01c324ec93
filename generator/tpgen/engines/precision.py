"""fp16 and bf16 by conversion of the graph: TensorRT 11 takes the precision from the ONNX file alone.

Written here rather than taken from `onnxruntime.transformers.float16`: that one has no bf16, clips weights
that don't fit, and says nothing of what it kept; and the copy that rounds as a GPU does
(`Converted.emulated`) needs to know of every value what it became.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import NOT_A_MODEL, REWRITE, ModelError
from .graph import GraphEditor
from .half_graph import lowered_model
from .operator_types import value_types
from .precision_choice import Choice, layer_name
from .precision_report import Layer, PrecisionReport, PrecisionRequest
from .ranges import Sample, largest_values

if TYPE_CHECKING:
    from onnx import ModelProto

_BF16_OPSET = 22  # the first in which convolutions and most others take bfloat16


@dataclass(frozen=True)
class Converted:
    """A model in another precision; inputs and outputs have the names, types and shapes they had.

    Attributes:
        model: the ONNX file to build an engine from.
        emulated: a float32 model that rounds where ``model`` does, to be computed by onnxruntime's CPU
            kernels; see `half_graph.lowered_model`.
        report: what became of each layer.
    """

    model: bytes
    emulated: bytes
    report: PrecisionReport


def convert_precision(
    model: bytes, request: PrecisionRequest, samples: Iterable[Sample] | None = None
) -> Converted:
    """Put a model's layers in half precision.

    ``samples`` (inputs by name, with their batch axis) show which layers would overflow in fp16.

    Raises:
        ModelError: not an ONNX model, or one that can't be brought to the opset that bf16 needs.
        RunFailed: a sample does not fit the model.
    """
    original, notes = _prepared(parse_model(model), request)
    ranges: dict[str, float] = {}
    if samples is not None and request.half == "fp16":
        ranges = largest_values(original, _float_values(original), samples)
    elif request.half == "fp16":
        notes.append("no samples were given, so layers that overflow were not looked for")
    choice = Choice(GraphEditor(original, Path("model.onnx")), request, ranges)
    lowered = lowered_model(original, choice.chosen, request.half)
    _check(lowered, original, request)
    emulated = lowered_model(original, choice.chosen, request.half, emulate=True)
    is_free = not (request.keep or request.only)
    none = f"no layer was put in {request.half}"
    doubts = (none,) if is_free and not choice.chosen else ()
    layers = _layers(original, choice)
    report = PrecisionReport(request.half, *layers, tuple(notes), choice.unmatched(), doubts)
    return Converted(_bytes(lowered), _bytes(emulated), report)


def parse_model(model: bytes) -> ModelProto:
    """The model in a file's content.

    Raises:
        ModelError: it is none, or its weights are elsewhere.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        parsed: ModelProto = ModelProto.FromString(model)
    except DecodeError:
        raise ModelError(NOT_A_MODEL, "this is no ONNX model") from None
    if not parsed.graph.node:
        raise ModelError(NOT_A_MODEL, "this ONNX model has no nodes")
    outside = next((t for t in parsed.graph.initializer if t.data_location == t.EXTERNAL), None)
    if outside is not None:
        message = f"the weights '{outside.name}' lie in another file; the whole model is needed"
        raise ModelError(REWRITE, message, "save it as one file of less than 2 GB")
    return parsed


def at_opset(model: ModelProto, opset: int, why: str) -> tuple[ModelProto, list[str]]:
    """The model in at least this version of ONNX's operators, and a note if it had to be brought there.

    Raises:
        ModelError: onnx can't do it.
    """
    from onnx import version_converter

    found = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=opset)
    if found >= opset:
        return model, []
    # Before version 4 constants are inputs, too, which some exports forget.
    model.ir_version = max(model.ir_version, 4)
    try:
        converted: ModelProto = version_converter.convert_version(model, opset)
    except Exception as error:  # noqa: BLE001 (the converter raises what its C++ code does)
        reason = str(error).strip().splitlines()[0]
        message = f"{why} needs opset {opset}; the model has {found} and can't be brought there: {reason}"
        raise ModelError(REWRITE, message, f"export the model with opset {opset}") from None
    return converted, [f"brought from opset {found} to {opset}: {why} needs that"]


def _prepared(model: ModelProto, request: PrecisionRequest) -> tuple[ModelProto, list[str]]:
    if request.half == "bf16":
        return at_opset(model, _BF16_OPSET, "bf16")
    return model, []


def _check(lowered: ModelProto, original: ModelProto, request: PrecisionRequest) -> None:
    """Check all types, unless onnx's checker finds fault with the original already."""
    reason = _fault(lowered)
    if reason and not _fault(original):
        raise ModelError(REWRITE, f"the model can't be put in {request.half}: {reason}", "keep it in fp32")


def _fault(model: ModelProto) -> str:
    from onnx import checker, shape_inference

    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError) as error:
        return str(error).strip().splitlines()[0]
    return ""


def _float_values(model: ModelProto) -> list[str]:
    from onnx import TensorProto

    computed = {name for node in model.graph.node for name in node.output if name}
    return sorted(n for n, kind in value_types(model).items() if kind == TensorProto.FLOAT and n in computed)


def _layers(model: ModelProto, choice: Choice) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    nodes = list(model.graph.node)
    converted = tuple(Layer(layer_name(nodes[i]), nodes[i].op_type) for i in choice.chosen)
    kept = tuple(Layer(layer_name(nodes[i]), nodes[i].op_type, why) for i, why in choice.kept.items())
    return converted, kept


def _bytes(model: ModelProto) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content
