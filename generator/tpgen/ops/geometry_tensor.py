"""The GPU's resizing operators, computed on the CPU in their own convention (dialect.md 3.2).

They take ``[C,H,W]`` and ``[H,W,C]``, and keep the layout. Bilinear with aligned corners, in float32:
result pixel i samples the source at i × (n_in - 1) / (n_out - 1). OpenCV's convention differs from that by
up to tens of grey levels at edges.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, operator
from ..types import DType, Type
from .geometry import INT32_SCALAR, PADDED
from .image_rules import (
    AFFINE,
    MAX_SIDE,
    check_area,
    check_pad,
    image_input,
    layout_name,
    resized,
    scalar_input,
    wanted_image,
)

_TRAITS = {Trait.PURE, Trait.FAILS, Trait.GPU_CONVENTION}
_NOTE = "computed on the CPU with aligned corners in float32, as on the GPU"


class TensorOp(Op):
    """What operators share that take an image of either layout as ``data``."""

    derived = ("layout",)

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else INT32_SCALAR

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"layout": layout_name(types["data"])}


@operator("ResizeTensor", group="image", kernel="bilinear:resize_tensor", traits=_TRAITS, note=_NOTE)
class ResizeTensor(TensorOp):
    """Resize with aligned corners, to float32; no antialiasing, no scaling of values."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, layout=None)
        return {"result": resized(image, self.resize_h, self.resize_w, DType.FLOAT32)}


@operator(
    "DynamicResizeTensor", group="image", kernel="bilinear:dynamic_resize_tensor", traits=_TRAITS, note=_NOTE
)
class DynamicResizeTensor(TensorOp):
    """ResizeTensor with the size in the item's ``resize_h`` and ``resize_w`` (whole numbers or texts)."""

    reads = ("data", "resize_h", "resize_w")

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        scalar_input(call, "resize_h")
        scalar_input(call, "resize_w")
        image = image_input(call, layout=None)
        return {"result": resized(image, call.symbol("H"), call.symbol("W"), DType.FLOAT32)}


@operator(
    "ResizePadTensor",
    group="image",
    kernel="bilinear:resize_pad_tensor",
    traits=_TRAITS | {Trait.PADS},
    note=_NOTE,
)
class ResizePadTensor(TensorOp):
    """Scale to fit ``max_h`` × ``max_w`` with aligned corners, and pad at the bottom and right (float32).

    Size and ``inverse_trans`` as of ResizePadMat. All channels are padded with the first ``pad_value``.
    """

    writes = ("result", "inverse_trans")

    max_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)
    pad_value: tuple[float, ...] = attr("Value of the padding; only the first number counts.", default=(0.0,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.max_h, self.max_w, "max_h")
        image = image_input(call, layout=None)
        result = resized(image, self.max_h, self.max_w, DType.FLOAT32)
        check_pad(self.pad_value, result, "pad_value")
        return {"result": result, "inverse_trans": AFFINE}


@operator(
    "PillowResizeTensor",
    group="image",
    kernel="pillow:pillow_resize_tensor",
    traits=_TRAITS,
    note="rounded to whole grey levels as Pillow does, then cast to float32",
)
class PillowResizeTensor(TensorOp):
    """PillowResizeMat for either layout, with the values as float32."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, layout=None, dtypes=(DType.UINT8,), channels=PADDED)
        return {"result": resized(image, self.resize_h, self.resize_w, DType.FLOAT32)}


@operator("CopyMakeBorderTensor", group="image", kernel="compat:copy_make_border", traits=_TRAITS)
class CopyMakeBorderTensor(TensorOp):
    """Add a border of zeros."""

    top: int = attr("Rows above, pixels.", default=0, ge=0, le=MAX_SIDE)
    bottom: int = attr("Rows below, pixels.", default=0, ge=0, le=MAX_SIDE)
    left: int = attr("Columns on the left, pixels.", default=0, ge=0, le=MAX_SIDE)
    right: int = attr("Columns on the right, pixels.", default=0, ge=0, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, layout=None, channels=(1, 3, 4))
        rows, columns = (0, 1) if image.layout.value == "HWC" else (1, 2)
        height, width = image.shape[rows], image.shape[columns]
        new_h = height + self.top + self.bottom if isinstance(height, int) else call.symbol("H")
        new_w = width + self.left + self.right if isinstance(width, int) else call.symbol("W")
        return {"result": resized(image, new_h, new_w)}
