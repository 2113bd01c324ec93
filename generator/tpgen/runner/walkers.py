"""Items on their way through the reference interpreter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..ir.filters import RESULT


@dataclass
class Keys:
    """The dictionary of an item at one place of the graph.

    ``reason``: why ``result`` is absent. ``passes_by``: the nodes that a filter lets it pass by.
    ``left``: it passes by what is left of its node; ``goes_on``: at which of the node's calls it goes on.
    """

    values: dict[str, Any]
    reason: str | None = None
    passes_by: frozenset[str] = frozenset()
    left: bool = False
    goes_on: int = 0

    def copy(self) -> Keys:
        return Keys(dict(self.values), self.reason, self.passes_by)


@dataclass
class Walker:
    """One item on its way through a component: its dictionaries behind each node, and how it ended.

    ``answers`` are the dictionaries at the leaves, ``here`` the one that the current node works on.
    """

    label: str
    start: Keys
    behind: dict[str, Keys] = field(default_factory=dict)
    answers: dict[str, Keys] = field(default_factory=dict)
    failure: str | None = None
    here: Keys = field(default_factory=lambda: Keys({}))
    came: Keys = field(default_factory=lambda: Keys({}))  # as it came to the current node

    @property
    def reason(self) -> str | None:
        """Why the item has no answer: an operator could not work on it."""
        lost = (keys for keys in self.answers.values() if RESULT not in keys.values)
        return next((keys.reason for keys in lost if keys.reason is not None), None)
