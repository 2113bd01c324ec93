"""The shape of the graph: edges, roots, cycles; and the order in which nodes run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..diagnostics import Bag
from ..source import Span
from .keys import near_hint
from .shown import shown


@dataclass(frozen=True)
class Edge:
    """``source`` names ``target`` in its ``next``; ``span`` is the name there.

    ``owner`` is the node whose table the ``next`` stands in: a logical node may have it from another one.
    """

    source: str
    target: str
    span: Span
    owner: str


def check_edges(names: Mapping[str, Span], edges: Iterable[Edge], bag: Bag) -> list[Edge]:
    """The edges whose target exists; the others are reported."""
    good = []
    for edge in edges:
        if edge.target in names:
            good.append(edge)
            continue
        bag.error(
            "TP201",
            f"unknown node {shown(edge.target)} in 'next'",
            edge.span,
            hint=near_hint(edge.target, names),
            node=edge.source,
        )
    return good


def topological_order(names: Mapping[str, Span], edges: list[Edge], bag: Bag) -> list[str] | None:
    """The nodes, each after its predecessors; None if there is a cycle.

    What begins with a node stands together as far as it can: one branch, then the other.
    """
    followers: dict[str, list[Edge]] = {name: [] for name in names}
    missing = dict.fromkeys(names, 0)
    for edge in edges:
        followers[edge.source].append(edge)
        missing[edge.target] += 1
    waiting = [name for name in names if missing[name] == 0][::-1]
    order: list[str] = []
    while waiting:
        name = waiting.pop()
        order.append(name)
        ready = []
        for edge in followers[name]:
            missing[edge.target] -= 1
            if missing[edge.target] == 0:
                ready.append(edge.target)
        waiting += ready[::-1]
    if len(order) == len(names):
        return order
    _report_cycle({name: names[name] for name in names if missing[name] > 0}, followers, bag)
    return None


def _report_cycle(stuck: Mapping[str, Span], followers: Mapping[str, list[Edge]], bag: Bag) -> None:
    """Walk from any stuck node until one comes again: that part is a cycle."""
    before: dict[str, Edge] = {
        edge.target: edge for name in stuck for edge in followers[name] if edge.target in stuck
    }
    walked: list[Edge] = []
    name = min(before)
    seen: dict[str, int] = {}
    while name not in seen:
        seen[name] = len(walked)
        walked.append(before[name])
        name = before[name].source
    cycle = walked[seen[name] :][::-1]
    way = [cycle[0].source, *(edge.target for edge in cycle)]
    if len(way) > 9:
        way = [*way[:5], "...", *way[-3:]]
    count = f" ({len(cycle)} nodes)" if len(cycle) > 8 else ""
    last = next((edge for edge in cycle if edge.owner != edge.source), cycle[-1])
    is_own = last.owner == last.source
    hint = "take one of these names out of 'next'"
    if not is_own:
        hint = f"'{last.source}' has the 'next' of '{last.owner}': give it one of its own, or next = \"\""
    bag.error(
        "TP202",
        f"the nodes form a cycle: {' -> '.join(way)}{count}",
        last.span if is_own else stuck[last.source],
        hint=hint,
        node=last.source,
    )


def check_joins(order: list[str], edges: list[Edge], mapped: Collection[str], bag: Bag) -> None:
    """Report roots that join, and nodes behind several others that do not say what they take from which.

    ``mapped`` are the nodes that have a ``map``.
    """
    arriving: dict[str, list[Edge]] = {name: [] for name in order}
    for edge in edges:
        arriving[edge.target].append(edge)
    roots = _roots_of(order, arriving)
    for name in order:
        if len(arriving[name]) > 1:
            _report_join(name, arriving[name], roots, bag, has_map=name in mapped)


def _roots_of(order: list[str], arriving: Mapping[str, list[Edge]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name in order:
        before = arriving[name]
        found[name] = frozenset().union(*(found[e.source] for e in before)) if before else frozenset({name})
    return found


def _report_join(
    name: str, arriving: list[Edge], roots: Mapping[str, frozenset[str]], bag: Bag, *, has_map: bool
) -> None:
    if len(roots[name]) > 1:
        *others, last = _few([f"'{root}'" for root in sorted(roots[name])])
        bag.error(
            "TP203",
            f"the roots {', '.join(others)} and {last} join at '{name}'",
            arriving[-1].span,
            hint="a request enters at one root, so the other's node would never be done;"
            " start both from one node, or give each its own copy of what follows",
            node=arriving[-1].source,
        )
    elif len({edge.source for edge in arriving}) < len(arriving):
        message = f"'{name}' stands more than once in one 'next'"
        bag.error("TP204", message, arriving[-1].span, hint="name it once", node=arriving[-1].source)
    elif not has_map:
        first, second = arriving[0].source, arriving[1].source
        sources = ", ".join(_few([f"'{edge.source}'" for edge in arriving]))
        bag.error(
            "TP204",
            f"several nodes go on to '{name}' ({sources}), which does not say what it takes from which",
            arriving[-1].span,
            hint=f'add to [{name}]: map = "{first}[result:data],{second}[result:other]"',
            node=name,
        )


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"]
