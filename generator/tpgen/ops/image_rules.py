"""What image operators ask of their inputs, in one place: kind, layout, channels, colour order, sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..ir.op import InferCall, array_input, mismatch, settled
from ..types import Array, Color, Dim, DType, Layout, Symbol, Text, Type

MAX_SIDE = 1_048_576
MAX_RESULT = 100 * 1024 * 1024  # pixels of a result whose size the TOML fixes
RESIZABLE = (DType.UINT8, DType.UINT16, DType.INT16, DType.FLOAT32, DType.FLOAT64)  # what OpenCV interpolates
NUMERIC = tuple(d for d in DType if d not in (DType.BOOL, DType.BFLOAT16, DType.STRING))
INTEGERS = (
    DType.INT32,
    DType.INT64,
    DType.UINT8,
    DType.INT8,
    DType.UINT16,
    DType.INT16,
    DType.UINT32,
    DType.UINT64,
)
AFFINE = Array(DType.FLOAT64, (2, 3))  # rows (x, y): a pixel of the result to a pixel of the source image
_COLOR_CHANNELS = (1, 3, 4)


def wanted_image() -> Array:
    """The type of an entry input whose first reader is an image operator: uint8 ``[H,W,3]``."""
    return Array(DType.UINT8, (Symbol("H"), Symbol("W"), 3), Layout.HWC, Color.UNKNOWN)


def image_input(
    call: InferCall,
    key: str = "data",
    *,
    layout: Layout | None = Layout.HWC,
    channels: Iterable[int] = (),
    dtypes: Iterable[DType] = NUMERIC,
) -> Array:
    """The type of a key that must be an image of this layout (None: any), channel count and dtype.

    A plain array of rank 3 is taken as an image of unknown colour. An image whose layout varies is asked for
    in this one, or in CHW where any will do.

    Raises:
        InferError: it is something else; the hint names the operator that converts it.
    """
    settled(call, key, layout or Layout.CHW)
    return as_image(array_input(call, key), key, layout=layout, channels=channels, dtypes=dtypes)


def as_image(
    found: Array,
    key: str = "data",
    *,
    layout: Layout | None = Layout.HWC,
    channels: Iterable[int] = (),
    dtypes: Iterable[DType] = NUMERIC,
) -> Array:
    """`image_input` for a type at hand."""
    if len(found.shape) != 3:
        mismatch("TP302", f"'{key}' is {found}; an image of rank 3 is needed here")
    actual = _layout_of(found, key, layout)
    if layout is not None and actual is not layout:
        hint = (
            "take the image before Mat2Tensor, or add Tensor2Mat in front"
            if layout is Layout.HWC
            else "add Mat2Tensor in front: it moves the channels to the front"
        )
        mismatch("TP302", f"'{key}' is {actual.value} ({found}), {layout.value} is needed here", hint)
    _check_channels(found, actual, key, tuple(channels))
    kinds = tuple(dtypes)
    if found.dtype not in kinds:
        wanted = " or ".join(d.value for d in kinds)
        mismatch("TP305", f"'{key}' is {found.dtype.value} ({found}); {wanted} is needed here")
    color = Color.UNKNOWN if found.color is Color.NONE else found.color
    return Array(found.dtype, found.shape, actual, color)


def _layout_of(found: Array, key: str, wanted: Layout | None) -> Layout:
    if found.layout in (Layout.HWC, Layout.CHW):
        return found.layout
    if found.layout is Layout.UNKNOWN:
        mismatch(
            "TP302",
            f"'{key}' is an image on one way here, and an array of unknown layout on another ({found})",
            "declare what the other way brings, or give each way a key of its own",
        )
    if wanted is not None:
        return wanted
    return guessed_layout(found, key)


def guessed_layout(found: Array, key: str = "data") -> Layout:
    """The layout of a plain array of rank 3, told by where 1, 3 or 4 channels can stand.

    Raises:
        InferError: both ends or none could be the channels.
    """
    first, last = (found.shape[axis] in _COLOR_CHANNELS for axis in (0, 2))
    if first == last:
        mismatch(
            "TP302",
            f"'{key}' is {found}, which could be HWC or CHW",
            f'declare it: [pipeline.inputs] {key} = "{found.dtype.value}[H,W,3] hwc" (or [3,H,W] chw)',
        )
    return Layout.CHW if first else Layout.HWC


def _check_channels(found: Array, layout: Layout, key: str, allowed: tuple[int, ...]) -> None:
    count = found.shape[2] if layout is Layout.HWC else found.shape[0]
    if not allowed or count in allowed:
        return
    wanted = " or ".join(str(c) for c in allowed)
    actual = f"has {count} channels" if isinstance(count, int) else "has a varying number of channels"
    mismatch("TP304", f"'{key}' {actual} ({found}); {wanted} are needed here")


def channel_count(image: Array) -> Dim:
    """How many channels an image has; a symbol if that varies."""
    return image.shape[0] if image.layout is Layout.CHW else image.shape[2]


def in_order(call: InferCall, image: Array, color: Color, key: str = "data") -> Array:
    """An image that a colour-dependent operator is about to read; one that varies is asked for in ``color``.

    Raises:
        InferError: nobody declared its colour order; the hint shows what to add.
    """
    if image.color is Color.VARIES:
        call.turn(key, color=color)
        return replace(image, color=color)
    if image.color not in (Color.BGR, Color.RGB):
        mismatch(
            "TP303",
            f"the colour order of '{key}' is not known here",
            f'declare it: [pipeline.inputs] {key} = "{image.dtype.value}[H,W,3] bgr" (or rgb)',
        )
    return image


def color_name(type_: Type) -> str:
    """The colour order as kernels name it: "bgr", "rgb", "gray" or "unknown"."""
    assert isinstance(type_, Array)
    return Color.UNKNOWN.value if type_.color is Color.NONE else type_.color.value


def layout_name(type_: Type) -> str:
    """The layout as kernels name it: "HWC" or "CHW"."""
    assert isinstance(type_, Array)
    return as_image(type_, layout=None, dtypes=DType).layout.value


def resized(image: Array, height: Dim, width: Dim, dtype: DType | None = None) -> Array:
    """The image type with another size (its layout decides where height and width stand)."""
    if image.layout is Layout.CHW:
        shape: tuple[Dim, ...] = (image.shape[0], height, width)
    else:
        shape = (height, width, image.shape[2])
    return Array(dtype or image.dtype, shape, image.layout, image.color)


def check_area(height: int, width: int, attribute: str) -> None:
    """Refuse a result of more pixels than any memory should be asked for.

    Raises:
        InferError: it has more than `MAX_RESULT`.
    """
    if height * width > MAX_RESULT:
        mismatch("TP104", f"{height} × {width} pixels are more than {MAX_RESULT}", attribute=attribute)


def check_pad(values: tuple[float, ...], image: Array, attribute: str) -> None:
    """Refuse pad values that are not one to three numbers inside the range of the image's dtype.

    Raises:
        InferError: they are not.
    """
    if not 1 <= len(values) <= 3:
        mismatch(
            "TP104", f"'{attribute}' has {len(values)} numbers; one to three are needed", attribute=attribute
        )
    low, high = _RANGES.get(image.dtype, (-3.4e38, 3.4e38))
    wrong = [value for value in values if not low <= value <= high]
    if wrong:
        message = f"'{attribute}' holds {wrong[0]:g}, which {image.dtype.value} cannot ({low:g} to {high:g})"
        mismatch("TP104", message, attribute=attribute)


_RANGES = {DType.UINT8: (0, 255), DType.UINT16: (0, 65535), DType.INT16: (-32768, 32767)}


def vector_input(
    call: InferCall, key: str, shapes: Iterable[tuple[int, ...]], dtypes: Iterable[DType]
) -> Array:
    """The type of a key that must be a small array of one of these shapes, such as a box.

    Raises:
        InferError: it is something else.
    """
    found = array_input(call, key)
    allowed = tuple(shapes)
    if found.shape not in allowed and all(isinstance(dim, int) for dim in found.shape):
        wanted = " or ".join(str(list(shape)) for shape in allowed)
        mismatch("TP304", f"'{key}' is {found}; {wanted} is needed here")
    if len(found.shape) not in {len(shape) for shape in allowed}:
        mismatch("TP304", f"'{key}' is {found}; rank {len(allowed[0])} is needed here")
    if found.dtype not in tuple(dtypes):
        mismatch("TP305", f"'{key}' is {found}; {' or '.join(d.value for d in dtypes)} is needed here")
    return found


def scalar_input(call: InferCall, key: str) -> int | None:
    """Check that a key is a whole number: an integer scalar, or the text of one; the number, if it is known.

    Raises:
        InferError: it is something else.
    """
    found = call.type(key)
    if isinstance(found, Text):
        is_known = found.constant is not None and found.constant.isascii() and found.constant.isdigit()
        return int(found.constant or 0) if is_known else None
    vector_input(call, key, [(), (1,)], INTEGERS)
    return None
