"""The stable text form of a graph: for ``--print-after``, pass goldens and bug reports.

Symbols are renumbered in order of appearance, so that equal graphs print equal text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ..types import Array, ListOf, State, Symbol, TupleOf, Type
from .filters import DATA
from .graph import Call, Entry, Graph, Port, Stage
from .op import Op, attributes_of
from .rewrite import ModelRewrite, Tail


class _Names:
    """Names of symbols, unique in one printout."""

    def __init__(self) -> None:
        self._names: dict[Symbol, str] = {}
        self._used: dict[str, int] = {}

    def of(self, symbol: Symbol) -> str:
        if symbol not in self._names:
            count = self._used.get(symbol.name, 0)
            self._used[symbol.name] = count + 1
            self._names[symbol] = symbol.name if count == 0 else f"{symbol.name}'{count}"
        return self._names[symbol]

    def type(self, type_: Type) -> str:
        if isinstance(type_, ListOf):
            return f"[{self.type(type_.item)}]"
        if isinstance(type_, TupleOf):
            return f"({', '.join(self.type(item) for item in type_.items)})"
        if not isinstance(type_, Array):
            return str(type_)
        dims = ",".join(str(d) if isinstance(d, int) else self.of(d) for d in type_.shape)
        head = str(type_)
        return head[: head.index("[")] + f"[{dims}]" + head[head.index("]") + 1 :]

    def state(self, state: State) -> str:
        if state.absent or state.type is None:
            return "absent"
        return self.type(state.type) + ("?" if state.quiet else "") + ("!" if state.failed else "")


def print_graph(graph: Graph) -> str:
    """The graph as text, one call a line."""
    names = _Names()
    lines = [f"pipeline {graph.name}"]
    lines += [line for entry in graph.entries for line in _entry_lines(entry, names)]
    lines += [line for stage in graph.stages for line in _stage_lines(stage, names)]
    for node in graph.nodes.values():
        arrow = f" -> {', '.join(node.next)}" if node.next else ""
        lines.append(f"node {node.name} @{node.location}{arrow}")
        lines += [f"  map {one.node}.{one.source} -> {one.target}" for one in node.map]
        for call in node.calls:
            arms = "".join(f"{'with' if side else 'without'} {fork}: " for fork, side in call.arms)
            lines.append(f"  {arms}{call.filter} {_call_text(call)}")
            if graph.types is not None and call.label in graph.types.before:
                keys = graph.types.before[call.label]
                lines.append(f"    {_states_text(keys, names)}")
        if graph.types is not None:
            lines.append(f"  end {_states_text(graph.types.leaving[node.name], names)}")
    return "\n".join(lines) + "\n"


def _entry_lines(entry: Entry, names: _Names) -> list[str]:
    lines = [f"entry {entry.name} at {entry.root} (max batch {entry.max_batch})"]
    lines += [f"  in  {_port_text(port, names)}" for port in entry.inputs]
    lines += [f"  out {_port_text(port, names)}" for port in entry.outputs]
    return lines


def _stage_lines(stage: Stage, names: _Names) -> list[str]:
    size = f"(max batch {stage.max_batch}, instances {stage.instances})"
    why = f" because {stage.why}" if stage.why else ""
    lines = [f"stage {stage.name}: {' '.join(stage.nodes)} {size}{why}"]
    taken = " from result" if stage.takes_over else ""
    lines += [f"  in  {_port_text(port, names)}{taken if port.key == DATA else ''}" for port in stage.inputs]
    lines += [f"  out {_port_text(port, names)}" for port in stage.outputs]
    return lines


def _port_text(port: Port, names: _Names) -> str:
    marks = (" raw" if port.raw else "") + (" optional" if port.optional else "")
    return f"{port.key}: {names.state(port.state)}{marks}"


def _call_text(call: Call) -> str:
    keys = f"{', '.join(call.op.inputs())} -> {', '.join(call.op.outputs())}"
    rewrite = f", model with {_rewrite_text(call.rewrite)}" if call.rewrite else ""
    return f"{_op_text(call.op)}: {keys}{rewrite}"


def _op_text(op: Op) -> str:
    values = ((f, getattr(op, f.name)) for f in attributes_of(type(op)))
    shown = (
        f"{f.name}={_value_text(value)}"
        for f, value in values
        if (f.declared.from_toml or isinstance(value, Op)) and (value != f.default or f.required)
    )
    return f"{op.name}({', '.join(shown)})"


def _rewrite_text(rewrite: ModelRewrite) -> str:
    asked = replace(rewrite, tails=(), output_name="")
    tails = (f", then {tail.kind}({_changed(tail, Tail(tail.kind, ''))})" for tail in rewrite.tails)
    return f"{rewrite.input_name}({_changed(asked, ModelRewrite(rewrite.input_name))}){''.join(tails)}"


def _changed(settings: ModelRewrite | Tail, default: ModelRewrite | Tail) -> str:
    """The fields that are not as they would be by default."""
    asked = ((f.name, getattr(settings, f.name)) for f in fields(settings))
    return ", ".join(f"{name}={value}" for name, value in asked if value != getattr(default, name))


def _value_text(value: Any) -> str:
    if isinstance(value, Op):
        return _op_text(value)
    return type(value).__name__ if hasattr(value, "__dataclass_fields__") else repr(value)


def _states_text(states: Mapping[str, State], names: _Names) -> str:
    shown = (f"{key}: {names.state(state)}" for key, state in sorted(states.items()) if state.present)
    return "{" + ", ".join(shown) + "}"
