"""Finding layer normalisations that were exported as single steps: mean, variance, root, quotient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

_OPERATORS = ("LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization")


def layer_norm_nodes(nodes: Sequence[NodeProto]) -> set[int]:
    """The positions of all nodes that are a layer (or root mean square) normalisation, or a part of one.

    A part: x - mean(x), its square, the mean of that, + epsilon, the root, and the quotient. The scale and
    the shift that follow are not: they overflow no sooner than other layers.
    """
    makers = {output: i for i, node in enumerate(nodes) for output in node.output}
    found = {i for i, node in enumerate(nodes) if node.op_type in _OPERATORS}
    for i, node in enumerate(nodes):
        if node.op_type == "Sqrt" or (node.op_type == "Pow" and len(node.input) == 2):
            found |= _around(nodes, makers, i)
    return found


def _around(nodes: Sequence[NodeProto], makers: Mapping[str, int], root: int) -> set[int]:
    """The normalisation around a root; empty if it is another root."""
    mean, part = _mean_before(nodes, makers, nodes[root].input[0])
    if mean is None:
        return set()
    square = makers.get(nodes[mean].input[0])
    if square is None or not _is_square(nodes[square]):
        return set()
    part |= {root, mean, square}
    centred = makers.get(nodes[square].input[0])
    if centred is not None and nodes[centred].op_type == "Sub":
        part.add(centred)
        subtracted = makers.get(nodes[centred].input[1])
        if subtracted is not None and nodes[subtracted].op_type == "ReduceMean":
            part.add(subtracted)
    return part | _quotient(nodes, nodes[root].output[0])


def _mean_before(
    nodes: Sequence[NodeProto], makers: Mapping[str, int], value: str
) -> tuple[int | None, set[int]]:
    """The ReduceMean that a value is, or is the sum of with a constant; with the sum's position."""
    maker = makers.get(value)
    if maker is None:
        return None, set()
    if nodes[maker].op_type == "ReduceMean":
        return maker, set()
    if nodes[maker].op_type != "Add":
        return None, set()
    means = [
        makers[x] for x in nodes[maker].input if x in makers and nodes[makers[x]].op_type == "ReduceMean"
    ]
    return (means[0], {maker}) if len(means) == 1 else (None, set())


def _is_square(node: NodeProto) -> bool:
    return node.op_type == "Pow" or (node.op_type == "Mul" and node.input[0] == node.input[1])


def _quotient(nodes: Sequence[NodeProto], root: str) -> set[int]:
    """The nodes that divide by the root: Div, or Reciprocal and Mul."""
    found: set[int] = set()
    for i, node in enumerate(nodes):
        if root in node.input and node.op_type in ("Div", "Mul", "Reciprocal"):
            found.add(i)
            if node.op_type == "Reciprocal":
                found |= _quotient(nodes, node.output[0])
    return found
