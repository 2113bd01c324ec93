"""Encrypted models on their way through a build: decrypted in memory, encrypted again in the repository."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..diagnostics import Bag
from ..engines.errors import ModelError
from ..ir.graph import PYTHON, Graph
from ..ir.op import Trait
from ..ir.serving import PROVIDER
from ..runner import encryption

CODE = "TP416"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder; what `decrypted` puts into memory for it goes with it."""
    with tempfile.TemporaryDirectory(prefix="tpgen-") as folder:
        try:
            yield Path(folder)
        finally:
            encryption.forget(Path(folder))


def decrypted(path: Path, scratch: Path) -> Path:
    """The model of an encrypted file, as a file in memory; once per build.

    Raises:
        ModelError: there is no key, it is another one, or the file is damaged.
    """
    inner = encryption.plain_name(path.name)
    try:
        digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        plain = encryption.memory_of(scratch) / digest / inner
        if not plain.exists():
            data = encryption.decrypt(path)
            plain.parent.mkdir(exist_ok=True)
            part = plain.with_name(f"{plain.name}.part")  # a half one must not be taken for the model
            part.write_bytes(data)
            part.replace(plain)
    except encryption.EncryptionProblem as problem:
        raise ModelError(CODE, problem.message, problem.hint) from None
    except OSError as problem:
        message = f"'{path}' can't be decrypted into memory: {problem.strerror}"
        raise ModelError(CODE, message, "give /dev/shm more room") from None
    return plain


def sealed(plain: Path, folder: Path, name: str) -> Path:
    """The encrypted file ``folder/name`` of a model that lies in memory.

    Raises:
        ModelError: there is no key any more.
    """
    try:
        key = encryption.environment_key(plain)
    except encryption.EncryptionProblem as problem:
        raise ModelError(CODE, problem.message, problem.hint) from None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    target.write_bytes(encryption.encrypt(plain.read_bytes(), encryption.plain_name(name), key))
    return target


def encrypted_models(graph: Graph) -> list[tuple[str, str]]:
    """The stages that have an encrypted model, each with the backend that runs it, in the graph's order."""
    found = []
    for stage in graph.stages:
        labels = set(stage.runs) or {
            call.label for name in stage.nodes for call in graph.nodes[name].calls
        } - set(graph.called_models())
        calls = [call for _, call in graph.calls() if call.label in labels]
        if any(_is_encrypted(call.op) for call in calls):
            found.append((stage.name, stage.backend))
    return found


def _is_encrypted(op: Any) -> bool:
    return op.has(Trait.INFERENCE) and op.signature is not None and op.signature.is_encrypted


def decrypted_at_start(graph: Graph) -> list[str]:
    """The calls, by label, whose models a start decrypts for Triton's own backends."""
    native = {name for name, backend in encrypted_models(graph) if backend != PYTHON}
    return [stage.runs[0] for stage in graph.stages if stage.name in native]


def encryption_decisions(graph: Graph) -> list[str]:
    """What `explain` says of encrypted models."""
    return [
        f"{stage}: its model stays encrypted on disk, "
        + ("the stage decrypts it in memory" if backend == PYTHON else "a start decrypts it into /dev/shm")
        for stage, backend in encrypted_models(graph)
    ]


def note_encrypted(graph: Graph, runtime: str, bag: Bag) -> None:
    """Say which models a plain server can't load, and which get no engine."""
    native = [stage for stage, backend in encrypted_models(graph) if backend != PYTHON]
    if not native:
        return
    if runtime == "tensorrt":
        for node, call in graph.calls():
            if _is_encrypted(call.op) and call.op.has(Trait.REWRITABLE) and PROVIDER not in node.serving:
                bag.warning(
                    "TP911",
                    f"no TensorRT engine is made of the encrypted model of '{node.title}':"
                    " it runs on Triton's ONNX Runtime backend, in fp32",
                    call.spans.get("model", call.span),
                    hint="an engine lies on the disk unencrypted; for one, build with the model as it was",
                    node=node.title,
                )
    bag.note(
        "TP912",
        f"encrypted models of Triton's own backends: {', '.join(native)}",
        hint="tpgen serve and the image of tpgen docker decrypt them at start; tritonserver itself can't",
        file=graph.source.path,
    )
