"""`--input KEY=VALUE`: from the command line to samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..diagnostics import Diagnostic, PipelineError, Severity


def read_samples(given: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The samples of a command line, each a dictionary of values.

    The first value of every key makes the first sample, and so on; a key that is given once goes to all.

    Raises:
        PipelineError: TP721, a file can't be read, or the keys have differing numbers of values.
    """
    columns: dict[str, list[Any]] = {}
    for key, text in given:
        columns.setdefault(key, []).append(parse_value(key, text))
    count = max((len(values) for values in columns.values()), default=0)
    for key, values in columns.items():
        if len(values) not in (1, count):
            most = next(other for other, column in columns.items() if len(column) == count)
            _fail(
                f"'{key}' has {len(values)} values, but '{most}' has {count}",
                hint="give each sample a value of its own, or one for all",
            )
    return [
        {key: values[index if len(values) > 1 else 0] for key, values in columns.items()}
        for index in range(count)
    ]


def parse_value(key: str, text: str) -> Any:
    """The value that a text stands for: a file after ``@``, a JSON literal, else the text itself."""
    if text.startswith("@"):
        return _read_file(key, text[1:])
    try:
        value = json.loads(text, parse_constant=_no_literal)
    except (ValueError, RecursionError):
        value = None
    if value is not None and not isinstance(value, dict):
        return value
    from ..services.given import BareText

    return BareText(text)


def _no_literal(name: str) -> NoReturn:
    """NaN and Infinity are words here, not JSON."""
    raise ValueError(name)


def _read_file(key: str, name: str) -> Any:
    path = Path(name)
    try:
        if path.suffix.lower() == ".npy":
            import numpy as np

            return np.load(path, allow_pickle=False)
        return path.read_bytes()
    except OSError as problem:
        reason = problem.strerror or str(problem)
        _fail(f"input '{key}' can't be read: {reason.lower()}", file=name, hint=_hint(path))
    except (ValueError, EOFError) as problem:
        _fail(f"input '{key}' is not an array of numbers: {problem}", file=name)


def _hint(path: Path) -> str | None:
    if path.parent.is_dir():
        return None
    return f"the folder '{path.parent}' does not exist"


def _fail(message: str, *, file: str | None = None, hint: str | None = None) -> NoReturn:
    raise PipelineError([Diagnostic("TP721", Severity.ERROR, message, file=file, hint=hint)])
