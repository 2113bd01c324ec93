"""An explanation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..emit.deployment import cuda_pool_flag
from .explain_batches import BatchFacts
from .explain_cost import cost_lines
from .explain_facts import CallFacts, EntryFacts, Explanation, NodeFacts, PortFacts, StageFacts
from .needs import MIB, Needs


def explanation_text(facts: Explanation) -> str:
    """What `tpgen explain PIPELINE.toml` prints."""
    sections = [
        _title(facts),
        *("\n".join(_entry(entry)) for entry in facts.entries),
        _section("stages", [line for stage in facts.stages for line in _stage(stage)]),
        _section("nodes", [line for node in facts.nodes for line in _node(node)]),
        _section("decisions", [f"- {decision}" for decision in facts.decisions]),
        _section("keys without effect", [f"{key.place}  {key.key}: {key.why}" for key in facts.ignored]),
        _section("cost of an item, estimated", list(cost_lines(facts.cost))),
        _section("needs, about", list(_needs(facts.needs))),
    ]
    return "\n\n".join(section for section in sections if section)


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)]) if lines else ""


def _title(facts: Explanation) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in facts.options.items())
    return f"pipeline {facts.pipeline}  ({facts.file})\n  {chosen}"


def _entry(entry: EntryFacts) -> Iterator[str]:
    at = f" at {entry.root}" if entry.is_added else ""
    yield f"entry {entry.name}{at}, requests of up to {entry.max_batch} items"
    yield from (f"  {line}" for line in _ports("in", entry.inputs))
    yield from (f"  {line}" for line in _ports("out", entry.outputs))


def _ports(side: str, ports: Sequence[PortFacts]) -> Iterator[str]:
    width = max((len(port.key) for port in ports), default=0)
    for port in ports:
        marks = ", optional" * port.optional + ", can be absent" * port.can_be_absent
        tensors = ", ".join(
            f"{tensor.name} {tensor.datatype} [{','.join(map(str, tensor.dims))}]" for tensor in port.tensors
        )
        yield f"{side:<3}  {port.key:<{width}}  {port.type}{marks}; sent as {tensors}"


def _stage(stage: StageFacts) -> Iterator[str]:
    yield f"{stage.name}: {', '.join(stage.nodes)}"
    threads = f"{stage.threads} thread{'s' * (stage.threads > 1)}{' each' * (stage.instances > 1)}"
    instances = f"{stage.instances} instance{'s' * (stage.instances > 1)}"
    where = stage.runs_on or f"{threads} on this machine"
    yield f"  {instances}, {where}; batches of up to {stage.max_batch}"
    if stage.why:
        yield f"  because {stage.why}"
    for branches in stage.parallel:
        yield f"  at the same time: the branches that begin with {', '.join(branches)}"


def _node(node: NodeFacts) -> Iterator[str]:
    arrow = f" -> {', '.join(node.next)}" if node.next else ""
    yield f"{node.name}  ({node.place}){arrow}{f'  {node.within}' if node.within else ''}"
    if node.map:
        yield f"  map: {', '.join(f'{key} from {source}' for key, source in node.map.items())}"
    for status, nodes in node.passes_by.items():
        yield f"  {status}: passes by {', '.join(nodes)}"
    if node.on_error:
        yield f"  on_error: {node.on_error}"
    if node.batches is not None:
        yield from (f"  {line}" for line in _batches(node.name, node.batches))
    for call in node.calls:
        yield from (f"  {line}" for line in _call(call))


def _batches(node: str, facts: BatchFacts) -> Iterator[str]:
    """How batches are cut, where calls are of other sizes than 1 to the node's largest batch."""
    taken = [(one.min_batch, one.max_batch) for one in facts.calls]
    if taken != [(1, facts.max_batch)]:
        several = len({one.model for one in facts.calls}) > 1
        calls = ", ".join(
            f"{_span(one.min_batch, one.max_batch)}{f' ({one.model})' if several else ''}"
            for one in facts.calls
        )
        yield f"batches of {_span(facts.min_batch, facts.max_batch)}, in calls of {calls}"
        if all(low > 1 for low, _ in taken):
            waste = "tpgen_node_padding_rows_total / tpgen_node_model_rows_total"
            yield f'  smaller ones are filled up: {waste}{{node="{node}"}} is the waste'
    groups = {profile.group for profile in facts.profiles}
    for number, profile in enumerate(facts.profiles, 1):
        of_group = f" of group {profile.group}" if len(groups) > 1 else ""
        yield f"profile {number}{of_group}: {profile.low} to {profile.high}"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


_USUAL_FILTERS = ("Run", "swap", "map")


def _call(call: CallFacts) -> Iterator[str]:
    keys = ", ".join(f"{key}={_value(value)}" for key, value in call.keys.items())
    way = f"{call.way}: " if call.way else ""
    yield f"{way}{call.operator}{f'({keys})' if keys else ''}: {_keys(call.reads)} -> {_keys(call.writes)}"
    if call.filter not in _USUAL_FILTERS:
        yield f"    filter {call.filter}: {call.condition}"
    if call.became:
        yield f"    {call.became}"
    if call.padding:
        yield f"    {call.padding}"
    if call.note:
        yield f"    note: {call.note}"


def _keys(types: dict[str, str]) -> str:
    return ", ".join(f"{key} {type_}" for key, type_ in types.items()) or "nothing"


def _value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value)


def _needs(needs: Needs) -> Iterator[str]:
    yield f"{needs.processes} process{'es' * (needs.processes > 1)} (tritonserver, and one for each instance)"
    yield f"{_size(needs.memory)} of memory"
    given = f", with {needs.assumes}" if needs.assumes else ""
    yield f"{_size(needs.shared_memory)} of shared memory{given}; in a container: --shm-size={needs.shm_size}"
    if needs.cuda_pool:
        flag = cuda_pool_flag(needs.cuda_pool)
        yield f"{_size(needs.cuda_pool)} of each GPU for what stages hand on there: {flag}"


def _size(size: int) -> str:
    return f"{size / MIB:.0f} MiB" if size < 1024 * MIB else f"{size / (1024 * MIB):.1f} GiB"
