"""Images: decoding, colour order, layout, dtype (dialect.md 3.1, and 3.2 for the GPU's names)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator, settled
from ..types import Array, Bytes, Color, DType, Layout, ListOf, Opaque, Symbol, Type
from .image_rules import (
    as_image,
    channel_count,
    color_name,
    image_input,
    in_order,
    layout_name,
    wanted_image,
)

MAX_PIXELS = 64_000_000
MAX_TENSOR_PIXELS = 5000 * 5000
COLORS = ("rgb", "bgr")
DATA_FORMATS = ("nchw", "hwc")


def _bytes_input(call: InferCall) -> None:
    found = call.type("data")
    if not isinstance(found, Bytes):
        mismatch("TP301", f"'data' is {found}; an encoded image (bytes) is needed here")


@operator("DecodeMat", group="image", kernel="image:decode_mat", traits={Trait.PURE, Trait.FAILS})
class DecodeMat(Op):
    """Decode an encoded image to uint8 ``[H,W,3]`` in BGR order.

    Any format that OpenCV reads. EXIF orientation is applied; grey images get three equal channels, alpha is
    dropped, 16-bit samples lose their lower byte, CMYK is converted. Undecodable or truncated bytes,
    images of more than ``max_pixels``, and JPEG 2000 in colours other than sRGB or grey leave no ``result``.
    """

    max_pixels: int = attr("Largest height × width that is decoded.", default=MAX_PIXELS, ge=1)

    def wants(self, key: str) -> Type:
        return Bytes()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _bytes_input(call)
        shape = (call.symbol("H"), call.symbol("W"), 3)
        return {"result": Array(DType.UINT8, shape, Layout.HWC, Color.BGR)}


@operator(
    "DecodeTensor",
    group="image",
    kernel="image:decode_tensor",
    traits={Trait.PURE, Trait.FAILS, Trait.GPU_CONVENTION},
    note="decoded by libjpeg (smooth chroma upsampling) instead of nvJPEG, and with EXIF orientation applied",
)
class DecodeTensor(Op):
    """Decode a JPEG to uint8 ``[3,H,W]`` (or ``[H,W,3]``).

    Other formats, CMYK, broken or truncated files, and images of more than ``max_pixels``, leave no
    ``result``, so that an ``or`` can fall back to DecodeMat. EXIF orientation is applied, as by DecodeMat.
    """

    color: str = attr("Channel order of the result.", default="rgb", choices=COLORS)
    data_format: str = attr("Layout of the result: nchw is [3,H,W].", default="nchw", choices=DATA_FORMATS)
    max_pixels: int = attr("Largest height × width that is decoded.", default=MAX_TENSOR_PIXELS, ge=1)

    def wants(self, key: str) -> Type:
        return Bytes()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _bytes_input(call)
        height, width = call.symbol("H"), call.symbol("W")
        if self.data_format == "hwc":
            return {"result": Array(DType.UINT8, (height, width, 3), Layout.HWC, Color(self.color))}
        return {"result": Array(DType.UINT8, (3, height, width), Layout.CHW, Color(self.color))}


class _ConvertColor(Op):
    """What operators share that change the channel order; ``layout`` is the one they need, None for any."""

    derived = ("source", "layout")
    layout: ClassVar[Layout | None] = None
    color: str

    def wants(self, key: str) -> Type:
        return wanted_image()

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        image = types["data"]
        layout = layout_name(image) if self.layout is None else self.layout.value
        return {"source": color_name(image), "layout": layout}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, layout=self.layout, channels=(3,))
        image = in_order(call, image, Color(self.color))
        return {"result": Array(image.dtype, image.shape, image.layout, Color(self.color))}


@operator(
    "cvtColorMat",
    "CvtColorMat",
    group="image",
    kernel="image:convert_color",
    traits={Trait.PURE, Trait.SETS_COLOR},
)
class CvtColorMat(_ConvertColor):
    """Bring the channels of ``[H,W,3]`` into RGB or BGR order; nothing happens if they are in it already."""

    layout: ClassVar[Layout | None] = Layout.HWC

    color: str = attr("Target channel order.", choices=COLORS)


@operator(
    "cvtColorTensor",
    "CvtColorTensor",
    group="image",
    kernel="image:convert_color",
    traits={Trait.PURE, Trait.SETS_COLOR, Trait.GPU_CONVENTION},
)
class CvtColorTensor(_ConvertColor):
    """Bring the channels of ``[3,H,W]`` or ``[H,W,3]`` into RGB or BGR order."""

    color: str = attr("Target channel order.", choices=COLORS)


def _element(call: InferCall) -> tuple[Array, bool]:
    """The HWC image type of ``data``, and whether ``data`` is a list of such."""
    found = settled(call, "data", Layout.HWC)
    if isinstance(found, ListOf) and isinstance(found.item, Array):
        return as_image(found.item), True
    return image_input(call), False


def _chw(image: Array) -> Array:
    height, width, channels = image.shape
    return Array(image.dtype, (channels, height, width), Layout.CHW, image.color)


class _ToChw(Op):
    """What operators share that only move the channels to the front."""

    def packed(self, *, mean: tuple[float, ...], swap_rb: bool) -> Op:
        """The operator that also subtracts a mean and exchanges red and blue, in one step."""
        return PackImage(mean=mean, swap_rb=swap_rb)


@operator("Mat2Tensor", group="image", kernel="image:mat_to_tensor", traits={Trait.PURE, Trait.TO_CHW})
class Mat2Tensor(_ToChw):
    """Move the channels to the front: ``[H,W,C]`` to ``[C,H,W]``, dtype and values kept. Also of a list."""

    device: str = attr(
        "Where the tensor lies.",
        default="gpu",
        choices=("gpu", "cpu", "cuda"),
        target="gpu",
        compile_only=True,
    )
    data_format: str = attr(
        "Layout of the result; hwc leaves the image as it is.", default="nchw", choices=DATA_FORMATS
    )

    def has(self, trait: Trait) -> bool:
        return super().has(trait) and not (trait is Trait.TO_CHW and self.data_format == "hwc")

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image, is_list = _element(call)
        result = image if self.data_format == "hwc" else _chw(image)
        return {"result": ListOf(result) if is_list else result}


@operator("Mat2GpuTensor", group="image", kernel="image:mat_to_chw", traits={Trait.PURE, Trait.TO_CHW})
class Mat2GpuTensor(_ToChw):
    """Mat2Tensor with the tensor on the GPU, where the pipeline runs on one."""

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image, is_list = _element(call)
        return {"result": ListOf(_chw(image)) if is_list else _chw(image)}


@operator("Mat2CpuTensor", group="image", kernel="image:mat_to_chw", traits={Trait.PURE, Trait.TO_CHW})
class Mat2CpuTensor(Mat2GpuTensor):
    """Mat2Tensor with the tensor in host memory."""


@operator("Tensor2Mat", group="image", kernel="image:tensor_to_mat", traits={Trait.PURE})
class Tensor2Mat(Op):
    """Move the channels to the back: ``[C,H,W]`` to ``[H,W,C]``; float16 becomes float32.

    An array that is no image yet is told apart by its size: 1, 3 or 4 channels in front or at the back.
    """

    derived = ("layout",)

    def wants(self, key: str) -> Type:
        return Array(DType.UINT8, (3, Symbol("H"), Symbol("W")), Layout.CHW, Color.UNKNOWN)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"layout": layout_name(types["data"])}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        settled(call, "data", Layout.HWC)
        image = image_input(call, layout=None)
        dtype = DType.FLOAT32 if image.dtype is DType.FLOAT16 else image.dtype
        shape = image.shape if image.layout is Layout.HWC else (*image.shape[1:], image.shape[0])
        return {"result": Array(dtype, shape, Layout.HWC, image.color)}


@operator("FloatMat", group="image", kernel="image:float_mat", traits={Trait.PURE, Trait.TO_FLOAT})
class FloatMat(Op):
    """Values as float32, unchanged otherwise (no scaling)."""

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call)
        return {"result": Array(DType.FLOAT32, image.shape, image.layout, image.color)}


@operator("Any2Mat", group="image", kernel="image:any_to_mats", traits={Trait.PURE, Trait.FAILS})
class Any2Mat(Op):
    """Give a Python list of uint8 ``[H,W,3]`` images, from code without declared types, its type back."""

    def wants(self, key: str) -> Type:
        return ListOf(wanted_image())

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = settled(call, "data", Layout.HWC)
        if isinstance(found, ListOf) and isinstance(found.item, Array):
            return {"result": ListOf(as_image(found.item, dtypes=(DType.UINT8,), channels=(3,)))}
        if not isinstance(found, Opaque):
            mismatch("TP301", f"'data' is {found}; a list of images is needed here")
        image = Array(DType.UINT8, (call.symbol("H"), call.symbol("W"), 3), Layout.HWC, Color.UNKNOWN)
        return {"result": ListOf(image)}


class _Save(Op):
    """What the operators share that write images to files."""

    derived = ("source",)

    def wants(self, key: str) -> Type:
        return wanted_image()

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        found = types["data"]
        return {"source": color_name(found.item if isinstance(found, ListOf) else found)}


def _in_files(call: InferCall, image: Array) -> Array:
    """An image as files take it: one whose colour order varies is asked for in OpenCV's."""
    return in_order(call, image, Color.BGR) if image.color is Color.VARIES else image


_SAVE_DIR = "Folder for the files; it must exist where the server runs."


@operator("SaveMat", group="image", kernel="image:SaveMat", traits={Trait.STATEFUL})
class SaveMat(_Save):
    """Write each image to ``save_dir/<process>_<number>.png``, and hand it on.

    For debugging: the files are never deleted.
    """

    save_dir: str = attr(_SAVE_DIR)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, channels=(1, 3), dtypes=(DType.UINT8, DType.UINT16))
        return {"result": _in_files(call, image)}


@operator("SaveMats", group="image", kernel="image:SaveMat", traits={Trait.STATEFUL})
class SaveMats(_Save):
    """SaveMat for each image of a list."""

    save_dir: str = attr(_SAVE_DIR)

    def wants(self, key: str) -> Type:
        return ListOf(wanted_image())

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image, is_list = _element(call)
        if not is_list:
            mismatch("TP301", "'data' is one image; a list of images is needed here", "use SaveMat")
        as_image(image, channels=(1, 3), dtypes=(DType.UINT8, DType.UINT16))
        return {"result": ListOf(_in_files(call, image))}


@operator("Normalize", group="image", kernel="image:normalize", traits={Trait.PURE, Trait.NORMALIZES})
class Normalize(Op):
    """``(x - mean) / std`` per channel, in float32, on ``[C,H,W]`` or ``[H,W,C]``."""

    derived = ("layout",)

    mean: tuple[float, ...] = attr("Subtracted, one value per channel, on the scale of the image.")
    std: tuple[float, ...] = attr("Divided by, one value per channel, on the scale of the image.")

    def wants(self, key: str) -> Type:
        return wanted_image()

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"layout": layout_name(types["data"])}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, layout=None)
        _check_per_channel("mean", self.mean, image)
        _check_per_channel("std", self.std, image)
        if 0.0 in self.std:
            mismatch("TP104", "'std' holds 0, by which nothing can be divided", attribute="std")
        return {"result": Array(DType.FLOAT32, image.shape, image.layout, image.color)}


def _check_per_channel(name: str, values: tuple[float, ...], image: Array) -> None:
    count = channel_count(image)
    if len(values) != count:
        mismatch(
            "TP304",
            f"'{name}' has {len(values)} values, the image {count} channels ({image})",
            attribute=name,
        )


@operator("PackImage", group="image", kernel="image:pack_image", traits={Trait.PURE})
class PackImage(Op):
    """uint8 ``[H,W,C]`` to float32 ``[C,H,W]`` minus ``mean``, channels reversed on demand, in one step.

    Where a model takes what cvtColorMat, Mat2Tensor and the subtraction of a mean give, it does this itself.
    """

    batch_kernel: ClassVar[str] = "image:Packing"

    mean: tuple[float, ...] = attr(
        "Subtracted, one value per channel of the result, on the 0 to 255 scale.", default=()
    )
    swap_rb: bool = attr("Exchange the first and the third channel.", default=False)

    def wants(self, key: str) -> Type:
        return wanted_image()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        image = image_input(call, dtypes=(DType.UINT8,), channels=(3,) if self.swap_rb else ())
        if self.mean:
            _check_per_channel("mean", self.mean, image)
        return {"result": self.packed_type(image)}

    def packed_type(self, image: Array) -> Array:
        """The type of what becomes of an image."""
        swapped = {Color.BGR: Color.RGB, Color.RGB: Color.BGR}
        color = swapped.get(image.color, image.color) if self.swap_rb else image.color
        return Array(DType.FLOAT32, _chw(image).shape, Layout.CHW, color)
