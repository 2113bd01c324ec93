"""Model files: signatures for the frontend, and the rewrites that passes asked for."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..diagnostics import Bag
from ..emit.repo_plan import ENCRYPTED, Content, CopyFrom
from ..engines.errors import ModelError
from ..engines.external import THRESHOLD, copy_model
from ..engines.rewrite import apply_rewrite, can_fold
from ..engines.signature import explain_batch, read_signature
from ..engines.torch_file import check_torchscript, check_weights
from ..frontend.keys import near_hint
from ..ir.graph import Call, Graph, Node
from ..ir.op import Trait
from ..ir.signature import BatchAxis, ModelSignature
from ..runner.encryption import is_encrypted, plain_name
from ..source import SourceFile, Span
from .encrypted import decrypted, sealed
from .options import BuildOptions
from .profiles import profiles_fit


@dataclass(frozen=True)
class ModelFile:
    """A model of a call: the file that is used (a rewritten copy with ``--dynamic-batch``), and its bytes.

    ``encrypted``: the user's file, if it is; ``path`` lies in memory then.
    """

    path: Path
    sha256: str
    size: int
    is_onnx: bool = True
    encrypted: Path | None = None


def attach_models(
    graph: Graph, base: Path, options: BuildOptions, scratch: Path, bag: Bag
) -> tuple[Graph, dict[str, tuple[ModelFile, ...]]]:
    """Give every inference operator its model's signature; returns the files by call label.

    A call has one file, or one for each instance group.
    """
    files: dict[str, tuple[ModelFile, ...]] = {}
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
    files: dict[str, tuple[ModelFile, ...]],
    bag: Bag,
) -> Call:
    if not call.op.has(Trait.INFERENCE):
        return call
    op: Any = call.op
    span = call.spans.get("model", call.span)
    parts: list[Any] = []
    found: dict[Path, ModelFile] = {}
    for part in op.parts():
        path = named = Path(options.models[node.title]) if node.title in options.models else base / part.model
        secret = is_encrypted(named)
        try:
            path = decrypted(named, scratch) if secret else named
            signature = _signature(op, path)
            if _needs_dynamic_batch(signature, part):
                if not options.dynamic_batch:
                    _report_fixed_batch(path, signature, part, node, span, bag)
                    return call
                path = _dynamic_copy(path, path.parent if secret else scratch)
                signature = read_signature(path)
        except ModelError as problem:
            where = f" (graph node {problem.node})" if problem.node else ""
            message = f"{problem}{where}".replace(str(path), str(named))
            bag.error(problem.code, message, span, hint=problem.hint, node=node.title)
            return call
        if not path.is_file():
            bag.error("TP401", f"there is no file {path}", span, hint=_PATHS_HINT, node=node.title)
            return call
        if signature.batch is BatchAxis.FIXED:
            part = replace(part, min_batch=signature.batch_size)
        part = replace(part, signature=replace(signature, is_encrypted=secret))
        if path in found:  # instances that differ in their batches only
            parts[list(found).index(path)] = _united(parts[list(found).index(path)], part)
            continue
        parts.append(part)
        is_onnx = op.declared_signature() is None
        parts_of_it = [path, *_data_files(path, op), *([named] if secret else [])]
        size = path.stat().st_size
        found[path] = ModelFile(path, _digest(*parts_of_it), size, is_onnx, named if secret else None)
    if not (_are_one_model(node, parts, span, bag) and profiles_fit(node, parts[0].signature, bag)):
        return call
    files[call.label] = tuple(found.values())
    if len(parts) == 1:
        return replace(call, op=replace(parts[0], groups=()))
    low, high = min(part.min_batch for part in parts), max(part.max_batch for part in parts)
    op = replace(op, signature=parts[0].signature, min_batch=low, max_batch=high, groups=tuple(parts))
    return replace(call, op=op)


def _signature(op: Any, path: Path) -> ModelSignature:
    """What a model takes and gives: as the TOML declares it, or the file says.

    Raises:
        ModelError: the file holds no such model.
    """
    declared: ModelSignature | None = op.declared_signature()
    if declared is None:
        return read_signature(path)
    if path.is_file():  # that there is none is said otherwise
        (check_weights if op.has(Trait.USER_CODE) else check_torchscript)(path)
    return declared


_ONE_NETWORK = "export one network for all groups: only the batch may differ"


def _united(one: Any, other: Any) -> Any:
    low, high = min(one.min_batch, other.min_batch), max(one.max_batch, other.max_batch)
    return replace(one, min_batch=low, max_batch=high, groups=())


def _are_one_model(node: Node, parts: Sequence[Any], span: Span, bag: Bag) -> bool:
    """True if the models of all instance groups take and give the same; else that is reported."""
    first, *others = parts
    for other in others:
        takes = [part.signature.batch is not BatchAxis.NONE for part in (first, other)]
        if takes[0] is not takes[1]:
            names = first.model, other.model
            with_, without = names if takes[0] else names[::-1]
            what = f"{with_!r} takes batches, {without!r} doesn't"
            message = f"the models of the instance groups are not alike: {what}"
            bag.error("TP410", message, span, hint=_ONE_NETWORK, node=node.title)
            return False
        for side in ("inputs", "outputs"):
            one, two = (_interface(part.signature, side) for part in (first, other))
            if one == two:
                continue
            message = (
                f"the models of the instance groups are not alike: {side} of {first.model!r} are"
                f" {_shown(one)}, those of {other.model!r} {_shown(two)}"
            )
            bag.error("TP410", message, span, hint=_ONE_NETWORK, node=node.title)
            return False
    return True


_Interface = tuple[tuple[str, str, tuple[int | None, ...]], ...]


def _interface(signature: ModelSignature, side: str) -> _Interface:
    """Names, dtypes and item shapes of the inputs or outputs; None for a dimension that varies."""
    return tuple(
        (
            info.name,
            info.dtype.value,
            tuple(dim if isinstance(dim, int) else None for dim in signature.item_shape(info)),
        )
        for info in getattr(signature, side)
    )


def _shown(tensors: _Interface) -> str:
    return ", ".join(
        f"{name} {dtype}[{','.join('?' if dim is None else str(dim) for dim in dims)}]"
        for name, dtype, dims in tensors
    )


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


def _needs_dynamic_batch(signature: ModelSignature, op: Any) -> bool:
    """True if the calls are of another size than the model's; smaller batches are filled up to it."""
    return signature.batch is BatchAxis.FIXED and op.max_batch != signature.batch_size


def _report_fixed_batch(
    path: Path, signature: ModelSignature, op: Any, node: Node, span: Span, bag: Bag
) -> None:
    bag.error(
        "TP406",
        f"the model's batch is fixed at {signature.batch_size}, but max = {op.max_batch}:"
        f" {explain_batch(path)}",
        node.spans.get("max", span),
        hint="build with --dynamic-batch, which rewrites a copy and proves it, or export it"
        f" with a dynamic batch, or set max = {signature.batch_size}",
        node=node.title,
    )


def model_contents(
    graph: Graph, files: Mapping[str, tuple[ModelFile, ...]], scratch: Path, bag: Bag, *, write: bool
) -> dict[tuple[str, str], tuple[Path, dict[str, Content]]]:
    """The model files that go into the repository, rewritten where a pass asked for it.

    Without ``write`` the rewrites are only checked, and the contents are empty.
    """
    found: dict[tuple[str, str], tuple[Path, dict[str, Content]]] = {}
    for node, call in graph.calls():
        op: Any = call.op
        if call.label not in files or not call.op.has(Trait.INFERENCE):  # what is never run is none
            continue
        for slot, part, file in zip(op.files("model"), op.parts(), files[call.label], strict=True):
            name = Path(part.model).name
            target = scratch / hashlib.sha256(f"{file.sha256}{call.rewrite!r}".encode()).hexdigest()[:16]
            try:
                contents = _contents(file, call, target, name, write=write)
            except ModelError as problem:
                message = str(problem).replace(str(file.path), str(file.encrypted or file.path))
                bag.error(problem.code, message, call.span, hint=problem.hint, node=node.title)
                continue
            found[(call.label, slot)] = (target, contents)
    return found


def _contents(file: ModelFile, call: Call, target: Path, name: str, *, write: bool) -> dict[str, Content]:
    """The files of one model, itself the first; without ``write``, only whether it can be rewritten."""
    if not write:
        if call.rewrite is not None:
            can_fold(file.path, call.rewrite)
        return {f"{plain_name(name)}{ENCRYPTED}" if file.encrypted else name: b""}
    if file.encrypted is not None:
        return _encrypted_contents(file, file.encrypted, call, target, plain_name(name))
    written = _write_model(file.path, call, target, name) if file.is_onnx else (file.path,)
    return {(path.name if file.is_onnx else name): CopyFrom(path, _digest(path)) for path in written}


def _encrypted_contents(
    file: ModelFile, original: Path, call: Call, target: Path, name: str
) -> dict[str, Content]:
    """One encrypted file: the user's, if nothing is changed in it."""
    is_rewritten = call.rewrite is not None and not call.rewrite.is_empty
    if is_rewritten or file.path.name != plain_name(original.name):  # that is a copy with a dynamic batch
        written, *_ = _write_model(file.path, call, file.path.parent / target.name, name, sys.maxsize)
        original = sealed(written, target, f"{name}{ENCRYPTED}")
    return {f"{name}{ENCRYPTED}": CopyFrom(original, _digest(original))}


def _write_model(
    path: Path, call: Call, target: Path, name: str, threshold: int = THRESHOLD
) -> tuple[Path, ...]:
    """Write the model (and its external data) into a folder; returns the model first."""
    target.mkdir(parents=True, exist_ok=True)
    if call.rewrite is None or call.rewrite.is_empty:
        return copy_model(path, target, name, threshold=threshold).files
    return apply_rewrite(path, call.rewrite, target / name, threshold=threshold).written.files


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
