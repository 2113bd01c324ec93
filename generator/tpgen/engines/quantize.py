"""int8 by pairs of QuantizeLinear and DequantizeLinear, in the form that TensorRT takes.

Symmetric everywhere, weights per channel, biases left in float32; pairs stand at the inputs of layers only,
so that what lies between two layers (Relu, MaxPool) is computed on what the next one quantises. TensorRT's
own calibrators are gone in version 11: the scales are found here, with onnxruntime, on the CPU.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import REWRITE, ModelError
from .given_pairs import PAIR, check_pairs, has_pairs, quantised_layers
from .precision import Converted, at_opset, convert_precision, parse_model
from .precision_choice import layer_name, named, unmatched
from .precision_report import Half, Layer, PrecisionReport, PrecisionRequest
from .ranges import Sample
from .session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto

Method = Literal["minmax", "entropy"]

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FEW = 20  # samples: ranges of fewer are chance
_BINS = 2048  # of the histogram that limits are searched in
_PER_CHANNEL_OPSET = 13
_HALF_SCALE_OPSET = 19  # the first whose pairs can stand between half values

_OPTIONS = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "AddQDQPairToWeight": True,  # weights stay readable, and TensorRT folds the pair
    "QuantizeBias": False,  # TensorRT takes no int32 constant behind a DequantizeLinear
    "OpTypesToExcludeOutputQuantization": list(_LAYERS),
}


@dataclass(frozen=True)
class Int8Request:
    """How a model is quantised.

    Attributes:
        keep: parts of layer names that are not quantised (``precision::fp32``).
        method: ``minmax`` covers all that the samples show; ``entropy`` cuts off rare large values.
        rest: what layers compute in that are not quantised, None for fp32.
        layer_norm_fp32: as in `PrecisionRequest`, where ``rest`` is given.
    """

    keep: tuple[str, ...] = ()
    method: Method = "minmax"
    rest: Half | None = None
    layer_norm_fp32: bool = False


def quantize_int8(model: bytes, request: Int8Request, samples: Iterable[Sample]) -> Converted:
    """Quantise a model's convolutions and products with the ranges that its values take on samples.

    ``samples`` are the model's inputs by name, with their batch axis: what the pipeline gives it. A model
    that is quantised already keeps its ranges, and needs none.

    Raises:
        ModelError: not an ONNX model, no layer to quantise, no samples, or onnxruntime can't do it.
    """
    read = list(samples)
    parsed = parse_model(model)
    if has_pairs(parsed):
        return _as_given(parsed, model, request, read)
    if not read:
        raise ModelError(REWRITE, "int8 needs samples to calibrate with", "name a folder in calibrate_input")
    vain = unmatched(request.keep, parsed.graph.node)  # before some are folded into others
    original, notes = _prepared(parsed)
    chosen, kept = _layers(original, request.keep)
    if not chosen and kept:
        message = "no layer is left to quantise: precision::fp32 keeps all of them"
        raise ModelError(REWRITE, message, 'name fewer layers, or write precision = "fp16"')
    if not chosen:
        raise ModelError(REWRITE, f"no layer to quantise (none of {', '.join(_LAYERS)})", "use fp16")
    _check_types(original, chosen)
    quantized = _quantized(original, chosen, request.method, read)
    few = f"{len(read)} samples set the ranges, where a few hundred are usual"
    notes.append(f"calibrated on {len(read)} samples ({request.method})")
    doubts = (few,) if len(read) < _FEW else ()
    report = PrecisionReport("int8", chosen, kept, tuple(notes), vain, doubts)
    if request.rest is None:
        return Converted(quantized, quantized, report)
    return _with_half_rest(quantized, request, request.rest, report, read)


def _as_given(parsed: ModelProto, model: bytes, request: Int8Request, samples: list[Sample]) -> Converted:
    """A model whose pairs stay: to quantise it once more would round twice."""
    check_pairs(parsed)
    layers = tuple(Layer(layer_name(node), node.op_type) for node in quantised_layers(parsed))
    note = "the model brings the ranges of int8 itself: they stay"
    report = PrecisionReport("int8", layers, (), (note,), unmatched(request.keep, parsed.graph.node))
    if request.rest is None:
        return Converted(model, model, report)
    return _with_half_rest(model, request, request.rest, report, samples)


def _check_types(model: ModelProto, layers: tuple[Layer, ...]) -> None:
    """Check that the weights of layers are float32: the pairs are made of nothing else."""
    from onnx import TensorProto

    names = {layer.name for layer in layers}
    half = {
        t.name for t in model.graph.initializer if t.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    }
    for node in model.graph.node:
        if node.name in names and half & set(node.input):
            message = f"int8 is made of float32, and the weights of '{node.name}' are in half precision"
            raise ModelError(REWRITE, message, 'export the model in float32, or write precision = "fp16"')


def _prepared(model: ModelProto) -> tuple[ModelProto, list[str]]:
    """The model with a name for each layer, batch normalisations folded, in an opset that has axes."""
    prepared, notes = at_opset(model, _PER_CHANNEL_OPSET, "int8 per channel")
    if any(node.op_type == "BatchNormalization" for node in prepared.graph.node):
        prepared = _folded(prepared)
        notes.append("batch normalisations were folded into the layers before them")
    for node in prepared.graph.node:
        node.name = layer_name(node)
    return prepared, notes


def _folded(model: ModelProto) -> ModelProto:
    """The model after the rewrites of onnxruntime that stay within ONNX."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="tpgen-") as folder:
        file = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return parse_model(file.read_bytes())


def _layers(model: ModelProto, keep: tuple[str, ...]) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    chosen, kept = [], []
    for node in model.graph.node:
        if node.op_type not in _LAYERS:
            continue
        pattern = named(keep, node.name)
        if pattern is None:
            chosen.append(Layer(node.name, node.op_type))
        else:
            kept.append(Layer(node.name, node.op_type, f"its name holds '{pattern}' (precision::fp32)"))
    return tuple(chosen), tuple(kept)


class _Reader:
    """The samples as onnxruntime's calibration asks for them."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._left: Iterator[Sample] = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        sample = next(self._left, None)
        return None if sample is None else dict(sample)


def _quantized(model: ModelProto, layers: tuple[Layer, ...], method: Method, samples: list[Sample]) -> bytes:
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory(prefix="tpgen-") as folder, _quiet():
        file = Path(folder) / "quantized.onnx"
        try:
            limits = _entropy_limits(model, Path(folder), samples) if method == "entropy" else {}
            quantization.quantize_static(
                model,
                file,
                _Reader(samples),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(_LAYERS),
                nodes_to_quantize=[layer.name for layer in layers],
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={**_OPTIONS, "TensorQuantOverrides": limits},
            )
        except Exception as error:  # whatever it stumbles over
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                REWRITE, f"onnxruntime can't quantise the model: {reason}", "use fp16"
            ) from error
        quantized = file.read_bytes()
    open_session(quantized)  # raises, should the result be no model
    return quantized


def _entropy_limits(
    model: ModelProto, folder: Path, samples: list[Sample]
) -> dict[str, list[dict[str, Any]]]:
    """Where to cut each value off, so that what is left differs least from what was there.

    Asked of the calibrator itself: `quantize_static` gives it as many bins as there are quantised values,
    and then nothing can ever be cut off.
    """
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    file = folder / "original.onnx"
    file.write_bytes(model.SerializeToString())
    calibrator = create_calibrator(
        str(file),
        list(_LAYERS),
        str(folder / "augmented.onnx"),
        CalibrationMethod.Entropy,
        extra_options={"num_bins": _BINS, "num_quantized_bins": 256, "symmetric": True},
    )
    for sample in samples:  # one by one: it can't take several whose shapes differ
        calibrator.collect_data(_Reader([sample]))
    found = {name: data.range_value for name, data in calibrator.compute_data().items()}
    return {
        name: [{"rmin": low, "rmax": high, "symmetric": True}]
        for name, (low, high) in found.items()
        if high > low
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress that onnxruntime's calibration prints, and its advice on preparing models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _with_half_rest(
    quantized: bytes, request: Int8Request, half: Half, report: PrecisionReport, samples: list[Sample]
) -> Converted:
    """Put what lies between the quantised layers in half precision; scales too, which set its type."""
    model, notes = at_opset(parse_model(quantized), _HALF_SCALE_OPSET, "int8 beside half precision")
    wanted = PrecisionRequest(half, keep=request.keep, layer_norm_fp32=request.layer_norm_fp32)
    rest = convert_precision(model.SerializeToString(), wanted, samples or None)
    small = next((layer for layer in rest.report.kept if _is_pair(layer)), None)
    if small is not None:  # a cast between a pair and its layer would make TensorRT compute that in float
        note = f"layers that are not quantised stay in fp32: '{small.name}': {small.reason}"
        return Converted(quantized, quantized, replace(report, notes=(*report.notes, note)))
    notes = [*report.notes, *notes, *rest.report.notes, f"all other layers are in {half}"]
    return Converted(rest.model, rest.emulated, replace(report, kept=rest.report.kept, notes=tuple(notes)))


def _is_pair(layer: Layer) -> bool:
    return layer.operator in PAIR
