"""Resizing and padding on the CPU: bilinear with half-pixel centres, dtype kept (dialect.md 3.1)."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, DType, Text, Type
from .image_rules import (
    AFFINE,
    MAX_SIDE,
    RESIZABLE,
    check_area,
    check_pad,
    image_input,
    resized,
    scalar_input,
    wanted_image,
)

_FAILS = {Trait.PURE, Trait.FAILS}  # an image without pixels cannot be resized
_PADS = _FAILS | {Trait.PADS}
_PAD = "Colour of the padding: one value, or one per channel (the last is repeated)."
PADDED = (1, 3)  # channel counts
INT32_SCALAR = Array(DType.INT32, ())


class Resize(Op):
    """What resizing operators want as an entry input: an image, and whole numbers for sizes."""

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else INT32_SCALAR


@operator("ResizeMat", group="image", kernel="geometry:resize_mat", traits=_FAILS)
class ResizeMat(Resize):
    """Resize to a fixed size, ignoring the aspect ratio (bilinear, half-pixel centres; dtype kept)."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        return {"result": resized(image_input(call, dtypes=RESIZABLE), self.resize_h, self.resize_w)}


@operator("PillowResizeMat", group="image", kernel="pillow:pillow_resize_mat", traits=_FAILS)
class PillowResizeMat(Resize):
    """Resize a uint8 image to a fixed size exactly as Pillow does it: bilinear with antialiasing."""

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, dtypes=(DType.UINT8,), channels=PADDED)
        return {"result": resized(image, self.resize_h, self.resize_w)}


@operator("DynamicResizeMat", group="image", kernel="geometry:dynamic_resize_mat", traits=_FAILS)
class DynamicResizeMat(Resize):
    """ResizeMat with the size in the item's ``resize_h`` and ``resize_w`` (whole numbers, or their text)."""

    reads = ("data", "resize_h", "resize_w")

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        height = scalar_input(call, "resize_h")
        width = scalar_input(call, "resize_w")
        image = image_input(call, dtypes=RESIZABLE)
        return {"result": resized(image, height or call.symbol("H"), width or call.symbol("W"))}


@operator("ResizePadMat", group="image", kernel="geometry:resize_pad_mat", traits=_PADS)
class ResizePadMat(Resize):
    """Scale to fit ``max_h`` × ``max_w`` with the aspect ratio kept, and pad at the bottom and right.

    The free side is rounded to the nearest pixel, at least 1. ``inverse_trans`` is the float64 ``[2,3]``
    matrix from a pixel (x, y, 1) of the result to the source image.
    """

    writes = ("result", "inverse_trans")

    max_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)
    pad_value: tuple[float, ...] = attr(_PAD, default=(0.0,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.max_h, self.max_w, "max_h")
        image = image_input(call, dtypes=RESIZABLE, channels=PADDED)
        check_pad(self.pad_value, image, "pad_value")
        return {"result": resized(image, self.max_h, self.max_w), "inverse_trans": AFFINE}


@operator("ResizeCenterPadMat", group="image", kernel="geometry:resize_center_pad_mat", traits=_PADS)
class ResizeCenterPadMat(Resize):
    """ResizePadMat with the image in the middle; an odd pixel of padding goes to the bottom or right.

    A pad value that is not whole makes the result float32. ``inverse_trans`` is not clamped to the image.
    """

    writes = ("result", "inverse_trans")
    derived = ("dtype",)

    max_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)
    pad_value: tuple[float, ...] = attr(_PAD, default=(0.0,))

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        found = types["data"]
        assert isinstance(found, Array)
        return {"dtype": self._dtype(found).value}

    def _dtype(self, image: Array) -> DType:
        is_whole = all(abs(value - int(value)) <= 1e-5 for value in self.pad_value)
        return image.dtype if is_whole or image.dtype is DType.FLOAT64 else DType.FLOAT32

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.max_h, self.max_w, "max_h")
        image = image_input(call, dtypes=RESIZABLE, channels=PADDED)
        check_pad(self.pad_value, image, "pad_value")
        result = resized(image, self.max_h, self.max_w, self._dtype(image))
        return {"result": result, "inverse_trans": AFFINE}


@operator("FixRatioResizeMat", group="image", kernel="geometry:fix_ratio_resize_mat", traits=_FAILS)
class FixRatioResizeMat(Resize):
    """Scale to fit ``max_h`` × ``max_w`` with the aspect ratio kept, without padding.

    The free side is rounded up. ``inverse_trans`` as of ResizePadMat.
    """

    writes = ("result", "inverse_trans")

    max_h: int = attr("Largest height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Largest width of the result, pixels.", ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.max_h, self.max_w, "max_h")
        image = image_input(call, dtypes=RESIZABLE)
        return {"result": resized(image, call.symbol("H"), call.symbol("W")), "inverse_trans": AFFINE}


class _LetterBox(Resize):
    """What LetterBoxMat and TopLeftResizeMat share."""

    writes = ("result", "scale", "offset")

    resize_h: int
    resize_w: int
    pad_val: tuple[int, ...]

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        image = image_input(call, dtypes=RESIZABLE, channels=PADDED)
        check_pad(self.pad_val, image, "pad_val")
        return {
            "result": resized(image, self.resize_h, self.resize_w),
            "scale": Array(DType.FLOAT32, ()),
            "offset": Array(DType.INT32, (2,)),
        }


@operator("LetterBoxMat", group="image", kernel="geometry:letter_box_mat", traits=_PADS)
class LetterBoxMat(_LetterBox):
    """Scale to fit ``resize_h`` × ``resize_w`` and centre on a canvas of the pad colour.

    A pixel p of the result is (p - ``offset``) / ``scale`` in the source: ``scale`` is result / source
    (float32), ``offset`` the image's top left corner (x, y) in the result (int32). YoloDecode reads neither:
    ResizeCenterPadMat, which places an image in the same way, writes the matrix that it takes.
    """

    resize_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)
    pad_val: tuple[int, ...] = attr(_PAD, default=(0, 0, 0))


@operator("TopLeftResizeMat", group="image", kernel="geometry:top_left_resize_mat", traits=_PADS)
class TopLeftResizeMat(_LetterBox):
    """LetterBoxMat with the image in the top left corner; ``offset`` is (0, 0)."""

    resize_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Width of the result, pixels.", ge=1, le=MAX_SIDE)
    pad_val: tuple[int, ...] = attr(_PAD, default=(0, 0, 0))


@operator("FixHResizePadMat", group="image", kernel="geometry:fix_h_resize_pad_mat", traits=_PADS)
class FixHResizePadMat(Resize):
    """Scale to the height ``resize_h``, and pad on the right to ``max_w``; a wider image is squeezed to it.

    The width is rounded up.
    """

    resize_h: int = attr("Height of the result, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Width of the result, pixels.", ge=2, le=MAX_SIDE)
    pad_value: tuple[float, ...] = attr(_PAD, default=(0.0,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.max_w, "max_w")
        image = image_input(call, dtypes=RESIZABLE, channels=PADDED)
        check_pad(self.pad_value, image, "pad_value")
        return {"result": resized(image, self.resize_h, self.max_w)}


@operator(
    "DynamicFixHResizePadMat", group="image", kernel="geometry:dynamic_fix_h_resize_pad_mat", traits=_PADS
)
class DynamicFixHResizePadMat(Resize):
    """FixHResizePadMat with the size in the item's ``resize_h`` and ``max_w`` (texts, or whole numbers)."""

    reads = ("data", "resize_h", "max_w")

    pad_value: tuple[float, ...] = attr(_PAD, default=(0.0,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        height = scalar_input(call, "resize_h")
        width = scalar_input(call, "max_w")
        image = image_input(call, dtypes=RESIZABLE, channels=PADDED)
        check_pad(self.pad_value, image, "pad_value")
        return {"result": resized(image, height or call.symbol("H"), width or call.symbol("W"))}


def _check_align(max_w: int, align: int) -> None:
    if max_w % align:
        mismatch("TP104", f"'max_w' is {max_w}, which is no multiple of align = {align}", attribute="max_w")


_BUCKETS = (
    "The original takes the widest image of a batch for all of it. Here each image has the width that it gets"
    " alone, so that an answer does not depend on who else is served; images of one width are batched."
)


class _Buckets(Resize):
    """What the operators that find an image's width bucket share."""

    max_w: int
    align: int

    def buckets(self) -> str:
        count = self.max_w // self.align
        widths = [self.align * number for number in range(1, count + 1)]
        shown = (
            [*map(str, widths)] if count <= 4 else [str(widths[0]), str(widths[1]), "...", str(widths[-1])]
        )
        return f"width buckets: {', '.join(shown)} columns"


@operator(
    "BatchFixHLimitW",
    group="image",
    kernel="geometry:batch_fix_h_limit_w",
    traits={Trait.PURE},
    note=_BUCKETS,
)
class BatchFixHLimitW(_Buckets):
    """Find the width bucket of an image; the image stays as it is.

    Its width at the height ``resize_h``, rounded up to ``align``, at most ``max_w``. Written as texts for
    DynamicFixHResizePadMat: ``max_w`` is that width, ``resize_h`` the attribute.
    """

    writes = ("result", "max_w", "resize_h")

    resize_h: int = attr("Height that the images will have, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Largest width, pixels; a multiple of align.", ge=1, le=MAX_SIDE)
    max_batch: int = attr(
        "Without effect: the model's `max` limits its batches.",
        default=1,
        key="BatchFixHLimitW::max",
        ge=1,
        compile_only=True,
    )
    align: int = attr("The width is a multiple of this.", default=32, ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _check_align(self.max_w, self.align)
        return {"result": image_input(call), "max_w": Text(), "resize_h": Text(str(self.resize_h))}


@operator("AlignMat", group="image", kernel="geometry:align_mat", traits={Trait.PURE}, note=_BUCKETS)
class AlignMat(_Buckets):
    """Find the width bucket of an image; the image stays as it is.

    The rule is that of BatchFixHLimitW. Written as int32 for DynamicResizeMat: ``resize_w`` is the width,
    ``resize_h`` the attribute.
    """

    writes = ("result", "resize_h", "resize_w")

    resize_h: int = attr("Height that the images will have, pixels.", ge=1, le=MAX_SIDE)
    max_w: int = attr("Largest width, pixels; a multiple of align.", ge=1, le=MAX_SIDE)
    align: int = attr("The width is a multiple of this.", default=32, ge=1, le=MAX_SIDE)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _check_align(self.max_w, self.align)
        return {"result": image_input(call), "resize_h": INT32_SCALAR, "resize_w": INT32_SCALAR}
