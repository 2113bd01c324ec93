"""Which parts of a model's answers the operators behind it go by."""

from __future__ import annotations

from typing import Any

from ..ir.decisive import Decisive
from ..ir.graph import Call, Graph
from ..types import Array, Type


def decisive_parts(graph: Graph, label: str) -> dict[str, Decisive]:
    """What is read of the model of a call, by output; of a typed graph in which nothing is moved yet.

    An output that no operator reads which would know is not in there.
    """
    types = graph.types
    assert types is not None
    call = next((call for _, call in graph.calls() if call.label == label), None)
    found: dict[str, Decisive] = {}
    for _, reader in graph.calls():
        key = next(iter(reader.op.inputs()), "")
        state, type_ = types.before.get(reader.label, {}).get(key), types.read_by(reader.label).get(key)
        if call is None or state is None or label not in state.writers or not isinstance(type_, Array):
            continue
        output, part = _output_of(graph, call, key, type_), reader.op.decisive(type_)
        if output is not None and part is not None:
            found.setdefault(output, part)
    return found


def _output_of(graph: Graph, call: Call, key: str, type_: Type) -> str | None:
    """The output that a key holds: the only one, that of its name, or the only one of its type."""
    op: Any = call.op
    names = [info.name for info in op.signature.outputs]
    if len(names) == 1 or key in names:
        return key if len(names) > 1 else names[0]
    assert graph.types is not None
    written = graph.types.written.get(call.label, {})
    alike = [name for name in names if written.get(name) == type_]
    return alike[0] if len(alike) == 1 else None
