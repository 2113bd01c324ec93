"""Tells a server that starts slowly from one that will never start."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from .cache import is_shell_safe

# A server that waits for a dead stub uses about 0.0001 of a core; one that loads anything, more than a tenth.
_IDLE_SHARE = 0.01


class Watchdog:
    """Watches a session of processes and a log for signs of work.

    Args:
        session: the session id (that of its first process, which is not counted itself).
        log: the file that grows while there is something to say.
    """

    def __init__(self, session: int, log: Path) -> None:
        self._session = session
        self._log = log
        self._mark()

    def idle_seconds(self) -> float:
        """For how long nothing was written and next to no processor time used."""
        elapsed = time.monotonic() - self._since
        used = (self._ticks() - self._used) / os.sysconf("SC_CLK_TCK")
        if self._log_size() != self._size or used > _IDLE_SHARE * elapsed + 0.02:
            self._mark()
            return 0.0
        return elapsed

    def _mark(self) -> None:
        self._since = time.monotonic()
        self._size = self._log_size()
        self._used = self._ticks()

    def _log_size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _ticks(self) -> int:
        return sum(ticks for pid, ticks in session_processes(self._session).items() if pid != self._session)


def session_processes(session: int) -> dict[int, int]:
    """The processes of a session: process id -> processor time used, in clock ticks. Zombies are left out."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The command's name is in parentheses and may hold anything; what follows it is regular.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found[int(entry.name)] = int(fields[11]) + int(fields[12])
    return found


def hang_causes(repository: Path) -> dict[str, str]:
    """What is known to make server 24.10 wait for ever: model -> what is wrong with its folder."""
    causes = {}
    for model in sorted(path for path in repository.iterdir() if path.is_dir()):
        if not is_shell_safe(Path(model.name)):
            causes[model.name] = (
                "its folder's name holds a character that the server passes to a shell unquoted"
            )
        elif _is_python_model(model):
            empty = [v.name for v in _version_folders(model) if not (v / "model.py").is_file()]
            if empty:
                causes[model.name] = f"version folder '{empty[0]}' has no model.py"
    return causes


def _is_python_model(model: Path) -> bool:
    config = model / "config.pbtxt"
    text = config.read_text(errors="replace") if config.is_file() else ""
    return bool(re.search(r'backend\s*:\s*"python"', text)) and "default_model_filename" not in text


def _version_folders(model: Path) -> list[Path]:
    return sorted(path for path in model.iterdir() if path.is_dir() and re.fullmatch(r"[1-9]\d*", path.name))
