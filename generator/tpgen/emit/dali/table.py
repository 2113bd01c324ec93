"""What DALI can hold: one entry per operator, with its convention and how far it is from our kernel.

An entry is a function that writes the DALI expression of an operator, registered under the names of operator
classes. Inside the pipeline images lie in HWC and RGB, as the decoder writes them fastest, whatever the graph
says. They are turned where they leave it, or where an operator turns them anyway or has numbers per channel;
so operators that only move or exchange channels cost nothing. Expressions may call
the functions of ``templates/dali/``: those that a pipeline calls become part of its code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ...types import Array, Color, DType, Layout
from ..names import literal

Device: TypeAlias = Literal["cpu", "gpu"]

_BILINEAR = "interp_type=types.INTERP_LINEAR, antialias=False"
_TO_HWC = "perm=(1, 2, 0)"
_TO_CHW = "perm=(2, 0, 1)"


@dataclass(frozen=True)
class Held:
    """An image in the pipeline: its variable, how it lies there, and the graph's type of it."""

    name: str
    layout: Layout
    color: Color
    type: Array

    @property
    def hwc(self) -> str:
        """The expression of the image with its channels last, in the order in which they are held."""
        return self.name if self.layout is Layout.HWC else f"fn.transpose({self.name}, {_TO_HWC})"

    @property
    def declared(self) -> str:
        """The expression of the image with its channels last, in the order that the graph's type says."""
        if self.color is self.type.color:
            return self.hwc
        if self.type.dtype is not DType.UINT8:
            return f"_swapped({self.hwc})"  # DALI converts colours of uint8 only
        names = f"image_type=types.{self.color.name}, output_type=types.{self.type.color.name}"
        return f"fn.color_space_conversion({self.hwc}, {names})"

    @property
    def outgoing(self) -> str:
        """The expression of the image as the graph's type says."""
        if self.color is self.type.color and self.layout is self.type.layout:
            return self.name
        turned = self.type.layout is Layout.CHW
        return f"fn.transpose({self.declared}, {_TO_CHW})" if turned else self.declared


@dataclass(frozen=True)
class Job:
    """One call to be written: the operator, the image that it reads, and the type that it writes.

    ``data`` is the variable of the encoded bytes where the operator reads those.
    """

    op: Any
    result: Array
    device: Device
    image: Held | None = None
    data: str = ""

    @property
    def read(self) -> Held:
        assert self.image is not None
        return self.image


Writer: TypeAlias = Callable[[Job], str]


@dataclass(frozen=True)
class Lowering:
    """How DALI computes an operator.

    ``tolerance``: the largest difference from our kernel that is allowed for, in grey levels of the image
    that the operator writes. ``decodes``: it reads encoded bytes. ``lies``: how the result lies: as the image
    that is read but with its channels last, wholly as that, or as the graph's type says.
    A writer that returns the name of the image that it reads adds no code. ``gpu``: what differs there.
    """

    write: Writer
    convention: str
    tolerance: float = 0.0
    decodes: bool = False
    lies: Literal["channels last", "as read", "as declared"] = "channels last"
    gpu: str = ""


TABLE: dict[str, Lowering] = {}


def _lowers(*operators: str, **declared: Any) -> Callable[[Writer], Writer]:
    """Decorator: a function that writes the expression of these operators (names of their classes)."""

    def declare(write: Writer) -> Writer:
        for operator in operators:
            assert operator not in TABLE, operator
            TABLE[operator] = Lowering(write, **declared)
        return write

    return declare


# ----- decoding -----

_DECODER = "libjpeg-turbo with smooth chroma upsampling, EXIF orientation applied, as OpenCV"
_ALL_FORMATS = (
    "equal but for 16-bit PNG and CMYK (1 grey level), and WebP with an orientation, which is applied"
)
_NVJPEG = "nvJPEG: another inverse DCT and chroma filter; expect a few grey levels"


@_lowers("DecodeMat", convention=f"{_DECODER}; {_ALL_FORMATS}", tolerance=1.0, decodes=True, gpu=_NVJPEG)
@_lowers(
    "DecodeTensor",
    convention=f"{_DECODER}; other formats than JPEG are decoded, too",
    decodes=True,
    gpu=_NVJPEG,
)
def _decode(job: Job) -> str:
    return f"_decoded({job.data}, {literal('mixed' if job.device == 'gpu' else 'cpu')})"


# ----- colour, layout, dtype -----


@_lowers(
    *("CvtColorMat", "CvtColorTensor", "CvtColorNvTensor"),
    *("Mat2Tensor", "Mat2GpuTensor", "Mat2CpuTensor", "Tensor2Mat", "NCHWTensor"),
    *("Identity", "SyncTensor", "MoveTensor", "ContiguousTensor", "NvTensor"),
    convention="same values; turned where the image leaves the pipeline",
)
def _same_values(job: Job) -> str:
    return job.read.name


@_lowers("FloatMat", "FloatTensor", "FloatNCHWTensor", convention="cast, same values", lies="as read")
def _to_float(job: Job) -> str:
    return f"fn.cast({job.read.name}, dtype=types.FLOAT)"


def _normalized(text: str, layout: Layout, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    options = f"dtype=types.FLOAT, output_layout={literal(layout.value)}, mean={literal(list(mean))}"
    return f"fn.crop_mirror_normalize({text}, {options}, std={literal(list(std))})"


@_lowers(
    "Normalize",
    convention="float32, multiplied by 1 / std instead of divided by std",
    tolerance=0.001,
    lies="as declared",
)
def _normalize(job: Job) -> str:
    return _normalized(job.read.declared, job.result.layout, job.op.mean, job.op.std)


@_lowers("PackImage", convention="float32", tolerance=0.001, lies="as declared")
def _pack(job: Job) -> str:
    image = replace(job.read, type=replace(job.read.type, color=job.result.color))
    return _normalized(image.declared, Layout.CHW, job.op.mean or (0.0,) * 3, (1.0,) * 3)


# ----- sizes -----

_HALF_PIXEL = "fn.resize without antialiasing: half-pixel centres, as OpenCV; rounded from float32"
_ALIGNED = "fn.resize of the region whose pixel centres are those of aligned corners; float32"
_FITTED = f"sizes computed as the kernel does; {_HALF_PIXEL}"
_ONE_LEVEL = 1.0  # OpenCV rounds its weights to 1/2048
_POSITION = 0.15  # of float32 positions, on images of up to 5,000 pixels a side


def _pad(job: Job, values: tuple[float, ...]) -> str:
    """The colour of a border, one number per channel as they are held, as arrays of the result hold it."""
    three = (tuple(values) + (values[-1],) * 3)[:3]
    dtype = job.result.dtype
    if job.read.color is not job.read.type.color:
        three = three[::-1]
    return literal([float(round(value)) if dtype is DType.UINT8 else float(value) for value in three])


@_lowers("ResizeMat", "PPLResizeTensor", "ResizeNvTensor", convention=_HALF_PIXEL, tolerance=_ONE_LEVEL)
def _resize(job: Job) -> str:
    return f"fn.resize({job.read.hwc}, resize_y={job.op.resize_h}, resize_x={job.op.resize_w}, {_BILINEAR})"


@_lowers(
    "PillowResizeMat",
    "PillowResizeTensor",
    convention="fn.resize with antialiasing; Pillow rounds its weights, and between its two passes",
    tolerance=30.0,
)
def _pillow_resize(job: Job) -> str:
    size = f"resize_y={job.op.resize_h}, resize_x={job.op.resize_w}"
    text = f"fn.resize({job.read.hwc}, {size}, interp_type=types.INTERP_LINEAR, antialias=True)"
    return text if job.result.dtype is DType.UINT8 else f"fn.cast({text}, dtype=types.FLOAT)"


@_lowers("ResizeTensor", "ResizeTensorV1", convention=_ALIGNED, tolerance=_POSITION)
def _resize_aligned(job: Job) -> str:
    return f"_resize_aligned({job.read.hwc}, {job.op.resize_h}, {job.op.resize_w})"


@_lowers(
    "ResizePadTensor",
    convention=f"sizes computed as the kernel does; {_ALIGNED}",
    tolerance=_POSITION,
)
def _resize_pad_aligned(job: Job) -> str:
    fill = _pad(job, job.op.pad_value[:1])
    return f"_resize_pad_aligned({job.read.hwc}, {job.op.max_h}, {job.op.max_w}, {fill})"


@_lowers(
    *("ResizePadMat", "ResizeCenterPadMat", "PPLResizePadTensor"),
    convention=_FITTED,
    tolerance=_ONE_LEVEL,
)
def _resize_pad(job: Job) -> str:
    image = job.read.hwc
    centred = type(job.op).__name__ == "ResizeCenterPadMat"
    values = getattr(job.op, "pad_value", (0.0,))
    more = [f"centred={centred}"] if centred else []
    more += ["dtype=types.FLOAT"] if job.result.dtype is not job.read.type.dtype else []
    arguments = [image, str(job.op.max_h), str(job.op.max_w), _pad(job, values), *more]
    return f"_resize_pad({', '.join(arguments)})"


@_lowers(
    "FixRatioResizeMat",
    convention=_FITTED,
    tolerance=_ONE_LEVEL,
)
def _fix_ratio(job: Job) -> str:
    return f"_fix_ratio_resize({job.read.hwc}, {job.op.max_h}, {job.op.max_w})"


@_lowers(
    "LetterBoxMat",
    "TopLeftResizeMat",
    convention=_FITTED,
    tolerance=_ONE_LEVEL,
)
def _letter_box(job: Job) -> str:
    fill = _pad(job, job.op.pad_val)
    centred = type(job.op).__name__ == "LetterBoxMat"
    return f"_letter_box({job.read.hwc}, {job.op.resize_h}, {job.op.resize_w}, {fill}, centred={centred})"


@_lowers("PPLResizeCenterPadTensor", convention=_FITTED, tolerance=_ONE_LEVEL)
def _center_pad(job: Job) -> str:
    return f"_center_pad({job.read.hwc}, {job.op.resize_h}, {job.op.resize_w})"


@_lowers(
    "FixHResizePadMat",
    convention=_FITTED,
    tolerance=_ONE_LEVEL,
)
def _fix_height(job: Job) -> str:
    fill = _pad(job, job.op.pad_value)
    return f"_fix_height_resize_pad({job.read.hwc}, {job.op.resize_h}, {job.op.max_w}, {fill})"


@_lowers("CopyMakeBorderTensor", convention="fn.slice beyond the edges")
def _border(job: Job) -> str:
    sides = f"{job.op.top}, {job.op.bottom}, {job.op.left}, {job.op.right}"
    return f"_with_border({job.read.hwc}, {sides})"
