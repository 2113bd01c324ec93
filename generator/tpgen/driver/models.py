"""Model files: signatures for the frontend, and the rewrites that passes asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..diagnostics import Bag
from ..emit.repo_plan import Content, CopyFrom
from ..engines.errors import ModelError
from ..engines.external import copy_model
from ..engines.rewrite import apply_rewrite, can_fold
from ..engines.signature import explain_batch, read_signature
from ..frontend.keys import near_hint
from ..ir.graph import Call, Graph, Node
from ..ir.op import Trait
from ..ir.signature import BatchAxis, ModelSignature
from ..source import SourceFile, Span
from .options import BuildOptions


@dataclass(frozen=True)
class ModelFile:
    """The model of a call: the file that is used (a rewritten copy with ``--dynamic-batch``)."""

    path: Path
    sha256: str
    is_onnx: bool = True


def attach_models(
    graph: Graph, base: Path, options: BuildOptions, scratch: Path, bag: Bag
) -> tuple[Graph, dict[str, ModelFile]]:
    """Give every inference operator its model's signature; returns the files by call label."""
    files: dict[str, ModelFile] = {}
    nodes = dict(graph.nodes)
    for name in options.models:
        if name not in nodes:
            place = Span(SourceFile("--model", f"{name}={options.models[name]}"), 0, len(name))
            bag.error("TP201", f"unknown node '{name}'", place, hint=near_hint(name, nodes))
    for name, node in nodes.items():
        nodes[name] = replace(
            node, calls=tuple(_attach(node, call, base, options, scratch, files, bag) for call in node.calls)
        )
    return graph.with_nodes(nodes), files


def _attach(
    node: Node,
    call: Call,
    base: Path,
    options: BuildOptions,
    scratch: Path,
    files: dict[str, ModelFile],
    bag: Bag,
) -> Call:
    if not call.op.has(Trait.INFERENCE):
        return call
    op: Any = call.op
    span = call.spans.get("model", call.span)
    path = Path(options.models[node.title]) if node.title in options.models else base / op.model
    try:
        signature = op.declared_signature() or read_signature(path)
        if _needs_dynamic_batch(signature, node):
            if not options.dynamic_batch:
                _report_fixed_batch(path, signature, node, span, bag)
                return call
            path = _dynamic_copy(path, scratch)
            signature = read_signature(path)
    except ModelError as problem:
        where = f" (graph node {problem.node})" if problem.node else ""
        bag.error(problem.code, f"{problem}{where}", span, hint=problem.hint, node=node.title)
        return call
    if not path.is_file():
        bag.error("TP401", f"there is no file {path}", span, hint=_PATHS_HINT, node=node.title)
        return call
    is_onnx = op.declared_signature() is None
    files[call.label] = ModelFile(path, _digest(path, *_data_files(path, op)), is_onnx=is_onnx)
    if signature.batch is BatchAxis.FIXED:
        op = replace(op, min_batch=signature.batch_size)
    return replace(call, op=replace(op, signature=signature))


def _data_files(path: Path, op: Any) -> list[Path]:
    """The files that hold the model's weights outside the ONNX file: a change of these is a change of it."""
    if op.declared_signature() is not None:
        return []
    from ..engines.loading import external_files

    return external_files(path)


_PATHS_HINT = "paths are relative to the TOML file; --model NODE=PATH names another file"


def _dynamic_copy(path: Path, scratch: Path) -> Path:
    from ..engines.dynamic_batch import make_batch_dynamic

    copy = scratch / f"{_digest(path)[:16]}.onnx"
    make_batch_dynamic(path, copy)
    return copy


def _needs_dynamic_batch(signature: ModelSignature, node: Node) -> bool:
    """True if the node's calls are of another size than the model's; smaller batches are filled up to it."""
    return signature.batch is BatchAxis.FIXED and node.settings.max_batch != signature.batch_size


def _report_fixed_batch(path: Path, signature: ModelSignature, node: Node, span: Span, bag: Bag) -> None:
    bag.error(
        "TP406",
        f"the model's batch is fixed at {signature.batch_size}, but max = {node.settings.max_batch}:"
        f" {explain_batch(path)}",
        node.spans.get("max", span),
        hint="build with --dynamic-batch, which rewrites a copy and proves it, or export it"
        f" with a dynamic batch, or set max = {signature.batch_size}",
        node=node.title,
    )


def model_contents(
    graph: Graph, files: dict[str, ModelFile], scratch: Path, bag: Bag, *, write: bool
) -> dict[tuple[str, str], tuple[Path, dict[str, Content]]]:
    """The model files that go into the repository, rewritten where a pass asked for it.

    Without ``write`` the rewrites are only checked, and the contents are empty.
    """
    found: dict[tuple[str, str], tuple[Path, dict[str, Content]]] = {}
    for node, call in graph.calls():
        if call.label not in files:
            continue
        file = files[call.label]
        op: Any = call.op
        name = Path(op.model).name
        target = scratch / hashlib.sha256(f"{file.sha256}{call.rewrite!r}".encode()).hexdigest()[:16]
        try:
            if not write:
                if call.rewrite is not None:
                    can_fold(file.path, call.rewrite)
                found[(call.label, "model")] = (target, {name: b""})
                continue
            written = _write_model(file.path, call, target, name) if file.is_onnx else (file.path,)
        except ModelError as problem:
            bag.error(problem.code, str(problem), call.span, hint=problem.hint, node=node.title)
            continue
        contents: dict[str, Content] = {
            (path.name if file.is_onnx else name): CopyFrom(path, _digest(path)) for path in written
        }
        found[(call.label, "model")] = (target, contents)
    return found


def _write_model(path: Path, call: Call, target: Path, name: str) -> tuple[Path, ...]:
    """Write the model (and its external data) into a folder; returns the model first."""
    target.mkdir(parents=True, exist_ok=True)
    if call.rewrite is None or call.rewrite.is_empty:
        return copy_model(path, target, name).files
    return apply_rewrite(path, call.rewrite, target / name).written.files


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
