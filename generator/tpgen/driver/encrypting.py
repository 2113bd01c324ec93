"""Writing encrypted model files, and keys for them."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path

from ..diagnostics import Diagnostic, PipelineError, Severity
from ..engines.errors import ModelError
from ..engines.external import copy_model
from ..engines.loading import external_files
from ..runner import encryption
from .encrypted import CODE, scratch_folder


def write_key(path: Path) -> None:
    """Write a new key to a file of mode 0600 that is not there yet.

    Raises:
        PipelineError: TP416, it is there, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise _wrong(f"'{path}' exists, and a key is never replaced", "choose another name", path) from None
    except OSError as problem:
        raise _wrong(f"'{path}' can't be written: {problem.strerror}", None, path) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(encryption.new_key_text())


def encrypt_model(model: Path, target: Path, key_file: Path | None = None) -> int:
    """Write the encrypted file of a model, whole or not at all; returns its size in bytes.

    Weights that an ONNX model keeps in files beside it go into the one file.

    Args:
        model: the file as it is.
        target: the file to write; one that is there is replaced.
        key_file: the file with the key; by default the key of the environment.

    Raises:
        PipelineError: TP416, there is no key, the model is encrypted already, or a file can't be read or
            written; or the ONNX model is too large for one file.
        ToolMissing: the package for it is not installed.
    """
    try:
        key = encryption.file_key(key_file) if key_file else _environment_key(model)
        if encryption.is_encrypted(model):
            raise _wrong(f"'{model}' is encrypted already", "name the model as it was", model)
        if target.resolve() == model.resolve():
            raise _wrong(f"'{target}' is the model itself", "choose another name with -o", model)
        data = _whole(model)
        sealed = encryption.encrypt(data, model.name, key)
    except encryption.EncryptionProblem as problem:
        raise _wrong(problem.message, problem.hint, model) from None
    except ModelError as problem:
        raise PipelineError(
            [Diagnostic(problem.code, Severity.ERROR, str(problem), hint=problem.hint, file=str(model))]
        ) from None
    except OSError as problem:
        raise _wrong(f"'{problem.filename}' can't be read: {problem.strerror}", None, model) from None
    try:
        _write(target, sealed)
    except OSError as problem:
        raise _wrong(
            f"'{target}' can't be written: {problem.strerror}", "name another with -o", model
        ) from None
    return len(sealed)


def _environment_key(model: Path) -> bytes:
    if not encryption.names_key():
        hint = "--new-key FILE writes one and takes it, --key FILE takes one that is there, as does"
        raise _wrong(f"there is no key to encrypt '{model}' with", f"{hint} TPGEN_MODEL_KEY_FILE", model)
    return encryption.environment_key(model)


def _whole(model: Path) -> bytes:
    """The model in one file: its weights may lie in others."""
    if model.suffix != ".onnx" or not external_files(model):
        return model.read_bytes()
    with scratch_folder() as scratch:
        try:
            memory = encryption.memory_of(scratch)
            return copy_model(model, memory, model.name, threshold=sys.maxsize).model.read_bytes()
        except ValueError:  # what protobuf says of more than it can hold
            raise _wrong(
                f"'{model}' has more than the 2 GB of weights that one file can hold",
                "encrypted models have no files beside them: export it in half precision, or in parts",
                model,
            ) from None


def _write(target: Path, data: bytes) -> None:
    """Whole or not at all: a half file under this name would be taken for a damaged one."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _wrong(message: str, hint: str | None, file: Path) -> PipelineError:
    return PipelineError([Diagnostic(CODE, Severity.ERROR, message, hint=hint, file=str(file))])
