"""What filters and calls do to the keys of an item, as states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..ir.graph import DATA, RESULT, RUN, SWAP, Filter
from ..ir.op import Op, Trait
from ..types import ABSENT, Opaque, State, Type, Unjoinable, assured, join_states

Keys = Mapping[str, State]


def after_filter(filter_: Filter, keys: Keys) -> tuple[Keys | None, Keys | None]:
    """The keys where the call runs, and where the item ends here; None: that never happens."""
    if filter_ == RUN:
        return keys, None
    assert filter_ == SWAP, filter_
    result = keys.get(RESULT, ABSENT)
    ended = {**keys, RESULT: replace(result, type=None, present=False)} if not _certain(result) else None
    if result.absent:
        return None, ended
    running = {**keys, DATA: assured(result)}
    del running[RESULT]
    return running, ended


def _certain(state: State) -> bool:
    return state.present and not state.optional


def after_call(op: Op, keys: Keys, written: Mapping[str, Type]) -> Keys:
    """The keys behind a call that writes these types; a failing operator leaves them absent."""
    left = {key: state for key, state in keys.items() if key not in op.deletes()}
    for key, type_ in written.items():
        left[key] = State(type_, quiet=op.has(Trait.DECLINES), failed=op.has(Trait.FAILS))
    return left


def join_ends(ends: Iterable[Keys], owner: str) -> Keys:
    """The keys where several ways to the end meet; types that do not meet make an opaque value."""
    joined: dict[str, State] | None = None
    for keys in ends:
        if joined is None:
            joined = dict(keys)
            continue
        for key in {*joined, *keys}:
            left, right = joined.get(key, ABSENT), keys.get(key, ABSENT)
            try:
                joined[key] = join_states(left, right, owner)
            except Unjoinable as problem:
                joined[key] = State(Opaque(str(problem)))
    return joined or {}
