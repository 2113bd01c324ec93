"""From scores to answers: softmax, the best class, the best k classes, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.decisive import Classes, Decisive
from ..ir.op import InferCall, Op, Trait, attr, mismatch, neutral, operator
from ..ir.rewrite import MOST_BEST, Tail
from ..types import Array, Dim, DType, ListOf, Symbol, Text, Type
from .array_rules import FLOATS, NUMBERS, axis_of, number_input, without_axis
from .labels import Labelled, LabelProblem, names_problem


@operator("Softmax", group="postprocess", kernel="postprocess:softmax", traits={Trait.PURE, Trait.REDUCES})
class Softmax(Op):
    """Softmax along an axis: float32, same shape, values 0 to 1 that sum to 1 along the axis."""

    axis: int = attr("The axis, without the batch axis; -1 is the last one.", default=-1)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call)
        axis_of(found, self.axis)
        return {"result": Array(DType.FLOAT32, found.shape)}

    def decisive(self, answer: Array) -> Decisive:
        return Classes(axis_of(answer, self.axis) - len(answer.shape))

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op]:
        """All of it, for the sake of what follows."""
        axis = axis_of(answer, self.axis)
        is_last = axis == len(answer.shape) - 1
        return Tail("softmax", f"{name}_softmax", axis=-1 if is_last else axis), neutral()


@operator("ArgMax", group="postprocess", kernel="postprocess:arg_max", traits={Trait.PURE, Trait.REDUCES})
class ArgMax(Op):
    """The index of the largest element along an axis: int64, the axis gone; the first of equal ones."""

    axis: int = attr("The axis, without the batch axis; -1 is the last one.", default=-1)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call)
        return {"result": Array(DType.INT64, without_axis(found.shape, axis_of(found, self.axis)))}

    def decisive(self, answer: Array) -> Decisive:
        return Classes(axis_of(answer, self.axis) - len(answer.shape))

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """All of it: the model answers the index. ArgMax of ONNX takes floats only."""
        if answer.dtype not in FLOATS:
            return None
        return Tail("index", f"{name}_index", axis=self.axis), neutral()


class _LastAxis(Op):
    """What the operators over the last axis share."""

    def decisive(self, answer: Array) -> Decisive:
        return Classes()

    def _others(self, call: InferCall) -> tuple[Array, Array]:
        """The types of a class id and of a score per element of the other axes."""
        shape = number_input(call).shape
        if not shape:
            mismatch("TP304", "'data' is a scalar; an array with the classes on its last axis is needed")
        return Array(DType.INT64, shape[:-1]), Array(DType.FLOAT32, shape[:-1])


@operator(
    "ArgMaxTensor", group="postprocess", kernel="postprocess:arg_max", traits={Trait.PURE, Trait.REDUCES}
)
class ArgMaxTensor(_LastAxis):
    """The index of the largest element along the last axis, int64."""

    derived = ("axis",)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, int]:
        return {"axis": -1}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {"result": self._others(call)[0]}

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """All of it: the model answers the index. ArgMax of ONNX takes floats only."""
        if answer.dtype not in FLOATS:
            return None
        return Tail("index", f"{name}_index"), neutral()


@operator(
    "SoftmaxArgMaxTensor",
    group="postprocess",
    kernel="postprocess:softmax_arg_max",
    traits={Trait.PURE, Trait.REDUCES},
)
class SoftmaxArgMaxTensor(_LastAxis):
    """Best class along the last axis: ``result`` and ``class`` int64, ``score`` its softmax, float32."""

    writes = ("result", "score", "class")
    derived = ("is_reduced",)

    is_reduced: bool = attr("", default=False, from_toml=False, compile_only=True)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, bool]:
        return {"is_reduced": True} if self.is_reduced else {}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        index, score = self._others(call)
        return {"result": index, "score": score, "class": index}

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """Class and score, side by side; left is to tell them apart."""
        if answer.dtype not in FLOATS:
            return None
        return Tail("best", f"{name}_best", softmax=True), replace(self, is_reduced=True)


@operator(
    "SoftmaxMax",
    group="postprocess",
    kernel="postprocess:softmax_max",
    traits={Trait.PURE, Trait.REDUCES},
)
class SoftmaxMax(Op):
    """Best class of ``[C]`` scores and its softmax, as float32 ``[2]``: (class, score)."""

    def wants(self, key: str) -> Type:
        return wanted_scores()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        number_input(call, ranks=(1,))
        return {"result": Array(DType.FLOAT32, (2,))}

    def decisive(self, answer: Array) -> Decisive:
        return Classes()

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """All of it: the model answers class and score."""
        if answer.dtype not in FLOATS:
            return None
        return Tail("best", f"{name}_best", softmax=True), neutral()


@operator("Threshold", group="postprocess", kernel="postprocess:at_least", traits={Trait.PURE, Trait.REDUCES})
class Threshold(Op):
    """True where an element is at least ``threshold``: bool, same shape."""

    threshold: float = attr("The smallest value that gives true, in the unit of the data.", default=0.5)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call)
        return {"result": Array(DType.BOOL, found.shape)}

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """All of it, where the model answers floats: a threshold means another thing to integers."""
        if answer.dtype not in FLOATS:
            return None
        return Tail("at_least", f"{name}_at_least", threshold=self.threshold), neutral()


@operator(
    "TopK",
    group="postprocess",
    kernel="postprocess:TopK",
    traits={Trait.PURE, Trait.STATEFUL, Trait.FAILS, Trait.REDUCES},
)
class TopK(Labelled):
    """The k best classes of ``[C]`` scores, best first, the lower id first among equal ones.

    ``result``: class ids int64 ``[k]``; ``scores``: float32 ``[k]``, as they are in the data; ``labels``:
    list of k names, if a labels file is given. Items with NaN, or a class without a label, fail.
    """

    derived = ("is_reduced",)

    k: int = attr("How many classes.", default=5, ge=1)
    labels: str = attr("File with one name per line, class 0 first; empty: no names.", default="", file=True)
    is_reduced: bool = attr("", default=False, from_toml=False, compile_only=True)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, bool]:
        return {"is_reduced": True} if self.is_reduced else {}

    def outputs(self) -> tuple[str, ...]:
        return ("result", "scores", "labels") if self.labels else ("result", "scores")

    def labels_problem(self, listed: int, classes: int | None) -> LabelProblem | None:
        return names_problem(self.labels, listed, classes)

    def wants(self, key: str) -> Type:
        return wanted_scores()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        if self.is_reduced:
            return self._types(self.k)
        found = number_input(call, ranks=(1,), dtypes=(*FLOATS, *(d for d in NUMBERS if d not in FLOATS)))
        (classes,) = found.shape
        if isinstance(classes, int) and classes < self.k:
            mismatch("TP304", f"k is {self.k}, but there are {classes} classes ({found})", attribute="k")
        return self._types(self.k if isinstance(classes, int) else call.symbol("k"))

    def _types(self, count: Dim) -> dict[str, Type]:
        types: dict[str, Type] = {
            "result": Array(DType.INT64, (count,)),
            "scores": Array(DType.FLOAT32, (count,)),
        }
        return {**types, "labels": ListOf(Text())} if self.labels else types

    def decisive(self, answer: Array) -> Decisive:
        return Classes()

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """Ids and scores, where the model is known to have k classes; the names and NaN stay outside."""
        (classes,) = answer.shape
        if not isinstance(classes, int) or self.k > MOST_BEST:
            return None
        return Tail("top", f"{name}_top", count=self.k), replace(self, is_reduced=True)


def wanted_scores() -> Array:
    """The type of an entry input whose first reader takes one score per class."""
    return Array(DType.FLOAT32, (Symbol("C"),))
