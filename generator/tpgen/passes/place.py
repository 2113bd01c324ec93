"""Decides the stages: which nodes become one Triton model, and what crosses between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.graph import DATA, RESULT, SWAP, Entry, Graph, Port, Stage
from ..types import State, crosses_wire
from .base import Context
from .liveness import live_before_nodes


@dataclass(frozen=True)
class Place:
    """One stage for the whole pipeline, or (``--fuse none``) one per node.

    Values that cannot cross the wire keep the nodes on both sides of them in one stage.
    """

    name: str = "place"

    def run(self, graph: Graph, context: Context) -> Graph:
        stages = [stage for entry in graph.entries for stage in _stages_of(graph, entry, context)]
        return replace(graph, stages=tuple(stages))


def _stages_of(graph: Graph, entry: Entry, context: Context) -> list[Stage]:
    members = graph.component(entry.root)
    live = live_before_nodes(graph, entry)
    if context.options.fuse == "none":
        groups, reasons = _one_per_node(graph, members, live)
    else:
        groups, reasons = [list(members)], ["one process runs it all: no tensor is copied between nodes"]
    for group, reason in zip(groups, reasons, strict=True):
        context.decisions.append(f"stage {', '.join(group)}: {reason}")
    return [
        _stage(graph, entry, index, groups, live, reason, context) for index, reason in enumerate(reasons)
    ]


def _one_per_node(
    graph: Graph, members: tuple[str, ...], live: dict[str, frozenset[str]]
) -> tuple[list[list[str]], list[str]]:
    groups: list[list[str]] = []
    reasons: list[str] = []
    for name in members:
        reason = _reason_to_stay(graph, name, live[name]) if groups else None
        if reason is not None:
            groups[-1].append(name)
            reasons[-1] = reason
        else:
            groups.append([name])
            reasons.append("one model per node was asked for")
    return groups, reasons


def _reason_to_stay(graph: Graph, name: str, live: frozenset[str]) -> str | None:
    """Why a node has to be in one model with the node before it, if it has to."""
    for key in sorted(live):
        type_ = _state(graph, name, key).type
        if type_ is not None and not crosses_wire(type_):
            return f"'{key}' cannot cross between models: {type_}"
    if graph.nodes[name].calls[0].filter != SWAP:
        return f"'{name}' also takes items that failed before it, which never leave a model"
    return None


def _state(graph: Graph, name: str, key: str) -> State:
    assert graph.types is not None
    return graph.types.entering[name].get(key, State(None, present=False))


def _stage(
    graph: Graph,
    entry: Entry,
    index: int,
    groups: list[list[str]],
    live: dict[str, frozenset[str]],
    why: str,
    context: Context,
) -> Stage:
    nodes = groups[index]
    last = index == len(groups) - 1
    read, written = _reads_and_writes(graph, nodes)
    answered = {port.key: port for port in entry.outputs}
    needed = frozenset(answered) if last else live[groups[index + 1][0]]
    takes_over = index > 0 and graph.nodes[nodes[0]].calls[0].filter == SWAP
    inputs = (
        _first_inputs(entry, read)
        if index == 0
        else tuple(
            _crossing(key, _arriving(graph, groups[index - 1][-1], key), takes_over)
            for key in sorted(read | (written & set(answered) - {RESULT}))
            if _arriving(graph, groups[index - 1][-1], key).present
        )
    )
    leaving = _leaving(graph, nodes[-1])
    outputs = tuple(
        answered[key] if last else Port(key, leaving[key])
        for key in (answered if last else sorted(needed))
        if key in written and key in leaving
    )
    return Stage(
        entry.name if len(groups) == 1 else f"{graph.name}__{nodes[0]}",
        entry.name,
        tuple(nodes),
        inputs,
        outputs,
        max_batch=entry.max_batch,
        instances=_instances(graph, nodes, context),
        takes_over=takes_over,
        why=why,
    )


def _first_inputs(entry: Entry, read: set[str]) -> tuple[Port, ...]:
    """What the first stage reads; all there is if it reads nothing, as a Triton model needs an input."""
    return tuple(port for port in entry.inputs if port.key in read) or entry.inputs


def _arriving(graph: Graph, previous: str, key: str) -> State:
    return _leaving(graph, previous).get(key, State(None, present=False))


def _crossing(key: str, state: State, takes_over: bool) -> Port:
    """A stage input. Failed items never cross (their request has failed), so only quiet absence does."""
    crossing = replace(state, failed=False)
    return Port(DATA if takes_over and key == RESULT else key, crossing)


def _leaving(graph: Graph, name: str) -> dict[str, State]:
    """What can cross behind a node. An item that ended quietly before has none of the keys."""
    assert graph.types is not None
    ended = name in graph.types.ends_quietly
    return {
        key: replace(state, quiet=state.quiet or ended, failed=False)
        for key, state in graph.types.leaving[name].items()
        if state.present
    }


def _reads_and_writes(graph: Graph, nodes: list[str]) -> tuple[set[str], set[str]]:
    """The keys that these nodes read before they write them, and those that they write."""
    read: set[str] = set()
    written: set[str] = set()
    for name in nodes:
        for call in graph.nodes[name].calls:
            if call.filter == SWAP:
                read |= {RESULT} - written
                written.add(DATA)
            read |= set(call.op.inputs()) - written
            written |= set(call.op.outputs())
    return read, written


def _instances(graph: Graph, nodes: list[str], context: Context) -> int:
    """One process per core, or what the TOML says."""
    if context.options.instances == "as-written":
        return max(graph.nodes[name].settings.instance_num for name in nodes)
    return context.options.cores
