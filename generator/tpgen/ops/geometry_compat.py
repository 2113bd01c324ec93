"""Operators of the PPL, CV-CUDA and NPP libraries: near-duplicates that map to the generic kernels.

Their libraries' bilinear sampling has half-pixel centres, like OpenCV's, so it is computed with OpenCV's.
They take ``[H,W,C]`` and ``[C,H,W]``, and keep the layout and the dtype.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, operator
from ..types import Array, DType, Type, varying
from .geometry import INT32_SCALAR
from .geometry_crop import Crop
from .geometry_tensor import ResizeTensor, TensorOp
from .image import CvtColorTensor
from .image_rules import (
    AFFINE,
    MAX_SIDE,
    RESIZABLE,
    check_area,
    image_input,
    resized,
    scalar_input,
    vector_input,
    wanted_image,
)

_TRAITS = {Trait.PURE, Trait.FAILS, Trait.GPU_CONVENTION}
_PPL = "OpenPPL's kernel is computed with OpenCV (half-pixel centres)"
_CVCUDA = "CV-CUDA's kernel is computed with OpenCV (half-pixel centres)"
_NPP = "NPP's cubic and super sampling is computed as ResizeTensor (bilinear, aligned corners, float32)"


@operator("ResizeTensorV1", group="image", kernel="bilinear:resize_tensor", traits=_TRAITS, note=_NPP)
class ResizeTensorV1(ResizeTensor):
    """ResizeTensor under the name of its NPP variant."""


class _ResizeLinear(TensorOp):
    """What the resizing operators of PPL and CV-CUDA share."""

    resize_h: int
    resize_w: int

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, layout=None, dtypes=RESIZABLE)
        return {"result": resized(image, self.resize_h, self.resize_w)}


@operator("PPLResizeTensor", group="image", kernel="compat:resize_tensor_linear", traits=_TRAITS, note=_PPL)
class PPLResizeTensor(_ResizeLinear):
    """Resize to a fixed size: ResizeMat for either layout."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)


@operator("ResizeNvTensor", group="image", kernel="compat:resize_tensor_linear", traits=_TRAITS, note=_CVCUDA)
class ResizeNvTensor(_ResizeLinear):
    """Resize to a fixed size: ResizeMat for either layout."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)


@operator(
    "PPLResizePadTensor",
    group="image",
    kernel="compat:resize_pad_linear",
    traits=_TRAITS | {Trait.PADS},
    note=_PPL,
)
class PPLResizePadTensor(TensorOp):
    """ResizePadMat with a zero pad, for either layout."""

    writes = ("result", "inverse_trans")

    max_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.max_h, self.max_w, "max_h")
        image = image_input(call, layout=None, dtypes=RESIZABLE, channels=(1, 3))
        return {"result": resized(image, self.max_h, self.max_w), "inverse_trans": AFFINE}


@operator(
    "PPLResizeCenterPadTensor",
    group="image",
    kernel="compat:resize_center_pad_linear",
    traits=_TRAITS | {Trait.PADS},
    note=_PPL,
)
class PPLResizeCenterPadTensor(TensorOp):
    """Scale to fit, the free side rounded down, and centre on zeros.

    Also writes the widths of the border, ``top``, ``bottom``, ``left`` and ``right`` (int32, pixels), and
    ``ratio``, source / result size (float32).
    """

    writes = ("result", "top", "bottom", "left", "right", "ratio")

    resize_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, layout=None, dtypes=RESIZABLE, channels=(1, 3))
        borders = dict.fromkeys(self.writes[1:5], INT32_SCALAR)
        ratio = Array(DType.FLOAT32, ())
        return {"result": resized(image, self.resize_h, self.resize_w), **borders, "ratio": ratio}


@operator(
    "PPLCropTensor", group="image", kernel="crop:crop", traits=_TRAITS, note="boxes are clipped to the image"
)
class PPLCropTensor(Crop):
    """CropTensor under the name of its PPL variant."""


@operator("PPLWarpAffineTensor", group="image", kernel="compat:warp_affine", traits=_TRAITS, note=_PPL)
class PPLWarpAffineTensor(TensorOp):
    """Sample ``target_h`` × ``target_w`` pixels from where ``affine_matrix`` takes them; zero outside.

    ``affine_matrix``: six numbers, rows (x, y), from a pixel of the result to the source image.
    """

    reads = ("data", "affine_matrix")

    target_h: int = attr("Height of the result, pixels.", ge=1, le=32766)
    target_w: int = attr("Width of the result, pixels.", ge=1, le=32766)

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else Array(DType.FLOAT32, (6,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.target_h, self.target_w, "target_h")
        vector_input(call, "affine_matrix", [(6,), (2, 3)], (DType.FLOAT32, DType.FLOAT64))
        image = image_input(call, layout=None, dtypes=RESIZABLE, channels=(1, 3, 4))
        return {"result": resized(image, self.target_h, self.target_w)}


@operator(
    "PPLCopyMakeBorderTensor",
    group="image",
    kernel="compat:copy_make_border_of_item",
    traits=_TRAITS,
    note=_PPL,
)
class PPLCopyMakeBorderTensor(TensorOp):
    """CopyMakeBorderTensor with the widths in the item's keys ``top``, ``bottom``, ``left`` and ``right``."""

    reads = ("data", "top", "bottom", "left", "right")

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        for key in self.reads[1:]:
            scalar_input(call, key)
        image = image_input(call, layout=None, channels=(1, 3, 4))
        return {"result": resized(image, call.symbol("H"), call.symbol("W"))}


@operator(
    "CvtColorNvTensor",
    group="image",
    kernel="image:convert_color",
    traits=_TRAITS | {Trait.SETS_COLOR},
    note=_CVCUDA,
)
class CvtColorNvTensor(CvtColorTensor):
    """cvtColorTensor under the name of its CV-CUDA variant."""


@operator(
    "Tensor2NvTensor",
    "NvTensor2Tensor",
    group="image",
    kernel="tensor:identity",
    traits={Trait.PURE, Trait.FORWARDS},
    note="CV-CUDA's own tensors do not exist here: this hands the image on",
)
class NvTensor(Op):
    """Hand an image on unchanged, where TorchPipe wraps it for CV-CUDA, or unwraps it."""

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = call.type("data")
        return {"result": found if varying(found) else image_input(call, layout=None)}
