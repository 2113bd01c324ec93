"""What of a model's answer decides what its reader makes of it: by that, two models are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Classes:
    """Of an axis, the place of the largest value. ``axis`` counts from the end: -1 is the last one."""

    axis: int = -1


@dataclass(frozen=True)
class Boxes:
    """Of a detector's rows (columns with ``is_columns``), those whose score is ``threshold`` or more.

    A row is four numbers of a box, objectness with ``has_objectness``, and a score for each class; what
    counts is the class that scores best, its score times objectness, and the box.
    """

    threshold: float
    is_columns: bool = False
    has_objectness: bool = False


Decisive: TypeAlias = Classes | Boxes
