"""Inference: operators that run a model file (dialect.md 1.5 and 3.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..ir.filters import DATA, RESULT
from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..ir.signature import BatchAxis, ModelSignature, TensorInfo
from ..types import Array, Color, Dim, DType, Layout, Text, TupleOf, Type, varying
from .array_rules import FLOATS
from .image_rules import channel_count
from .model_images import (
    check_batch_axis,
    check_color,
    check_layout,
    color_of_mean,
    dimension,
    image_layout,
    size_hint,
    size_message,
)

PRECISIONS = ("fp32", "fp16", "int8", "best", "bf16")
ENGINELESS_NAMES = frozenset({"Onnx", "OnnxTensor"})  # who writes these expects no TensorRT
# Of every operator that runs a model file.
MODEL_TRAITS = frozenset(
    {
        *(Trait.PURE, Trait.STATEFUL, Trait.THREADED, Trait.BATCHED),
        *(Trait.INFERENCE, Trait.BINDS, Trait.FAILS),
    }
)


class ModelOp(Op):
    """What all operators that run a model share: the keys they read and write, and their types."""

    model: str
    signature: ModelSignature | None
    source: tuple[str, ...]
    input_color: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_batch: int
    max_batch: int
    groups: tuple[ModelOp, ...]

    def declared_signature(self) -> ModelSignature | None:
        """The signature that the TOML gives, where the model file holds none; None: read the file."""
        return None

    def bind(self, keys: Collection[str], *, is_root: bool) -> ModelOp:
        """Decide which keys the inputs come from, given the keys that exist here.

        By their own names if all of those exist (or if this is the first reader of a model with several
        inputs), else from ``data``.
        """
        assert self.signature is not None
        names = tuple(info.name for info in self.signature.inputs)
        by_name = all(name in keys for name in names) or (is_root and len(names) > 1 and DATA not in keys)
        return replace(self, source=names if by_name else (DATA,))  # type: ignore[type-var]

    def inputs(self) -> tuple[str, ...]:
        return self.source

    def outputs(self) -> tuple[str, ...]:
        assert self.signature is not None
        if len(self.signature.outputs) == 1:
            return (RESULT,)
        return (RESULT, *(info.name for info in self.signature.outputs))

    def role(self) -> str:
        return "model"

    def parts(self) -> tuple[ModelOp, ...]:
        """The models of the instance groups, each with its file and batches; this one if there are none."""
        return self.groups or (self,)

    def files(self, attribute: str) -> tuple[str, ...]:
        return tuple(
            f"{attribute}.{number}" if number else attribute for number, _ in enumerate(self.parts())
        )

    def kernel_arguments(self, types: Mapping[str, Type]) -> dict[str, Any]:
        """As declared; ``mean``, ``std`` and what they need only where they are: the kernel does without."""
        found = super().kernel_arguments(types)
        found = {name: value for name, value in found.items() if name not in ("mean", "std") or value}
        if self.groups:
            found["groups"] = tuple((one.min_batch, one.max_batch) for one in self.groups)
        packing = self.packing()
        if packing is not None:
            found["packs"] = packing
        if (self.mean or self.std) and self._channel_axis(types[self.source[0]]) != 0:
            found["channels_last"] = True
        return found

    def packing(self) -> Op | None:
        """What the model does with uint8 ``[H,W,C]`` images, if it takes such (see `Trait.TO_CHW`)."""
        return None

    def wants(self, key: str) -> Type | None:
        assert self.signature is not None
        for info in self.signature.inputs:
            if key == info.name or (key == DATA and len(self.signature.inputs) == 1):
                return self._input_type(info, {})
        return None

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        assert self.signature is not None
        infos = self.signature.inputs
        self._check_dtypes((*infos, *self.signature.outputs))
        if self.source == (DATA,) and len(infos) > 1:
            found = call.type(DATA)
            if not isinstance(found, TupleOf) or len(found.items) != len(infos):
                names = ", ".join(repr(info.name) for info in infos)
                mismatch(
                    "TP306",
                    f"the model has {len(infos)} inputs ({names}), but 'data' is {found}",
                    "write the keys of these names before this node, or map them to it",
                )
            arriving: tuple[Type, ...] = found.items
        else:
            arriving = tuple(self._turned(call, *one) for one in zip(self.source, infos, strict=True))
        symbols: dict[str, Dim] = {}
        for name in ("mean", "std"):
            self._check_normalisation(name, arriving[0])
        keys = self.source if len(self.source) == len(infos) else (DATA,) * len(infos)
        for key, info, type_ in zip(keys, infos, arriving, strict=True):
            self._check_input(call, key, info, type_, symbols)
        outputs = tuple(self._output_type(call, info, symbols) for info in self.signature.outputs)
        if len(outputs) == 1:
            return {RESULT: outputs[0]}
        named = {info.name: type_ for info, type_ in zip(self.signature.outputs, outputs, strict=True)}
        return {RESULT: TupleOf(outputs), **named}

    def _turned(self, call: InferCall, key: str, info: TensorInfo) -> Type:
        """What arrives under a key; an image that varies is asked for as the model wants it."""
        assert self.signature is not None
        found = call.type(key)
        packing: Any = self.packing()
        if packing is not None:
            assert isinstance(found, Array)
            packed: Array = packing.packed_type(found)
            return packed
        image = varying(found)
        if image is None:
            return found
        layout = image_layout(self.signature.item_shape(info))
        if layout is Layout.NONE and image.layout is Layout.VARIES:
            mismatch(
                "TP302",
                f"'{key}' is HWC on one way here and CHW on another; the model does not say what it takes",
                "add Mat2Tensor in front (or Tensor2Mat, if it takes HWC)",
            )
        color = self.expected_color()
        return call.turn(key, layout=layout, color=Color(color) if color else None)

    def _check_dtypes(self, infos: Iterable[TensorInfo]) -> None:
        """Refuse tensors that numpy, and so a Python stage, has no dtype for."""
        for info in infos:
            if info.dtype is DType.BFLOAT16:
                mismatch(
                    "TP305",
                    f"the model's '{info.name}' is bfloat16, which Python models can neither give nor take",
                    "export the model with a cast to float32 there",
                    attribute="model",
                )

    def _check_normalisation(self, name: str, found: Type) -> None:
        """``mean`` and ``std`` hold one value per channel of the one input; no channel is divided by 0."""
        assert self.signature is not None
        values: tuple[float, ...] = getattr(self, name)
        if not values:
            return
        if len(self.signature.inputs) > 1 or not isinstance(found, Array) or len(found.shape) != 3:
            mismatch("TP304", f"'{name}' normalises one image, but {found} arrives", attribute=name)
        (info,) = self.signature.inputs
        if info.dtype not in FLOATS:
            mismatch(
                "TP407",
                f"'{name}' makes floats, but the model's input '{info.name}' is {info.dtype.value}",
                f"a model that takes {info.dtype.value} normalises for itself: leave mean and std out",
                attribute=name,
            )
        wanted = self._input_type(info, {})
        assert isinstance(wanted, Array)
        check_layout(info, wanted, found)  # else a side of the image would be taken for its channels
        channels = found.shape[self._channel_axis(found)]
        if isinstance(channels, int) and len(values) != channels:
            mismatch(
                "TP304",
                f"'{name}' has {len(values)} values for {channels} channels ({found})",
                attribute=name,
            )
        if name == "std" and 0.0 in values:
            mismatch("TP104", "'std' holds a 0, and would divide by it", attribute=name)

    def _channel_axis(self, found: Type) -> int:
        """The axis of the first input's channels, as the model has them, else as the image arrives."""
        assert self.signature is not None
        layout = image_layout(self.signature.item_shape(self.signature.inputs[0]))
        if layout is Layout.NONE and isinstance(found, Array):
            layout = found.layout
        return 2 if layout is Layout.HWC else 0

    def _input_type(self, info: TensorInfo, symbols: dict[str, Dim]) -> Type:
        assert self.signature is not None
        if info.dtype is DType.STRING and not self.signature.item_shape(info):
            return Text()
        shape = tuple(dimension(d, axis, symbols) for axis, d in enumerate(self.signature.item_shape(info)))
        layout = image_layout(shape)
        if layout is Layout.NONE:
            return Array(info.dtype, shape)
        image = Array(info.dtype, shape, layout)
        color = Color.GRAY if channel_count(image) == 1 else Color(self.expected_color() or "unknown")
        return replace(image, color=color)

    def expected_color(self) -> str | None:
        """The colour order the model wants: ``input_color``, else what the order of mean shows, else any."""
        if self.input_color:
            return None if self.input_color == "any" else self.input_color
        return color_of_mean(self.mean)

    def _check_input(
        self, call: InferCall, key: str, info: TensorInfo, found: Type, symbols: dict[str, Dim]
    ) -> None:
        assert self.signature is not None
        wanted = self._input_type(info, symbols)
        if isinstance(wanted, Text) and isinstance(found, Text):
            return
        if not isinstance(found, Array) or isinstance(wanted, Text):
            mismatch("TP301", f"model input '{info.name}' is {wanted}, but {found} arrives")
        assert isinstance(wanted, Array)
        check_layout(info, wanted, found)
        if len(found.shape) != len(wanted.shape):
            check_batch_axis(self.signature, info, found)
            mismatch(
                "TP304",
                f"model input '{info.name}' is {wanted} (batch axis left out), but {found} arrives",
            )
        for axis, (want, got) in enumerate(zip(wanted.shape, found.shape, strict=True)):
            if not call.equate(want, got):
                hint = size_hint(wanted, found, call.size_keys(key))
                mismatch("TP304", size_message(info, wanted, found, axis), hint)
        check_color(self.expected_color(), found)
        if (found.dtype is DType.STRING) != (wanted.dtype is DType.STRING):
            mismatch("TP305", f"model input '{info.name}' is {wanted}, but {found} arrives")

    def _output_type(self, call: InferCall, info: TensorInfo, symbols: dict[str, Dim]) -> Type:
        assert self.signature is not None
        dims = self.signature.item_shape(info)
        shape = tuple(
            d if isinstance(d, int) else symbols.get(d or "") or call.symbol(d or f"{info.name}.{axis}")
            for axis, d in enumerate(dims)
        )
        if info.dtype is DType.STRING and not shape:
            return Text()
        return Array(info.dtype, shape)


def _gpu(
    doc: str,
    *,
    default: object,
    key: str | None = None,
    ge: float | None = None,
    le: float | None = None,
) -> Any:
    """A key of the engine builder: it has a meaning on the gpu target only."""
    return attr(doc, default=default, key=key, ge=ge, le=le, target="gpu", compile_only=True)


@operator(
    "TensorrtTensor",
    "Onnx",
    "OnnxTensor",
    group="inference",
    kernel="inference:OnnxModel",
    traits={*MODEL_TRAITS, Trait.ENGINE, Trait.REWRITABLE},
)
class TensorrtTensor(ModelOp):
    """Run an ONNX model: a TensorRT engine on the gpu target, ONNX Runtime on the cpu target.

    Inputs come by ONNX name if all of these keys exist, else from ``data``, and are cast to the model's
    dtype. One output is written to ``result``; several to their ONNX names, with ``result`` their tuple.
    ``mean`` and ``std`` (0 to 255 scale, one value per channel) normalise the input first.
    """

    model: str = attr("The model file, relative to the TOML.", file=True)
    mean: tuple[float, ...] = attr("Subtracted per channel, 0 to 255 scale.", default=())
    std: tuple[float, ...] = attr("Divided by per channel, 0 to 255 scale.", default=())
    input_color: str = attr(
        "Colour order the model wants; default: what the order of ImageNet's mean shows, else any.",
        default="",
        choices=("", "rgb", "bgr", "any"),
        compile_only=True,
    )
    derived = ("inputs", "outputs", "batched", "channels_last", "groups", "packs")

    packs: Op | None = attr("", default=None, from_toml=False, compile_only=True)
    signature: ModelSignature | None = attr("", default=None, from_toml=False, compile_only=True)
    source: tuple[str, ...] = attr("", default=(DATA,), from_toml=False, compile_only=True)
    max_batch: int = attr("Largest batch of one call (the node's max).", default=1, from_toml=False)
    min_batch: int = attr("Smallest batch of one call (the node's min).", default=1, from_toml=False)
    groups: tuple[ModelOp, ...] = attr("", default=(), from_toml=False, compile_only=True)
    model_type: str = attr("Format, where the suffix does not say it.", default="", compile_only=True)
    precision: str = attr(
        "Precision of the engine.", default="", choices=("", *PRECISIONS), target="gpu", compile_only=True
    )
    precision_fp32: str = _gpu("Layers kept in fp32 (comma list).", default="", key="precision::fp32")
    precision_fp16: str = _gpu("Layers put in fp16 (comma list).", default="", key="precision::fp16")
    output_fp32: str = _gpu("Layer outputs kept in fp32.", default="", key="precision::output::fp32")
    output_fp16: str = _gpu("Layer outputs put in fp16.", default="", key="precision::output::fp16")
    model_cache: str = _gpu("Where the engine is kept.", default="", key="model::cache")
    timing_cache: str = _gpu("Where the builder's timings are kept.", default="", key="model::timingcache")
    opt: str = _gpu("Shape that the engine is tuned for.", default="")
    max_workspace_size: str = _gpu("Builder workspace, MB.", default="")
    force_layer_norm_pattern_fp32: str = _gpu("Keep layer norm in fp32.", default="")
    weight_budget_percentage: str = _gpu("Weight streaming budget, percent.", default="")
    log_level: str = _gpu("Verbosity of the builder.", default="")
    calibrate_input: str = _gpu(
        "Folder of samples for int8: images that the pipeline takes, or what arrives here as .npy.",
        default="",
    )
    max_precision_loss: float | None = _gpu(
        "The loss against fp32 on the samples that a build accepts, 0 to 1; default: the precision's own.",
        default=None,
        ge=0,
        le=1,
    )
    calibrate_cache: str = _gpu("Calibration table.", default="")
    hardware_compatibility: str = _gpu(
        "The GPUs that the engine runs on: NONE (this one), SAME_COMPUTE_CAPABILITY or AMPERE_PLUS.",
        default="",
        key="hardward_compatibility",
    )
    version_compatible: bool = _gpu("The engine runs in later releases of TensorRT, too.", default=False)
    refit: bool = _gpu("The weights of the engine can be replaced.", default=False)
    strip_plan: bool = _gpu(
        "The engine is kept without weights; those of the ONNX file are put into the plan.",
        default=False,
    )
    tf32: bool = _gpu("Products of float32 may round their factors to 10 bits.", default=True)
    optimization_level: int | None = _gpu(
        "How long the builder tries, 0 to 5; default: TensorRT's own.", default=None, ge=0, le=5
    )

    def packing(self) -> Op | None:
        return self.packs

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, object]:
        assert self.signature is not None
        return {
            "inputs": tuple(info.name for info in self.signature.inputs),
            "outputs": tuple(info.name for info in self.signature.outputs),
            "batched": self.signature.batch is not BatchAxis.NONE,
        }
