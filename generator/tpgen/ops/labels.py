"""Operators that name classes by the lines of a file, and what such a file must hold."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.op import Op


@dataclass(frozen=True)
class LabelProblem:
    """Why a file and the classes do not fit; of an error, items or the whole stage would fail.

    ``attribute`` is the one to change.
    """

    message: str
    hint: str
    is_error: bool = True
    attribute: str = "labels"


class Labelled(Op):
    """An operator with a `labels` file; empty: it has none."""

    labels: str

    def labels_problem(self, listed: int, classes: int | None) -> LabelProblem | None:
        """What is wrong with a file of ``listed`` lines, for scores of ``classes`` (None: not known)."""
        raise NotImplementedError


def names_problem(path: str, listed: int, classes: int | None) -> LabelProblem | None:
    """What is wrong where each class has a line."""
    if listed == 0 or (classes is not None and listed < classes):
        counted = f"{classes} classes" if classes is not None else "the classes"
        message = f"'{path}' has {listed} names for {counted}; an item of a class without a name fails"
        return LabelProblem(message, "write one name per line, that of class 0 first")
    if classes is not None and listed > classes:
        message = f"'{path}' has {listed} names, but there are {classes} classes, so they may be shifted"
        hint = f"leave out the {listed - classes} that the model does not have, such as a background in front"
        return LabelProblem(message, hint, is_error=False)
    return None


def characters_problem(
    path: str, listed: int, classes: int | None, *, blank: int, has_space: bool
) -> LabelProblem | None:
    """What is wrong where each class has a line but the blank, and the space behind them if there is one."""
    found = listed + 1 + has_space
    if blank >= found:
        message = f"blank is {blank}, but '{path}' makes {found} classes of its {listed} labels and the blank"
        return LabelProblem(message, f"the blank is one of 0 to {found - 1}", attribute="blank")
    if classes is None or found == classes:
        return None
    space = " and the space" if has_space else ""
    message = (
        f"'{path}' has {listed} labels, which with the blank{space} makes {found} classes,"
        f" but {classes} arrive"
    )
    if listed == classes:
        return LabelProblem(message, "the blank has no line in the file: take one out")
    if found == classes - 1 and not has_space:
        return LabelProblem(message, "set space = true if the last class is a space")
    if listed + 1 == classes:
        return LabelProblem(message, "the file has a label for the last class, too: leave space out")
    return LabelProblem(message, f"this takes {max(0, classes - 1 - has_space)} lines, one per character")
