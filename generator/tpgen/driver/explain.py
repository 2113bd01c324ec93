"""Gathers what the compiler made of a pipeline: for `tpgen explain` and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..emit.tracks import Tracks
from ..emit.wire_form import wire_tensors
from ..ir.graph import DALI, Call, Entry, Graph, Node, Port, Stage
from ..ir.op import Trait, attributes_of
from ..ir.rewrite import ModelRewrite
from ..passes.device import LOWERINGS, device_work
from ..passes.serving import asked_in_vain
from ..source import Span, load_toml
from ..types import ABSENT, State
from .compile import Compiled
from .dimensions import DimensionNames
from .explain_batches import batches_of, padding_of
from .explain_cost import cost_facts
from .explain_facts import (
    CallFacts,
    EntryFacts,
    Explanation,
    IgnoredKey,
    NodeFacts,
    PortFacts,
    StageFacts,
    TensorFacts,
)
from .needs import needs_of
from .options import usable_cores
from .precision import BUILDER_KEYS, builder_keys_in_vain
from .spelling import written_name


def explain(compiled: Compiled) -> Explanation:
    """Describe a compiled pipeline."""
    options = compiled.options
    graph = compiled.graph
    names = DimensionNames()
    return Explanation(
        graph.name,
        compiled.source.path,
        {
            "target": options.target,
            "runtime": options.runtime,
            "fuse": options.fuse,
            "cores": options.cores,
            "batching": options.batching,
            "instances": options.instances,
        },
        tuple(_entry(graph, entry, names) for entry in compiled.reference.entries),
        tuple(_stage(stage, compiled) for stage in graph.stages),
        tuple(_node(node, compiled, names) for node in compiled.reference.nodes.values()),
        compiled.decisions,
        tuple(_ignored(compiled)),
        needs_of(graph, model_sizes(compiled)),
        cost_facts(compiled),
    )


def model_sizes(compiled: Compiled) -> dict[str, int]:
    """The bytes of the model files of each call that has some."""
    return {label: sum(file.size for file in files) for label, files in compiled.models.items()}


def _entry(graph: Graph, entry: Entry, names: DimensionNames) -> EntryFacts:
    ports = _ports(entry.inputs, names), _ports(entry.outputs, names)
    return EntryFacts(entry.name, graph.title(entry.root), entry.is_added, entry.max_batch, *ports)


def _stage(stage: Stage, compiled: Compiled) -> StageFacts:
    threads = max(1, usable_cores() // stage.instances)
    names = DimensionNames()  # passes have inferred the types of stages anew
    return StageFacts(
        stage.name,
        compiled.graph.titles(stage.nodes),
        1 if stage.backend == DALI else stage.instances,
        stage.instances if stage.backend == DALI else threads,
        stage.max_batch,
        f"{stage.why}; it only hands data on, so a single instance does"
        if _is_light(stage, compiled)
        else stage.why,
        _ports(stage.inputs, names),
        _ports(stage.outputs, names),
        _runs_on(stage),
        tuple(_parallel(stage, compiled.graph)),
    )


def _runs_on(stage: Stage) -> str:
    if stage.is_python:
        return "torch on each GPU" if stage.on_gpu else ""
    place = f"backend {stage.backend} {'on each GPU' if stage.on_gpu else 'on the CPU'}"
    if stage.backend != DALI:
        return place
    return f"{place}, with {stage.instances} thread{'s' * (stage.instances > 1)} on the CPU"


def _parallel(stage: Stage, graph: Graph) -> Iterator[tuple[str, ...]]:
    """The branches of a stage that run at the same time, sub-graphs included."""
    inside = {name: name for name in stage.nodes}
    roots = [name for name in inside if not any(one in inside for one in graph.predecessors()[name])]
    for root in roots if stage.is_python and not stage.runs else ():
        names = [name for name in graph.component(root) if name in inside]
        tracks = Tracks.of(graph, names, inside, graph.called_models())
        for branches in tracks.parallel if tracks else ():
            yield graph.titles(branches)


def _ports(ports: Sequence[Port], names: DimensionNames) -> tuple[PortFacts, ...]:
    return tuple(
        PortFacts(
            port.key,
            names.shown(port.type),
            port.optional,
            port.state.quiet,
            tuple(
                TensorFacts(tensor.name, tensor.dtype.triton, tensor.dims) for tensor in wire_tensors(port)
            ),
        )
        for port in ports
    )


def _node(node: Node, compiled: Compiled, names: DimensionNames) -> NodeFacts:
    graph = compiled.reference
    left = {call.label: call for _, call in compiled.graph.calls()}
    away = _away(compiled.graph)
    calls = tuple(
        _call(call, left.get(call.label), graph, node, names, away.get(call.label)) for call in node.calls
    )
    first = node.calls[0].filter
    return NodeFacts(
        node.title,
        node.location,
        graph.titles(node.next),
        calls,
        {one.target: f"{graph.title(one.node)}.{one.source}" for one in node.map},
        _recovery(node),
        {
            one.value: graph.titles(graph.passed_by(node.name, one))
            for one in sorted(first.outcomes, key=lambda one: one.value)
            if one.skips_nodes
        },
        _within(node, graph),
        batches_of(node),
    )


def _within(node: Node, graph: Graph) -> str:
    """Where a copy of a node runs, "" for one of the TOML."""
    if not node.copy_of:
        return ""
    entry = next(one.name for one in graph.entries if node.name in graph.members(one.root))
    return f"behind 'restart' in entry {entry}" if node.name in graph.again else f"in entry {entry}"


def _recovery(node: Node) -> str:
    if node.on_error is None:
        return ""
    kept = "items that fail go on as they came"
    return f"{kept}, with the result {node.on_error.default!r}" if node.on_error.has_default else kept


def _away(graph: Graph) -> dict[str, str]:
    """What to say of calls that DALI or torch computes, by label; an operator's note is of the CPU."""
    found: dict[str, str] = {}
    for stage in graph.stages:
        calls = [call for name in stage.nodes for call in graph.nodes[name].calls]
        if stage.backend == DALI:
            found |= {call.label: _BY_DALI for call in calls}
        elif (work := device_work(graph, stage)) is not None:
            of_torch = [call for call in calls if call.label in work.on_device]
            found |= {call.label: _on_torch(LOWERINGS[call.op.kernel].tolerance) for call in of_torch}
    return found


_BY_DALI = "computed by DALI on the GPU; TP915, at build, says how far it may be from what the CPU computes"


def _on_torch(tolerance: float) -> str:
    limit = f", within {tolerance:g} grey levels of what the CPU computes" if tolerance else ""
    return f"computed by torch on the GPU{limit}"


def _call(
    call: Call, left: Call | None, graph: Graph, node: Node, names: DimensionNames, away: str | None
) -> CallFacts:
    """Facts of a call of the plain graph; ``left`` is what is left of it in the optimised one.

    ``away`` is said in place of the operator's note, which is of the CPU.
    """
    assert graph.types is not None, "compiled graphs are typed"
    before = graph.types.before.get(call.label, {})
    after = _states_after(call, graph, node)
    keys = {
        attribute.key: getattr(call.op, attribute.name)
        for attribute in attributes_of(type(call.op))
        if attribute.declared.from_toml and getattr(call.op, attribute.name) != attribute.default
    }
    if call.jump is not None:
        keys["jump"] = graph.title(call.jump)
    return CallFacts(
        written_name(call),
        str(call.filter),
        call.filter.meaning,
        keys,
        {key: _typed(before[key], names) for key in call.op.inputs() if key in before},
        {key: _typed(after[key], names) for key in call.op.outputs() if key in after},
        _fate(call, left),
        (away or call.op.note.rstrip(".")) if call.op.note else "",
        _way(call, node),
        padding_of(call, node),
    )


def _way(call: Call, node: Node) -> str:
    """Which items take the way that a call stands on: those with a key, or without."""
    keys = {one.label: one.fork for one in node.calls if one.fork is not None}
    return " ".join(f"{'with' if side else 'without'} '{keys[fork]}'" for fork, side in call.arms)


def _typed(state: State, names: DimensionNames) -> str:
    shown = names.shown(state.type) if state.type is not None else "nothing"
    return f"{shown}{', can be absent' if state.quiet else ''}"


def _states_after(call: Call, graph: Graph, node: Node) -> dict[str, State]:
    """The keys behind a call: before the next one, its filter undone, or behind the node."""
    assert graph.types is not None, "compiled graphs are typed"
    labels = [other.label for other in node.calls]
    position = node.following(labels.index(call.label))
    if position == len(labels):
        return dict(graph.types.leaving[node.name])
    states = dict(graph.types.before.get(labels[position], {}))
    for source, target in node.calls[position].filter.certain_moves:
        states[source] = states.get(target, ABSENT)
    return states


def _fate(call: Call, left: Call | None) -> str:
    """What the passes made of a call."""
    if left is None:
        return (
            "nothing to do" if call.op.has(Trait.FORWARDS) else "done by other operators; see the decisions"
        )
    if type(left.op) is not type(call.op):
        return f"runs as {left.op.name}"
    parts = []
    moved = [
        attribute.key
        for attribute in attributes_of(type(call.op))
        if attribute.declared.from_toml
        and getattr(left.op, attribute.name) != getattr(call.op, attribute.name)
    ]
    if moved:
        parts.append(f"{' and '.join(moved)} done elsewhere")
    if left.op.has(Trait.REDUCES) and left.op != call.op:
        parts.append("partly done in the model's graph; see the decisions")
    if left.rewrite is not None and not left.rewrite.is_empty:
        parts.append(f"its model is rewritten: {', '.join(_steps(left.rewrite))}")
    return "; ".join(parts)


def _steps(rewrite: ModelRewrite) -> Iterator[str]:
    if rewrite.input_dtype:
        yield f"takes {rewrite.input_dtype}"
    if rewrite.layout:
        yield f"takes {rewrite.layout}"
    if rewrite.channel_reverse:
        yield "reverses the channels"
    if rewrite.mean:
        yield "subtracts the mean"
    if rewrite.scale:
        yield "scales"
    if rewrite.tails:
        yield f"answers '{rewrite.tails[-1].name}'"


def _ignored(compiled: Compiled) -> Iterator[IgnoredKey]:
    options = compiled.options
    written = compiled.loaded.ignored
    if options.target == "gpu":
        found = [one for one in written if one[0] not in BUILDER_KEYS]
        found += builder_keys_in_vain(compiled.graph, written)
    else:
        found = list(written)
    found += asked_in_vain(compiled.graph)
    yield from (IgnoredKey(key, _place(span), why) for key, span, why in dict.fromkeys(found))
    yield from _overruled(compiled)


def _overruled(compiled: Compiled) -> Iterator[IgnoredKey]:
    """Scheduling keys that a default of this build stands above."""
    reasons = {}
    if compiled.options.batching == "adaptive":
        reasons["batching_timeout"] = (
            'batching is adaptive: nobody waits for a batch to fill; [pipeline] batching = "timed" keeps it'
        )
    if compiled.options.instances == "auto":
        reasons["instance_num"] = _INSTANCES
    special: dict[str, str] = {}
    for stage in compiled.graph.stages:
        if _is_light(stage, compiled) or not stage.is_python:
            why = _LIGHT if stage.is_python else _ON_GPU if stage.on_gpu else _ON_CPU
            special |= dict.fromkeys(compiled.graph.titles(stage.nodes), why)
    for path, place in load_toml(compiled.source).spans.items():
        is_node = len(path) == 2 and path[0] in compiled.graph.nodes
        if (len(path) == 1 or is_node) and path[-1] in reasons:
            own = special.get(path[0]) if path[-1] == "instance_num" else None
            yield IgnoredKey(path[-1], _place(place.key), own or reasons[path[-1]])


_AS_WRITTEN = '[pipeline] instances = "as-written" keeps the number'
_INSTANCES = f"a stage has an instance per core, one that only hands data on has a single one; {_AS_WRITTEN}"
_ON_GPU = f"the model has one on each GPU, as larger batches fill it better; {_AS_WRITTEN}"
_ON_CPU = f"the model has an instance per core; {_AS_WRITTEN}"
_LIGHT = f"the stage only hands data on, and has a single instance; {_AS_WRITTEN}"


def _is_light(stage: Stage, compiled: Compiled) -> bool:
    """True for a stage that the compiler gave a single instance where others have one per core."""
    options = compiled.options
    return options.instances == "auto" and stage.instances == 1 < options.cores and stage.is_python


def _place(span: Span) -> str:
    return f"{Path(span.file.path).name}:{span.line}:{span.column}"
