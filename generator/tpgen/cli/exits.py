"""From the exceptions that a command can end with to its exit status and its last words."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence

import click

from .. import __version__
from ..diagnostics import Diagnostic, PipelineError, Severity, ToolMissing
from .report import Report

WRONG = 1
USAGE = 2
MISSING = 3
BUG = 70
INTERRUPTED = 130


def status_of(problem: BaseException, report: Report, arguments: Sequence[str]) -> int:
    """Reports why a command ended and returns its exit status.

    Raises:
        BrokenPipeError: it was that; there is nobody to report to.
    """
    match problem:
        case PipelineError():
            report.findings(problem.diagnostics)
            return WRONG
        case ToolMissing():
            return _missing(problem, report)
        case click.exceptions.Exit():
            return problem.exit_code
        case click.ClickException():
            return _usage(problem, report)
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case SystemExit():  # click's answer to a reader that is gone
            return problem.code if isinstance(problem.code, int) else WRONG
        case BrokenPipeError():
            raise problem
        case _:
            return _bug(problem, report, arguments)


def _missing(problem: ToolMissing, report: Report) -> int:
    text = f"tpgen: {problem.message}"
    if problem.command is not None:
        text += f"\n  install it with: {problem.command}"
    report.failure(Diagnostic("TP790", Severity.ERROR, problem.message, hint=problem.command), text)
    return MISSING


def _usage(problem: click.ClickException, report: Report) -> int:
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    message = problem.format_message()
    lines, hint = [f"tpgen: {message}"], None
    if context is not None:
        hint = f"{context.command_path} --help"
        lines = [context.get_usage(), *lines, f"  help: {hint}"]
    report.failure(Diagnostic("TP791", Severity.ERROR, message, hint=hint), "\n".join(lines))
    return USAGE


def _bug(problem: BaseException, report: Report, arguments: Sequence[str]) -> int:
    place = _write_details(problem, arguments)
    message = f"{type(problem).__name__}: {problem}"
    lines = [
        f"tpgen: {message}",
        "  This is a bug in tpgen, not an error in your pipeline.",
        f"  The details are in {place}; please report it with that file and the pipeline."
        if place
        else "".join(traceback.format_exception(problem)),
        f"  {_versions()}",
    ]
    hint = f"please report it with {place}" if place else None
    report.failure(Diagnostic("TP799", Severity.ERROR, message, hint=hint), "\n".join(lines))
    return BUG


def _write_details(problem: BaseException, arguments: Sequence[str]) -> str | None:
    """The traceback and what it happened with, in a temporary file; None if none can be written."""
    trace = "".join(traceback.format_exception(problem))
    text = f"{_versions()}\n{shlex.join(['tpgen', *arguments])}\n\n{trace}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="tpgen-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
    except OSError:
        return None
    return file.name


def _versions() -> str:
    return f"tpgen {__version__}, Python {sys.version.split()[0]}, {platform.platform()}"
