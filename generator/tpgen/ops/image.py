"""Images on the CPU: decoding, colour order, plain resizing, and the step to a tensor (dialect.md 3.1)."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, Bytes, Color, DType, Layout, Type
from .image_rules import MAX_SIDE, color_name, image_input, known_color, resized, wanted_image

MAX_PIXELS = 64_000_000
COLORS = ("rgb", "bgr")


@operator("DecodeMat", group="image", kernel="image:decode_mat", traits={Trait.PURE, Trait.FAILS})
class DecodeMat(Op):
    """Decode an encoded image to uint8 ``[H,W,3]`` in BGR order.

    Any format that OpenCV reads; grey images get three equal channels, EXIF orientation is applied.
    Undecodable bytes, and images of more than ``max_pixels``, leave no ``result``.
    """

    max_pixels: int = attr("Largest height × width that is decoded.", default=MAX_PIXELS, ge=1)

    def wants(self, key: str) -> Type:
        return Bytes()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = call.type("data")
        if not isinstance(found, Bytes):
            mismatch("TP301", f"'data' is {found}; an encoded image (bytes) is needed here")
        shape = (call.symbol("H"), call.symbol("W"), 3)
        return {"result": Array(DType.UINT8, shape, Layout.HWC, Color.BGR)}


@operator(
    "cvtColorMat",
    "CvtColorMat",
    group="image",
    kernel="image:convert_color",
    traits={Trait.PURE, Trait.SETS_COLOR},
)
class CvtColorMat(Op):
    """Bring the channels into RGB or BGR order; nothing happens if they are in it already."""

    derived = ("source",)

    color: str = attr("Target channel order.", choices=COLORS)

    def wants(self, key: str) -> Type:
        return wanted_image()

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"source": color_name(types["data"])}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, channels=(3,))
        known_color(call, image)
        return {"result": Array(image.dtype, image.shape, Layout.HWC, Color(self.color))}


@operator("ResizeMat", group="image", kernel="image:resize_mat", traits={Trait.PURE})
class ResizeMat(Op):
    """Resize to a fixed size, ignoring the aspect ratio (bilinear, half-pixel centres; dtype kept)."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": resized(image_input(call), self.resize_h, self.resize_w)}


@operator("Mat2Tensor", group="image", kernel="image:mat_to_tensor", traits={Trait.PURE, Trait.TO_CHW})
class Mat2Tensor(Op):
    """Move the channels to the front: ``[H,W,C]`` to ``[C,H,W]``, dtype and values kept."""

    device: str = attr(
        "Where the tensor lies.",
        default="gpu",
        choices=("gpu", "cpu", "cuda"),
        target="gpu",
        compile_only=True,
    )

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call)
        height, width, channels = image.shape
        return {"result": Array(image.dtype, (channels, height, width), Layout.CHW, image.color)}
