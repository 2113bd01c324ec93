"""One writer at a time: a lock beside the repository that dies with its holder."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..system import READ_DIRECTORY, READ_WRITE, lock
from .findings import failure
from .staging import sibling

_PAUSE_S = 0.05


@contextmanager
def locked(root: Path, wait_s: float, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Holds the lock of a repository for the block.

    Waits up to `wait_s` seconds for another process and calls `on_wait` once with a sentence that says so;
    after that, PipelineError TP607. A killed process frees its lock; the file that it leaves is reused and
    removed.
    """
    deadline = time.monotonic() + wait_s
    descriptor, path = _open(root)
    while not _take(descriptor, path):
        holder = _holder(path)
        if time.monotonic() >= deadline:
            os.close(descriptor)
            raise failure(
                "TP607",
                f"{holder} is writing '{root}'",
                hint="wait until it is done, or build into another directory with -o",
                file=root,
            )
        if on_wait is not None:
            on_wait(f"waiting for {holder}, which is writing '{root}'")
            on_wait = None
        time.sleep(_PAUSE_S)
        if path is not None:  # the holder removes the file when it is done, so look at the name again
            os.close(descriptor)
            descriptor, path = _open(root)
    try:
        if path is not None:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def sweep(root: Path) -> None:
    """Removes the file that a killed holder left, if it can be removed."""
    path = sibling(root, "lock")
    with suppress(OSError):
        descriptor = os.open(path, READ_WRITE)
        try:
            if _take(descriptor, path):
                path.unlink()
        finally:
            os.close(descriptor)


def _open(root: Path) -> tuple[int, Path | None]:
    """Opens the lock file beside the repository; where there can be none, the repository itself (no path)."""
    path = sibling(root, "lock")
    try:
        if not root.name:
            raise PermissionError(errno.EACCES, "no parent", str(root))
        return os.open(path, READ_WRITE | os.O_CREAT, 0o644), path
    except OSError as error:
        refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        if not refused or not root.is_dir() or READ_DIRECTORY is None:
            raise
        return os.open(root, READ_DIRECTORY), None


def _take(descriptor: int, path: Path | None) -> bool:
    if not lock(descriptor, wait=False):
        return False
    try:  # a lock on a file that has lost its name protects nothing
        return path is None or os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _holder(path: Path | None) -> str:
    try:
        process = path.read_text() if path is not None else ""
    except OSError:
        process = ""
    return f"another tpgen (process {process})" if process.isdigit() else "another tpgen"
