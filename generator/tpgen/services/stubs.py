"""Notices when a process of a Python model dies, which tritonserver 24.10 neither says nor mends."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .watchdog import session_processes

_PROGRAM = "triton_python_backend_stub"
_MODEL_FILE, _INSTANCE = 1, 8  # where they stand on its command line


@dataclass(frozen=True)
class LostStub:
    """A process that is gone: the model and instance that it ran, and how many of the model's are left."""

    model: str
    instance: str
    left: int


class StubWatch:
    """Watches the processes of Python models in a session, from now on.

    Args:
        session: the session id of the server.
    """

    def __init__(self, session: int) -> None:
        self._session = session
        self._known = stubs_of(session)

    def lost(self) -> list[LostStub]:
        """Those that died since the last call, in the order of their names."""
        alive = session_processes(self._session)
        gone = [stub for pid, stub in self._known.items() if pid not in alive]
        self._known = {pid: stub for pid, stub in self._known.items() if pid in alive}
        left = Counter(model for model, _ in self._known.values())
        return [LostStub(model, instance, left[model]) for model, instance in sorted(gone)]


def stubs_of(session: int) -> dict[int, tuple[str, str]]:
    """The processes of Python models in a session: process id -> model and instance."""
    found = {}
    for pid in session_processes(session):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            if Path(words[0]).name == _PROGRAM and len(words) > _INSTANCE:
                found[pid] = (Path(words[_MODEL_FILE]).parents[1].name, words[_INSTANCE])
    return found
