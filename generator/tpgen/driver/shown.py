"""How results look when a user prints them."""

from __future__ import annotations

from collections.abc import Iterable

from ..diagnostics import Diagnostic, Severity


def counted(diagnostics: Iterable[Diagnostic]) -> str:
    """How many findings there are of each severity: "1 error, 2 notes"; "no findings"."""
    found = [diagnostic.severity for diagnostic in diagnostics]
    parts = [f"{n} {kind.value}{'s' * (n > 1)}" for kind in Severity if (n := found.count(kind))]
    return ", ".join(parts) or "no findings"
