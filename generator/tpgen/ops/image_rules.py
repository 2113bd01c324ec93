"""What image operators ask of their inputs, in one place: kind, layout, channels, colour order."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir.op import InferCall, array_input, mismatch
from ..types import Array, Color, Dim, DType, Layout, Symbol, Type

MAX_SIDE = 1_048_576


def wanted_image() -> Array:
    """The type of an entry input whose first reader is an image operator: uint8 ``[H,W,3]``."""
    return Array(DType.UINT8, (Symbol("H"), Symbol("W"), 3), Layout.HWC, Color.UNKNOWN)


def image_input(
    call: InferCall,
    key: str = "data",
    *,
    layout: Layout = Layout.HWC,
    channels: Iterable[int] = (),
    dtypes: Iterable[DType] = (),
) -> Array:
    """The type of a key that must be an image of this layout (and channel count, and dtype).

    A plain array of rank 3 whose channel axis fits is taken as an image of unknown colour.

    Raises:
        InferError: it is something else; the hint names the operator that converts it.
    """
    found = array_input(call, key)
    if len(found.shape) != 3:
        mismatch("TP302", f"'{key}' is {found}; an image of rank 3 is needed here")
    if found.layout in (Layout.HWC, Layout.CHW) and found.layout is not layout:
        hint = (
            "take the image before Mat2Tensor, or add Tensor2Mat in front"
            if layout is Layout.HWC
            else "add Mat2Tensor in front: it moves the channels to the front"
        )
        mismatch("TP302", f"'{key}' is {found.layout.value} ({found}), {layout.value} is needed here", hint)
    allowed = tuple(channels)
    count = channel_count(found, layout)
    if allowed and count not in allowed and isinstance(count, int):
        wanted = " or ".join(str(c) for c in allowed)
        mismatch("TP304", f"'{key}' has {count} channels ({found}); {wanted} are needed here")
    kinds = tuple(dtypes)
    if kinds and found.dtype not in kinds:
        wanted = " or ".join(d.value for d in kinds)
        mismatch("TP305", f"'{key}' is {found.dtype.value} ({found}); {wanted} is needed here")
    color = Color.UNKNOWN if found.color is Color.NONE else found.color
    return Array(found.dtype, found.shape, layout, color)


def channel_count(image: Array, layout: Layout) -> Dim:
    return image.shape[2] if layout is Layout.HWC else image.shape[0]


def known_color(call: InferCall, image: Array, key: str = "data") -> Color:
    """The colour order of an image that a colour-dependent operator is about to read.

    Raises:
        InferError: nobody declared it; the hint shows the line to add.
    """
    if image.color in (Color.UNKNOWN, Color.NONE):
        mismatch(
            "TP303",
            f"the colour order of '{key}' is not known here",
            f'declare it: [pipeline.inputs] {key} = "{image.dtype.value}[H,W,3] bgr" (or rgb)',
        )
    return image.color


def color_name(type_: Type) -> str:
    """The colour order as kernels name it: "bgr", "rgb" or "gray"."""
    assert isinstance(type_, Array)
    return type_.color.value


def resized(image: Array, height: Dim, width: Dim, dtype: DType | None = None) -> Array:
    """The image type with another size (its layout decides where height and width stand)."""
    if image.layout is Layout.CHW:
        shape: tuple[Dim, ...] = (image.shape[0], height, width)
    else:
        shape = (height, width, image.shape[2])
    return Array(dtype or image.dtype, shape, image.layout, image.color)
