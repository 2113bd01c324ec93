"""Models of PyTorch: their files name neither inputs nor outputs, so the TOML does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..ir.filters import DATA
from ..ir.op import Trait, attr, operator
from ..ir.signature import BatchAxis, ModelSignature, TensorInfo
from ..types import Array, DType, Type
from .inference import MODEL_TRAITS, ModelOp


@operator(
    "TorchScriptTensor",
    group="inference",
    kernel="torchscript:TorchScriptModel",
    traits=MODEL_TRAITS,
)
class TorchScriptTensor(ModelOp):
    """Run a TorchScript model. ``inputs`` and ``outputs`` give the types of one item, in order.

        inputs = {image = "float32[3,224,224]"}
        outputs = {scores = "float32[1000]"}

    The model takes and gives them with a batch axis in front.
    """

    model: str = attr("The model file, relative to the TOML.", file=True)
    inputs_table: dict[str, Type] = attr("Types of the inputs, by name.", key="inputs", compile_only=True)
    outputs_table: dict[str, Type] = attr("Types of the outputs, by name.", key="outputs", compile_only=True)
    mean: tuple[float, ...] = attr("Subtracted per channel, 0 to 255 scale.", default=())
    std: tuple[float, ...] = attr("Divided by per channel, 0 to 255 scale.", default=())
    input_color: str = attr(
        "Colour order the model wants; default: what the order of ImageNet's mean shows, else any.",
        default="",
        choices=("", "rgb", "bgr", "any"),
        compile_only=True,
    )
    signature: ModelSignature | None = attr("", default=None, from_toml=False, compile_only=True)
    source: tuple[str, ...] = attr("", default=(DATA,), from_toml=False, compile_only=True)
    max_batch: int = attr("Largest batch of one call (the node's max).", default=1, from_toml=False)
    min_batch: int = attr("Smallest batch of one call (the node's min).", default=1, from_toml=False)
    groups: tuple[ModelOp, ...] = attr("", default=(), from_toml=False, compile_only=True)
    derived: ClassVar[tuple[str, ...]] = (
        "inputs",
        "outputs",
        "batched",
        "dtypes",
        "channels_last",
        "groups",
    )

    def declared_signature(self) -> ModelSignature:
        return ModelSignature(
            tuple(_info(name, type_) for name, type_ in self.inputs_table.items()),
            tuple(_info(name, type_) for name, type_ in self.outputs_table.items()),
            BatchAxis.DYNAMIC,
        )

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, object]:
        return {
            "inputs": tuple(self.inputs_table),
            "outputs": tuple(self.outputs_table),
            "batched": True,
            "dtypes": tuple(info.dtype.value for info in self.declared_signature().inputs),
        }


@operator(
    "TorchModule",
    group="inference",
    kernel="torchscript:EagerModel",
    traits={*MODEL_TRAITS, Trait.USER_CODE},
)
class TorchModule(TorchScriptTensor):
    """Run a ``torch.nn.Module`` of a file beside the TOML, in a Python stage: ``TorchModule[module:Class]``.

        model = "weights.pt"
        arguments = {classes = 10}
        inputs = {image = "float32[3,224,224]"}
        outputs = {scores = "float32[10]"}

    ``model`` holds the weights, as ``torch.save(network.state_dict(), ...)`` writes them; nothing but tensors
    is read from it (``weights_only``). The module runs with a batch axis in front, in evaluation mode and
    without gradients.
    """

    argument: str = attr("module:Class.", default="", compile_only=True, in_brackets=True)
    arguments: dict[str, Any] = attr("What the class is made with.", default=None, compile_only=True)
    module: str = attr("", default="", from_toml=False)
    function: str = attr("", default="", from_toml=False, compile_only=True)
    derived: ClassVar[tuple[str, ...]] = (*TorchScriptTensor.derived, "name", "parameters")

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, object]:
        found = super().derive(types)
        return {**found, "name": self.function, "parameters": dict(self.arguments or {})}

    def role(self) -> str:
        return self.function


def _info(name: str, type_: Type) -> TensorInfo:
    if not isinstance(type_, Array):
        return TensorInfo(name, DType.STRING, (None,))
    dims = tuple(dim if isinstance(dim, int) else dim.name for dim in type_.shape)
    return TensorInfo(name, type_.dtype, (None, *dims))
