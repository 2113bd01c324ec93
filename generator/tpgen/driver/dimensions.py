"""Names for dimensions that only the data decides, as `explain` shows them: one name, one size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ..types import Array, Dim, Layout, ListOf, Symbol, TupleOf, Type

# What a user or an operator wrote; others (`boxes.0`, `d1`, `node.Operator.d0`) stand for no name at all.
_NAME = re.compile(r"(?!d\d)[A-Za-z_][A-Za-z0-9_]{0,15}")
_SIDES = {Layout.HWC: "HWC", Layout.CHW: "CHW"}


@dataclass
class DimensionNames:
    """Tells dimensions of equal spelling apart: ``K``, the next one ``K2``. Numbers follow the first use."""

    given: dict[Symbol, str] = field(default_factory=dict)

    def shown(self, type_: Type) -> str:
        """A type as text."""
        return str(self._renamed(type_))

    def _renamed(self, type_: Type) -> Type:
        if isinstance(type_, ListOf):
            return ListOf(self._renamed(type_.item))
        if isinstance(type_, TupleOf):
            return TupleOf(tuple(map(self._renamed, type_.items)))
        if not isinstance(type_, Array):
            return type_
        sides = _SIDES.get(type_.layout, "N" * len(type_.shape))
        shape = tuple(self._dim(dim, side) for dim, side in zip(type_.shape, sides, strict=True))
        return replace(type_, shape=shape)

    def _dim(self, dim: Dim, side: str) -> Dim:
        if isinstance(dim, int):
            return dim
        if dim not in self.given:
            base = dim.name if _NAME.fullmatch(dim.name) else side
            name, number = base, 1
            while name in self.given.values():
                number += 1
                name = f"{base}{number}"
            self.given[dim] = name
        return Symbol(self.given[dim])
