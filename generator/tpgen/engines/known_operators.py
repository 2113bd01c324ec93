"""Whether ONNX Runtime knows what a model is written in, found without loading the weights of a large one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelError
from .graph import opset_of
from .loading import external_files, load_skeleton, subgraphs
from .session import open_session

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_EVERYWHERE = 21  # the newest operator set of the oldest onnxruntime that is asked for
_OWN = ("com.microsoft", "com.ms.")  # onnxruntime's own operators, of which onnx has no list
_QUICK = 4 * 2**20  # bytes; a model up to here is loaded in milliseconds


@dataclass(frozen=True)
class Doubts:
    """What of a model the installed onnx does not list: its operator set, or operators; and the way out."""

    unknown: tuple[str, ...] = ()
    hint: str | None = None

    def __bool__(self) -> bool:
        return bool(self.unknown)


def doubts_about(path: Path) -> Doubts:
    """What of a model may be known to no runtime.

    Raises:
        ModelError: the file is no model.
    """
    return _doubts(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=256)
def _doubts(path: Path, mtime_ns: int) -> Doubts:
    del mtime_ns  # only a key of the cache
    from onnx import defs

    model = load_skeleton(path)
    newest = defs.onnx_opset_version()
    if opset_of(model) > newest:
        what = f"operator set {opset_of(model)} of ONNX (the installed onnx knows up to {newest})"
        return Doubts((what,), "export it with an older operator set: opset_version = 17, say")
    versions = {imported.domain: imported.version for imported in model.opset_import}
    versions[""] = opset_of(model)
    local = {(function.domain, function.name) for function in model.functions}
    unknown = {
        f"operator {node.domain or 'ai.onnx'}:{node.op_type}"
        for node in _nodes(model.graph)
        if (node.domain, node.op_type) not in local and not _is_listed(node, versions)
    }
    return (
        Doubts(tuple(sorted(unknown)), "export it with the operators of ONNX alone") if unknown else Doubts()
    )


def check_loads(path: Path) -> None:
    """Check that the installed onnxruntime loads a model, where that is doubtful or costs little.

    Raises:
        ModelError: it doesn't.
    """
    _check_version(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=256)
def _check_version(path: Path, mtime_ns: int) -> None:
    doubts = _doubts(path, mtime_ns)
    size = sum(file.stat().st_size for file in (path, *external_files(path)))
    try:
        if doubts or size <= _QUICK:
            open_session(path)
        else:
            _check_sets(load_skeleton(path))
    except ModelError as problem:
        problem.hint = problem.hint or doubts.hint
        raise


def _check_sets(model: ModelProto) -> None:
    """Whether onnxruntime has the operator set of a model, asked with a model of one node."""
    from onnx import TensorProto, helper

    opset = opset_of(model)
    if opset <= _EVERYWHERE:
        return
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    sets = [helper.make_opsetid("", opset)]
    open_session(helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString())


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for sub in subgraphs(node):
            yield from _nodes(sub)


def _is_listed(node: NodeProto, versions: dict[str, int]) -> bool:
    from onnx import defs

    domain = "" if node.domain == "ai.onnx" else node.domain
    if domain.startswith(_OWN):
        return True
    try:
        schema = defs.get_schema(node.op_type, versions.get(domain, 1), domain)
    except defs.SchemaError:
        return False
    return not schema.deprecated
