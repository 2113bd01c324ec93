"""Choosing one of a pipeline's entries by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..diagnostics import Diagnostic, PipelineError, Severity, did_you_mean
from ..ir.graph import Entry


def choose_entry(entries: Sequence[Entry], wanted: str | None, path: str | Path) -> Entry:
    """The entry of that name; None is for the only one that is a root.

    Raises:
        PipelineError: TP706, there is none of that name, or several to choose from.
    """
    roots = [entry for entry in entries if not entry.is_added]
    if wanted is None and len(roots) == 1:
        return roots[0]
    named = next((entry for entry in entries if entry.name == wanted), None)
    if named is not None:
        return named
    names = [entry.name for entry in entries]
    said = f"the pipeline has {len(roots)} entries" if wanted is None else f"there is no entry '{wanted}'"
    near = did_you_mean(wanted, names) if wanted is not None else None
    hint = f"did you mean '{near}'?" if near else f"choose one with entry= or --entry: {', '.join(names)}"
    raise PipelineError([Diagnostic("TP706", Severity.ERROR, said, hint=hint, file=str(path))])
