"""Kernels and helpers that run inside Triton's Python backend; they never import the compiler.

`op` and `Tensor` declare operators of the user's own, `ItemError` refuses an item.
"""

from .errors import ItemError
from .user import Tensor, op

__all__ = ["ItemError", "Tensor", "op"]
