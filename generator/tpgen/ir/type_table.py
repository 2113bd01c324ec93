"""What type inference found, beside the graph that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..types import State, Type


@dataclass(frozen=True)
class TypeTable:
    """What inference found: the keys before each call (after its filter) and after each node.

    A call that no item gets to, because a filter before it never lets one run, is not in ``before``.
    """

    before: Mapping[str, Mapping[str, State]]  # by call label
    entering: Mapping[str, Mapping[str, State]]  # by node, before its first filter
    leaving: Mapping[str, Mapping[str, State]]  # by node
    final: Mapping[str, Mapping[str, State]]  # by root: at the end, early ends included
    written: Mapping[str, Mapping[str, Type]] = field(default_factory=dict)  # by call label
    results: Mapping[str, Type] = field(default_factory=dict)  # by node: of those that may give a default
    ends_quietly: frozenset[str] = frozenset()  # nodes at or before whose end an item may have ended quietly
    ends_with_result: frozenset[str] = frozenset()  # ... may have ended although it has a result
    turned: Mapping[str, Mapping[str, Type]] = field(default_factory=dict)  # see `read_by`

    def read_by(self, label: str) -> dict[str, Type]:
        """The types of the keys before a call, as it gets them.

        Images whose layout or colour order varies are turned to what the call asks for.
        """
        known = {key: s.type for key, s in self.before.get(label, {}).items() if s.type is not None}
        return {**known, **self.turned.get(label, {})}
