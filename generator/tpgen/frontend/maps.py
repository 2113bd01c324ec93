"""A node's ``map``: which keys of which nodes make its new dictionary (dialect.md 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..diagnostics import Bag, did_you_mean
from ..ir.graph import Mapped
from ..source import Span
from .expression import ExpressionError, Text, split_top, whole
from .keys import near_hint
from .located import Located
from .shown import shown

_PART = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]")
_EXAMPLE = 'for example map = "detector[result:data],decoder[data:image]"'


@dataclass(frozen=True)
class ParsedMap:
    """The keys of a ``map``, and where it names each node first."""

    keys: tuple[Mapped, ...]
    places: Mapping[str, Span]


def parse_map(node: str, value: Located, before: list[str], bag: Bag) -> ParsedMap | None:
    """The keys of a ``map``; None if something was reported. ``before`` are the node's predecessors."""
    places: dict[str, Span] = {}
    try:
        found = list(_parts(whole(value), node, before, places))
    except ExpressionError as problem:
        bag.error("TP217", problem.message, problem.span, hint=_EXAMPLE, node=node)
        return None
    taken: dict[str, Mapped] = {}
    for one in found:
        if one.target in taken:
            bag.error("TP217", f"'{one.target}' is mapped twice", one.span, hint=_EXAMPLE, node=node)
            return None
        taken[one.target] = one
    return ParsedMap(tuple(found), places)


def check_sources(
    node: str, mapped: ParsedMap, ancestors: frozenset[str], names: Mapping[str, object], bag: Bag
) -> None:
    """Report nodes of a ``map`` that do not exist, or are not done when the node begins."""
    for name, span in mapped.places.items():
        if name not in names:
            hint = near_hint(name, names)
            bag.error("TP201", f"unknown node {shown(name)} in 'map'", span, hint=hint, node=node)
        elif name not in ancestors:
            near = did_you_mean(name, ancestors)
            listed = ", ".join(sorted(ancestors)[:8])
            bag.error(
                "TP216",
                f"'{name}' in the map of '{node}' does not come before it",
                span,
                hint=f"did you mean '{near}'?" if near else f"nodes before it: {listed or 'none'}",
                node=node,
            )


def _parts(text: Text, node: str, before: list[str], places: dict[str, Span]) -> Iterator[Mapped]:
    """The pairs of all nodes; ``places`` gets where the nodes are named."""
    for part in map(Text.stripped, split_top(text, ",")):
        match = _PART.fullmatch(part.text)
        if match is None:
            raise ExpressionError(f"{shown(part.text)} does not name a node and its keys", part.span)
        name = match[1].strip()
        named = part.cut(match.start(1), match.end(1)).stripped() if name else part
        if not name and not before:
            message = f"'{node}' is a first node, which takes no map: no node comes before it"
            raise ExpressionError(message, part.span)
        if not name:
            if len(before) != 1:
                message = f"which node is meant? {len(before)} come right before this one"
                raise ExpressionError(message, part.span)
            (name,) = before
        places.setdefault(name, named.span)
        yield from _pairs(name, part.cut(match.start(2), match.end(2)))


def _pairs(node: str, text: Text) -> Iterator[Mapped]:
    for pair in map(Text.stripped, split_top(text, ",")):
        source, colon, target = (word.strip() for word in pair.text.partition(":"))
        if not (source and colon and target):
            raise ExpressionError(f"{shown(pair.text)} does not say which key becomes which", pair.span)
        yield Mapped(node, source, target, pair.span)
