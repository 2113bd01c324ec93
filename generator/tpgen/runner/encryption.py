"""Encrypted model files, for the compiler: the runtime's reading, and the writing that only tpgen does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import importlib.util
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..diagnostics import ToolMissing

SUFFIXES = (".encrypted", ".encrypt", ".enc")  # what TorchPipe calls them; ours is the first


_in_memory: dict[str, Path] = {}  # the folders of this process, by name


class EncryptionProblem(Exception):
    """An encrypted model, or a key, cannot be used; ``hint`` is the way out."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def is_encrypted(path: Path) -> bool:
    """True for a file that is encrypted, or called so."""
    if not path.is_file():
        return False  # what a missing file is told does not depend on its name
    if path.suffix in SUFFIXES:
        return True
    try:
        return bool(_runtime("encrypted").is_encrypted(path))
    except OSError:
        return False  # who reads the model says why it can't be read


def plain_name(name: str) -> str:
    """The name of a model's file before it was encrypted, as far as its name says."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix in SUFFIXES else name


def decrypt(path: Path) -> bytes:
    """The model in an encrypted file, with the key of the environment.

    Raises:
        EncryptionProblem: there is no key, it is another one, or the file is damaged.
        ToolMissing: the package for it is not installed.
    """
    runtime = _runtime("encrypted")
    with _problems():
        key = runtime.find_key(path)
        _require_package()
        data: bytes = runtime.decrypt(path, key)[1]
    return data


def encrypt(data: bytes, name: str, key: bytes) -> bytes:
    """The encrypted file of a model that was called ``name``: a function of the three, so builds repeat.

    The salt is a hash of name and model under the key: two different models never share one, and whoever has
    no key learns from it only whether two files are the same.

    Raises:
        ToolMissing: the package for it is not installed.
    """
    _require_package()
    runtime = _runtime("encrypted")
    seed = hmac.digest(key, b"tpgen salt\x01", hashlib.sha256)
    hashed = hmac.new(seed, len(name.encode()).to_bytes(2, "big") + name.encode(), hashlib.sha256)
    hashed.update(data)
    salt = hashed.digest()
    header = runtime.header_of(key, salt, name)
    cipher, _ = runtime.cipher_of(key, salt)
    view, size = memoryview(data), runtime.CHUNK
    count = max(1, -(-len(data) // size))
    chunks = [
        cipher.encrypt(runtime.nonce_of(i, i == count - 1), view[i * size : (i + 1) * size], header)
        for i in range(count)
    ]
    return b"".join([header, *chunks])


def environment_key(path: Path) -> bytes:
    """The key of the environment, which ``path`` is to be encrypted or decrypted with.

    Raises:
        EncryptionProblem: there is none, or what is there is none.
    """
    with _problems():
        key: bytes = _runtime("encrypted").find_key(path)
    return key


def names_key() -> bool:
    """True if the environment says something of a key."""
    runtime = _runtime("encrypted")
    return any(os.environ.get(name) for name in (runtime.KEY, runtime.KEY_FILE))


def file_key(path: Path) -> bytes:
    """The key in a file.

    Raises:
        EncryptionProblem: the file cannot be read, or holds none.
    """
    with _problems():
        key: bytes = _runtime("encrypted").read_key(path)
    return key


def new_key_text() -> str:
    """A new key, as its file has it."""
    return base64.b64encode(secrets.token_bytes(_runtime("encrypted").KEY_BYTES)).decode() + "\n"


def memory_of(scratch: Path) -> Path:
    """The folder in memory that belongs to a scratch folder; it goes with this process, however that ends.

    Raises:
        EncryptionProblem: there is no memory that can be used as a folder.
    """
    memory, name = _runtime("memory"), _name_of(scratch)
    try:
        folder = Path(memory.make_folder(name))
    except (OSError, AttributeError) as problem:  # AttributeError: no such system
        raise EncryptionProblem(
            f"encrypted models are worked on in {memory.MEMORY}, so that none lies on a disk: {problem}",
            "build on Linux, where this is a folder in memory",
        ) from None
    _in_memory[name] = folder
    return folder


def forget(scratch: Path) -> None:
    """Remove the folder in memory that belongs to a scratch folder, if there is one.

    It imports nothing: finalizers call it, at any moment of a process.
    """
    folder = _in_memory.pop(_name_of(scratch), None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def unlocked(repository: Path) -> Path | None:
    """A folder in memory to serve in the place of a repository; None: its models can be served as they are.

    Raises:
        EncryptionProblem: the models cannot be decrypted.
        ToolMissing: the package for it is not installed.
    """
    unlock = _runtime("unlock")
    if not unlock.find_locked(repository):
        return None
    with _problems():
        _runtime("encrypted").find_key(repository)
        _require_package()
        name = unlock.unlock(repository)
    return Path(_runtime("memory").MEMORY, name)


def needs_key(repository: Path) -> bool:
    """True if a server of a repository decrypts models: of Python stages or of Triton's backends."""
    return next(repository.glob(f"*/*/**/*{_runtime('encrypted').SUFFIX}"), None) is not None


def _name_of(scratch: Path) -> str:
    return f"tpgen-memory-{hashlib.sha256(os.fsencode(scratch.resolve())).hexdigest()[:32]}"


def _runtime(module: str) -> Any:
    return importlib.import_module(f"tpgen_runtime.{module}")


def _require_package() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise ToolMissing("encrypted models need the package 'cryptography'", "pip install 'tpgen[encrypt]'")


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except _runtime("encrypted").EncryptedError as problem:
        raise EncryptionProblem(problem.message, problem.hint) from None
