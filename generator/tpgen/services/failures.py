"""What broke in operators while a server runs: the messages and tracebacks in its log, as they come."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

# A stage logs each as one line: the message, and the end of the traceback with its line ends escaped.
_BROKEN = re.compile(r"triton\.py:\d+\] (?P<text>\".*\\nTraceback \(most recent call last\):\\n.*\")$")
_QUIET_SECONDS = 10.0
_MOST_KINDS = 1000  # that are remembered


class FailureWatch:
    """Reads on in a server's log. Failures with one traceback are told once in ten seconds, then counted.

    Args:
        log: the file, read from its beginning; it may not exist yet.
        clock: seconds from any start.
    """

    def __init__(self, log: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._position = 0
        self._told: dict[str, float] = {}  # traceback -> when it was told
        self._untold: dict[str, int] = {}

    def fresh(self) -> list[str]:
        """The failures since the last call: a message, and the traceback below it."""
        found = []
        for line in self._lines():
            match = _BROKEN.search(line)
            if match is not None:
                message, _, trace = _unescaped(match["text"]).partition("\n")
                found += self._tell(message, trace)
        return found

    def _tell(self, message: str, trace: str) -> list[str]:
        now = self._clock()
        if now - self._told.get(trace, -_QUIET_SECONDS) < _QUIET_SECONDS:
            self._untold[trace] = self._untold.get(trace, 0) + 1
            return []
        if len(self._told) >= _MOST_KINDS:
            self._told.clear()
            self._untold.clear()
        self._told[trace] = now
        more = self._untold.pop(trace, 0)
        return [f"{message}{f' (and {more} more like it before)' if more else ''}\n{trace}"]

    def _lines(self) -> list[str]:
        """The whole lines that are new."""
        try:
            with open(self._log, "rb") as file:
                file.seek(self._position)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode(errors="replace").splitlines()


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:  # what the server does not escape: control characters, say
        return text[1:-1].replace("\\n", "\n").replace('\\"', '"')
