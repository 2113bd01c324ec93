"""Loops in the reference: items that end with the key ``restart`` go on at the node that it names."""

from __future__ import annotations

from collections.abc import Callable

from ..ir.filters import RESULT
from ..ir.graph import RESTART, Loop
from .decisions import text_of
from .walkers import Keys, Walker


def run_again(loop: Loop, walkers: list[Walker], run: Callable[[str, list[Walker]], None]) -> None:
    """Let items go on until none is left that has to; ``run`` takes them through a component."""
    done = dict.fromkeys(map(id, walkers), 0)
    waiting = walkers
    while waiting:
        going: dict[str, list[Walker]] = {}
        for walker in waiting:
            name = _restart_of(walker)
            if name is None:
                continue
            refusal = _refusal(loop, name, done[id(walker)])
            (end,) = walker.answers.values()
            if refusal is not None:
                end.values.pop(RESULT, None)
                end.reason = f"{loop.location} [{RESTART}] {walker.label}: {refusal}"
                continue
            done[id(walker)] += 1
            walker.start = Keys(dict(end.values), end.reason)
            walker.behind, walker.answers = {}, {}
            going.setdefault(name, []).append(walker)
        for name, group in going.items():
            run(loop.bodies[name], group)
        waiting = [walker for group in going.values() for walker in group]


def _restart_of(walker: Walker) -> str | None:
    """What an item's ``restart`` says, which is taken away; None: the item is done."""
    if walker.failure is not None or walker.reason is not None:
        return None
    (end,) = walker.answers.values()
    name = end.values.pop(RESTART, None)
    return None if name is None else text_of(name)


def _refusal(loop: Loop, name: str, done: int) -> str | None:
    """Why an item may not go on at a node after so many times; None: it may."""
    if name not in loop.bodies:
        return f"'{RESTART}' is {name!r}, which is none of: {', '.join(loop.bodies)}"
    if done >= loop.most:
        return f"'{RESTART}' is {name!r} once more than max_restarts = {loop.most} allows"
    return None
