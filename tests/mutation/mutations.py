"""Planted kernel errors: each must turn the oracle of an operator red.

A family lists its own in ``mutations_<family>.py`` beside this file::

    from mutations import Mutation

    MUTATIONS = (
        Mutation("nearest for linear", "image.py", "INTER_LINEAR", "INTER_NEAREST", seen_by="ResizeMat"),
    )

The edit replaces ``old``, which must stand in the file exactly once, in a copy of ``tpgen_runtime``.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Mutation:
    """A source edit that makes a kernel wrong, and the operator whose oracle has to see it."""

    name: str
    file: str
    old: str
    new: str
    seen_by: str


def all_mutations() -> tuple[Mutation, ...]:
    """The mutations of all families, in a stable order."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    families = (importlib.import_module(path.stem) for path in sorted(HERE.glob("mutations_*.py")))
    return tuple(mutation for family in families for mutation in family.MUTATIONS)
