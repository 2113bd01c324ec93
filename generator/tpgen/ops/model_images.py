"""What models want of images: layout, colour order and size, and what is said where others arrive."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.op import SizeKey, mismatch
from ..ir.signature import BatchAxis, ModelSignature, TensorInfo
from ..types import Array, Color, Dim, Layout, Symbol
from .image_rules import as_image, channel_count


def image_layout(shape: Sequence[Dim | str | None]) -> Layout:
    """The layout of a model's images, told by where 1 or 3 channels stand; NONE: they are no such images."""
    if len(shape) == 3 and shape[0] in (1, 3):
        return Layout.CHW
    return Layout.HWC if len(shape) == 3 and shape[2] in (1, 3) else Layout.NONE


def dimension(size: int | str | None, axis: int, symbols: dict[str, Dim]) -> Dim:
    """A dimension of a model's file: a number, or a symbol; equal names are one symbol."""
    if isinstance(size, int):
        return size
    if size is None:
        return Symbol(f"d{axis}")
    return symbols.setdefault(size, Symbol(size))


def check_layout(info: TensorInfo, wanted: Array, found: Array) -> None:
    """Refuse an image whose axes stand in another order than the model's input has them (TP302)."""
    if wanted.is_image and found.layout is Layout.UNKNOWN:
        as_image(found)
    if wanted.layout is Layout.CHW and found.layout is Layout.HWC:
        mismatch(
            "TP302",
            f"model input '{info.name}' is {wanted}, but the image arrives as HWC ({found})",
            "add Mat2Tensor in front: it moves the channels to the front",
        )
    if wanted.layout is Layout.HWC and found.layout is Layout.CHW:
        mismatch(
            "TP302",
            f"model input '{info.name}' is {wanted} (channels last), but the image arrives as CHW ({found})",
            "take the image before Mat2Tensor",
        )


def check_color(expected: str | None, found: Array) -> None:
    """Refuse an image of another colour order than the model wants, or of an unknown one (TP303)."""
    if expected is None or found.layout is Layout.NONE or found.color is Color(expected):
        return
    if found.color in (Color.UNKNOWN, Color.NONE):
        mismatch(
            "TP303",
            f"the model wants {expected.upper()}, and the colour order of what arrives is not known",
            f'declare it where it enters: [pipeline.inputs] data = "{found.dtype.value}[...] {expected}"',
        )
    if found.color in (Color.BGR, Color.RGB):
        mismatch(
            "TP303",
            f"the model wants {expected.upper()}, but {found.color.value.upper()} arrives",
            f'add cvtColorMat with color = "{expected}" in front, or set input_color = "any" on this node',
        )


_AXES = {Layout.CHW: ("channels", "height", "width"), Layout.HWC: ("height", "width", "channels")}


def size_message(info: TensorInfo, wanted: Array, found: Array, axis: int) -> str:
    """What is said of an array that is of another size than the model's input."""
    names = _AXES.get(wanted.layout)
    what = names[axis] if names else f"dimension {axis}"
    got = found.shape[axis]
    actual = f"{what} {got} arrives" if isinstance(got, int) else f"the {what} that arrives varies"
    needed = wanted.shape[axis]
    return f"model input '{info.name}' is {wanted}: {what} must be {needed}, but {actual} ({found})"


def check_batch_axis(signature: ModelSignature, info: TensorInfo, found: Array) -> None:
    """Refuse an item of a model of which an output keeps it from taking batches (TP304)."""
    if signature.batch is not BatchAxis.NONE or len(info.shape) != len(found.shape) + 1:
        return
    for output in signature.outputs:
        if output.shape[:1] != info.shape[:1]:
            mismatch(
                "TP304",
                f"the model's output '{output.name}' is {_shape(output)}, without the first axis of its "
                f"input '{info.name}' {_shape(info)}: so that is no batch, and {found} is no whole input",
                f"export the model with the batch as the first axis of '{output.name}', too",
            )


def _shape(info: TensorInfo) -> str:
    return f"[{','.join('?' if dim is None else str(dim) for dim in info.shape)}]"


def size_hint(wanted: Array, found: Array, keys: Sequence[SizeKey | None]) -> str | None:
    """How an image comes to what the model wants; None for what is no image.

    ``keys`` are what fixes the height and the width of what arrives, where that is known.
    """
    if not (wanted.is_image and found.is_image):
        return None
    if channel_count(wanted) != channel_count(found):
        way = "code of yours can (Python[module:name]), or a model that begins with it"
        channels = channel_count(wanted)
        return f"no operator makes an image of {channels} channel{'s' * (channels != 1)} of this one; {way}"
    needed = [
        (side, need, key)
        for side, need, got, key in zip(_SIDES, _sides(wanted), _sides(found), keys, strict=True)
        if isinstance(need, int) and need != got
    ]
    if not needed:
        return "resize the image to sides that fit: ResizeMat in front makes any"
    known = [(need, key) for _, need, key in needed if key is not None]
    if len(known) == len(needed):
        return "set " + " and ".join(_on_operators(known))
    listed = ", ".join(f"resize_{side[0]} = {need}" for side, need, _ in needed)
    if len(needed) == len(_SIDES):
        return f"resize the image to it: {listed} on ResizeMat in front"
    return f"resize the image to it: {listed} on an operator that resizes, in front"


_SIDES = ("height", "width")


def _sides(image: Array) -> tuple[Dim, ...]:
    return image.shape[1:] if image.layout is Layout.CHW else image.shape[:2]


def _on_operators(known: Sequence[tuple[int, SizeKey]]) -> list[str]:
    """What to write, the keys of one operator together: ``max_h = 8, max_w = 9 on ResizePadMat in [a]``."""
    found: dict[str, list[str]] = {}
    for size, key in known:
        found.setdefault(f"{key.operator} in [{key.node}]", []).append(f"{key.key} = {size}")
    return [f"{', '.join(keys)} on {where}" for where, keys in found.items()]


_IMAGENET_MEAN = (123.675, 116.28, 103.53)


def color_of_mean(mean: tuple[float, ...]) -> str | None:
    """RGB or BGR if ``mean`` is ImageNet's (0 to 255 scale) in that order, else None."""
    for color, order in (("rgb", _IMAGENET_MEAN), ("bgr", _IMAGENET_MEAN[::-1])):
        if len(mean) == 3 and all(abs(a - b) < 1.0 for a, b in zip(mean, order, strict=True)):
            return color
    return None
