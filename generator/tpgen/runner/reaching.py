"""What arrives at one call of a pipeline: the reference interpreter on the part of the graph before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..ir.filters import UserStatus
from ..ir.graph import Call, Entry, Graph, Node
from ..ir.op import Trait
from .interpreter import Interpreter, ItemError


class _Arrived(BaseException):
    """The call was reached: nothing behind it runs. No ``on_error`` catches it."""


@dataclass
class _Notes:
    """A kernel that keeps what it is given, and ends the run."""

    batched: bool
    found: list[tuple[Any, ...]] = field(default_factory=list)

    def __call__(self, *values: Any) -> Any:
        self.found += list(zip(*values, strict=True)) if self.batched else [values]
        raise _Arrived


@dataclass(frozen=True)
class Reaching:
    """An entry up to a call."""

    entry: Entry
    _interpreter: Interpreter
    _notes: _Notes

    @classmethod
    def load(
        cls,
        graph: Graph,
        entry: Entry,
        label: str,
        files: Mapping[str, Mapping[str, Path]],
        *,
        threads: int,
        user: Path | None = None,
    ) -> Reaching:
        """Load the kernels in front of a call of a typed graph.

        ``user`` is the folder of user modules; without one, `user_code_before` has to find none.
        """
        call = next(call for _, call in graph.calls() if call.label == label)
        notes = _Notes(call.op.has(Trait.BATCHED))
        part = _in_front(graph, label)
        loaded = Interpreter.load(part, files, threads=threads, user=user, instead={label: notes})
        return cls(entry, loaded, notes)

    def run(self, item: Mapping[str, Any]) -> Sequence[tuple[Any, ...]] | ItemError:
        """What arrives at the call for an item, in the order of the keys that it reads.

        Several where the call works on elements of the item; none where the item ends before it; or the error
        that the item ends with.
        """
        self._notes.found.clear()
        try:
            (ended,) = self._interpreter.run(self.entry, [item])
        except _Arrived:
            return tuple(self._notes.found)
        return ended if isinstance(ended, ItemError) else ()


def gets_to(graph: Graph, entry: Entry, label: str) -> bool:
    """True if items of an entry can get to a call without starting again."""
    return entry.root in _in_front(graph, label).nodes


def user_code_before(graph: Graph, label: str) -> Call | None:
    """The first call in front of another that runs a user's Python, or whose filter asks it."""
    for _, call in _in_front(graph, label).calls():
        if call.op.has(Trait.USER_CODE) or isinstance(call.filter.verdict, UserStatus):
            return call
    return None


def _in_front(graph: Graph, label: str) -> Graph:
    """The nodes from which a call can be reached, and the sub-graphs that they run on the way."""
    before = graph.predecessors()
    kept: dict[str, None] = {}
    waiting = [node.name for node, call in graph.calls() if call.label == label]
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept[name] = None
            waiting += [*before[name], *(node.name for node, call in graph.calls() if call.jump == name)]
    nodes = {name: _cut(node, kept, label) for name, node in graph.nodes.items() if name in kept}
    on_the_way = [call.jump for node in nodes.values() for call in node.calls if call.jump is not None]
    for name in (member for jump in on_the_way if jump not in kept for member in graph.members(jump)):
        nodes[name] = graph.nodes[name]
    return replace(graph, nodes={name: nodes[name] for name in graph.nodes if name in nodes}, loops={})


def _cut(node: Node, kept: Mapping[str, None], label: str) -> Node:
    """A node without what stands behind the call, or behind the sub-graph that leads to it."""
    ends = [at for at, call in enumerate(node.calls) if call.label == label or call.jump in kept]
    calls = node.calls[: ends[-1] + 1] if ends else node.calls
    return replace(node, calls=calls, next=tuple(one for one in node.next if one in kept))
