"""Tests of encrypted models see what lies in memory while they run, so no two modules of them may at once."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def alone_in_memory() -> Iterator[None]:
    """Waits until no other process runs a module of these."""
    with (Path(tempfile.gettempdir()) / "tpgen-tests-in-memory.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
