"""Workflows of continuous integration for pipelines: which checkout they are in, and what it is to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import __version__
from ..diagnostics import Diagnostic, PipelineError, Severity
from ..driver import BuildOptions, check
from ..driver.encrypted import encrypted_models
from ..driver.precision import TENSORRT
from ..emit.ci import Checked, Gpus, workflow
from ..emit.versions import parse_release


def default_requirement(pipelines: Sequence[Checked]) -> str:
    """What pip installs to get this release with what the pipelines need."""
    extras = "encrypt,serve" if any(one.is_encrypted for one in pipelines) else "serve"
    return f"tpgen[{extras}]=={__version__}"


def checkout_of(path: Path) -> Path:
    """The root of the checkout that a file is in; the current folder if it is in none."""
    resolved = path.resolve()
    return next((folder for folder in resolved.parents if (folder / ".git").exists()), Path.cwd())


def workflow_text(
    system: str,
    pipelines: Sequence[Path],
    options: BuildOptions,
    words: Sequence[str],
    requirement: str | None = None,
    gpus: Sequence[str] = (),
) -> str:
    """The workflow for pipelines of one checkout.

    Args:
        system: ``github`` or ``gitlab``.
        pipelines: TOML files, at least one.
        options: those of the build.
        words: the same as words of a command line.
        requirement: what pip installs; by default this release.
        gpus: labels of runners, one for each type of GPU that engines are built for.

    Raises:
        PipelineError: a pipeline is wrong; TP616, it isn't in the checkout.
    """
    root = checkout_of(pipelines[0])
    found = []
    releases = []
    for path in pipelines:
        (compiled,) = check(path, options).compiled
        entries = tuple(entry.name for entry in compiled.reference.entries)
        on_gpu = compiled.options.target == "gpu"
        if gpus and not on_gpu:
            (compiled,) = check(path, replace(options, target="gpu", runtime=None)).compiled
        has_engines = any(stage.backend == TENSORRT for stage in compiled.graph.stages)
        secret = bool(encrypted_models(compiled.graph))
        found.append(Checked(_inside(path, root), entries, on_gpu, has_engines, secret))
        releases.append(compiled.loaded.table.keys.target_triton)
    requirement = requirement or default_requirement(found)
    return workflow(system, requirement, found, words, Gpus(tuple(gpus), max(releases, key=parse_release)))


def _inside(path: Path, root: Path) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        message = f"'{path}' is not in '{root}', so a workflow that runs there can't build it"
        hint = "name pipelines of one checkout, or run the command in the folder that will be one"
        raise PipelineError([Diagnostic("TP616", Severity.ERROR, message, hint=hint, file=str(path))])
    return resolved.relative_to(root).as_posix()
