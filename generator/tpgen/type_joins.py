"""What the type of a key is where several ways meet: the rules by which types and states join."""

from __future__ import annotations

from dataclasses import replace

from .types import Array, Color, Dim, Layout, ListOf, Opaque, State, Symbol, Text, Type


class Unjoinable(Exception):
    """Two types that cannot flow into one key; ``what`` is the part that differs (dtype, rank, kind)."""

    def __init__(self, what: str, left: Type, right: Type) -> None:
        super().__init__(f"{what} differs: {left} and {right}")
        self.what = what
        self.left = left
        self.right = right


def join_types(left: Type, right: Type, owner: str) -> Type:
    """The type of a value that comes from either of two producers.

    Differing dimensions become a fresh symbol named after ``owner``; differing colour or layout becomes
    ``VARIES`` (the value then carries a tag at run time), or ``UNKNOWN`` where it is not known on both ways.

    Raises:
        Unjoinable: dtype, rank or kind differ.
    """
    if isinstance(left, Text) and isinstance(right, Text):
        return left if left.constant == right.constant else Text()
    if left == right:
        return left
    if isinstance(left, Opaque) or isinstance(right, Opaque):
        return left if isinstance(left, Opaque) and not _is_unlike(right) else right
    if isinstance(left, ListOf) and isinstance(right, ListOf):
        return ListOf(join_types(left.item, right.item, owner))
    if not (isinstance(left, Array) and isinstance(right, Array)):
        raise Unjoinable("kind", left, right)
    if left.dtype is not right.dtype:
        raise Unjoinable("dtype", left, right)
    if len(left.shape) != len(right.shape):
        raise Unjoinable("rank", left, right)
    layout = _joined_layout(left.layout, right.layout)
    ways = (left, right) if layout is not Layout.VARIES else (_sides_first(left), _sides_first(right))
    shape = tuple(
        a if a == b else Symbol(_common_name(a, b) or f"{owner}.d{axis}")
        for axis, (a, b) in enumerate(zip(ways[0].shape, ways[1].shape, strict=True))
    )
    return Array(left.dtype, shape, layout, _joined_color(left.color, right.color))


def _is_unlike(type_: Type) -> bool:
    return isinstance(type_, Opaque) and type_.unlike


def _joined_layout(left: Layout, right: Layout) -> Layout:
    if left is right:
        return left
    return Layout.UNKNOWN if {left, right} & {Layout.NONE, Layout.UNKNOWN} else Layout.VARIES


def _joined_color(left: Color, right: Color) -> Color:
    if left is right:
        return left
    return Color.VARIES if {left, right} <= {Color.BGR, Color.RGB, Color.VARIES} else Color.UNKNOWN


def _sides_first(image: Array) -> Array:
    """An image as one whose layout varies: its shape in the order height, width, channels."""
    if image.layout is not Layout.CHW:
        return replace(image, layout=Layout.VARIES)
    channels, height, width = image.shape
    return replace(image, shape=(height, width, channels), layout=Layout.VARIES)


def _common_name(left: Dim, right: Dim) -> str | None:
    if isinstance(left, Symbol) and isinstance(right, Symbol) and left.name == right.name:
        return left.name
    return None


def join_states(left: State, right: State, owner: str) -> State:
    """The state of a key where two paths meet.

    Raises:
        Unjoinable: both paths can bring the key, with types that do not meet.
    """
    if left.type is None or right.type is None:
        joined = left.type or right.type
    else:
        joined = join_types(left.type, right.type, owner)
    return State(
        joined,
        present=left.present or right.present,
        quiet=left.quiet or right.quiet,
        failed=left.failed or right.failed,
        origin=left.origin if left.origin == right.origin else "",
        writers=frozenset().union(*(state.writers for state in (left, right) if state.present)),
    )
