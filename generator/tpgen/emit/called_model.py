"""A call that is a Triton model of its own, as a graph: one node that runs it alone."""

from __future__ import annotations

from dataclasses import replace

from ..ir.filters import RUN
from ..ir.graph import Entry, Graph, Stage
from ..ir.type_table import TypeTable


def alone(graph: Graph, stage: Stage) -> Graph:
    """The graph of a stage that runs one call (the first of ``stage.runs``; the others are the same)."""
    assert graph.types is not None
    label = stage.runs[0]
    (name,) = stage.nodes
    node = graph.nodes[name]
    (call,) = (one for one in node.calls if one.label == label)
    types = graph.types.read_by(label)
    reads = {key: replace(graph.types.before[label][key], type=types[key]) for key in call.op.inputs()}
    return replace(
        graph,
        nodes={name: replace(node, calls=(replace(call, filter=RUN),), next=(), map=())},
        entries=(Entry(stage.entry, name, stage.inputs, stage.outputs, stage.max_batch),),
        stages=(stage,),
        types=TypeTable({label: reads}, {name: reads}, {name: {}}, {}),
    )
