"""Engines that were built, in a folder: one per key, whole or not there, whoever builds at the same time.

``<key>.plan`` is the engine, ``<key>.json`` its request and its hash, ``<key>.lock`` is held while it is
built, and ``timing-<version>-<gpu>.cache`` is what TensorRT learnt of a GPU.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..system import lock
from .plan_files import read_built
from .requests import BadRequest, EngineRequest, read_request

_KEY = re.compile(r"[0-9a-f]{64}")

Build = Callable[[EngineRequest, bytes], tuple[bytes, bytes]]


@dataclass(frozen=True)
class Entry:
    """An engine in the cache."""

    key: str
    request: EngineRequest
    plan: Path
    size: int


class EngineCache:
    """A folder of engines. It is made when the first engine is built."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def find(self, request: EngineRequest) -> Path | None:
        """The plan that a request asks for, if it was built; for a pending request there is none."""
        if request.pending:
            return None
        plan = self._folder / f"{request.key()}.plan"
        return plan if plan.is_file() and plan.with_suffix(".json").is_file() else None

    def get(self, request: EngineRequest, build: Build) -> Path:
        """The plan that a request asks for, built if it is not there, or not as it was when it was built.

        ``build`` gets the request and the timing cache so far, and returns the plan and the timing cache. Of
        several processes that ask for one engine the first builds it and the others wait.

        Raises:
            ValueError: the request is pending: it does not say for what GPU and TensorRT.
        """
        if request.pending:
            raise ValueError("the request names no GPU or no version of TensorRT")
        self._folder.mkdir(parents=True, exist_ok=True)
        key = request.key()
        with _locked(self._folder / f"{key}.lock"):
            found = self.find(request)
            if found is not None and _is_as_built(found):
                return found
            plan, timings = build(request, self._timings(request))
            target = self._folder / f"{key}.plan"
            write_whole(target, plan)
            about = {"plan_sha256": hashlib.sha256(plan).hexdigest()}
            write_whole(target.with_suffix(".json"), request.text(about=about).encode())
            write_whole(self._timing_file(request), timings)
            return target

    def missing(self, requests: Iterable[EngineRequest]) -> list[EngineRequest]:
        """The requests whose engines are still to be built, each once."""
        return list({r.key(): r for r in requests if self.find(r) is None}.values())

    def entries(self) -> list[Entry]:
        """All engines, by key; what is no whole engine is not listed."""
        found = []
        for plan in sorted(self._folder.glob("*.plan")):
            with suppress(OSError, UnicodeDecodeError, BadRequest):
                request = read_request(plan.with_suffix(".json").read_text())
                found.append(Entry(plan.stem, request, plan, plan.stat().st_size))
        return [entry for entry in found if entry.key == entry.request.key()]

    def unfinished(self) -> list[str]:
        """The names of files that interrupted builds left; of a build that goes on, too."""
        keys = {entry.key for entry in self.entries()}
        plans = (path for path in self._folder.glob("*.plan") if path.stem not in keys)
        return sorted(path.name for path in (*plans, *self._folder.glob(".*.plan.*")))

    def prune(self, keep: Iterable[EngineRequest]) -> list[str]:
        """Remove all engines but these, and what interrupted builds left; the names of the removed files.

        An engine that somebody is building stays.
        """
        wanted = {request.key() for request in keep if not request.pending}
        removed = []
        for key in sorted({m[0] for p in self._folder.glob("*") if (m := _KEY.search(p.name))} - wanted):
            with _try_locked(self._folder / f"{key}.lock") as held:
                if held:
                    removed += [_removed(path) for path in sorted(self._folder.glob(f"*{key}*"))]
        return [name for name in removed if not name.endswith(".lock")]

    def _timing_file(self, request: EngineRequest) -> Path:
        assert request.gpu is not None
        gpu = hashlib.sha256(repr(request.gpu).encode()).hexdigest()[:12]
        return self._folder / f"timing-{request.tensorrt}-{gpu}.cache"

    def _timings(self, request: EngineRequest) -> bytes:
        try:
            return self._timing_file(request).read_bytes()
        except FileNotFoundError:
            return b""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file such that nobody ever sees a part of it, even if the machine stops."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _is_as_built(plan: Path) -> bool:
    """False for a plan that was changed or cut off since, as by a copy of the folder that was interrupted."""
    try:
        built = read_built(plan.with_suffix(".json").read_text(encoding="utf-8"))
        with plan.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == built.sha256
    except (OSError, ValueError, BadRequest):
        return False


def _removed(path: Path) -> str:
    path.unlink(missing_ok=True)
    return path.name


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of a key; one that `prune` removed while it was waited for is made anew."""
    while True:
        with open(path, "a") as file:
            lock(file.fileno(), wait=True)
            if _is_at(file.fileno(), path):
                yield
                return


@contextmanager
def _try_locked(path: Path) -> Iterator[bool]:
    """As `_locked`, but does not wait: false if somebody holds it."""
    with open(path, "a") as file:
        yield lock(file.fileno(), wait=False) and _is_at(file.fileno(), path)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
