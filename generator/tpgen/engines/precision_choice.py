"""Choosing the layers of a model that can compute in half precision, with a reason for each that can't."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from .graph import GraphEditor
from .layer_norm import layer_norm_nodes
from .operator_types import Lowerable, lowerable, value_types
from .precision_report import PrecisionRequest

if TYPE_CHECKING:
    from onnx import NodeProto

_LARGEST = 65504.0  # of fp16
_SMALLEST = 2.0**-14  # the smallest normal number of fp16: below it digits are lost
_SMALLEST_CONSTANT = 2.0**-17  # 7.6e-6, which fp16 holds to 0.4 %: an epsilon of 1e-5 does
_ROOM = 2.0  # other inputs than the samples may give larger values

# Small weights of these matter as much as large ones: they are divided by, or are variances.
_DIVIDING = ("BatchNormalization", "Div", "Reciprocal")

# They move values and don't compute: converting what is float32 already would only lose digits.
_MOVING = frozenset(
    "Concat DepthToSpace Expand Flatten Gather GatherElements Identity MaxPool Pad Reshape Slice "
    "SpaceToDepth Split Squeeze Tile Transpose Unsqueeze".split()
)


def layer_name(node: NodeProto) -> str:
    """The node's name, else the name of what it computes: both are what TensorRT calls the layer."""
    return node.name or next(iter(node.output), "")


def named(patterns: Iterable[str], name: str) -> str | None:
    """The first pattern that is part of a layer's name."""
    return next((pattern for pattern in patterns if pattern in name), None)


def unmatched(patterns: Iterable[str], nodes: Iterable[NodeProto]) -> tuple[str, ...]:
    """The patterns that no layer's name contains."""
    names = [layer_name(node) for node in nodes]
    return tuple(pattern for pattern in patterns if not any(pattern in name for name in names))


class Choice:
    """For each node of a graph, by position: what of it is put in half (`chosen`), or why not (`kept`).

    ``ranges`` are the largest magnitudes seen (`ranges.largest_values`).
    """

    def __init__(self, editor: GraphEditor, request: PrecisionRequest, ranges: Mapping[str, float]) -> None:
        self.chosen: dict[int, Lowerable] = {}
        self.kept: dict[int, str] = {}
        self._editor, self._request, self._ranges = editor, request, ranges
        self._nodes = list(editor.graph.node)
        types = value_types(editor.model)
        norms = layer_norm_nodes(self._nodes) if request.layer_norm_fp32 else set()
        whole: set[str] = set()  # values that a layer gives in float32
        for position, node in enumerate(self._nodes):
            found = lowerable(node, editor.opset, types, request.half)
            if isinstance(found, str):
                reason = found
            elif position in norms:
                reason = "part of a layer normalisation (force_layer_norm_pattern_fp32)"
            else:
                reason = self._reason(node, found, whole)
            if isinstance(found, Lowerable) and not reason:
                self.chosen[position] = found
                continue
            whole.update(node.output)
            if reason:
                self.kept[position] = reason

    def unmatched(self) -> tuple[str, ...]:
        """The patterns of the request that no layer's name contains."""
        return unmatched((*self._request.keep, *self._request.only), self._nodes)

    def _reason(self, node: NodeProto, found: Lowerable, whole: set[str]) -> str:
        checks: tuple[Callable[[], str], ...] = (
            lambda: self._asked(node),
            lambda: self._overflow(node, found),
            lambda: self._weights(node, found),
            lambda: self._moves(node, found, whole),
        )
        return next((reason for check in checks if (reason := check())), "")

    def _asked(self, node: NodeProto) -> str:
        name = layer_name(node)
        pattern = named(self._request.keep, name)
        if pattern is not None:
            return f"its name holds '{pattern}' (precision::fp32)"
        if self._request.only and named(self._request.only, name) is None:
            return "not named by precision::fp16"
        return ""

    def _overflow(self, node: NodeProto, found: Lowerable) -> str:
        if self._request.half != "fp16":
            return ""
        values = [node.input[i] for i in found.inputs] + [node.output[i] for i in found.outputs]
        for value in values:
            largest = self._ranges.get(value)
            if largest is None or largest == 0:
                continue
            if largest * _ROOM > _LARGEST:
                return f"'{value}' reaches {largest:.3g} on the samples; fp16 ends at 65504"
            if largest < _SMALLEST:
                return f"'{value}' is {largest:.3g} at most on the samples; fp16 holds few digits of that"
        return ""

    def _weights(self, node: NodeProto, found: Lowerable) -> str:
        import numpy as np

        if self._request.half != "fp16":
            return ""
        for i in found.inputs:
            weights = self._editor.constant(node.input[i])
            if weights is None or not weights.size:
                continue
            sizes = np.abs(weights[weights != 0])
            largest = float(sizes.max(initial=0))
            smallest = float(sizes.min(initial=1)) if node.op_type in _DIVIDING else largest
            if largest > _LARGEST:
                return f"its constant '{node.input[i]}' holds {largest:.3g}; fp16 ends at 65504"
            if 0 < smallest < _SMALLEST_CONSTANT:
                return f"its constant '{node.input[i]}' holds {smallest:.3g}, of which fp16 holds few digits"
        return ""

    def _moves(self, node: NodeProto, found: Lowerable, whole: set[str]) -> str:
        if node.op_type not in _MOVING:
            return ""
        values = [node.input[i] for i in found.inputs]
        given = next((x for x in values if x in whole and not self._editor.is_constant(x)), None)
        return f"it only moves '{given}', which is float32" if given else ""
