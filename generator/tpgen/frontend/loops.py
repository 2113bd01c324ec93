"""Loops: an item that ends with the key ``restart`` goes on at the node that it names (dialect.md 1.3, 2.4).

What follows such a node is copied for each entry whose items may ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..diagnostics import Bag
from ..ir.graph import RESTART, Call, Graph, Loop, Node
from ..ir.op import Trait
from ..source import Span
from .entries import copy_from
from .keys import Value, near_hint
from .pipeline_table import PipelineTable
from .shown import shown
from .user_files import UserCode

# The global keys that choose the engine, each with the names of those that run loops.
ENGINES: Mapping[str, tuple[str, ...]] = {
    "entrypoint": ("Restart",),
    "Interpreter::backend": ("EventLoop", "Ring"),
}
_KEYS = ("max_restarts", "restarts")
NO_LOOP = "items go on at another node only with a loop engine and a node that writes 'restart'"


def loop_engine(globals_: Mapping[str, Value]) -> tuple[str, Value] | None:
    """The global key that chooses an engine for loops, if one does."""
    for key, names in ENGINES.items():
        if key in globals_ and set(names) & set(re.findall(r"\w+", str(globals_[key].raw))):
            return key, globals_[key]
    return None


def add_loops(graph: Graph, engine: Value | None, pipeline: PipelineTable, user: UserCode, bag: Bag) -> Graph:
    """The graph with a copy of what items run that start again, for each entry that has such items."""
    for name in pipeline.keys.restarts:
        if name not in graph.nodes:
            message = f"unknown node {shown(name)} in 'restarts'"
            bag.error("TP201", message, pipeline.spans["restarts"], hint=near_hint(name, _written(graph)))
            return graph
    if engine is None:
        return graph
    nodes, loops = dict(graph.nodes), {}
    called = graph.called()
    for root in graph.roots():
        targets = _Targets(graph, pipeline, bag).of(root) if root not in called else {}
        bodies = {}
        for title in targets:
            copies = copy_from(graph, title, f"{root}__again__", user, bag, is_restart=True)
            nodes |= copies
            bodies[title] = next(iter(copies))
        if bodies:
            loops[root] = Loop(bodies, pipeline.keys.max_restarts, engine.key_span)
    return replace(graph.with_nodes(nodes), loops=loops)


def ignored_loop_keys(graph: Graph, pipeline: PipelineTable) -> list[tuple[str, Span, str]]:
    """The keys of ``[pipeline]`` that are about loops, where there are none."""
    return [] if graph.loops else [(k, pipeline.spans[k], NO_LOOP) for k in _KEYS if k in pipeline.spans]


@dataclass
class _Targets:
    """Finds the nodes at which items may go on: what constants name, else what the TOML lists."""

    graph: Graph
    pipeline: PipelineTable
    bag: Bag

    def of(self, root: str) -> dict[str, Call]:
        """The nodes' names, each with a call that writes it."""
        found: dict[str, Call] = {}
        waiting = [root]
        while waiting:
            name = waiting.pop(0)
            for call in self._writers(name):
                self._check_end(name, call)
                fresh = [one for one in self._named(call, root) if one not in found]
                found.update(dict.fromkeys(fresh, call))
                waiting += fresh
        return found

    def _writers(self, root: str) -> Iterable[Call]:
        nodes = (self.graph.nodes[name] for name in self.graph.members(root))
        return [call for node in nodes for call in node.calls if self._writes(call)]

    def _writes(self, call: Call) -> bool:
        return not call.op.has(Trait.INFERENCE) and RESTART in call.op.outputs()

    def _named(self, call: Call, root: str) -> Iterable[str]:
        constant = call.op.texts().get(RESTART)
        if constant is None:
            return self.pipeline.keys.restarts or (self.graph.title(root),)
        known = _written(self.graph)
        if constant in known:
            return (constant,)
        node = self.graph.title(call.node)
        message = f"unknown node {shown(constant)} in '{RESTART}'"
        self.bag.error("TP201", message, call.span, hint=near_hint(constant, known), node=node)
        return ()

    def _check_end(self, root: str, call: Call) -> None:
        leaves = self.graph.titles(self.graph.leaves(root))
        if len(leaves) > 1:
            message = f"items that start again end at several nodes: {', '.join(leaves)}"
            hint = "let the branches join in one node, whose map says what it takes from which"
            self.bag.error("TP222", message, call.span, hint=hint, node=self.graph.title(call.node))


def _written(graph: Graph) -> Mapping[str, Node]:
    return {name: node for name, node in graph.nodes.items() if not node.copy_of}
