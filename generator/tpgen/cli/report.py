"""What a command says: text for people, or one JSON document for programs."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from ..diagnostics import Bag, Diagnostic, Severity, render


class Report:
    """Collects what a command found, and prints it as text or as JSON.

    Text: results go to ``out``, findings and progress to stderr, as they come. JSON: one document on
    ``out`` when the command ends; only progress is printed before.
    """

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = out
        self._parts: dict[str, Any] = {}
        self._diagnostics: list[Diagnostic] = []
        self._published = False

    def say(self, text: str = "") -> None:
        """Prints a part of the result for people."""
        if not self.as_json:
            self._out.write(f"{text}\n")
            self._out.flush()

    def progress(self, text: str) -> None:
        """Prints what goes on at the moment, on stderr."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def put(self, **parts: Any) -> None:
        """Adds parts to the JSON document."""
        self._parts.update(parts)

    def findings(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Reports diagnostics, in the order of their places; with a closing count of errors and warnings."""
        bag = Bag()
        bag.extend(diagnostics)
        found = bag.in_file_order()
        self._diagnostics += found
        if self.as_json or not found:
            return
        color = _wants_color(sys.stderr)
        for diagnostic in found:
            self.progress(render(diagnostic, color=color))
        if counted := _counted(found):
            self.progress(counted)

    def failure(self, diagnostic: Diagnostic, text: str) -> None:
        """Reports a failure that has no place: ``text`` for people, the diagnostic in the document."""
        self._diagnostics.append(diagnostic)
        if not self.as_json:
            self.progress(text)

    def publish(self, status: int = 0) -> None:
        """Prints the JSON document, once. A command that stays (a server) calls it before the end."""
        if not self.as_json or self._published:
            return
        self._published = True
        records = [diagnostic.to_json() for diagnostic in self._diagnostics]
        document = finite({"ok": status == 0, "diagnostics": records, **self._parts})
        self._out.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        self._out.flush()


def finite(value: Any) -> Any:
    """The value with null for every float that JSON has no word for."""
    if isinstance(value, dict):
        return {key: finite(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [finite(element) for element in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _wants_color(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _counted(diagnostics: list[Diagnostic]) -> str:
    counts = {
        severity.value: sum(diagnostic.severity is severity for diagnostic in diagnostics)
        for severity in (Severity.ERROR, Severity.WARNING)
    }
    return ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count)
