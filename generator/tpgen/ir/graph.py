"""The graph: nodes of operator calls on the keys of an item, as the TOML wrote them.

An item is a dictionary. Each node holds a sequence of calls; before a call stands its *filter*: ``Run``
starts the call as it is, ``swap`` first moves ``result`` to ``data``. Where the filter before a node's first
call breaks, the item ends; where another one does, the item leaves the node. A skip passes over one call,
before the first call over the whole node. Passes never change a graph; they return another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath

from ..source import SourceFile, Span
from ..types import State, Type
from .filters import Filter
from .op import Op
from .rewrite import ModelRewrite

# What stands behind a key in the names of the tensors that travel with it: its sizes, whether it is there.
COMPANIONS = ("count", "count2", "shape", "valid", "tag")


def companion_of(name: str, keys: Collection[str]) -> str | None:
    """The key among these whose companion a name would be taken for: ``boxes`` for ``boxes_count``."""
    key, _, kind = name.rpartition("_")
    return key if kind in COMPANIONS and key in keys else None


@dataclass(frozen=True)
class Call:
    """One use of an operator. ``label`` is unique in the graph: ``node.Operator`` or ``node.Operator#2``.

    ``spans`` are the places of the attributes' values; ``rewrite`` is what a pass asks of the model.
    """

    op: Op
    filter: Filter
    span: Span
    label: str
    spans: Mapping[str, Span] = field(default_factory=dict)
    rewrite: ModelRewrite | None = None

    @property
    def node(self) -> str:
        """The name of the node that the call was written in."""
        return self.label.rpartition(".")[0]


@dataclass(frozen=True)
class Settings:
    """Scheduling keys of a node, as the TOML gives them."""

    min_batch: int = 1
    max_batch: int = 1
    instance_num: int = 1
    batching_timeout_ms: float | None = None
    timeout_ms: float | None = None


@dataclass(frozen=True)
class Node:
    """A TOML table. ``span`` is its name in the header, ``spans`` its keys and values by key name."""

    name: str
    calls: tuple[Call, ...]
    span: Span
    next: tuple[str, ...] = ()
    settings: Settings = Settings()
    spans: Mapping[str, Span] = field(default_factory=dict)
    backend: str = ""

    @property
    def location(self) -> str:
        """``pipeline.toml:6``, where the operators stand: for messages and generated code."""
        line = self.spans.get("backend", self.span).line
        return f"{PurePath(self.span.file.path).name}:{line}"


@dataclass(frozen=True)
class Port:
    """An input or output of an entry. ``raw``: bytes travel as UINT8 ``[-1]`` instead of TYPE_STRING."""

    key: str
    state: State
    span: Span | None = None
    raw: bool = False
    optional: bool = False

    @property
    def type(self) -> Type:
        assert self.state.type is not None, f"port '{self.key}' has no type"
        return self.state.type


@dataclass(frozen=True)
class Entry:
    """A model that clients call: everything reachable from ``root``."""

    name: str
    root: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    max_batch: int = 8


@dataclass(frozen=True)
class Stage:
    """One Triton model that runs a part of the graph: these nodes, in this order.

    ``takes_over``: the stage's input ``data`` is the ``result`` of the stage before it, so the first node's
    ``swap`` is done by the wiring; what is left of it is to end the items that have no ``data``.
    """

    name: str
    entry: str
    nodes: tuple[str, ...]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    max_batch: int = 8
    instances: int = 1
    takes_over: bool = False
    why: str = ""


@dataclass(frozen=True)
class TypeTable:
    """What inference found: the keys before each call (after its filter) and after each node."""

    before: Mapping[str, Mapping[str, State]]  # by call label
    entering: Mapping[str, Mapping[str, State]]  # by node, before its first filter
    leaving: Mapping[str, Mapping[str, State]]  # by node
    final: Mapping[str, Mapping[str, State]]  # by root: at the end, early ends included
    ends_quietly: frozenset[str] = frozenset()  # nodes at or before whose end an item may have ended quietly
    ends_with_result: frozenset[str] = frozenset()  # ... may have ended although it has a result


@dataclass(frozen=True)
class Graph:
    """A pipeline. ``nodes`` stand in topological order."""

    name: str
    source: SourceFile
    nodes: Mapping[str, Node]
    entries: tuple[Entry, ...] = ()
    stages: tuple[Stage, ...] = ()
    types: TypeTable | None = None

    def calls(self) -> Iterator[tuple[Node, Call]]:
        for node in self.nodes.values():
            for call in node.calls:
                yield node, call

    def with_nodes(self, nodes: Mapping[str, Node]) -> Graph:
        """The graph with other nodes; what was inferred for the old ones is dropped."""
        return replace(self, nodes=dict(nodes), types=None)

    def predecessors(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for follower in node.next:
                found[follower].append(node.name)
        return found

    def roots(self) -> tuple[str, ...]:
        before = self.predecessors()
        return tuple(name for name in self.nodes if not before[name])

    def component(self, root: str) -> tuple[str, ...]:
        """The nodes reachable from a root, in topological order."""
        reached = {root}
        waiting = [root]
        while waiting:
            fresh = set(self.nodes[waiting.pop()].next) - reached
            reached |= fresh
            waiting += fresh
        return tuple(sorted(reached, key=self._positions.__getitem__))

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.nodes)}
