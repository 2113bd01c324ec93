"""Decides the stages: which nodes become one Triton model, and what crosses between them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ..ir.filters import DATA, RESULT, SWAP
from ..ir.graph import DALI, PYTHON, Entry, Graph, Port, Stage, companion_of
from ..ir.op import Trait
from ..types import State, crosses_wire
from . import device, native, serving, steps
from .base import Context
from .liveness import live_before_nodes
from .looks import decisions
from .remote import called_models, native_instances


@dataclass(frozen=True)
class Place:
    """One stage for the whole pipeline, or (``--fuse none``) one per node.

    Values that cannot cross the wire keep the nodes on both sides of them in one stage.
    """

    name: str = "place"

    def run(self, graph: Graph, context: Context) -> Graph:
        stages: dict[str, Stage] = {}
        for name in [entry.name for entry in graph.entries]:
            graph, found = _placed(graph, name, context)
            found = device.put_on_gpu(graph, name, found, stages.values(), context)
            for stage in found:
                known = stages.get(stage.name)  # a model that several entries call
                if known is None:
                    stages[stage.name] = stage
                elif (known.inputs, known.outputs) == (stage.inputs, stage.outputs):
                    runs = tuple(dict.fromkeys((*known.runs, *stage.runs)))
                    stages[stage.name] = replace(known, runs=runs)
        context.decisions.extend(decisions(graph))
        return replace(graph, stages=tuple(serving.assign(graph, list(stages.values()), context)))


@dataclass(frozen=True)
class _Group:
    """Nodes that become one stage. ``is_model``: one node, whose model is a step of an ensemble."""

    nodes: list[str]
    why: str
    is_model: bool = False
    backend: str = PYTHON


def _placed(graph: Graph, name: str, context: Context) -> tuple[Graph, list[Stage]]:
    """The stages of an entry; the graph has changed where models became nodes of their own."""
    (entry,) = (one for one in graph.entries if one.name == name)
    together = _reason_for_one(graph, entry)
    is_native = native.is_native(context.options)
    if is_native and together is None:
        found = steps.split(graph, entry, context)
        groups = steps.groups_of(*found)
        together = steps.reason_against(*found) or _reason_at_borders(*found, groups)
        if together is None:
            serving.report_gone(graph, found[0], context)
            return found[0], _stages_of(*found, context, _as_steps(found[0], groups, context))
    if is_native and context.options.preprocess == DALI:
        context.bag.error(
            "TP914",
            f"DALI only prepares what goes into a model of fixed size in a straight pipeline: {together}",
            graph.nodes[entry.root].span,
            hint='preprocess = "opencv" prepares the images in a Python stage',
            node=graph.title(entry.root),
        )
    members = graph.members(entry.root)
    if together is not None:
        stages = _stages_of(graph, entry, context, [_Group([*members], together)])
        calls_models = is_native or context.options.fuse == "none"
        return graph, [*stages, *(called_models(graph, entry, context) if calls_models else [])]
    if context.options.fuse == "none":
        return graph, _stages_of(graph, entry, context, _one_per_node(graph, entry))
    why = "one process runs it all: no tensor is copied between nodes"
    return graph, _stages_of(graph, entry, context, [_Group([*members], why)])


def _as_steps(graph: Graph, groups: list[list[str]], context: Context) -> list[_Group]:
    """The steps of an ensemble; with ``preprocess = "dali"`` what stands before the first model is DALI's."""
    found = []
    for index, nodes in enumerate(groups):
        if steps.is_model(graph, nodes[0]):
            found.append(_Group(nodes, "the model has a backend of its own", is_model=True))
        elif index == 0 and len(groups) > 1 and context.options.preprocess == DALI:
            found.append(_Group(nodes, 'preprocess = "dali" was asked for', backend=DALI))
        else:
            found.append(_Group(nodes, "one process runs what stands between models"))
    return found


def _reason_at_borders(graph: Graph, entry: Entry, groups: list[list[str]]) -> str | None:
    """Why two steps have to be one model, if any two have to."""
    live = live_before_nodes(graph, entry)
    reasons = (_reason_to_stay(graph, group[0], live[group[0]]) for group in groups[1:])
    return next((reason for reason in reasons if reason is not None), None)


def _stages_of(graph: Graph, entry: Entry, context: Context, groups: list[_Group]) -> list[Stage]:
    live = live_before_nodes(graph, entry)
    for group in groups:
        of_entry = f" of {entry.name}" if entry.is_added else ""
        context.decisions.append(f"stage {', '.join(graph.titles(group.nodes))}{of_entry}: {group.why}")
    loop = graph.loops.get(entry.root)
    if loop is not None:
        at = ", ".join(loop.bodies)
        message = f"items of {entry.name} that end with 'restart' go on at: {at}; at most {loop.most} times"
        context.decisions.append(message)
    # What stands ready for the next stage, as the port of the stage (or the client) that it comes from.
    ready = {port.key: port for port in entry.inputs}
    answered = {port.key: port for port in entry.outputs}
    all_touched = [_touched(graph, group.nodes) for group in groups]
    unread = _unread(entry, all_touched)
    stages = []
    for index, (group, touched) in enumerate(zip(groups, all_touched, strict=True)):
        nodes = group.nodes
        following = groups[index + 1].nodes if index + 1 < len(groups) else None
        takes_over = index > 0 and graph.nodes[nodes[0]].calls[0].filter == SWAP
        needed = touched.needed(answered) if index else touched.needed(answered) | unread
        inputs = _inputs(ready, needed, takes_over=takes_over) if len(groups) > 1 else entry.inputs
        if following is None:
            outputs = [port for port in entry.outputs if port.key in touched.changed or len(groups) == 1]
        else:
            outputs = _outputs(graph, nodes[-1], ready, touched.changed & live[following[0]])
        for key in touched.changed:
            ready.pop(key, None)
        ready.update({port.key: port for port in outputs})
        if group.is_model:
            stages.append(_step(graph, entry, group, context))
            continue
        stages.append(
            Stage(
                entry.name if len(groups) == 1 else f"{graph.name}__{nodes[0]}",
                entry.name,
                tuple(nodes),
                inputs,
                tuple(outputs),
                max_batch=entry.max_batch,
                instances=_instances(graph, nodes, context, is_part=len(groups) > 1),
                takes_over=takes_over,
                why=group.why,
                backend=group.backend,
                on_gpu=group.backend != PYTHON,
            )
        )
    return stages


def _step(graph: Graph, entry: Entry, group: _Group, context: Context) -> Stage:
    """A model on one of Triton's own backends as a step of an ensemble."""
    (name,) = group.nodes
    (call,) = graph.nodes[name].calls
    inputs, outputs = native.ports_of(graph, call)
    reads, writes = steps.wires(call)
    return Stage(
        f"{graph.name}__{name}",
        entry.name,
        (name,),
        inputs,
        outputs,
        max_batch=graph.nodes[name].settings.max_batch,
        instances=native_instances(graph, name, context),
        why=group.why,
        runs=(call.label,),
        backend=native.backend_of(graph.nodes[name], call, context.options),
        on_gpu=native.is_on_gpu(graph.nodes[name], context.options),
        reads=reads,
        writes=writes,
    )


def _reason_for_one(graph: Graph, entry: Entry) -> str | None:
    """Why an entry has to be one model, if it has to: only a chain can be taken apart."""
    if entry.root in graph.loops:
        return "its items may start again"
    if not graph.is_straight(entry.root):
        return "branches share the keys of one item"
    for name in graph.members(entry.root):
        for call in graph.nodes[name].calls:
            if call.jump is not None:
                title, jump = graph.title(name), graph.title(call.jump)
                return f"'{title}' runs the sub-graph '{jump}' on elements of all requests together"
            if any(otherwise.skips_nodes for otherwise in call.filter.outcomes):
                return f"items may pass by '{graph.title(name)}' and nodes behind it"
    return None


def _one_per_node(graph: Graph, entry: Entry) -> list[_Group]:
    live = live_before_nodes(graph, entry)
    groups: list[_Group] = []
    for name in graph.members(entry.root):
        reason = _reason_to_stay(graph, name, live[name]) if groups else None
        if reason is not None:
            groups[-1] = _Group([*groups[-1].nodes, name], reason)
        else:
            groups.append(_Group([name], "one model per node was asked for"))
    return groups


def _reason_to_stay(graph: Graph, name: str, live: frozenset[str]) -> str | None:
    """Why a node has to be in one model with the node before it, if it has to."""
    assert graph.types is not None
    for key in sorted(live):
        type_ = _state(graph, name, key).type
        if type_ is not None and not crosses_wire(type_):
            return f"'{key}' cannot cross between models: {type_}"
        if (other := companion_of(key, live)) is not None:
            return f"'{key}' has the name of a tensor that travels with '{other}'"
    if any(before in graph.types.ends_with_result for before in graph.predecessors()[name]):
        return f"items may have ended before '{graph.title(name)}' although they have a result"
    if graph.nodes[name].on_error is not None:
        return (
            f"items that '{graph.title(name)}' fails on go on as they came, which another model does not know"
        )
    if graph.nodes[name].calls[0].filter != SWAP:
        return f"'{graph.title(name)}' also takes items that failed before it, which never leave a model"
    return None


def _state(graph: Graph, name: str, key: str) -> State:
    assert graph.types is not None
    return graph.types.entering[name].get(key, State(None, present=False))


@dataclass(frozen=True)
class _Touched:
    """The keys that nodes read before they write them, and those that they write or take away."""

    read: frozenset[str]
    changed: frozenset[str]

    def needed(self, answered: Collection[str]) -> frozenset[str]:
        """What the nodes read; and what they change of the answer, for items that end before they do."""
        return self.read | (self.changed & frozenset(answered) - {RESULT})


def _touched(graph: Graph, nodes: list[str]) -> _Touched:
    read: set[str] = set()
    changed: set[str] = set()
    sure: set[str] = set()  # what every item that gets further has from here
    for name in nodes:
        for call in graph.nodes[name].calls:
            is_sure = not call.arms and not call.filter.can_skip
            read |= call.filter.keys - sure
            moved = {target for _, target in call.filter.certain_moves}
            read |= {*call.op.inputs(), *([call.fork] if call.fork is not None else ())} - sure - moved
            written = {*call.op.outputs(), *call.op.deletes()}
            sure |= written | moved if is_sure else set()
            changed |= call.filter.changes | written
    return _Touched(frozenset(read), frozenset(changed))


def _unread(entry: Entry, touched: Iterable[_Touched]) -> frozenset[str]:
    """What clients send and no stage reads any more; a Triton model may not leave out an input."""
    unread = standing = frozenset(port.key for port in entry.inputs)
    answered = frozenset(port.key for port in entry.outputs)
    for one in touched:
        unread -= one.needed(answered) & standing
        standing -= one.changed
    return unread


def _inputs(ready: Mapping[str, Port], needed: Collection[str], *, takes_over: bool) -> tuple[Port, ...]:
    """The ports of the needed keys. Failed items never cross, so a key can only be absent quietly."""
    ports = (port for key, port in ready.items() if key in needed)
    return tuple(
        replace(
            port,
            key=DATA if takes_over and port.key == RESULT else port.key,
            state=replace(port.state, failed=False),
        )
        for port in ports
    )


def _outputs(graph: Graph, last: str, ready: Mapping[str, Port], wanted: Collection[str]) -> list[Port]:
    """The keys behind the last node. An item that ended quietly before may have none of them.

    A key that was taken away is left to the items that ended before that.
    """
    assert graph.types is not None
    ended = last in graph.types.ends_quietly
    ports = []
    for key in sorted(wanted):
        state = graph.types.leaving[last].get(key)
        if state is not None and state.present:
            ports.append(Port(key, replace(state, quiet=state.quiet or ended, failed=False)))
        elif key in ready:
            ports.append(Port(key, replace(ready[key].state, quiet=True, failed=False)))
    return ports


def _instances(graph: Graph, nodes: list[str], context: Context, *, is_part: bool) -> int:
    """One process per core, or what the TOML says.

    A part of an entry that only hands on what it gets can't hold up the others: one process will do, with
    its memory.
    """
    if context.options.instances == "as-written":
        return max(graph.nodes[name].settings.instance_num for name in nodes)
    calls = [call for name in nodes for call in graph.nodes[name].calls]
    is_light = is_part and all(call.op.has(Trait.FORWARDS) for call in calls)
    return 1 if is_light else context.options.cores
