"""Entries that are no roots: what follows a node is copied, and the copy begins with it (dialect.md 2.1).

Types are kept by node, so each entry has nodes of its own. Copies share what the nodes of one physical node
share, and have the titles of their originals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..diagnostics import Bag
from ..ir.filters import DATA, OR, RESULT, RUN, SWAP, Filter, UserStatus, key_of
from ..ir.graph import Call, Graph, Node
from ..source import Span
from .keys import near_hint
from .shown import shown
from .user_files import UserCode

MOST_COPIES = 10_000
_LONGEST_PATH = 250  # `<pipeline>__<entry>__<node>` is a directory


def add_entries(graph: Graph, names: tuple[str, ...], span: Span | None, user: UserCode, bag: Bag) -> Graph:
    """The graph with a copy of what follows each of the named nodes; what cannot be one is reported.

    ``user`` gets the files of the copies' calls.
    """
    roots = set(graph.roots()) - graph.called().keys()
    copies: dict[str, Node] = {}
    added: list[str] = []
    for name in dict.fromkeys(names):
        if name not in graph.nodes:
            message = f"unknown node {shown(name)} in 'entries'"
            bag.error("TP201", message, span, hint=near_hint(name, graph.nodes))
        elif name not in roots:
            made = copy_from(graph, name, f"{name}__", user, bag)
            copies |= made
            added.append(next(iter(made)))
        if len(copies) > MOST_COPIES:
            message = f"the entries have more than {MOST_COPIES} nodes together"
            bag.error("TP206", message, span)
            break
    longest = max((len(graph.name) + len(name) for name in copies), default=0)
    if longest > _LONGEST_PATH:
        message = f"the names of models of an entry would have {longest + 2} characters"
        bag.error("TP109", message, span, hint="give the pipeline or the nodes shorter names")
    return replace(graph.with_nodes({**graph.nodes, **copies}), added=(*graph.added, *added))


def copy_from(
    graph: Graph, root: str, prefix: str, user: UserCode, bag: Bag, *, is_restart: bool = False
) -> dict[str, Node]:
    """Copies of what a node leads to, itself first, and of the sub-graphs that this calls.

    ``is_restart``: items come to the node with all that they have at the end, not from clients.
    """
    names = {name: f"{prefix}{name}" for name in graph.members(root)}
    copies = {}
    for name, copy in names.items():
        node = _copied(graph.nodes[name], copy, names, user)
        if name == root:
            node = _restarted(node) if is_restart else _as_root(node, bag)
        copies[copy] = node
    _check_maps(graph, root, names, bag, "items start again" if is_restart else "clients enter")
    return copies


def _copied(node: Node, name: str, names: Mapping[str, str], user: UserCode) -> Node:
    """A node under another name, as are those that it leads to."""
    labels = {call.label: name + call.label.removeprefix(node.name) for call in node.calls}
    for old, new in labels.items():
        if old in user.files:
            user.files[new] = user.files[old]
    return replace(
        node,
        name=name,
        calls=tuple(_copied_call(call, labels, names) for call in node.calls),
        next=tuple(names[one] for one in node.next),
        map=tuple(replace(one, node=names.get(one.node, one.node)) for one in node.map),
        physical=node.physical or node.name,
        copy_of=node.title,
    )


def _copied_call(call: Call, labels: Mapping[str, str], names: Mapping[str, str]) -> Call:
    op = call.op if call.jump is None else replace(call.op, jump=names[call.jump])  # type: ignore[type-var]
    arms = tuple((labels[fork], side) for fork, side in call.arms)
    return replace(call, op=op, label=labels[call.label], arms=arms)


def _as_root(node: Node, bag: Bag) -> Node:
    """The node with nothing before it: what its map, or a swap, brought comes from the client."""
    first, *others = node.calls
    filter_ = _of_root(first.filter, frozenset(one.target for one in node.map))
    if filter_ is None:
        message = f"'{node.title}' cannot be an entry: filter {first.filter} decides on '{RESULT}',"
        message += " which a node before it leaves"
        hint = "let the filter decide on another key, or enter at another node"
        bag.error("TP294", message, node.spans.get("filter", node.span), hint=hint, node=node.title)
        return node
    return replace(node, calls=(replace(first, filter=filter_), *others), map=())


def _restarted(node: Node) -> Node:
    """The node for items that start again at it: no node is before, so a swap that nobody wrote is none."""
    first, *others = node.calls
    is_implied = first.filter == SWAP and node.spans.keys().isdisjoint(("filter", "or"))
    return replace(node, calls=(replace(first, filter=RUN), *others) if is_implied else node.calls, map=())


def _of_root(filter_: Filter, mapped: frozenset[str]) -> Filter | None:
    """A filter where there is no node before: what it takes over is the client's ``data``.

    None: it cannot do without a ``result``.
    """
    if isinstance(filter_.verdict, UserStatus) and (filter_.verdict.swaps or RESULT in filter_.verdict.keys):
        return None
    needless = (*SWAP.checks, *OR.checks)
    checks = tuple(
        one for one in filter_.checks if one not in needless and key_of(one.condition) not in mapped
    )
    moves = tuple((DATA if source == RESULT else source, target) for source, target in filter_.moves)
    moves = () if all(source == target for source, target in moves) else moves
    if not checks and not moves and filter_.verdict is None:
        return RUN
    return replace(filter_, checks=checks, moves=moves)


def _check_maps(graph: Graph, root: str, names: Mapping[str, str], bag: Bag, what: str) -> None:
    """Report maps that take keys from nodes that do not run where ``what`` happens at ``root``."""
    for name in graph.component(root)[1:]:
        for one in graph.nodes[name].map:
            if one.node not in names:
                message = f"the map of '{name}' takes '{one.source}' from '{one.node}',"
                message += f" which does not run where {what} at '{root}'"
                hint = (
                    f"take the key from '{root}' or a node behind it, or begin at '{one.node}' or before it"
                )
                bag.error("TP294", message, one.span, hint=hint, node=name)
