"""Moving a per-channel scale, shift or reversal of a model's input into its first weights.

What can be folded depends on every reader of the input. A convolution or matrix product with constant
weights takes a scale; one that isn't grouped takes a reversal of the channels; one without padding takes a
shift too, in its bias. (With padding it can't: the border of zeros would have to become a border of means.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..types import DType
from .graph import GraphEditor, attribute, cast_target, describe, is_standard, set_attribute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto

    Vector = NDArray[np.float64]

_FLOATS = (DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64)


class NotFoldable(Exception):
    """Why a step can't move into the weights; the text completes "... stays a node: "."""


@dataclass(frozen=True)
class Reader:
    """A node with constant weights that takes the input, directly or through Identity, Cast, Transpose."""

    node: NodeProto

    @property
    def grouped(self) -> bool:
        return self.node.op_type == "Conv" and int(attribute(self.node, "group", 1)) != 1

    @property
    def padded(self) -> bool:
        if self.node.op_type != "Conv":
            return False
        auto = attribute(self.node, "auto_pad", b"NOTSET")
        return auto in (b"SAME_UPPER", b"SAME_LOWER") or any(attribute(self.node, "pads", []))

    @property
    def bias(self) -> str:
        """The name of the bias, or ``""``."""
        return self.node.input[2] if len(self.node.input) > 2 else ""


def find_readers(editor: GraphEditor, value: str, axis: int, rank: int) -> list[Reader]:
    """Every reader of a value whose channels are on ``axis``.

    Raises:
        NotFoldable: one of them is of another kind.
    """
    leak = editor.leaks(value)
    if leak:
        raise NotFoldable(leak)
    found: list[Reader] = []
    for node in editor.readers(value):
        if not is_standard(node):
            raise NotFoldable(f"{describe(node)} reads it")
        if node.op_type in ("Identity", "Cast"):
            if node.op_type == "Cast" and cast_target(node) not in _FLOATS:
                raise NotFoldable(f"{describe(node)} turns it into integers")
            found += find_readers(editor, node.output[0], axis, rank)
        elif node.op_type == "Transpose":
            order = attribute(node, "perm", list(range(rank))[::-1])
            found += find_readers(editor, node.output[0], list(order).index(axis), rank)
        else:
            found.append(_weighted_reader(editor, node, value, axis, rank))
    return found


def check_scale(editor: GraphEditor, readers: Sequence[Reader], scale: Vector) -> None:
    """Check that the scaled weights can be stored.

    Raises:
        NotFoldable: half-precision weights would leave the range of their type.
    """
    import numpy as np

    for reader in readers:
        if _weight_type(editor, reader)[0] is not DType.FLOAT16:
            continue
        weight = _weight(editor, reader)
        scaled = np.abs(_scaled(reader, weight, scale))
        filters = scaled.T if _channels_first(reader) else scaled.reshape(scaled.shape[0], -1)
        largest = filters.max(axis=1)
        # 2**-14 is the smallest normal number: below it a filter's largest weight would lose digits.
        if largest.max(initial=0) > 65504 or ((largest > 0) & (largest < 2.0**-14)).any():
            raise NotFoldable(f"the {weight.dtype} weights of {describe(reader.node)} would lose digits")


def check_reversal(readers: Sequence[Reader]) -> None:
    """Check that no reader divides the channels into groups.

    Raises:
        NotFoldable: one does.
    """
    for reader in readers:
        if reader.grouped:
            raise NotFoldable(f"{describe(reader.node)} divides the channels into groups")


def check_shift(editor: GraphEditor, readers: Sequence[Reader]) -> None:
    """Check that every reader can take a shift in its bias.

    Raises:
        NotFoldable: one is padded, or has no constant bias of its own.
    """
    for reader in readers:
        if reader.padded:
            raise NotFoldable(f"{describe(reader.node)} pads with zeros, which would have to be means")
        if reader.node.op_type == "MatMul":
            raise NotFoldable(f"{describe(reader.node)} has no bias")
        if reader.bias:
            bias = editor.constant_type(reader.bias)
            if bias is None:
                raise NotFoldable(f"the bias of {describe(reader.node)} isn't constant")
            if len(bias[1]) > 1 and bias[1][0] != 1:
                raise NotFoldable(f"the bias of {describe(reader.node)} differs from item to item")


def fold(
    editor: GraphEditor,
    readers: Sequence[Reader],
    *,
    scale: Vector | None,
    shift: Vector | None,
    reverse: bool,
) -> None:
    """Let the readers compute what they did, on an input before shift, scale and reversal.

    They took ``(v[reversed channels] - shift) * scale`` and shall take ``v``. ``scale`` and ``shift`` are in
    the readers' channel order. The arithmetic is float64, rounded once to the type of the weights.
    """
    for reader in readers:
        weight = _weight(editor, reader)
        new = weight if scale is None else _scaled(reader, weight, scale).astype(weight.dtype)
        if shift is not None:
            _fold_shift(editor, reader, new, shift)
        if reverse:
            new = new[::-1] if _channels_first(reader) else new[:, ::-1]
        _set_input(editor, reader.node, 1, "weight", new)


def channel_count(editor: GraphEditor, reader: Reader) -> int:
    """The number of input channels that a reader's weights are for."""
    shape = _weight_type(editor, reader)[1]
    if reader.node.op_type == "Conv":
        return shape[1] * int(attribute(reader.node, "group", 1))
    return shape[0] if _channels_first(reader) else shape[1]


def _weighted_reader(editor: GraphEditor, node: NodeProto, value: str, axis: int, rank: int) -> Reader:
    expected = {"Conv": 1, "Gemm": 1, "MatMul": rank - 1}.get(node.op_type)
    if expected is None or list(node.input).count(value) != 1 or node.input[0] != value:
        raise NotFoldable(f"{describe(node)} reads it")
    if axis != expected or attribute(node, "transA", 0):
        raise NotFoldable(f"{describe(node)} doesn't sum over the channels")
    weight = editor.constant_type(node.input[1])
    if weight is None:
        raise NotFoldable(f"the weights of {describe(node)} are not constant")
    if weight[0] not in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64):
        raise NotFoldable(f"the weights of {describe(node)} are {weight[0].value if weight[0] else 'odd'}")
    if node.op_type == "MatMul" and len(weight[1]) != 2:
        raise NotFoldable(f"the weights of {describe(node)} are no matrix")
    return Reader(node)


def _weight_type(editor: GraphEditor, reader: Reader) -> tuple[DType | None, tuple[int, ...]]:
    found = editor.constant_type(reader.node.input[1])
    assert found is not None, "a reader's weights are constant"
    return found


def _weight(editor: GraphEditor, reader: Reader) -> NDArray[Any]:
    weight = editor.constant(reader.node.input[1])
    assert weight is not None, "a reader's weights are constant"
    return weight


def _channels_first(reader: Reader) -> bool:
    """True if the weights' first axis runs over the input channels (else the second does)."""
    return reader.node.op_type == "MatMul" or (
        reader.node.op_type == "Gemm" and not attribute(reader.node, "transB", 0)
    )


def _spread(reader: Reader, weight: NDArray[Any], values: Vector) -> Vector:
    """Per-channel values in a shape that broadcasts against the weights."""
    import numpy as np

    if reader.node.op_type != "Conv":
        return values[:, None] if _channels_first(reader) else values[None, :]
    groups = int(attribute(reader.node, "group", 1))
    filters, per_group = weight.shape[:2]
    by_filter = np.repeat(values.reshape(groups, per_group), filters // groups, axis=0)
    return by_filter.reshape(filters, per_group, *([1] * (weight.ndim - 2)))


def _scaled(reader: Reader, weight: NDArray[Any], scale: Vector) -> Vector:
    import numpy as np

    product: Vector = weight.astype(np.float64) * _spread(reader, weight, scale)
    return product


def _fold_shift(editor: GraphEditor, reader: Reader, weight: NDArray[Any], shift: Vector) -> None:
    import numpy as np

    node = reader.node
    product = weight.astype(np.float64) * _spread(reader, weight, shift)
    if _channels_first(reader):
        moved = product.sum(axis=0)
    else:
        moved = product.reshape(product.shape[0], -1).sum(axis=1)
    old = editor.constant(reader.bias) if reader.bias else None
    bias = np.zeros(1) if old is None else old.astype(np.float64).reshape(-1)
    if node.op_type == "Gemm":
        moved = moved * attribute(node, "alpha", 1.0)
        bias = bias * attribute(node, "beta", 1.0)
        set_attribute(node, "beta", 1.0)
    _set_input(editor, node, 2, "bias", (bias - moved).astype(weight.dtype))


def _set_input(editor: GraphEditor, node: NodeProto, index: int, part: str, array: NDArray[Any]) -> None:
    """Give a node a constant of its own; the old one stays if others read it."""
    import numpy as np

    old = node.input[index] if len(node.input) > index else ""
    new = editor.add_constant(f"{old or node.output[0] + '.' + part}.folded", np.ascontiguousarray(array))
    if len(node.input) > index:
        node.input[index] = new
    else:
        node.input.append(new)
    if old:
        editor.drop_unused(old)
