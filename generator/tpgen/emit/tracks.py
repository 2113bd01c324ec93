"""How items find their way through a graph: the statements around the nodes of branches and joins.

A *track* is the items at one point of the graph, as a variable. Where ways part or meet, it is a list, so
that one branch is done before the next one begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph
from .code_text import BODY, broken_call, sequence
from .names import literal


@dataclass(frozen=True)
class Tracks:
    """The ways through one component. ``variables`` are the tracks' names by node."""

    graph: Graph
    names: Sequence[str]
    attributes: Mapping[str, str]
    variables: Mapping[str, str]
    leaves: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph, names: Sequence[str], attributes: Mapping[str, str]) -> Tracks | None:
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
        return cls(graph, names, attributes, variables, graph.leaves(names[0]))

    @property
    def imports(self) -> set[str]:
        """The names from the runtime's module for graphs."""
        is_forking = any(len(self._followers(name)) > 1 for name in self.names)
        return {"answers", "travel", *({"copies"} if is_forking else ())}

    @property
    def begin(self) -> str:
        """The statement before the first node."""
        if len(self.leaves) == 1:
            return "items = travel(items)"
        leaves = sequence([literal(one) for one in self.leaves], BODY + 4)
        return "\n        ".join(broken_call("items = travel", ["items", leaves], BODY))

    @property
    def end(self) -> str:
        """The statement behind the last one."""
        tracks = [self.variables[leaf] for leaf in self.leaves]
        return "\n        ".join(broken_call("return answers", tracks, BODY))

    def arguments(self, name: str) -> list[str]:
        """What a node has to know of the graph."""
        found = []
        if len(self.leaves) > 1:
            behind = self.graph.leaves_behind(self.names[0])[name]
            bits = sum(1 << position for position, leaf in enumerate(self.leaves) if leaf in behind)
            found.append(f"leaves={bin(bits)}")
        outcomes = {outcome.value for outcome in self.graph.nodes[name].calls[0].filter.outcomes}
        if "SerialSkip" in outcomes:
            found.append(f"chain={sequence([literal(one) for one in self.graph.chain(name)], 12)}")
        if "SubGraphSkip" in outcomes:
            found.append(f"subgraph={sequence([literal(one) for one in self.graph.subgraph(name)], 12)}")
        return found

    def before(self, name: str) -> list[str]:
        """How a node's track comes from those of the nodes before it."""
        if name == self.names[0]:
            return []
        node = self.graph.nodes[name]
        source = self.variables[self.graph.predecessors()[name][-1]]
        own = self.variables[name]
        if node.map:
            sources = [literal((one.target, one.node, one.source)) for one in node.map]
            arguments = [source, sequence(sources, BODY + 4)]
            return broken_call(f"{own} = self.{self.attributes[name]}.take", arguments, BODY)
        return [] if own == source else [f"{own} = copies({source})"]

    def after(self, name: str) -> list[str]:
        """What is kept for maps, and the end of a branch."""
        own = self.variables[name]
        mapped = (one for other in self.names for one in self.graph.nodes[other].map)
        keys = sorted({one.source for one in mapped if one.node == name})
        lines = []
        if keys:
            arguments = [own, literal(tuple(keys))]
            lines += broken_call(f"{own} = self.{self.attributes[name]}.keep", arguments, BODY)
        followers = self._followers(name)
        is_meeting = any(len(self.graph.predecessors()[one]) > 1 for one in followers)
        is_one_end = not followers and len(self.leaves) > 1
        if len(followers) > 1 or is_meeting or is_one_end:
            lines.append(f"{own} = list({own})")
        return lines

    def _followers(self, name: str) -> tuple[str, ...]:
        return self.graph.nodes[name].next
