"""The type system: what a key of an item may hold, at compile time.

An *item* is one request element: a dictionary from keys (``data``, ``result``, ``_box`` ...) to values. A
`Type` describes one value without the batch dimension; a `State` describes a key at a program point, where
it can be present, optional or absent (quietly, or with the reason of a failure).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import TypeAlias


class DType(StrEnum):
    """Element types, named as numpy names them. ``bfloat16`` and ``string`` have no plain numpy dtype."""

    BOOL = "bool"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"

    @property
    def triton(self) -> str:
        """The name in ``config.pbtxt``, e.g. ``TYPE_FP32`` (ModelConfig's ``DataType``)."""
        return _TRITON[self]

    @property
    def itemsize(self) -> int:
        """Bytes per element; 0 for strings, whose size varies."""
        return _SIZES[self]


_TRITON = {
    DType.BOOL: "TYPE_BOOL",
    DType.UINT8: "TYPE_UINT8",
    DType.UINT16: "TYPE_UINT16",
    DType.UINT32: "TYPE_UINT32",
    DType.UINT64: "TYPE_UINT64",
    DType.INT8: "TYPE_INT8",
    DType.INT16: "TYPE_INT16",
    DType.INT32: "TYPE_INT32",
    DType.INT64: "TYPE_INT64",
    DType.FLOAT16: "TYPE_FP16",
    DType.BFLOAT16: "TYPE_BF16",
    DType.FLOAT32: "TYPE_FP32",
    DType.FLOAT64: "TYPE_FP64",
    DType.STRING: "TYPE_STRING",
}
_SIZES = {
    DType.BOOL: 1,
    DType.UINT8: 1,
    DType.UINT16: 2,
    DType.UINT32: 4,
    DType.UINT64: 8,
    DType.INT8: 1,
    DType.INT16: 2,
    DType.INT32: 4,
    DType.INT64: 8,
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.FLOAT32: 4,
    DType.FLOAT64: 8,
    DType.STRING: 0,
}


_symbol_numbers = itertools.count()


@dataclass(frozen=True, eq=False)
class Symbol:
    """A dimension that is known only at run time. It belongs to one operator instance.

    Two symbols are equal only if they are the same object: equal spelling proves nothing.
    """

    name: str
    number: int = field(default_factory=lambda: next(_symbol_numbers))

    def __str__(self) -> str:
        return self.name


Dim: TypeAlias = int | Symbol
Shape: TypeAlias = tuple[Dim, ...]


class Layout(Enum):
    """The order of an image's axes; ``NONE`` for arrays that are not images.

    ``VARIES``: HWC or CHW, which is known at run time. ``UNKNOWN``: only some of the values are images.
    """

    NONE = "none"
    UNKNOWN = "unknown"
    HWC = "HWC"
    CHW = "CHW"
    VARIES = "HWC|CHW"


class Color(Enum):
    """The colour order of an image.

    ``UNKNOWN``: nobody declared it, for some values at least. ``VARIES``: BGR or RGB, known at run time.
    """

    NONE = "none"
    UNKNOWN = "unknown"
    BGR = "bgr"
    RGB = "rgb"
    GRAY = "gray"
    VARIES = "bgr|rgb"


@dataclass(frozen=True)
class Array:
    """A dense array. ``shape`` never holds the batch dimension.

    The shape of an image whose layout varies stands in the order height, width, channels.
    """

    dtype: DType
    shape: Shape
    layout: Layout = Layout.NONE
    color: Color = Color.NONE

    @property
    def is_image(self) -> bool:
        return self.layout not in (Layout.NONE, Layout.UNKNOWN)

    @property
    def varies(self) -> bool:
        """True if the values say at run time which layout or colour order they have."""
        return self.layout is Layout.VARIES or self.color is Color.VARIES

    def __str__(self) -> str:
        dims = ",".join(str(d) for d in self.shape)
        tail = "".join(
            f" {part.value}"
            for part in (self.layout, self.color)
            if part not in (Layout.NONE, Layout.UNKNOWN, Color.NONE, Color.UNKNOWN)
        )
        return f"{self.dtype.value}[{dims}]{tail}"


@dataclass(frozen=True)
class Bytes:
    """An opaque run of bytes, such as an encoded image."""

    def __str__(self) -> str:
        return "bytes"


@dataclass(frozen=True)
class Text:
    """A unicode string; ``constant`` is its value where an operator always writes the same one."""

    constant: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True)
class ListOf:
    """A list of varying length whose elements share a type (their dimensions may differ)."""

    item: Type

    def __str__(self) -> str:
        return f"[{self.item}]"


@dataclass(frozen=True)
class TupleOf:
    """The outputs of a model with several outputs, in its order; it exists inside one stage only."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(str(item) for item in self.items)})"


@dataclass(frozen=True)
class Opaque:
    """Any Python object. It is allowed inside one stage and never crosses the wire.

    ``unlike``: it has one of two types that do not meet; only code that takes anything may read it.
    """

    why: str
    unlike: bool = False

    def __str__(self) -> str:
        return f"object ({self.why})"


Type: TypeAlias = Array | Bytes | Text | ListOf | TupleOf | Opaque


@dataclass(frozen=True)
class State:
    """A key at a program point: the type it has where present, and how it can be missing.

    ``present``: some path leaves it present. ``quiet``: some path leaves it absent because a filter or a
    user operator ended the item. ``failed``: some path leaves it absent because an operator could not work
    on the item (the item carries the reason). ``origin`` is the call that wrote the key where it can be
    absent: keys of one origin are present or absent together. ``writers`` are the calls (or entry inputs)
    that its value may come from.
    """

    type: Type | None
    present: bool = True
    quiet: bool = False
    failed: bool = False
    origin: str = ""
    writers: frozenset[str] = frozenset()

    @property
    def optional(self) -> bool:
        return self.present and (self.quiet or self.failed)

    @property
    def absent(self) -> bool:
        return not self.present

    def __str__(self) -> str:
        if not self.present:
            return "absent"
        marks = ("?" if self.quiet else "") + ("!" if self.failed else "")
        return f"{self.type}{marks}"


ABSENT = State(None, present=False, quiet=True)


def present(type_: Type) -> State:
    """The state of a key that is there on every path."""
    return State(type_)


def assured(state: State) -> State:
    """The state on the path where the key was tested and found present."""
    return replace(state, quiet=False, failed=False, origin="")


def turned(type_: Type, layout: Layout | None, color: Color | None) -> Type:
    """The type of an image, or of lists of such, where what varies is brought into one layout and order.

    None: it stays as it is. What does not vary stays, too.
    """
    if isinstance(type_, ListOf):
        return ListOf(turned(type_.item, layout, color))
    if not isinstance(type_, Array):
        return type_
    if type_.color is Color.VARIES and color is not None:
        type_ = replace(type_, color=color)
    if type_.layout is not Layout.VARIES or layout is None:
        return type_
    height, width, channels = type_.shape
    shape = (channels, height, width) if layout is Layout.CHW else type_.shape
    return replace(type_, shape=shape, layout=layout)


def varying(type_: Type | None) -> Array | None:
    """The image whose layout or colour order varies, of a type that is one or holds lists of such."""
    while isinstance(type_, ListOf):
        type_ = type_.item
    return type_ if isinstance(type_, Array) and type_.varies else None


def fits(value: object, type_: Type) -> bool:
    """True if a TOML value can stand for a value of a type; for an array, lists as deep as its rank."""
    if isinstance(type_, Bytes | Text):
        return isinstance(value, str)
    if isinstance(type_, ListOf):
        return isinstance(value, list) and all(fits(element, type_.item) for element in value)
    if not isinstance(type_, Array) or type_.varies:
        return False
    if not type_.shape:
        if type_.dtype is DType.BOOL:
            return isinstance(value, bool)
        if type_.dtype is DType.STRING:
            return isinstance(value, str)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (isinstance(value, int) or type_.dtype.value.startswith("float"))
    first, inner = type_.shape[0], Array(type_.dtype, type_.shape[1:])
    if not isinstance(value, list) or (isinstance(first, int) and len(value) != first):
        return False
    if not value and inner.shape:
        return False  # it does not say how large the others are
    return all(fits(element, inner) for element in value)


def crosses_wire(type_: Type) -> bool:
    """True if a value of this type can travel between Triton models.

    Triton has bfloat16, but numpy has not, and Python models get and give numpy arrays.
    """
    nested = type_.item if isinstance(type_, ListOf) else type_
    nested = nested.item if isinstance(nested, ListOf) else nested
    is_bfloat16 = isinstance(nested, Array) and nested.dtype is DType.BFLOAT16
    return isinstance(nested, Array | Bytes | Text) and not is_bfloat16
