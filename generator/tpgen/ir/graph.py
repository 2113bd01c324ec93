"""The graph: nodes of operator calls on the keys of an item, as the TOML wrote them.

An item is a dictionary. Where a node has several followers, each gets its own copy; where a node has a
``map``, it gets a new dictionary with keys of nodes before it. Each node holds a sequence of calls; before
a call stands its *filter*: ``Run`` starts the call as it is, ``swap`` first moves ``result`` to ``data``.
Where the filter before a node's first call breaks, the item ends; where another one does, the item leaves
the node. A skip passes over one call, before the first call over the whole node. Passes never change a
graph; they return another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import PurePath

from ..source import SourceFile, Span
from ..types import State, Type, varying
from .filters import Filter, Otherwise
from .op import Fork, Op, Trait
from .rewrite import ModelRewrite
from .serving import Serving
from .settings import OnError, Settings
from .type_table import TypeTable

PYTHON, DALI = "python", "dali"  # Triton's names of the backends that stages run on
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
    ``arms`` are the forks that it stands in, by label, each with its side: True, the items have the key.
    """

    op: Op
    filter: Filter
    span: Span
    label: str
    spans: Mapping[str, Span] = field(default_factory=dict)
    rewrite: ModelRewrite | None = None
    arms: tuple[tuple[str, bool], ...] = ()

    @property
    def fork(self) -> str | None:
        """The key on which ways part here."""
        return self.op.key if isinstance(self.op, Fork) else None

    @property
    def node(self) -> str:
        """The name of the node that the call was written in."""
        return self.label.rpartition(".")[0]

    @property
    def jump(self) -> str | None:
        """The root of the sub-graph that the call runs."""
        return self.op.jump if self.op.has(Trait.CALLS) else None  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Mapped:
    """A key of the dictionary that a node's ``map`` makes: ``target`` is ``source`` as ``node`` left it."""

    node: str
    source: str
    target: str
    span: Span


@dataclass(frozen=True)
class Node:
    """A TOML table. ``span`` is its name in the header, ``spans`` its keys and values by key name.

    Without a ``map`` the node gets the dictionary of its one predecessor, with one a new dictionary.
    Nodes of one ``physical`` node share what they load. ``copy_of`` is the node of the TOML that this one is
    a copy of, for an entry of its own; copies have names that nobody can write.
    """

    name: str
    calls: tuple[Call, ...]
    span: Span
    next: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    spans: Mapping[str, Span] = field(default_factory=dict)
    backend: str = ""
    map: tuple[Mapped, ...] = ()
    physical: str = ""
    on_error: OnError | None = None
    copy_of: str = ""
    serving: Serving = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the TOML calls the node: for people, metrics and generated code."""
        return self.copy_of or self.name

    def following(self, position: int, side: bool | None = None) -> int:
        """The position of the call that items go on with behind a call; that of the end is their number.

        ``side``: of a fork, the way that they take; None, they pass by both.
        """
        call = self.calls[position]
        here = {**dict(call.arms), call.label: side}
        for later in range(position + 1, len(self.calls)):
            if all(here.get(fork, taken) is taken for fork, taken in self.calls[later].arms):
                return later
        return len(self.calls)

    def behind(self, position: int) -> tuple[int, ...]:
        """The positions of the calls that items may go on with behind one that they do not skip."""
        if self.calls[position].fork is None:
            return (self.following(position),)
        return (self.following(position, side=True), self.following(position, side=False))

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


def sent(key: str) -> str:
    """What `State.writers` calls a client that sends a key."""
    return f"input '{key}'"


@dataclass(frozen=True)
class Entry:
    """A model that clients call: everything reachable from ``root``.

    ``is_added``: ``[pipeline] entries`` names it; it is no root of the TOML.
    """

    name: str
    root: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    max_batch: int = 8
    is_added: bool = False

    @property
    def answered(self) -> tuple[str, ...]:
        """The keys of an answer in process: the outputs, each with its tag where it varies what it is."""
        keys = ((port.key, f"{port.key}_tag") if varying(port.type) else (port.key,) for port in self.outputs)
        return tuple(chain.from_iterable(keys))


RESTART = "restart"  # the key that says at which node an item goes on, where a loop engine runs


@dataclass(frozen=True)
class Loop:
    """Items of an entry that end with the key ``restart`` go on elsewhere.

    ``bodies`` are the roots of what they run then, by what the key says; ``most`` is how often an item may.
    ``span``: where the TOML asks for it.
    """

    bodies: Mapping[str, str]
    most: int
    span: Span

    @property
    def location(self) -> str:
        """``pipeline.toml:1``."""
        return f"{PurePath(self.span.file.path).name}:{self.span.line}"


@dataclass(frozen=True)
class Stage:
    """One Triton model that runs a part of the graph: these nodes, in this order.

    With ``runs`` it is only what calls of these labels compute; another stage calls it, or it is a step of an
    ensemble, with the keys that its tensors stand for (``reads`` and ``writes``: tensor, key). ``backend`` is
    Triton's; a stage on another one than Python's has the tensors of its model's file.
    ``serving`` is what its nodes ask of it, as far as it has an effect.
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
    runs: tuple[str, ...] = ()
    backend: str = PYTHON
    on_gpu: bool = False
    reads: tuple[tuple[str, str], ...] = ()
    writes: tuple[tuple[str, str], ...] = ()
    serving: Serving = field(default_factory=dict)

    @property
    def is_python(self) -> bool:
        """True if it runs on the Python backend, each instance in a process of its own."""
        return self.backend == PYTHON

    @property
    def is_called(self) -> bool:
        """True if another stage calls it; else it is the entry, or a step of its ensemble."""
        return bool(self.runs) and not self.reads


@dataclass(frozen=True)
class Graph:
    """A pipeline. ``nodes`` stand in topological order; ``added`` are the roots of entries of their own.

    ``loops`` are those of entries, by root.
    """

    name: str
    source: SourceFile
    nodes: Mapping[str, Node]
    entries: tuple[Entry, ...] = ()
    stages: tuple[Stage, ...] = ()
    types: TypeTable | None = None
    added: tuple[str, ...] = ()
    loops: Mapping[str, Loop] = field(default_factory=dict)

    def title(self, name: str) -> str:
        """What the TOML calls a node."""
        return self.nodes[name].title

    def titles(self, names: Iterable[str]) -> tuple[str, ...]:
        """What the TOML calls nodes."""
        return tuple(map(self.title, names))

    def calls(self) -> Iterator[tuple[Node, Call]]:
        for node in self.nodes.values():
            for call in node.calls:
                yield node, call

    def with_nodes(self, nodes: Mapping[str, Node]) -> Graph:
        """The graph with other nodes; what was inferred for the old ones is dropped."""
        return replace(self, nodes=dict(nodes), types=None)

    def predecessors(self) -> dict[str, list[str]]:
        return self._predecessors

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

    def called_models(self) -> dict[str, Stage]:
        """The models that calls run on, by label, where these are stages of their own."""
        return {label: stage for stage in self.stages if stage.is_called for label in stage.runs}

    def queued(self, stage: Stage) -> tuple[Node, ...]:
        """The nodes that wait in a stage's queue; what is called as a model of its own waits there."""
        called = (
            set() if stage.is_called else {name for one in self.stages if one.is_called for name in one.nodes}
        )
        return tuple(self.nodes[name] for name in stage.nodes if name not in called)

    def called(self) -> dict[str, Call]:
        """The roots of sub-graphs, each with a call that runs it."""
        return {jump: call for _, call in self.calls() if (jump := call.jump) is not None}

    def bodies(self) -> frozenset[str]:
        """The roots of what items run that start again."""
        return frozenset(body for loop in self.loops.values() for body in loop.bodies.values())

    @cached_property
    def again(self) -> frozenset[str]:
        """The nodes that only items run that start again."""
        return frozenset(name for body in self.bodies() for name in self.members(body))

    def members(self, root: str) -> tuple[str, ...]:
        """The nodes of a component, those of its loop, then those of the sub-graphs that they call."""
        bodies = self.loops[root].bodies.values() if root in self.loops else ()
        found = dict.fromkeys(name for one in (root, *bodies) for name in self.component(one))
        waiting = list(found)
        while waiting:
            name = waiting.pop(0)
            for jump in (call.jump for call in self.nodes[name].calls if call.jump is not None):
                fresh = [one for one in self.component(jump) if one not in found]
                found.update(dict.fromkeys(fresh))
                waiting += fresh
        return tuple(found)

    def leaves(self, root: str) -> tuple[str, ...]:
        """The nodes of a component that no node follows."""
        return tuple(name for name in self.component(root) if not self.nodes[name].next)

    def leaves_behind(self, root: str) -> dict[str, frozenset[str]]:
        """For each node of a component, the leaves that it leads to."""
        found: dict[str, frozenset[str]] = {}
        for name in reversed(self.component(root)):
            behind = (found[follower] for follower in self.nodes[name].next)
            found[name] = frozenset().union(*behind) or frozenset({name})
        return found

    def chain(self, name: str) -> tuple[str, ...]:
        """The longest chain that begins with a node: it ends where ways part or meet."""
        before = self.predecessors()
        found = [name]
        while len(followers := self.nodes[found[-1]].next) == 1 and len(before[followers[0]]) == 1:
            found.append(followers[0])
        return tuple(found)

    def subgraph(self, name: str) -> tuple[str, ...]:
        """The nodes that are reached through a node alone, itself the first."""
        before = self.predecessors()
        inside = {name}
        for other in self.component(name)[1:]:
            if inside.issuperset(before[other]):
                inside.add(other)
        return tuple(other for other in self.component(name) if other in inside)

    def passed_by(self, name: str, otherwise: Otherwise) -> tuple[str, ...]:
        """The nodes that an item passes by which a node's filter does not let run."""
        match otherwise:
            case Otherwise.SKIP:
                return (name,)
            case Otherwise.SERIAL_SKIP:
                return self.chain(name)
            case Otherwise.SUBGRAPH_SKIP:
                return self.subgraph(name)
            case _:
                return ()

    def is_straight(self, root: str) -> bool:
        """True if a component is one chain, each node of which gets the dictionary of the one before."""
        members = [self.nodes[name] for name in self.component(root)]
        return not any(len(node.next) > 1 or node.map for node in members)

    @cached_property
    def _predecessors(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for follower in node.next:
                found[follower].append(node.name)
        return found

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.nodes)}
