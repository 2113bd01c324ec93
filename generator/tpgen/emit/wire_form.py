"""The wire form of a port: its Triton tensors, and the port object in generated code.

`tpgen_runtime.wire` documents the form; both sides of it come from this one description.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..ir.graph import Port, sent
from ..passes.looks import look
from ..types import Array, Bytes, DType, ListOf, Text, Type
from .names import literal

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class WireTensor:
    """One Triton tensor; ``dims`` without the batch dimension, -1 varies."""

    name: str
    dtype: DType
    dims: tuple[int, ...]
    companion: bool = False


def wire_tensors(port: Port) -> tuple[WireTensor, ...]:
    """The tensors of a port: the value's own, then its companions."""
    return tuple(_tensors(port))


def _tensors(port: Port) -> Iterator[WireTensor]:
    key, type_ = port.key, port.type
    depth = 0
    while isinstance(type_, ListOf):
        type_, depth = type_.item, depth + 1
    lists = (-1,) * depth
    if port.raw:
        yield WireTensor(key, DType.UINT8, (-1,))
    else:
        yield WireTensor(key, _dtype(type_), (*lists, *_dims(type_)) or (1,))
    varying = _varying(type_)
    if depth:
        yield WireTensor(f"{key}_count", DType.INT32, (1,), companion=True)
    if depth > 1:
        yield WireTensor(f"{key}_count2", DType.INT32, (-1,), companion=True)
    if depth and varying:
        yield WireTensor(f"{key}_shape", DType.INT32, (*lists, len(_dims(type_))), companion=True)
    elif len(varying) == 1:
        yield WireTensor(f"{key}_count", DType.INT32, (1,), companion=True)
    elif varying:
        yield WireTensor(f"{key}_shape", DType.INT32, (len(_dims(type_)),), companion=True)
    if isinstance(type_, Array) and type_.varies:
        yield WireTensor(f"{key}_tag", DType.STRING, lists or (1,), companion=True)
    if port.state.quiet:
        yield WireTensor(f"{key}_valid", DType.BOOL, (1,), companion=True)


def _dtype(type_: Type) -> DType:
    return type_.dtype if isinstance(type_, Array) else DType.STRING


def _dims(type_: Type) -> tuple[int, ...]:
    if not isinstance(type_, Array):
        return ()
    return tuple(d if isinstance(d, int) else -1 for d in type_.shape)


def _varying(type_: Type) -> list[int]:
    return [axis for axis, dim in enumerate(_dims(type_)) if dim < 0]


def port_code(port: Port, *, max_pixels: int | None = None, tagging: Collection[str] = ()) -> str:
    """The expression that makes the port object in a generated stage.

    ``tagging``: see `tagged_writers`; images that come from these get a tag as they arrive.
    """
    optional = ", optional_value=True" if port.state.quiet else ""
    tagged = not (port.state.writers or {sent(port.key)}).isdisjoint(tagging)
    return _code(port.key, port.type, port.raw, max_pixels, tagged, optional)


def _code(key: str, type_: Type, raw: bool, max_pixels: int | None, tagged: bool, optional: str) -> str:
    if isinstance(type_, ListOf):
        return f"List({_code(key, type_.item, raw, max_pixels, tagged, '')}{optional})"
    if isinstance(type_, Bytes):
        raw_text = ", raw=True" if raw else ""
        return f"Bytes({literal(key)}, max_bytes={MAX_BYTES}{raw_text}{optional})"
    if isinstance(type_, Text):
        return f"Text({literal(key)}{optional})"
    assert isinstance(type_, Array), f"'{key}' is {type_}"
    dims = tuple(None if d < 0 else d for d in _dims(type_))
    limit = f", max_pixels={max_pixels}" if max_pixels and type_.is_image and _varying(type_) else ""
    says = type_.varies or (tagged and type_.is_image)
    kind, seen = ("image_wire.Image", f", look={look(type_)!r}") if says else ("Array", "")
    return f"{kind}({literal(key)}, {literal(type_.dtype.value)}, {dims!r}{seen}{limit}{optional})"
