"""Filters: what decides, item by item, whether a node or an operator of a sequence runs (dialect.md 2.3).

A filter is data: a condition on the item's keys, what happens to an item where it does not hold, and the
keys that it moves where it does. Passes and code generation ask for these parts, never for a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from ..source import Span

DATA = "data"
RESULT = "result"
RUNS = "Run"  # a status; the others are `SWAPS` and the names of `Otherwise`
SWAPS = "Swap"  # the item runs, and ``result`` becomes ``data``; without a ``result`` it is Break


class Otherwise(Enum):
    """What happens to an item for which the condition does not hold.

    At a node, ``SKIP`` passes by the node, ``SERIAL_SKIP`` by the longest chain that begins with it,
    ``SUBGRAPH_SKIP`` by all nodes that are reached through it alone, and ``BREAK`` ends the item: its keys
    are the answer. Inside a sequence ``SKIP`` passes by one operator, and all others end the sequence.
    ``ERROR`` fails the item, wherever it stands.
    """

    SKIP = "Skip"
    SERIAL_SKIP = "SerialSkip"
    SUBGRAPH_SKIP = "SubGraphSkip"
    BREAK = "Break"
    ERROR = "Error"

    @property
    def skips_nodes(self) -> bool:
        """True if an item may pass by further nodes."""
        return self in (Otherwise.SERIAL_SKIP, Otherwise.SUBGRAPH_SKIP)


@dataclass(frozen=True)
class Has:
    """The item has the key."""

    key: str

    def __str__(self) -> str:
        return f"'{self.key}' is there"


@dataclass(frozen=True)
class Lacks:
    """The item does not have the key."""

    key: str

    def __str__(self) -> str:
        return f"'{self.key}' is not there"


@dataclass(frozen=True)
class Equals:
    """The item has the key, and its value, as text, is this one."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"'{self.key}' is {self.value!r}"


@dataclass(frozen=True)
class Never:
    """No item."""

    def __str__(self) -> str:
        return "never"


Condition: TypeAlias = Has | Lacks | Equals | Never


@dataclass(frozen=True)
class Check:
    """A condition, and what happens to an item where it does not hold."""

    condition: Condition
    otherwise: Otherwise


@dataclass(frozen=True)
class OwnStatus:
    """The item brings its status under a key."""

    key: str
    runs = True
    swaps = False
    outcomes = frozenset(Otherwise)

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def __str__(self) -> str:
        return f"as '{self.key}' says: {', '.join((RUNS, *(one.value for one in Otherwise)))}"


@dataclass(frozen=True)
class UserStatus:
    """A user's function says the status: one of ``statuses``, from the values of ``reads``.

    The ``optional`` keys are handed to it where they are there. ``settings`` are its values from the TOML,
    ``texts`` the keys that it wants as text; ``span`` is the filter's place in the TOML.
    """

    module: str
    function: str
    reads: tuple[str, ...]
    statuses: frozenset[str]
    optional: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    texts: frozenset[str] = frozenset()
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """What names its code, as the labels of calls do for theirs."""
        return f"{self.module}:{self.function}"

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.reads, *self.optional)

    @property
    def runs(self) -> bool:
        return RUNS in self.statuses

    @property
    def swaps(self) -> bool:
        return SWAPS in self.statuses

    @property
    def outcomes(self) -> frozenset[Otherwise]:
        """What may happen to items that do not run; an ``ItemError`` that it raises is an Error."""
        said = {one for one in Otherwise if one.value in self.statuses}
        return frozenset(said | {Otherwise.ERROR} | ({Otherwise.BREAK} if self.swaps else set()))

    def __str__(self) -> str:
        said = [one for one in (RUNS, SWAPS, *(one.value for one in Otherwise)) if one in self.statuses]
        return f"as {self.function}({', '.join(self.keys)}) says: {', '.join(said)}"


Verdict: TypeAlias = OwnStatus | UserStatus


@dataclass(frozen=True)
class Filter:
    """``checks`` in order; an item runs where all hold, and where its status, if it has one, then says so.

    ``verdict`` is where this status comes from, at run time. ``moves`` are (source, target) pairs, copied
    where the item runs; the sources are then taken away.
    """

    name: str
    checks: tuple[Check, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    verdict: Verdict | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def meaning(self) -> str:
        """In words: which items run, what becomes of the others, and what moves."""
        if any(isinstance(check.condition, Never) for check in self.checks):
            return f"always {self.checks[0].otherwise.value}"
        checks = [f"where {check.condition}, else {check.otherwise.value}" for check in self.checks]
        if self.verdict is not None:
            checks.append(str(self.verdict))
        targets: dict[str, list[str]] = {}
        for source, target in self.moves:
            targets.setdefault(source, []).append(f"'{target}'")
        moves = [f"'{source}' becomes {' and '.join(keys)}" for source, keys in targets.items()]
        return f"runs {'; '.join([', and '.join(checks) or 'for all items', *moves])}"

    @property
    def can_skip(self) -> bool:
        """True if items may go on behind the call without it."""
        return bool(self.outcomes - {Otherwise.BREAK, Otherwise.ERROR})

    @property
    def outcomes(self) -> frozenset[Otherwise]:
        """What may happen to items that do not run."""
        checked = frozenset(check.otherwise for check in self.checks)
        return checked | (self.verdict.outcomes if self.verdict is not None else frozenset())

    @property
    def is_constant(self) -> bool:
        """True if no item ever runs."""
        return any(isinstance(check.condition, Never) for check in self.checks)

    @property
    def keys(self) -> frozenset[str]:
        """The keys whose presence or value decides, or whose values move or may stay instead."""
        tested = {key for check in self.checks if (key := key_of(check.condition)) is not None}
        if self.verdict is not None:
            tested.update(self.verdict.keys)
            if self.verdict.swaps:
                tested.update((RESULT, DATA))
        return frozenset(tested | {source for source, _ in self.moves})

    @property
    def certain_moves(self) -> tuple[tuple[str, str], ...]:
        """The moves of every item that runs."""
        is_swap = self.verdict is not None and self.verdict.swaps and not self.verdict.runs
        return TO_DATA if is_swap else self.moves

    @property
    def changes(self) -> frozenset[str]:
        """The keys that it may write or take away."""
        moved = {key for move in self.moves for key in move}
        swapped = {RESULT, DATA} if self.verdict is not None and self.verdict.swaps else set()
        return frozenset(moved | swapped)


def key_of(condition: Condition) -> str | None:
    """The key that a condition looks at."""
    return None if isinstance(condition, Never) else condition.key


def _or_break(condition: Condition) -> Check:
    return Check(condition, Otherwise.BREAK)


def _or_skip(condition: Condition) -> Check:
    return Check(condition, Otherwise.SKIP)


TO_DATA = ((RESULT, DATA),)
RUN = Filter("Run")
SWAP = Filter("swap", (_or_break(Has(RESULT)),), TO_DATA)
OR = Filter("or", (_or_skip(Lacks(RESULT)),))
# ``filter``: the item brings its own status under the key "filter".
OWN_STATUS = Filter("filter", (Check(Has("filter"), Otherwise.ERROR),), verdict=OwnStatus("filter"))


def swap_and_keep(name: str, key: str) -> Filter:
    """``result2other`` and its like: a swap that also leaves the result under another key."""
    return Filter(name, SWAP.checks, (*TO_DATA, (RESULT, key)))


def if_key_exists(key: str) -> Filter:
    """``IsKeyExistFilter``: a swap for items that have the key; the others skip."""
    return Filter(f"IsKeyExistFilter({key})", (_or_skip(Has(key)), *SWAP.checks), TO_DATA)


def if_key_equals(key: str, value: str) -> Filter:
    """``Target``: a swap for items whose key has the value; the others skip."""
    return Filter(f"Target({value})", (_or_skip(Equals(key, value)), *SWAP.checks), TO_DATA)


def all_there(keys: tuple[str, ...]) -> Filter:
    """Behind a map: items run that have all that it asks for; the others end."""
    return Filter("map", tuple(_or_break(Has(key)) for key in keys))


def always(otherwise: Otherwise) -> Filter:
    """No item runs: ``Skip``, ``SerialSkip``, ``SubGraphSkip``, ``Break``, ``Error`` by name."""
    return Filter(otherwise.value, (Check(Never(), otherwise),))


def user_filter(status: UserStatus, mapped: tuple[str, ...]) -> Filter:
    """A user's function decides on the items that have the keys of the map, and a ``result`` if it reads one.

    The others end, as with a swap.
    """
    needed = (*mapped, *((RESULT,) if RESULT in status.reads and RESULT not in mapped else ()))
    return Filter(f"Python[{status.label}]", all_there(needed).checks, verdict=status)
