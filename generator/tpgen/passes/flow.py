"""What filters and calls do to the keys of an item, as states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

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
    together = {key for key, state in keys.items() if result.origin and state.origin == result.origin}
    running = {key: assured(state) if key in together else state for key, state in keys.items()}
    running[DATA] = assured(result)
    del running[RESULT]
    return running, ended


def _certain(state: State) -> bool:
    return state.present and not state.optional


def after_call(op: Op, keys: Keys, written: Mapping[str, Type], label: str) -> Keys:
    """The keys behind a call that writes these types; a failing operator leaves them absent, all together."""
    left = {key: state for key, state in keys.items() if key not in op.deletes()}
    quiet, failed = op.has(Trait.DECLINES), op.has(Trait.FAILS)
    for key, type_ in written.items():
        left[key] = State(type_, quiet=quiet, failed=failed, origin=label if quiet or failed else "")
    return left


@dataclass(frozen=True)
class End:
    """A way to the end of the pipeline; ``missing`` is the state of a key that is not there."""

    keys: Keys
    missing: State = ABSENT


def early_end(keys: Keys) -> End:
    """The end of items without a ``result``. Where that is a failure, every other key is lost with it."""
    result = keys[RESULT]
    return End(keys, State(None, present=False, quiet=result.quiet, failed=result.failed))


def join_ends(ends: Iterable[End], owner: str) -> Keys:
    """The keys where several ways to the end meet; types that do not meet make an opaque value."""
    listed = list(ends)
    joined: dict[str, State] = {}
    for key in dict.fromkeys(key for end in listed for key in end.keys):
        states = [end.keys.get(key, end.missing) for end in listed]
        state = states[0]
        for other in states[1:]:
            try:
                state = join_states(state, other, owner)
            except Unjoinable as problem:
                state = State(Opaque(str(problem)))
        joined[key] = state
    return joined
