"""Workflows of continuous integration for pipelines: which checkout they are in, and what it is to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..diagnostics import Diagnostic, PipelineError, Severity
from ..driver import BuildOptions, check
from ..emit.ci import Checked, workflow

DEFAULT_REQUIREMENT = f"tpgen[serve]=={__version__}"


def checkout_of(path: Path) -> Path:
    """The root of the checkout that a file is in; the current folder if it is in none."""
    resolved = path.resolve()
    return next((folder for folder in resolved.parents if (folder / ".git").exists()), Path.cwd())


def workflow_text(
    system: str,
    pipelines: Sequence[Path],
    options: BuildOptions,
    words: Sequence[str],
    requirement: str = DEFAULT_REQUIREMENT,
) -> str:
    """The workflow for pipelines of one checkout.

    Args:
        system: ``github`` or ``gitlab``.
        pipelines: TOML files, at least one.
        options: those of the build.
        words: the same as words of a command line.
        requirement: what pip installs.

    Raises:
        PipelineError: a pipeline is wrong; TP616, it isn't in the checkout.
    """
    root = checkout_of(pipelines[0])
    found = []
    for path in pipelines:
        (compiled,) = check(path, options).compiled
        entries = tuple(entry.name for entry in compiled.reference.entries)
        found.append(Checked(_inside(path, root), entries))
    return workflow(system, requirement, found, words)


def _inside(path: Path, root: Path) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        message = f"'{path}' is not in '{root}', so a workflow that runs there can't build it"
        hint = "name pipelines of one checkout, or run the command in the folder that will be one"
        raise PipelineError([Diagnostic("TP616", Severity.ERROR, message, hint=hint, file=str(path))])
    return resolved.relative_to(root).as_posix()
