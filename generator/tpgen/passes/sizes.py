"""How much of an item a tensor holds: what passes compare, and what they say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..types import Dim, DType

_SOME = 256  # stands for a size that varies, where two tensors are compared


def weight(dtype: DType, shape: Sequence[Dim | str | None]) -> int:
    """The bytes of an item's tensor; sizes that vary count as some number, the same for all."""
    return dtype.itemsize * math.prod(dim if isinstance(dim, int) else _SOME for dim in shape)


def shown(dtype: DType, shape: Sequence[Dim | str | None]) -> str:
    """The size of an item's tensor for people: its bytes, or its type where they vary."""
    if all(isinstance(dim, int) for dim in shape):
        return f"{weight(dtype, shape):,} bytes"
    return f"{dtype.value}[{','.join(str(dim or '?') for dim in shape)}]"
