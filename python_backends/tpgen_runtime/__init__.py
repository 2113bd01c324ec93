"""Kernels and helpers that run inside Triton's Python backend; they never import the compiler.

`op` and `Tensor` declare operators of the user's own, `ItemError` refuses an item.
"""

import importlib
from typing import TYPE_CHECKING

from .errors import ItemError

if TYPE_CHECKING:
    from .user import Tensor, op

__all__ = ["ItemError", "Tensor", "op"]


def __getattr__(name):
    """`op` and `Tensor` when they are asked for: a stage without user code does not take them along."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.user"), name)
