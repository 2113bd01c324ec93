"""How items find their way through a graph: the statements around the nodes of branches and joins.

A *track* is the items at one point of the graph, as a variable. It is read on demand; where ways part or
meet, all tracks so far are taken to their ends, in parallel where several of them run models.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from ..ir.graph import Graph
from ..ir.op import Trait
from ..types import Opaque
from .code_text import BODY, broken_call, sequence
from .names import literal


@dataclass(frozen=True)
class Tracks:
    """The ways through one component. ``variables`` are the tracks' names by node.

    ``remote`` are the labels of calls that run on a Triton model of their own.
    """

    graph: Graph
    names: Sequence[str]
    attributes: Mapping[str, str]
    variables: Mapping[str, str]
    leaves: tuple[str, ...]
    remote: Collection[str] = ()

    @classmethod
    def of(
        cls, graph: Graph, names: Sequence[str], attributes: Mapping[str, str], remote: Collection[str]
    ) -> Tracks | None:
        """The tracks of a component; None if one variable will do, because it is a plain chain."""
        outcomes = (o for name in names for call in graph.nodes[name].calls[:1] for o in call.filter.outcomes)
        if graph.is_straight(names[0]) and not any(outcome.skips_nodes for outcome in outcomes):
            return None
        variables: dict[str, str] = {}
        for name in names:
            before = [one for one in graph.predecessors()[name] if one in attributes]
            if name == names[0]:
                variables[name] = "items"
            elif len(before) == 1 and len(graph.nodes[before[0]].next) == 1:
                variables[name] = variables[before[0]]
            else:
                variables[name] = f"{attributes[name]}_items"
        return cls(graph, names, attributes, variables, graph.leaves(names[0]), remote)

    @property
    def imports(self) -> set[str]:
        """The names from the runtime's module for graphs."""
        is_forking = any(len(self.graph.nodes[name].next) > 1 for name in self.names)
        return {"answers", "travel", *({"copies"} if is_forking else ())}

    @property
    def is_parallel(self) -> bool:
        """True if tracks run at the same time."""
        return bool(self.parallel)

    @property
    def parallel(self) -> list[tuple[str, ...]]:
        """The branches that run at the same time, each by its first node."""
        return [
            tuple(names[0] for names in due.values())
            for due in self._due.values()
            if self._run_in_parallel(due)
        ]

    @property
    def begin(self) -> str:
        """The statement before the first node."""
        if len(self.leaves) == 1:
            return "items = travel(items)"
        leaves = sequence([literal(one) for one in self.graph.titles(self.leaves)], BODY + 4)
        return "\n        ".join(broken_call("items = travel", ["items", leaves], BODY))

    @property
    def end(self) -> str:
        """The statement behind the last one."""
        tracks = [self.variables[leaf] for leaf in self.leaves]
        return "\n        ".join([*self._ended(""), *broken_call("return answers", tracks, BODY)])

    def arguments(self, name: str) -> list[str]:
        """What a node has to know of the graph."""
        found = []
        if len(self.leaves) > 1:
            behind = self.graph.leaves_behind(self.names[0])[name]
            bits = sum(1 << position for position, leaf in enumerate(self.leaves) if leaf in behind)
            found.append(f"leaves={bin(bits)}")
        outcomes = {outcome.value for outcome in self.graph.nodes[name].calls[0].filter.outcomes}
        if "SerialSkip" in outcomes:
            found.append(f"chain={self._listed(self.graph.chain(name))}")
        if "SubGraphSkip" in outcomes:
            found.append(f"subgraph={self._listed(self.graph.subgraph(name))}")
        return found

    def _listed(self, names: Sequence[str]) -> str:
        return sequence([literal(one) for one in self.graph.titles(names)], 12)

    def before(self, name: str) -> list[str]:
        """How a node's track comes from those of the nodes before it."""
        if name == self.names[0]:
            return []
        node = self.graph.nodes[name]
        source = self.variables[self.graph.predecessors()[name][-1]]
        own = self.variables[name]
        lines = self._ended(name)
        if node.map:
            sources = [literal((one.target, self.graph.title(one.node), one.source)) for one in node.map]
            arguments = [source, sequence(sources, BODY + 4)]
            return [*lines, *broken_call(f"{own} = self.{self.attributes[name]}.take", arguments, BODY)]
        return lines if own == source else [*lines, f"{own} = copies({source})"]

    def after(self, name: str) -> list[str]:
        """What is kept for maps."""
        own = self.variables[name]
        mapped = (one for other in self.names for one in self.graph.nodes[other].map)
        keys = sorted({one.source for one in mapped if one.node == name})
        if not keys:
            return []
        arguments = [own, literal(tuple(keys))]
        return broken_call(f"{own} = self.{self.attributes[name]}.keep", arguments, BODY)

    def _ended(self, name: str) -> list[str]:
        """The statements that take tracks to their ends before a node."""
        due = self._due.get(name, {})
        if not self._run_in_parallel(due):
            return [f"{track} = list({track})" for track in due]
        tracks = ", ".join(due)
        arguments = list(due)
        before = {track: self.graph.predecessors()[names[0]][-1] for track, names in due.items()}
        origins = [self.variables[name] for track, name in before.items() if self.variables[name] != track]
        if origins and not self._wait_for_others(due):  # one item leaves cores idle, several do not
            arguments.append(f"where=len({origins[0]}) == 1")
        return broken_call(f"{tracks} = in_parallel", arguments, BODY)

    @cached_property
    def _due(self) -> dict[str, dict[str, list[str]]]:
        """By node (and by "" for the end): the tracks that end before it, each with its nodes so far.

        All open tracks end where one of them has to be complete, so that they may do so at the same time.
        """
        found: dict[str, dict[str, list[str]]] = {}
        open_: dict[str, list[str]] = {}
        for name in self.names:
            own = self.variables[name]
            before = (one for one in self.graph.predecessors()[name] if one in self.attributes)
            begins = not open_.keys().isdisjoint({self.variables[one] for one in before} - {own})
            if begins or (own in open_ and self._parts(name)):  # which reads its track at once
                found[name], open_ = open_, {}
            open_.setdefault(own, []).append(name)
        if len(self.leaves) > 1:
            found[""] = open_
        return found

    def _parts(self, name: str) -> bool:
        """True if the items of a node go two ways inside of it."""
        return any(call.fork is not None for call in self.graph.nodes[name].calls)

    def _run_in_parallel(self, due: Mapping[str, Sequence[str]]) -> bool:
        """True if several tracks run models, and no two of them the same operators, or unknown objects."""
        all_members = [self._members(names) for names in due.values()]
        with_models = sum(any(map(self._infers, members)) for members in all_members)
        own = [{self.graph.nodes[name].physical or name for name in members} for members in all_members]
        if with_models < 2 or not all(a.isdisjoint(b) for a, b in combinations(own, 2)):
            return False
        return sum(any(map(self._reads_objects, members)) for members in all_members) < 2

    def _wait_for_others(self, due: Mapping[str, Sequence[str]]) -> bool:
        """True if several tracks wait for models that are Triton models of their own."""
        waiting = [
            [
                call
                for name in self._members(names)
                for call in self.graph.nodes[name].calls
                if call.label in self.remote
            ]
            for names in due.values()
        ]
        return sum(map(bool, waiting)) > 1

    def _members(self, names: Sequence[str]) -> set[str]:
        """Nodes, and those of the sub-graphs that they call."""
        jumps = {call.jump for name in names for call in self.graph.nodes[name].calls}
        called = (self.graph.members(jump) for jump in jumps if jump is not None)
        return {*names, *(name for members in called for name in members)}

    def _reads_objects(self, name: str) -> bool:
        """True if a user's code gets Python objects, which branches share: two that change one would race."""
        assert self.graph.types is not None
        calls = (call for call in self.graph.nodes[name].calls if call.op.has(Trait.USER_CODE))
        read = (self.graph.types.read_by(call.label).values() for call in calls)
        return any(isinstance(type_, Opaque) for types in read for type_ in types)

    def _infers(self, name: str) -> bool:
        return any(call.op.has(Trait.INFERENCE) for call in self.graph.nodes[name].calls)
