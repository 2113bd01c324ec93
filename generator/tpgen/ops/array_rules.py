"""What operators on plain arrays ask of their inputs, in one place: kind, element type, rank, axis."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir.op import InferCall, mismatch, settled
from ..types import Array, Bytes, Dim, DType, Layout, Shape, TupleOf, Type

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.FLOAT64)
INTEGERS = (
    DType.INT64,
    DType.INT32,
    DType.INT16,
    DType.INT8,
    DType.UINT64,
    DType.UINT32,
    DType.UINT16,
    DType.UINT8,
)
NUMBERS = (*FLOATS, *INTEGERS, DType.BOOL)


def number_input(
    call: InferCall,
    key: str = "data",
    *,
    ranks: Iterable[int] = (),
    dtypes: Iterable[DType] = NUMBERS,
) -> Array:
    """The type of a key that must be an array of numbers (of one of these ranks and element types).

    An image whose layout varies is asked for in CHW.

    Raises:
        InferError: it is something else; the hint says how to declare or convert it.
    """
    found = settled(call, key, Layout.CHW)
    if not isinstance(found, Array):
        mismatch("TP301", f"'{key}' is {found}, but an array is needed here", _way_to_array(key, found))
    allowed = tuple(dtypes)
    if found.dtype not in allowed:
        hint = "add FloatTensor in front" if DType.FLOAT32 in allowed and found.dtype in NUMBERS else None
        wanted = " or ".join(d.value for d in allowed) if len(allowed) <= 4 else "an array of numbers"
        mismatch("TP305", f"'{key}' is {found}; {wanted} is needed here", hint)
    wanted_ranks = tuple(ranks)
    if wanted_ranks and len(found.shape) not in wanted_ranks:
        listed = " or ".join(str(rank) for rank in wanted_ranks)
        mismatch(
            "TP304",
            f"'{key}' is {found}, of rank {len(found.shape)}; rank {listed} is needed (without batch axis)",
        )
    return found


def _way_to_array(key: str, found: Type) -> str | None:
    if isinstance(found, Bytes):
        return f'declare it where it enters: [pipeline.inputs] {key} = "float32[...]"'
    if isinstance(found, TupleOf):
        return f"each output of the model is a key of its own, too: put Copy[NAME:{key}] in front"
    return None


def axis_of(array: Array, axis: int) -> int:
    """The axis counted from 0; the batch axis does not count.

    Raises:
        InferError: the array has no such axis.
    """
    rank = len(array.shape)
    if not -rank <= axis < rank:
        mismatch(
            "TP304",
            f"axis {axis} does not exist: 'data' is {array}, of rank {rank} (without batch axis)",
            "count axes from 0, or from the end with -1" if rank else None,
            attribute="axis",
        )
    return axis % rank


def without_axis(shape: Shape, axis: int) -> Shape:
    """The shape with one axis left out."""
    return shape[:axis] + shape[axis + 1 :]


def need_size(call: InferCall, key: str, found: Array, axis: int, size: Dim, what: str) -> None:
    """Record that a dimension has this size.

    Raises:
        InferError: it is another number.
    """
    if not call.equate(found.shape[axis], size):
        mismatch("TP304", f"'{key}' is {found}: {what} must be {size}, not {found.shape[axis]}")
