"""Filters: what decides, item by item, whether a node or an operator of a sequence runs (dialect.md 2.3).

A filter is data: a condition on the item's keys, what happens to an item where it does not hold, and the
keys that it moves where it does. Passes and code generation ask for these parts, never for a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

DATA = "data"
RESULT = "result"


class Otherwise(Enum):
    """What happens to an item for which the condition does not hold.

    ``BREAK`` at a node ends the item: its keys are the answer. Inside a sequence it ends the sequence.
    """

    SKIP = "Skip"
    BREAK = "Break"


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


Condition: TypeAlias = Has | Lacks


@dataclass(frozen=True)
class Check:
    """A condition, and what happens to an item where it does not hold."""

    condition: Condition
    otherwise: Otherwise


@dataclass(frozen=True)
class Filter:
    """``checks`` in order; an item runs where all hold.

    ``moves`` are (source, target) pairs, copied where the item runs; the sources are then taken away.
    """

    name: str
    checks: tuple[Check, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def meaning(self) -> str:
        """In words: which items run, what becomes of the others, and what moves."""
        checks = [f"where {check.condition}, else {check.otherwise.value}" for check in self.checks]
        targets: dict[str, list[str]] = {}
        for source, target in self.moves:
            targets.setdefault(source, []).append(f"'{target}'")
        moves = [f"'{source}' becomes {' and '.join(keys)}" for source, keys in targets.items()]
        return f"runs {'; '.join([', and '.join(checks) or 'for all items', *moves])}"

    @property
    def can_skip(self) -> bool:
        """True if items may go on behind the call without it."""
        return any(check.otherwise is Otherwise.SKIP for check in self.checks)

    @property
    def keys(self) -> frozenset[str]:
        """The keys whose presence decides, or whose values move."""
        tested = {check.condition.key for check in self.checks}
        return frozenset(tested | {source for source, _ in self.moves})


def _or_break(condition: Condition) -> Check:
    return Check(condition, Otherwise.BREAK)


def _or_skip(condition: Condition) -> Check:
    return Check(condition, Otherwise.SKIP)


_TO_DATA = ((RESULT, DATA),)
RUN = Filter("Run")
SWAP = Filter("swap", (_or_break(Has(RESULT)),), _TO_DATA)
OR = Filter("or", (_or_skip(Lacks(RESULT)),))


def swap_and_keep(name: str, key: str) -> Filter:
    """``result2other`` and its like: a swap that also leaves the result under another key."""
    return Filter(name, SWAP.checks, (*_TO_DATA, (RESULT, key)))


def if_key_exists(key: str) -> Filter:
    """``IsKeyExistFilter``: a swap for items that have the key; the others skip."""
    return Filter(f"IsKeyExistFilter({key})", (_or_skip(Has(key)), *SWAP.checks), _TO_DATA)


def has_key(key: str) -> Filter:
    """``HasKey(key)[...]``: what stands in the brackets runs for items that have the key."""
    return Filter(f"HasKey({key})", (_or_skip(Has(key)),))


def lacks_key(key: str) -> Filter:
    """``NotHasKey(key)[...]``."""
    return Filter(f"NotHasKey({key})", (_or_skip(Lacks(key)),))
