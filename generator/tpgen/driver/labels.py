"""Files of labels against the classes that they name, where the types say how many there are."""

from __future__ import annotations

from pathlib import Path

from ..diagnostics import Bag
from ..ir.graph import Call, Graph, Node
from ..ops.labels import Labelled
from ..runner.kernels import read_labels
from ..types import Array

CODE = "TP312"


def labels_fit(graph: Graph, base: Path, bag: Bag) -> bool:
    """False if a file of labels does not fit its classes, which is reported.

    Args:
        graph: with types, and nothing moved yet.
        base: the folder that the files' paths are relative to.
        bag: gets the reports.
    """
    for node, call in graph.calls():
        if isinstance(call.op, Labelled) and call.op.labels:
            _check(graph, node, call, base / call.op.labels, bag)
    return not bag.has_errors


def _check(graph: Graph, node: Node, call: Call, path: Path, bag: Bag) -> None:
    assert graph.types is not None
    op = call.op
    assert isinstance(op, Labelled)
    span = call.spans.get("labels", call.span)
    try:
        listed = len(read_labels(path))
    except UnicodeDecodeError as problem:
        message = f"'{op.labels}' is not UTF-8: byte 0x{problem.object[problem.start]:02x}"
        bag.error("TP118", message, span, hint="save the file as UTF-8", node=node.title)
        return
    scores = graph.types.read_by(call.label).get("data")
    classes = scores.shape[-1] if isinstance(scores, Array) and scores.shape else None
    found = op.labels_problem(listed, classes if isinstance(classes, int) else None)
    if found is None:
        return
    span = call.spans.get(found.attribute, span)
    report = bag.error if found.is_error else bag.warning
    report(CODE, f"{op.name}: {found.message}", span, hint=found.hint, node=node.title)
