"""Workflows of continuous integration for pipelines: which checkout they are in, and what it is to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..diagnostics import Diagnostic, PipelineError, Severity
from ..driver import BuildOptions, check
from ..driver.encrypted import encrypted_models
from ..driver.precision import TENSORRT
from ..driver.values import item_for
from ..emit.ci import Checked, Gpus, workflow
from ..emit.versions import parse_release
from ..ir.graph import Entry
from .given import refuse_file_names


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
    inputs: Sequence[tuple[str, str]] = (),
    samples: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The workflow for pipelines of one checkout.

    Args:
        system: ``github`` or ``gitlab``.
        pipelines: TOML files, at least one.
        options: those of the build.
        words: the same as words of a command line.
        requirement: what pip installs; by default this release.
        gpus: labels of runners, one for each type of GPU that engines are built for.
        inputs: what the answers are compared for, as keys and texts of a command line; entries that have not
            all of these keys are given made inputs.
        samples: the same as values.

    Raises:
        PipelineError: a pipeline is wrong; TP616, it, or the file of an input, isn't in the checkout; TP722,
            the inputs fit no entry.
    """
    root = checkout_of(pipelines[0])
    found = []
    releases = []
    compared: list[Entry] = []
    sent = [word for key, text in inputs for word in ("--input", f"{key}={_from_root(text, root)}")]
    for path in pipelines:
        (compiled,) = check(path, options).compiled
        entries = tuple(entry.name for entry in compiled.reference.entries)
        taking = _taking(compiled.reference.entries, samples)
        compared += compiled.reference.entries
        on_gpu = compiled.options.target == "gpu"
        if gpus and not on_gpu:
            (compiled,) = check(path, replace(options, target="gpu", runtime=None)).compiled
        has_engines = any(stage.backend == TENSORRT for stage in compiled.graph.stages)
        secret = bool(encrypted_models(compiled.graph))
        own = {name: tuple(sent) for name in taking}
        found.append(Checked(_inside(path, root), entries, on_gpu, has_engines, secret, own))
        releases.append(compiled.loaded.table.keys.target_triton)
    if sent and not any(one.inputs for one in found):
        item_for(compared[0], samples[0])  # says what does not fit
    requirement = requirement or default_requirement(found)
    return workflow(system, requirement, found, words, Gpus(tuple(gpus), max(releases, key=parse_release)))


def _taking(entries: Sequence[Entry], samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The entries that have all keys of the samples, which must fit them."""
    taking = []
    for entry in entries:
        if samples and set(samples[0]) <= {port.key for port in entry.inputs}:
            refuse_file_names(entry, samples)
            for sample in samples:
                item_for(entry, sample)
            taking.append(entry.name)
    return taking


def _from_root(text: str, root: Path) -> str:
    """The text of an input as it is written in the root of the checkout."""
    return f"@{_inside(Path(text[1:]), root)}" if text.startswith("@") else text


def _inside(path: Path, root: Path) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        message = f"'{path}' is not in '{root}', so a workflow that runs there has no such file"
        hint = "name files of one checkout, or run the command in the folder that will be one"
        raise PipelineError([Diagnostic("TP616", Severity.ERROR, message, hint=hint, file=str(path))])
    return resolved.relative_to(root).as_posix()
