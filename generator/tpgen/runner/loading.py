"""Errors of user code while it is loaded, as findings about the user's file."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity
from ..source import SourceFile, Span

_NETWORKS = "tpgen_runtime.torchscript"  # with a TypeError where the user's class makes no network
_LOADERS = tuple(f"tpgen_runtime.{name}" for name in ("user", "user_filter", "user_modules"))


@contextmanager
def user_errors(folder: Path, shown: Path) -> Iterator[None]:
    """Within it, what user code raises ends as TP508, at the line of the user's file that raised it.

    Args:
        folder: where the user's modules are loaded from.
        shown: the folder of the same files as the user knows them.

    Raises:
        PipelineError: user code raised something; what others raise passes through.
    """
    try:
        yield
    except (Exception, SystemExit) as problem:
        place = _place(problem, folder)
        if refusal_of(problem) is not None or (place is None and not _is_loaders(problem)):
            raise
        raise PipelineError([_finding(problem, place, shown)]) from problem


@dataclass(frozen=True)
class Refusal:
    """Why a kernel can't load a model's file, and the way out; ``file`` is its name, where it has one."""

    message: str
    hint: str
    file: str | None


def refusal_of(problem: BaseException) -> Refusal | None:
    """What a kernel says of a model's file that it can't load; None if it is about something else."""
    if not isinstance(problem, importlib.import_module("tpgen_runtime.errors").ModelRefused):
        return None
    refused: Any = problem
    return Refusal(refused.message, refused.hint, refused.file)


def _place(problem: BaseException, folder: Path) -> tuple[Path, int] | None:
    """The last line of a user file on the way to the problem: path below the folder, number from 1."""
    root = os.path.realpath(folder)
    calls = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(problem.__traceback__)]
    if isinstance(problem, SyntaxError):  # of a module that is imported: it has no frame of its own
        calls.append((problem.filename or "", problem.lineno))
    files = [call for call in calls if not call[0].startswith("<")]  # others are no files: <frozen ...>
    for name, line in reversed(files):
        path = os.path.realpath(name)
        if path.startswith(root + os.sep):
            return Path(os.path.relpath(path, root)), line or 1
    return None


def _is_loaders(problem: BaseException) -> bool:
    """True if what loads user code could not do that: the module lacks what the TOML names, say."""
    names = (*_LOADERS, _NETWORKS) if isinstance(problem, TypeError) else _LOADERS
    loaders = {importlib.import_module(name).__file__ for name in names}
    return any(frame.filename in loaders for frame in traceback.extract_tb(problem.__traceback__))


def _finding(problem: BaseException, place: tuple[Path, int] | None, shown: Path) -> Diagnostic:
    said = str(problem).strip()
    message = f"user code can't be loaded: {type(problem).__name__}{': ' if said else ''}{said}"
    span = _line(shown / place[0], place[1]) if place is not None else None
    file = str(shown / place[0]) if place is not None and span is None else None
    return Diagnostic("TP508", Severity.ERROR, message, span, hint=_way_out(problem), file=file)


def _line(path: Path, number: int) -> Span | None:
    """The text of a line, without the blanks around it; None if it can not be read."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    lines = text.splitlines(keepends=True)
    if number > len(lines):
        return None
    line = lines[number - 1]
    start = sum(map(len, lines[: number - 1])) + len(line) - len(line.lstrip())
    return Span(SourceFile(str(path), text), start, start + len(line.strip()))


def _way_out(problem: BaseException) -> str:
    if isinstance(problem, ModuleNotFoundError) and problem.name:
        return f"correct the name, or install what brings '{problem.name}' for {sys.executable}"
    if isinstance(problem, FileNotFoundError) and problem.filename:
        name = os.path.basename(os.fsdecode(problem.filename))
        return (
            f"read it from beside the module, Path(__file__).with_name({name!r}), and write\n"
            f'[pipeline] include = ["{name}"], which takes it along into the repository'
        )
    return "modules are run, and classes made, when the pipeline is loaded: no server could load it either"
