"""Operators that run a sub-graph: a component of the file that no client calls (dialect.md 2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from ..diagnostics import did_you_mean
from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, Layout, ListOf, Opaque, Symbol, Type

_WRITE_IT = "merge keys that are there, or let a node of the sub-graph write '{key}'"
_NO_LIST = "split a list, or an array whose first dimension varies"


@operator("MapReduce", group="control", kernel="", traits={Trait.CALLS, Trait.FAILS})
class MapReduce(Op):
    """Run the sub-graph at `jump` on every element of the list `split`; its keys `merge` become lists.

    An element gets all keys of its item; under `split` it finds itself instead of the list. The elements of
    all items of a batch run together. A list may also be an array whose first dimension varies.
    """

    jump: str = attr("The root of the sub-graph: a node that no other one goes on to.")
    split: str = attr("The key of the list.", default="data")
    merge: tuple[str, ...] = attr("Keys at the sub-graph's end; each becomes a list.", default=("result",))
    drop_absent: bool = attr(
        "Leave elements that end without a key of `merge` out of all lists.", default=False
    )

    max_items: int = attr("The longest list; an item with a longer one fails.", default=10_000, ge=1)

    @property
    def element(self) -> str:
        """The key that holds the list, then the element."""
        return self.split

    def inputs(self) -> tuple[str, ...]:
        return (self.split,)

    def outputs(self) -> tuple[str, ...]:
        return self.merge

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        end = call.run_graph(self.jump, {self.split: self._element_type(call.type(self.split))})
        merged: dict[str, Type] = {}
        for key in self.merge if end else ():
            state = end.get(key)
            if state is None or state.type is None or state.absent:
                known = sorted(k for k, s in end.items() if s.present)
                message = f"no element ends with the key '{key}'; there are: {', '.join(known)}"
                near = did_you_mean(key, known)
                hint = f"did you mean '{near}'?" if near else _WRITE_IT.format(key=key)
                mismatch("TP220", message, hint, "merge")
            if state.quiet and not self.drop_absent:
                mismatch(
                    "TP220",
                    f"an element may end without the key '{key}'",
                    "drop_absent = true leaves such elements out of all lists",
                    "merge",
                )
            merged[key] = ListOf(state.type)
        return merged or dict.fromkeys(self.merge, Opaque("the sub-graph is wrong"))

    def _element_type(self, found: Type) -> Type:
        if isinstance(found, ListOf):
            return found.item
        is_plain = isinstance(found, Array) and found.layout is Layout.NONE
        if isinstance(found, Array) and is_plain and found.shape and isinstance(found.shape[0], Symbol):
            return replace(found, shape=found.shape[1:])
        if not isinstance(found, Opaque):
            message = f"'{self.split}' is {found}, which is no list"
            mismatch("TP221", message, _NO_LIST, "split")
        return found


@operator("Jump", group="control", kernel="", traits={Trait.CALLS})
class Jump(Op):
    """Run the sub-graph at `jump` on the item itself: it goes on with the keys of the sub-graph's end."""

    jump: str = attr("The root of the sub-graph: a node that no other one goes on to.")
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    element: ClassVar[None] = None

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        call.run_graph(self.jump, {})
        return {}
