"""Tensor utilities: what only hands data on, casts, axes, files, and operators for trying things out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, DType, Layout, Type
from .array_rules import INTEGERS, NUMBERS, number_input
from .image_rules import as_image, layout_name

FILE_DTYPES = tuple(d.value for d in NUMBERS)
CREATED = {"byte": DType.UINT8, "char": DType.UINT8, "float": DType.FLOAT32}
_NPY = "TorchPipe reads a .pt file; write it anew with numpy.save."


class _Forward(Op):
    """What operators that hand data on share."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": call.type("data")}


@operator(
    "Identity",
    "Empty",
    group="tensor",
    kernel="tensor:identity",
    traits={Trait.PURE, Trait.FORWARDS, Trait.NEUTRAL},
)
class Identity(_Forward):
    """Hand the data on unchanged."""


@operator(
    "SyncTensor",
    "StreamGuard",
    group="tensor",
    kernel="tensor:identity",
    traits={Trait.PURE, Trait.FORWARDS},
    note="CUDA streams are Triton's affair: this hands the data on.",
)
class SyncTensor(_Forward):
    """Hand the data on unchanged, where TorchPipe waits for a CUDA stream."""


@operator(
    "GpuTensor",
    "CpuTensor",
    group="tensor",
    kernel="tensor:identity",
    traits={Trait.PURE, Trait.FORWARDS},
    note="The compiler decides where data lies: this hands it on.",
)
class MoveTensor(_Forward):
    """Hand the data on unchanged, where TorchPipe moves it between GPU and CPU."""


@operator("ContiguousTensor", group="tensor", kernel="tensor:contiguous", traits={Trait.PURE})
class ContiguousTensor(Op):
    """The same array in one C-ordered block of memory."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": number_input(call)}


@operator("FloatTensor", group="tensor", kernel="tensor:float_tensor", traits={Trait.PURE, Trait.TO_FLOAT})
class FloatTensor(Op):
    """Cast to float32; values are kept (no scaling)."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call)
        return {"result": Array(DType.FLOAT32, found.shape, found.layout, found.color)}


class _ChannelsFirst(Op):
    """What the operators to CHW share."""

    derived = ("layout",)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"layout": layout_name(types["data"])}

    def _channels_first(self, call: InferCall, dtype: DType | None) -> Array:
        image = as_image(number_input(call, ranks=(3,)), layout=None)
        first, second, third = image.shape
        shape = image.shape if image.layout is Layout.CHW else (third, first, second)
        return Array(dtype or image.dtype, shape, Layout.CHW, image.color)


@operator("NCHWTensor", group="tensor", kernel="tensor:channels_first", traits={Trait.PURE})
class NCHWTensor(_ChannelsFirst):
    """Bring an image to ``[C,H,W]``; one that is in this order stays as it is. dtype and values kept."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": self._channels_first(call, None)}


@operator("FloatNCHWTensor", group="tensor", kernel="tensor:float_channels_first", traits={Trait.PURE})
class FloatNCHWTensor(_ChannelsFirst):
    """Bring an image to float32 ``[C,H,W]``; values are kept (no scaling)."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": self._channels_first(call, DType.FLOAT32)}


@operator("LongItemTensor", group="tensor", kernel="tensor:long_item", traits={Trait.PURE, Trait.FAILS})
class LongItemTensor(Op):
    """The only element of an array as an int64 scalar; fractions are cut off.

    Items with another number of elements, or with NaN or infinity, fail.
    """

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call)
        sizes = [d for d in found.shape if isinstance(d, int)]
        if len(sizes) == len(found.shape) and math.prod(sizes) != 1:
            mismatch("TP304", f"'data' is {found}, but exactly one element is needed here")
        return {"result": Array(DType.INT64, ())}


@operator("Tensor2Vector", group="tensor", kernel="tensor:flatten", traits={Trait.PURE})
class Tensor2Vector(Op):
    """All elements of a float32 array in C order, ``[N]``."""

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call, dtypes=(DType.FLOAT32,))
        sizes = [d for d in found.shape if isinstance(d, int)]
        fixed = len(sizes) == len(found.shape)
        return {"result": Array(DType.FLOAT32, (math.prod(sizes) if fixed else call.symbol("N"),))}


@operator("CreateTensor", group="tensor", kernel="tensor:CreateTensor", traits={Trait.PURE, Trait.STATEFUL})
class CreateTensor(Op):
    """An array of zeros."""

    reads = ()
    derived = ("dtype",)

    shape: tuple[int, ...] = attr("Dimensions without the batch axis, comma list.", ge=1)
    element: str = attr(
        "Element type.", key="type", default="byte", choices=tuple(CREATED), compile_only=True
    )

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"dtype": CREATED[self.element].value}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": Array(CREATED[self.element], self.shape)}


@operator(
    "LoadTensor",
    group="tensor",
    kernel="tensor:LoadTensor",
    traits={Trait.PURE, Trait.STATEFUL},
    note=_NPY,
)
class LoadTensor(Op):
    """An array from a ``.npy`` file, read once; ``shape`` and ``type`` are checked at load."""

    reads = ()

    tensor_name: str = attr("The .npy file, relative to the TOML.", file=True)
    shape: tuple[int, ...] = attr("Dimensions of the array in the file, comma list.", ge=1)
    dtype: str = attr(
        "Element type of the array in the file.", key="type", default="float32", choices=FILE_DTYPES
    )

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": Array(DType(self.dtype), self.shape)}


@operator(
    "IndexSelectTensor",
    group="tensor",
    kernel="tensor:IndexSelect",
    traits={Trait.PURE, Trait.STATEFUL, Trait.FAILS},
    note=_NPY,
)
class IndexSelectTensor(Op):
    """Rows of a matrix ``[N,D]`` from a ``.npy`` file: indices ``[...]`` to rows ``[...,D]``.

    An item with an index outside the matrix fails.
    """

    weight: str = attr("The .npy file with the matrix, relative to the TOML.", file=True)
    columns: int = attr("D, the length of a row.", ge=1)
    dtype: str = attr(
        "Element type of the array in the file.", key="type", default="float32", choices=FILE_DTYPES
    )

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        index = number_input(call, dtypes=INTEGERS)
        return {"result": Array(DType(self.dtype), (*index.shape, self.columns))}


@operator("SaveTensor", group="tensor", kernel="tensor:SaveTensor", traits={Trait.STATEFUL})
class SaveTensor(Op):
    """Write each array to ``save_dir/tensor_<process>_<number>.npy`` on the server, and hand it on."""

    save_dir: str = attr("An existing folder, as the server sees it.")

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": number_input(call)}


@operator("PrintTensor", group="tensor", kernel="tensor:print_tensor")
class PrintTensor(_Forward):
    """Write dtype, shape and values to the server's log, and hand the data on."""


@operator("Sleep", group="tensor", kernel="tensor:sleep")
class Sleep(_Forward):
    """Wait for every item, then hand the data on: a stand-in for work."""

    milliseconds: float = attr(
        "Time to wait, milliseconds.", key="Sleep::time", aliases=("time",), default=10.0, ge=0, le=3_600_000
    )


@operator(
    "RuntimeError",
    "C10Exception",
    "InvalidArgumentError",
    group="tensor",
    kernel="tensor:fail",
    traits={Trait.PURE, Trait.FAILS},
)
class Fail(_Forward):
    """Fail every item: for trying out how a pipeline treats failures."""

    message: str = attr("The reason that is given.", default="this operator fails every item")
