"""Post-processing at the end of a model's graph, where it makes smaller what leaves the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ir.rewrite import Tail
from ..types import DType
from .errors import REWRITE, ModelError
from .graph import GraphEditor
from .loading import number_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AXES_AS_INPUT = 18  # the opset from which on ReduceMax takes its axes as an input
_GREATER_OR_EQUAL = 12  # the first opset that has it
_BOX = 4  # numbers of a box


def check_tail(editor: GraphEditor, tail: Tail, path: Path) -> None:
    """See that a model can end in a tail.

    Raises:
        ModelError: it has several outputs, or an input of that name.
    """
    if (count := len(editor.graph.output)) != 1:
        raise ModelError(REWRITE, f"model '{path}' has {count} outputs; only one can be reduced")
    if any(value.name == tail.name for value in editor.graph.input):
        raise ModelError(REWRITE, f"model '{path}' has an input '{tail.name}', so no output can be called so")


def append_tail(editor: GraphEditor, tail: Tail, path: Path) -> None:
    """Let a model end in ``tail``, whose name its output gets. Items have a batch axis in front."""
    check_tail(editor, tail, path)
    editor.free(tail.name)
    (output,) = editor.graph.output
    tensor = output.type.tensor_type
    batch, *dims = tensor.shape.dim
    item = tuple(dim.dim_value or dim.dim_param or None for dim in dims)
    _Writer(editor, tail, len(dims), tensor.elem_type).write(output.name)
    shape = type(tensor.shape)(dim=[batch])
    for size in tail.shape(item):
        dim = shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif size is not None:
            dim.dim_param = size
    output.name = tail.name
    tensor.elem_type = number_of(tail.dtype)
    tensor.shape.CopyFrom(shape)


def without_tails(model: bytes, name: str) -> bytes:
    """A model in a file's content that answers what tails read: the value of that name, as it is."""
    from onnx import ModelProto, ValueInfoProto

    parsed = ModelProto.FromString(model)
    del parsed.graph.output[:]
    parsed.graph.output.append(ValueInfoProto(name=name))  # its type is that of the node which writes it
    content: bytes = parsed.SerializeToString(deterministic=True)
    return content


@dataclass(frozen=True)
class _Writer:
    """Writes the nodes of a tail behind an output of ``rank`` axes per item; its ``elem_type`` is ONNX's."""

    editor: GraphEditor
    tail: Tail
    rank: int
    elem_type: int

    def write(self, value: str) -> None:
        """Compute the tail of a value of the graph, under the tail's name."""
        axis = self.tail.axis % self.rank + 1
        if self.tail.kind == "index":
            self._add("ArgMax", [self._comparable(value)], axis=axis, keepdims=0)
        elif self.tail.kind == "softmax":
            self._add("Softmax", [self._float(value)], axis=axis)
        elif self.tail.kind == "best":
            self._best(value, self.rank)
        elif self.tail.kind == "top":
            self._top(value)
        elif self.tail.kind == "candidates":
            self._candidates(self._float(value))
        else:
            self._at_least(value)

    def _best(self, value: str, axis: int) -> None:
        """Index and value of the largest element of the last axis, side by side."""
        index = self._index(value, axis)
        scores = self._float(value)
        if self.tail.softmax:
            scores = self._add("Softmax", [scores], "softmax", axis=axis)
        self._add("Concat", [index, self._largest(scores, axis)], axis=axis)

    def _top(self, value: str) -> None:
        scores = self._float(value)
        assert self.tail.count is not None
        best, indices = self._top_k(scores, self.tail.count)
        # A model that answers NaN shall not seem to be sure of something: TopK knows no place for it.
        best = self._add("Where", [self._any_nan(scores, 1), self._constant("nan", float("nan")), best], "or")
        rows = self._add("Concat", [self._cast(indices, DType.FLOAT32), best], "rows", axis=1)
        self._add("Reshape", [rows, self._constant("two", [0, 2, self.tail.count])])

    def _candidates(self, value: str) -> None:
        """A row for each box: its numbers, its score and its class; the best ones alone with a count.

        All that has to be computed of a box is left to those that are read: here nothing is rounded.
        """
        axis = 1 if self.tail.is_columns else 2
        first = _BOX + self.tail.has_objectness
        classes = self._slice(value, first, None, axis)
        # ReduceMax may leave NaN out; a row that holds one shall have the worst of all scores.
        unknown = self._any_nan(classes, axis)
        score = self._largest(classes, axis)
        score = self._add("Where", [unknown, self._constant("nan", float("nan")), score], "class_score")
        if self.tail.has_objectness:
            score = self._add("Mul", [self._slice(value, _BOX, first, axis), score], "score")
        worst = self._constant("worst", float("-inf"))
        score = self._add("Where", [self._add("IsNaN", [score], "no_score"), worst, score], "rated")
        parts = [self._slice(value, 0, _BOX, axis), score, self._index(classes, axis)]
        count = self.tail.count
        if not self.tail.is_columns and count is None:
            self._add("Concat", parts, axis=axis)
            return
        rows = self._add("Concat", parts, "boxes", axis=axis)
        if self.tail.is_columns:
            rows = self._add("Transpose", [rows], "rows" if count else "", perm=[0, 2, 1])
        if count is not None:
            self._best_rows(rows, count)

    def _best_rows(self, rows: str, count: int) -> None:
        """The rows of the ``count`` best scores, each with its number last."""
        _, indices = self._top_k(self._slice(rows, _BOX, _BOX + 1, 2), count)
        everywhere = self._add("Concat", [indices] * (_BOX + 2), "indices", axis=2)
        kept = self._add("GatherElements", [rows, everywhere], "kept", axis=1)
        self._add("Concat", [kept, self._cast(indices, DType.FLOAT32)], axis=2)

    def _top_k(self, value: str, count: int) -> tuple[str, str]:
        """The largest elements of axis 1 and their indices, the lower index first among equal ones."""
        best, indices = self._name("top"), self._name("top_indices")
        self._node("TopK", [value, self._constant("count", [count])], [best, indices], axis=1)
        return best, indices

    def _any_nan(self, value: str, axis: int) -> str:
        flags = self._cast(self._add("IsNaN", [value], "is_nan"), DType.FLOAT32)
        return self._cast(self._largest(flags, axis), DType.BOOL)

    def _index(self, value: str, axis: int) -> str:
        index = self._add("ArgMax", [self._comparable(value)], "index", axis=axis, keepdims=1)
        return self._cast(index, DType.FLOAT32)

    def _largest(self, value: str, axis: int) -> str:
        if self.editor.opset < _AXES_AS_INPUT:
            return self._add("ReduceMax", [value], "largest", axes=[axis], keepdims=1)
        return self._add("ReduceMax", [value, self._constant("axes", [axis])], "largest", keepdims=1)

    def _slice(self, value: str, start: int, stop: int | None, axis: int) -> str:
        import numpy as np

        bounds = ([start], [np.iinfo(np.int64).max if stop is None else stop], [axis])
        names = ("start", "stop", "axis")
        inputs = [self._constant(name, bound) for name, bound in zip(names, bounds, strict=True)]
        return self._add("Slice", [value, *inputs], "slice")

    def _float(self, value: str) -> str:
        """A value of the model's dtype in float32."""
        return value if self.elem_type == number_of(DType.FLOAT32) else self._cast(value, DType.FLOAT32)

    def _comparable(self, value: str) -> str:
        """A value whose largest element can be found: ONNX Runtime's CPU kernels know no float16."""
        return self._cast(value, DType.FLOAT32) if self.elem_type == number_of(DType.FLOAT16) else value

    def _cast(self, value: str, dtype: DType) -> str:
        return self._add("Cast", [value], f"as_{dtype.value}", to=number_of(dtype))

    def _at_least(self, value: str) -> None:
        """Where a value is the threshold or more.

        Older opsets have Greater only: there, what is greater than the number below the threshold. In half
        precision the two are one number, so that would leave out what is just the threshold.
        """
        import numpy as np
        from onnx import helper

        dtype = helper.tensor_dtype_to_np_dtype(self.elem_type)
        least = np.array(self.tail.threshold, dtype)  # numpy, too, compares in the dtype of the array
        if self.editor.opset < _GREATER_OR_EQUAL:
            below = np.nextafter(least, np.array(-np.inf, dtype))
            self._add("Greater", [value, self._array("below", below)])
        else:
            self._add("GreaterOrEqual", [value, self._array("threshold", least)])

    def _constant(self, name: str, value: float | list[int]) -> str:
        import numpy as np

        return self._array(name, np.array(value, np.int64 if isinstance(value, list) else np.float32))

    def _array(self, name: str, array: NDArray[np.generic]) -> str:
        return self.editor.add_constant(f"{self.tail.name}.{name}", array)

    def _add(self, kind: str, inputs: list[str], part: str = "", **attributes: Any) -> str:
        """A node that computes a part of the tail; without a name for it, the tail itself."""
        output = self._name(part) if part else self.tail.name
        self._node(kind, inputs, [output], **attributes)
        return output

    def _name(self, part: str) -> str:
        return self.editor.fresh(f"{self.tail.name}.{part}")

    def _node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        from onnx import helper

        self.editor.graph.node.append(helper.make_node(kind, inputs, outputs, outputs[0], **attributes))
