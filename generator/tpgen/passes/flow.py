"""What filters and calls do to the keys of an item, as states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..ir.filters import (
    RESULT,
    TO_DATA,
    Condition,
    Equals,
    Filter,
    Has,
    Lacks,
    Never,
    Otherwise,
    UserStatus,
    Verdict,
)
from ..ir.graph import Call
from ..ir.op import Trait
from ..type_joins import Unjoinable, join_states
from ..types import ABSENT, Opaque, State, Type, assured

Keys = Mapping[str, State]


@dataclass(frozen=True)
class Split:
    """The keys of the items behind a filter: of those that run (None: none does), and of the others.

    ``asked`` are the keys of those whose status is asked for.
    """

    running: Keys | None
    aside: tuple[tuple[Otherwise, Keys], ...]
    asked: Keys | None = None


def split_by(filter_: Filter, keys: Keys) -> Split:
    """What a filter makes of the items that arrive with these keys."""
    running: Keys | None = keys
    aside: list[tuple[Otherwise, Keys]] = []
    for check in filter_.checks:
        if running is None:
            break
        running, left = divided(check.condition, running)
        if left is not None:
            aside.append((check.otherwise, left))
    asked, verdict = running, filter_.verdict
    if running is None:
        return Split(None, tuple(aside))
    if verdict is None:
        return Split(_moved(filter_.moves, running), tuple(aside))
    for otherwise in (one for one in Otherwise if one in verdict.outcomes):
        left = divided(Has(RESULT), running)[1] if _breaks_a_swap(verdict, otherwise) else running
        if left is not None:
            aside.append((otherwise, left))
    ways = [_moved(filter_.moves, running)] if verdict.runs else []
    if verdict.swaps and (swapping := divided(Has(RESULT), running)[0]) is not None:
        ways.append(_moved(TO_DATA, swapping))
    joined = join_ends(map(End, ways), filter_.name) if ways else None
    return Split(joined, tuple(aside), asked)


def _breaks_a_swap(verdict: Verdict, otherwise: Otherwise) -> bool:
    """True if items only end like this because there is no ``result`` to swap."""
    is_said = isinstance(verdict, UserStatus) and otherwise.value in verdict.statuses
    return otherwise is Otherwise.BREAK and verdict.swaps and not is_said


def divided(condition: Condition, keys: Keys) -> tuple[Keys | None, Keys | None]:
    """The keys where a condition holds, and where not; None: that never happens."""
    holds, fails = _divided(condition, keys)
    if not isinstance(keys, Ways):
        return holds, fails
    # On the ways that some of these items came, keys may be other than where all ways meet.
    sides = zip(*(_divided(condition, way) for way in keys.apart), strict=True)
    apart = ([way for way in side if way is not None] for side in sides)
    return keys.of(next(apart), holds), keys.of(next(apart), fails)


def _divided(condition: Condition, keys: Keys) -> tuple[Keys | None, Keys | None]:
    match condition:
        case Has(key):
            return _with(key, keys), _without(key, keys)
        case Lacks(key):
            return _without(key, keys), _with(key, keys)
        case Equals(key):
            return _with(key, keys), keys
        case Never():
            return None, keys


def _with(key: str, keys: Keys) -> Keys | None:
    state = keys.get(key, ABSENT)
    if state.absent:
        return None
    together = _together(key, keys)
    return {name: assured(state) if name in together else state for name, state in keys.items()}


def _without(key: str, keys: Keys) -> Keys | None:
    state = keys.get(key, ABSENT)
    if state.present and not state.optional:
        return None
    gone = _together(key, keys)
    return {name: replace(s, type=None, present=False) if name in gone else s for name, s in keys.items()}


def _together(key: str, keys: Keys) -> set[str]:
    """The keys that are there or not there with this one."""
    origin = keys[key].origin if key in keys else ""
    return {key, *(name for name, state in keys.items() if origin and state.origin == origin)}


def _moved(moves: Iterable[tuple[str, str]], keys: Keys) -> Keys:
    moved = {target: keys[source] for source, target in moves}
    gone = {source for source, _ in moves}
    return {**{key: state for key, state in keys.items() if key not in gone}, **moved}


def after_call(call: Call, keys: Keys, written: Mapping[str, Type], called: Keys) -> Keys:
    """The keys behind a call that writes these types; a failing operator leaves them absent, all together.

    ``called`` are the keys at the end of the sub-graph that it runs.
    """
    op, label = call.op, call.label
    left = {key: state for key, state in keys.items() if key not in op.deletes()}
    if RESULT in written:  # whatever failed before, the item has not: what was lost with it is only absent
        left = {key: replace(s, quiet=s.quiet or s.failed, failed=False) for key, s in left.items()}
    quiet, failed = op.has(Trait.DECLINES), op.has(Trait.FAILS)
    origin = label if quiet or failed else ""
    for key, type_ in written.items():
        if op.has(Trait.FORWARDS):
            writers = keys[op.inputs()[0]].writers
        else:
            writers = frozenset({label}) | called.get(key, ABSENT).writers
        left[key] = State(type_, quiet=quiet, failed=failed, origin=origin, writers=writers)
    return left


@dataclass(frozen=True)
class End:
    """A way to the end of the pipeline; ``missing`` is the state of a key that is not there."""

    keys: Keys
    missing: State = ABSENT


def early_end(keys: Keys) -> End:
    """The end of items at a filter. Where ``result`` is lost to a failure, every other key is, too.

    Behind a map there is no ``result``; the key that is lost stands for it.
    """
    lost = next((state for state in keys.values() if state.absent), ABSENT)
    result = keys.get(RESULT, lost)
    if result.present:
        return End(keys)
    return End(keys, State(None, present=False, quiet=result.quiet, failed=result.failed))


def failed_end(keys: Keys) -> End:
    """The end of items that a filter fails: nothing of them is answered."""
    gone = State(None, present=False, failed=True)
    return End(dict.fromkeys(keys, gone), gone)


def _brought(state: State) -> str:
    """A type with the operators that it comes from: ``bytes (input 'data')``."""
    if isinstance(state.type, Opaque):
        return state.type.why
    writers = {writer.rpartition("__")[2] for writer in state.writers}  # of copies, the node of the TOML
    return f"{state.type} ({', '.join(sorted(writers))})"


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
                quiet, failed = state.quiet or other.quiet, state.failed or other.failed
                why = f"ways of unlike {problem.what} meet: {_brought(state)} and {_brought(other)}"
                writers = state.writers | other.writers
                state = State(Opaque(why, unlike=True), quiet=quiet, failed=failed, writers=writers)
        joined[key] = state
    return joined


class Ways(dict[str, State]):
    """The keys where several ways meet; ``apart`` are those of each, which filters tell from one another.

    Behind ``Sequential[DecodeMat,cvtColorMat]`` items without a ``result`` have their old ``data``: the
    second one cannot fail.
    """

    def __init__(self, ends: Iterable[End], owner: str) -> None:
        listed = list(ends)
        super().__init__(join_ends(listed, owner))
        self.apart = tuple(
            {key: way.get(key, end.missing) for key in self} for end in listed for way in _ways_of(end.keys)
        )
        self._owner = owner

    def of(self, ways: list[Keys], met: Keys | None) -> Keys | None:
        """The keys of items that came on some of the ways, where ``met`` are those of all ways."""
        if len(ways) == len(self.apart):
            return met
        return join_ends(map(End, ways), self._owner) if ways else None


def _ways_of(keys: Keys) -> tuple[Keys, ...]:
    return keys.apart if isinstance(keys, Ways) else (keys,)
