"""Operators that end in text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.decisive import Classes, Decisive
from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..ir.rewrite import Tail
from ..types import Array, DType, Symbol, Text, Type
from .array_rules import FLOATS, number_input
from .labels import Labelled, LabelProblem, characters_problem


@operator(
    "CTCGreedyDecode",
    group="postprocess",
    kernel="text:CTCGreedyDecode",
    traits={Trait.PURE, Trait.STATEFUL, Trait.FAILS, Trait.REDUCES},
)
class CTCGreedyDecode(Labelled):
    """Text from ``[T,C]`` CTC outputs: the best class of each step, repetitions merged, blanks left out.

    ``result``: the text; ``score``: float32, the mean probability of its characters (0 for no text).
    """

    writes = ("result", "score")
    derived = ("classes", "is_reduced")

    labels: str = attr(
        "UTF-8 file with one character per line, in the order of the classes; the blank has no line.",
        file=True,
    )
    blank: int = attr("The class that stands for nothing; the labels fill the others.", default=0, ge=0)
    space: bool = attr("The class behind the last label is a space.", default=False)
    logits: bool = attr("The values are logits: the score needs a softmax.", default=False)
    is_reduced: bool = attr("", default=False, from_toml=False, compile_only=True)

    def labels_problem(self, listed: int, classes: int | None) -> LabelProblem | None:
        return characters_problem(self.labels, listed, classes, blank=self.blank, has_space=self.space)

    def wants(self, key: str) -> Type:
        return Array(DType.FLOAT32, (Symbol("T"), Symbol("C")))

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, int | None]:
        found = types["data"]
        assert isinstance(found, Array)
        classes = found.shape[1]
        if self.is_reduced:
            return {"classes": None, "is_reduced": True}
        return {"classes": classes if isinstance(classes, int) else None}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call, ranks=(2,), dtypes=FLOATS)
        classes = found.shape[1]
        if isinstance(classes, int) and not self.is_reduced and self.blank >= classes:
            mismatch(
                "TP304",
                f"blank is {self.blank}, but there are {classes} classes ({found})",
                attribute="blank",
            )
        return {"result": Text(), "score": Array(DType.FLOAT32, ())}

    def decisive(self, answer: Array) -> Decisive:
        return Classes()

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op]:
        """The best class of each step and its probability, ``[T,2]``; left are the characters."""
        return Tail("best", f"{name}_best", softmax=self.logits), replace(self, is_reduced=True)
