"""The text form of types in ``[pipeline.inputs]``: ``uint8[H,W,3] bgr``, ``bytes``, ``[int32[4]]``."""

from __future__ import annotations

import re
from collections.abc import MutableMapping

from ..types import Array, Bytes, Color, Dim, DType, Layout, ListOf, Symbol, Text, Type
from .shown import shown

_ARRAY = re.compile(r"(?P<dtype>[a-z0-9]+)\s*\[(?P<dims>[^\]]*)\]\s*(?P<words>[A-Za-z ]*)")
MOST_DIMENSIONS = 32
_SCALAR = re.compile(r"[a-z0-9]+")
EXAMPLE = 'for example "uint8[H,W,3] bgr", "float32[4]", "bytes", "string" or "[int32[4]]" (a list)'


class TypeSyntaxError(Exception):
    """The text is not a type; the message says what part is wrong."""


def parse_type(text: str, symbols: MutableMapping[str, Symbol]) -> Type:
    """The type that a text describes. Named dimensions are shared through ``symbols``.

    Raises:
        TypeSyntaxError: the text is not a type.
    """
    text = text.strip()
    if text.startswith("[[[") and text.endswith("]]]"):
        raise TypeSyntaxError("lists are nested twice at most")
    if text.startswith("[") and text.endswith("]"):
        return ListOf(parse_type(text[1:-1], symbols))
    if text == "bytes":
        return Bytes()
    if text == "string":
        return Text()
    if _SCALAR.fullmatch(text):
        return Array(_dtype(text), ())
    match = _ARRAY.fullmatch(text)
    if match is None:
        raise TypeSyntaxError(f"{shown(text)} is not a type")
    dims = tuple(parse_dim(part.strip(), symbols) for part in match["dims"].split(",") if part.strip())
    if len(dims) > MOST_DIMENSIONS:
        raise TypeSyntaxError(f"{len(dims)} dimensions are more than the {MOST_DIMENSIONS} that numpy knows")
    layout, color = _words(match["words"].split(), dims)
    return Array(_dtype(match["dtype"]), dims, layout, color)


def _dtype(name: str) -> DType:
    try:
        found = DType(name)
    except ValueError:
        known = ", ".join(d.value for d in DType)
        raise TypeSyntaxError(f"{shown(name)} is not an element type; known: {known}") from None
    return found


def parse_dim(text: str, symbols: MutableMapping[str, Symbol]) -> Dim:
    """A dimension: a number, a name (equal names in one declaration are equal), or -1 for any size.

    Raises:
        TypeSyntaxError: something else.
    """
    if text in ("-1", "?"):
        return Symbol("any")
    if text.isidentifier():
        return symbols.setdefault(text, Symbol(text))
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise TypeSyntaxError(f"{shown(text)} is not a dimension: a positive number, a name or -1")


def _words(words: list[str], dims: tuple[Dim, ...]) -> tuple[Layout, Color]:
    layout, color = Layout.NONE, Color.NONE
    for word in words:
        if word.upper() in ("HWC", "CHW"):
            layout = Layout(word.upper())
        elif word.lower() in ("rgb", "bgr", "gray"):
            color = Color(word.lower())
        else:
            raise TypeSyntaxError(
                f"{shown(word)} is neither a colour (rgb, bgr, gray) nor a layout (HWC, CHW)"
            )
    if (color is not Color.NONE or layout is not Layout.NONE) and len(dims) != 3:
        raise TypeSyntaxError("only an array of rank 3 can be an image")
    if color is not Color.NONE and layout is Layout.NONE:
        layout = Layout.CHW if dims[0] in (1, 3) and dims[2] not in (1, 3) else Layout.HWC
    if layout is not Layout.NONE and color is Color.NONE:
        color = Color.UNKNOWN
    return layout, color
