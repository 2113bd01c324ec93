"""A node's ``map``: which keys of which nodes make its new dictionary (dialect.md 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..diagnostics import Bag, did_you_mean
from ..ir.graph import Mapped
from .expression import ExpressionError, Text, split_top, whole
from .keys import near_hint
from .located import Located
from .shown import shown

_PART = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]")
_EXAMPLE = 'for example map = "detector[result:data],decoder[data:image]"'


def parse_map(node: str, value: Located, before: list[str], bag: Bag) -> tuple[Mapped, ...] | None:
    """The keys of a ``map``; None if something was reported. ``before`` are the node's predecessors."""
    try:
        found = list(_parts(whole(value), before))
    except ExpressionError as problem:
        bag.error("TP217", problem.message, problem.span, hint=_EXAMPLE, node=node)
        return None
    taken: dict[str, Mapped] = {}
    for one in found:
        if one.target in taken:
            bag.error("TP217", f"'{one.target}' is mapped twice", one.span, hint=_EXAMPLE, node=node)
            return None
        taken[one.target] = one
    return tuple(found)


def check_sources(
    node: str, mapped: tuple[Mapped, ...], ancestors: frozenset[str], names: Mapping[str, object], bag: Bag
) -> None:
    """Report nodes of a ``map`` that do not exist, or are not done when the node begins."""
    for one in {one.node: one for one in mapped}.values():
        if one.node not in names:
            hint = near_hint(one.node, names)
            bag.error("TP201", f"unknown node {shown(one.node)} in 'map'", one.span, hint=hint, node=node)
        elif one.node not in ancestors:
            near = did_you_mean(one.node, ancestors)
            listed = ", ".join(sorted(ancestors)[:8])
            bag.error(
                "TP216",
                f"'{one.node}' in the map of '{node}' does not come before it",
                one.span,
                hint=f"did you mean '{near}'?" if near else f"nodes before it: {listed or 'none'}",
                node=node,
            )


def _parts(text: Text, before: list[str]) -> Iterator[Mapped]:
    for part in map(Text.stripped, split_top(text, ",")):
        match = _PART.fullmatch(part.text)
        if match is None:
            raise ExpressionError(f"{shown(part.text)} does not name a node and its keys", part.span)
        name = match[1].strip()
        if not name:
            if len(before) != 1:
                message = f"which node is meant? {len(before)} come right before this one"
                raise ExpressionError(message, part.span)
            (name,) = before
        yield from _pairs(name, part.cut(match.start(2), match.end(2)))


def _pairs(node: str, text: Text) -> Iterator[Mapped]:
    for pair in map(Text.stripped, split_top(text, ",")):
        source, colon, target = (word.strip() for word in pair.text.partition(":"))
        if not (source and colon and target):
            raise ExpressionError(f"{shown(pair.text)} does not say which key becomes which", pair.span)
        yield Mapped(node, source, target, pair.span)
