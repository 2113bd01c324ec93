"""What becomes of items at the end of an entry with a loop: they are done, or go on at a node."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Protocol

from ..ir.filters import RESULT, Has
from ..ir.graph import RESTART, Graph, Loop, Node
from ..ir.op import Nothing
from ..types import ABSENT, Opaque, State, Text, Type
from .base import Context
from .flow import End, Keys, divided, failed_end, join_ends


class Inferring(Protocol):
    """What finds the types: see `infer`."""

    context: Context
    arriving: dict[str, Keys]

    def ends(self, root: str, keys: Keys) -> list[End]: ...

    def arrive(self, root: str, ends: list[End]) -> None: ...


def looped(loop: Loop, root: str, keys: Keys, inference: Inferring) -> Keys:
    """The keys at the end of an entry with a loop: those of items that are done."""
    bag = inference.context.bag
    done: list[End] = []
    waiting = [root]
    seen = {root}
    while waiting:
        name = waiting.pop(0)
        ends = inference.ends(name, keys if name == root else inference.arriving[name])
        if (wrong := _wrong_type(ends)) is not None:
            bag.error("TP222", f"'{RESTART}' is {wrong}, but a text names the node to go on at", loop.span)
        ended, again = parted(ends, loop)
        done += ended
        for body, given in again.items():
            inference.arrive(body, given)
            waiting += [body] if body not in seen else []
            seen.add(body)
    if not done and not bag.has_errors:
        hint = "let a filter decide which items do"
        bag.error("TP222", f"no item is ever done: each ends with '{RESTART}'", loop.span, hint=hint)
    return join_ends(done, root)


def without_dead_calls(graph: Graph, before: Container[str]) -> dict[str, Node]:
    """The nodes; what no item runs that starts again does nothing there (the same call runs elsewhere).

    ``before`` are the labels of calls that some item gets to.
    """
    nodes = dict(graph.nodes)
    for name in graph.again:
        calls = (
            call if call.label in before or call.fork or call.jump else replace(call, op=Nothing(), spans={})
            for call in nodes[name].calls
        )
        nodes[name] = replace(nodes[name], calls=tuple(calls))
    return nodes


def parted(ends: Iterable[End], loop: Loop) -> tuple[list[End], dict[str, list[End]]]:
    """The ends of items that are done, and those of items that go on, by the root of what they run then.

    Items that failed go nowhere.
    """
    done: list[End] = []
    again: dict[str, list[End]] = {}
    for end in ends:
        going, left = divided(Has(RESTART), end.keys)
        if left is not None:
            done.append(End(_without_restart(left), end.missing))
        if going is None:
            continue
        if isinstance(going[RESTART].type, Opaque):  # of TorchPipe's style, where None stands for no key
            done.append(End(_without_restart(going), end.missing))
        result = end.keys.get(RESULT, end.missing)
        if result.failed:
            done.append(failed_end(_without_restart(going)))
        if result.absent and not result.quiet:
            continue
        arriving = {key: _unfailed(state) for key, state in _without_restart(going).items()}
        for name in _named(going[RESTART].type, loop):
            again.setdefault(loop.bodies[name], []).append(End(arriving, _unfailed(end.missing)))
    return done, again


def _wrong_type(ends: Iterable[End]) -> Type | None:
    """The type of a ``restart`` that names no node, if there is one."""
    found = (end.keys.get(RESTART, ABSENT).type for end in ends)
    return next((one for one in found if one is not None and not isinstance(one, Text | Opaque)), None)


def _without_restart(keys: Keys) -> Keys:
    return {key: state for key, state in keys.items() if key != RESTART}


def _unfailed(state: State) -> State:
    return replace(state, failed=False, quiet=state.quiet or state.absent)


def _named(type_: Type | None, loop: Loop) -> Iterable[str]:
    """The nodes that a ``restart`` of this type may name."""
    constant = type_.constant if isinstance(type_, Text) else None
    return (constant,) if constant is not None and constant in loop.bodies else loop.bodies
