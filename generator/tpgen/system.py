"""What operating systems have under different names, or not at all.

`build`, `check`, `run` and `explain` work wherever Python does; only a server wants Linux.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Without O_NONBLOCK, opening a pipe would hold us up until somebody writes to it.
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
READ_WRITE = os.O_RDWR | getattr(os, "O_BINARY", 0)
# None where a directory can't be opened, and so neither locked nor flushed.
READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY if hasattr(os, "O_DIRECTORY") else None

# Windows locks bytes rather than files, and nobody else may read them: one that lies behind any content.
_LOCKED_BYTE = 1 << 30


def lock(descriptor: int, *, wait: bool) -> bool:
    """Takes the lock of an open file, which ends with it; False without `wait`, if somebody else holds it.

    Where the system has no such locks, nobody is kept out.
    """
    fcntl, msvcrt = _module("fcntl"), _module("msvcrt")
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        elif msvcrt is not None:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            _lock_byte(msvcrt, descriptor, wait=wait)
            os.lseek(descriptor, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_byte(msvcrt: Any, descriptor: int, *, wait: bool) -> None:
    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            return
        except OSError as problem:
            if not wait:
                raise BlockingIOError from problem  # LK_LOCK itself gives up after ten seconds


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
