"""Texts that a user gave on the command line where a file was meant."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity
from ..ir.graph import Entry
from ..types import Bytes


class BareText(str):
    """A value as it was typed: no file after ``@``, no JSON literal, and so no text in quotes either."""

    __slots__ = ()


def refuse_file_names(entry: Entry, samples: Iterable[Mapping[str, Any]]) -> None:
    """Refuses a bare text for an input of bytes if a file has that name: its content was meant.

    Raises:
        PipelineError: TP722, with the spelling for the file and that for the text.
    """
    keys = {port.key for port in entry.inputs if isinstance(port.type, Bytes)}
    problems = {
        f"input '{key}' of '{entry.name}' is bytes, but the name of the file '{value}' is given": hint
        for sample in samples
        for key, value in sample.items()
        if key in keys and (hint := file_hint(key, value))
    }
    if problems:
        raise PipelineError(
            Diagnostic("TP722", Severity.ERROR, message, hint=hint) for message, hint in problems.items()
        )


def file_hint(key: str, value: Any) -> str | None:
    """How to give the content of the file whose name was given; None if there is no such file."""
    if not isinstance(value, BareText) or not os.path.isfile(value):
        return None
    return f"did you mean {key}=@{value}? (the text itself is written in quotes: '{key}=\"{value}\"')"
