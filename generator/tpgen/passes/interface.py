"""The entry's interface, a function of the TOML alone (design: the same for every target and fuse level)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from ..diagnostics import did_you_mean
from ..ir.filters import DATA, RESULT, SWAP
from ..ir.graph import RESTART, Entry, Graph, Node, Port, companion_of
from ..ir.op import Trait
from ..types import Layout, Opaque, State, TupleOf, crosses_wire, turned
from .base import Context, DeclaredPort
from .binding import CONTEXT, Binder

DEFAULT_MAX_BATCH = 8


@dataclass(frozen=True)
class BindInputs:
    """Finds the entries and their inputs: the keys that may be read before they are written.

    Also binds each model to the keys its inputs come from.
    """

    name: str = "inputs"

    def run(self, graph: Graph, context: Context) -> Graph:
        binder = Binder(graph, context)
        inner = {*graph.called(), *graph.bodies()}
        roots = [root for root in graph.roots() if root not in inner]
        is_only_one = len(set(roots) - set(graph.added)) == 1
        entries = []
        for root in roots:
            inputs = binder.entry(root)
            title = graph.title(root)
            if not inputs:
                context.bag.error(
                    "TP207",
                    f"'{title}' and what follows read nothing that a client could send",
                    graph.nodes[root].span,
                    hint="begin with an operator that reads 'data', such as Identity",
                    node=title,
                )
            is_added = root in graph.added
            name = graph.name if is_only_one and not is_added else f"{graph.name}.{title}"
            members = [graph.nodes[name] for name in graph.component(root)]
            batch = _entry_batch(members, context)
            entries.append(Entry(name, root, inputs, max_batch=batch, is_added=is_added))
        _report_unread(graph, entries, context)
        bound = replace(graph.with_nodes(binder.nodes), entries=tuple(entries))
        for entry in entries:
            _report_lost(bound, entry, context)
        return bound


def _entry_batch(members: list[Node], context: Context) -> int:
    if context.options.max_batch:
        return context.options.max_batch
    sizes = [
        node.settings.max_batch
        for node in members
        if any(call.op.has(Trait.INFERENCE) for call in node.calls)
    ]
    return max(sizes, default=DEFAULT_MAX_BATCH)


def _report_unread(graph: Graph, entries: list[Entry], context: Context) -> None:
    """Report declared inputs that no entry has: of all entries, then of a single one."""
    reads = {graph.title(entry.root): {port.key for port in entry.inputs} for entry in entries}
    _report_missing(context.options.inputs, set().union(*reads.values()), "", context, reads)
    for title, declared in context.options.entry_inputs.items():
        if title in reads:
            _report_missing(declared, reads[title], f"{title}.", context)
            continue
        span = next(iter(declared.values())).span
        near = did_you_mean(title, reads)
        hint = f"did you mean '{near}'?" if near else f"entries here: {', '.join(reads)}"
        context.bag.error("TP209", f"inputs of '{title}' are declared, which is no entry", span, hint=hint)


def _report_missing(
    given: Mapping[str, DeclaredPort],
    read: set[str],
    prefix: str,
    context: Context,
    titles: Collection[str] = (),
) -> None:
    """Report declared inputs that are not read; ``titles`` are nodes that could have inputs of their own."""
    for key, declared in given.items():
        node, _, inner = key.rpartition(".")
        if key not in read and node in titles:
            context.bag.error(
                "TP209",
                f"input '{key}' is declared in quotes, as one key: no node reads a key of this name",
                declared.span,
                hint=f"write it without quotes: {key}" if "." not in node else f'write "{node}".{inner}',
            )
        elif key not in read:
            near = did_you_mean(key, sorted(read))
            context.bag.error(
                "TP209",
                f"input '{prefix}{key}' is declared, but no node reads it before it is written",
                declared.span,
                hint=f"did you mean '{near}'?" if near else f"inputs here: {', '.join(sorted(read))}",
            )


def _report_lost(graph: Graph, entry: Entry, context: Context) -> None:
    """Refuse a model's output named ``data`` where nothing can see it.

    The next operator's ``data`` is the tuple of all outputs, and no answer has ``data`` by itself.
    """
    calls = [call for name in graph.members(entry.root) for call in graph.nodes[name].calls]
    mapped = {one.node for node in graph.nodes.values() for one in node.map if one.source == DATA}
    for call, following in zip_longest(calls, calls[1:]):
        if not call.op.has(Trait.INFERENCE) or DATA not in call.op.outputs() or call.node in mapped:
            continue
        is_seen = following.filter != SWAP if following else DATA in context.options.outputs
        if not is_seen:
            context.bag.error(
                "TP409",
                f"the model's output '{DATA}' is lost: '{DATA}' is the key of what operators read",
                call.spans.get("model", call.span),
                hint="rename it in the model; tpgen explain TP409 shows how",
                node=graph.title(call.node),
            )


@dataclass(frozen=True)
class BindOutputs:
    """Finds the entries' outputs: ``[pipeline] outputs``, else ``result`` and what the leaf declares."""

    name: str = "outputs"

    def run(self, graph: Graph, context: Context) -> Graph:
        assert graph.types is not None
        entries = []
        for entry in graph.entries:
            leaves = [graph.nodes[name] for name in graph.leaves(entry.root)]
            final: dict[str, State] = {}
            defaults: list[str] = []
            has_loop = entry.root in graph.loops
            for leaf in leaves:
                prefix = f"{leaf.title}." if len(leaves) > 1 else ""
                states = _final_states(graph, entry, leaf, prefix)
                final |= {prefix + key: state for key, state in states.items()}
                defaults += [prefix + key for key in _default_outputs(leaf, states, has_loop=has_loop)]
            keys = _chosen(entry, final, context) or tuple(defaults)
            ports = tuple(
                port for key in keys if (port := _output_port(key, final, leaves[-1], context)) is not None
            )
            _report_clash(entry, ports, context)
            _report_no_output(ports, leaves[-1], context)
            _report_companions(entry, ports, context)
            entries.append(replace(entry, outputs=ports))
        return replace(graph, entries=tuple(entries))


def _chosen(entry: Entry, final: Mapping[str, State], context: Context) -> tuple[str, ...]:
    """The outputs that the TOML names. Those that an added entry does not have are the other ones'."""
    named = context.options.outputs
    if not entry.is_added:
        return named
    given = {port.key for port in entry.inputs}
    return tuple(key for key in named if key in final and final[key].present and key not in given)


def _final_states(graph: Graph, entry: Entry, leaf: Node, prefix: str) -> dict[str, State]:
    """The keys that are there behind a last node, with the states that all ways to the end give them.

    A key that an operator takes away on the way is none of them, though items that ended before have it.
    ``prefix`` stands before the leaf's keys at the end.
    """
    assert graph.types is not None
    bodies = graph.loops[entry.root].bodies.values() if entry.root in graph.loops else ()
    leaving: dict[str, State] = {}
    for name in (*(name for body in bodies for name in graph.leaves(body)), leaf.name):
        leaving.update({k: s for k, s in graph.types.leaving[name].items() if s.present})
    final = graph.types.final[entry.root]
    if not leaving:  # no item gets behind the last node: all are answered with what they had before
        own = {key.removeprefix(prefix): s for key, s in final.items() if key.startswith(prefix)}
        return {key: state for key, state in own.items() if state.present}
    return {key: final[prefix + key] for key in leaving if prefix + key in final}


def _default_outputs(leaf: Node, final: Mapping[str, State], *, has_loop: bool) -> tuple[str, ...]:
    declared = [
        RESULT,
        *(one.target for one in leaf.map),
        *(key for call in leaf.calls for key in call.op.outputs()),
    ]
    several = isinstance(final[RESULT].type, TupleOf) if RESULT in final else False
    return tuple(
        key
        for key in dict.fromkeys(declared)
        if key not in (DATA, CONTEXT, *((RESTART,) if has_loop else ()))
        and key in final
        and final[key].present
        and not (key == RESULT and several)
    )


def _output_port(key: str, final: Mapping[str, State], leaf: Node, context: Context) -> Port | None:
    span = context.options.outputs_span or leaf.spans.get("backend", leaf.span)
    state = final.get(key)
    if state is None or state.absent or state.type is None:
        known = sorted(k for k, s in final.items() if s.present)
        near = did_you_mean(key, known)
        context.bag.error(
            "TP210",
            f"output '{key}' does not exist at the end of the pipeline",
            span,
            hint=f"did you mean '{near}'?" if near else f"there are: {', '.join(known)}",
        )
        return None
    if isinstance(state.type, Opaque) and state.type.unlike:
        context.bag.error(
            "TP311",
            f"output '{key}' is where {state.type.why}",
            span,
            hint="bring both ways to one type, or answer other keys: [pipeline] outputs = [...]",
            node=leaf.title,
        )
        return None
    if not crosses_wire(state.type):
        context.bag.error(
            "TP308",
            f"output '{key}' is {state.type}, which cannot leave the server",
            span,
            hint="name the outputs that clients need: [pipeline] outputs = [...]",
            node=leaf.title,
        )
        return None
    return Port(key, replace(state, type=turned(state.type, Layout.HWC, None)), span)


def _report_clash(entry: Entry, outputs: tuple[Port, ...], context: Context) -> None:
    inputs = {port.key for port in entry.inputs}
    for port in outputs:
        if port.key in inputs:
            context.bag.error(
                "TP211",
                f"'{port.key}' is both an input and an output of '{entry.name}'",
                port.span,
                hint=f"write it under another name: end with Sequential[..., Copy[{port.key}:{port.key}_out]]"
                f' and [pipeline] outputs = ["{port.key}_out"]',
            )


def _report_companions(entry: Entry, outputs: tuple[Port, ...], context: Context) -> None:
    keys = {port.key for port in (*entry.inputs, *outputs)}
    for port in (*entry.inputs, *outputs):
        other = companion_of(port.key, keys)
        if other is not None:
            context.bag.error(
                "TP213",
                f"'{port.key}' has the name of a tensor that travels with '{other}'",
                port.span,
                hint="give one of the two another name",
            )


def _report_no_output(outputs: tuple[Port, ...], leaf: Node, context: Context) -> None:
    if not outputs and not context.bag.has_errors:
        context.bag.error(
            "TP212",
            f"the pipeline has no output: '{leaf.title}' leaves no '{RESULT}'",
            leaf.span,
            hint="name one: [pipeline] outputs = [...]",
            node=leaf.title,
        )
