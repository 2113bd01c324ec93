"""The TOML behind what is served: where it is, and samples of the types that it declares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity, did_you_mean
from ..driver import BuildOptions, Compiled, check
from ..driver.build import fingerprint
from ..emit.manifest import NAME as MANIFEST
from ..emit.manifest import PipelineEntry, read_manifest
from ..ir.graph import Entry
from .samples import Sample, made_samples


def sources_of(directory: Path, otherwise: str = "") -> list[tuple[Path, BuildOptions]]:
    """The TOML files that a repository was built from: where they were then, else by name beside it or here.

    Args:
        directory: the repository.
        otherwise: how to do without them, for the hint of an error.

    Raises:
        PipelineError: TP711, tpgen did not build it, or a file is in none of these places.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        message = f"{directory} has no {MANIFEST}: tpgen did not build it"
        near = sorted(directory.glob("*.toml"))
        named = f": {near[0]}" if len(near) == 1 else ""
        raise _error("TP711", message, f"give the TOML file{named}{otherwise}")
    found = []
    for name, pipeline in manifest.pipelines.items():
        source = source_file(directory, pipeline)
        if source is None:
            raise _error(
                "TP711",
                f"{pipeline.source}, which '{name}' was built from, is neither where it was then, nor beside "
                f"{directory}, nor here",
                f"name the TOML file in place of the folder: PATH/{pipeline.source}{otherwise}",
            )
        found.append((source, _options_of(name, pipeline, source)))
    return found


def source_file(directory: Path, pipeline: PipelineEntry) -> Path | None:
    """The TOML file of a pipeline: where it was built from, beside its repository or in the current folder.

    It is found by its name: whether it makes the pipeline is for `check_unchanged`.
    """
    root = directory.resolve()
    near = [Path(os.path.normpath(root / pipeline.path))] if pipeline.path else []
    candidates = [*near, root.parent / pipeline.source, Path(pipeline.source)]
    return next((path for path in candidates if path.is_file()), None)


def check_unchanged(directory: Path, compiled: Compiled) -> None:
    """See that a repository is what a TOML and its files make now, and not that of another.

    Raises:
        PipelineError: TP711, it has no such pipeline, or one that was built from something else.
    """
    if _recorded(directory, compiled).fingerprint != fingerprint(compiled):
        name, source = compiled.reference.name, compiled.source.path
        message = (
            f"'{name}' in {directory} was built from another state of {source}, with other options, or by "
            "another version of tpgen"
        )
        hint = f"build it again, or name the TOML file in place of the folder: {source}"
        raise _error("TP711", message, hint)


def _recorded(directory: Path, compiled: Compiled) -> PipelineEntry:
    """What a repository has of a pipeline; TP711 if nothing: the TOML is another file of that name."""
    manifest = read_manifest(directory)
    name, source = compiled.reference.name, compiled.source.path
    if manifest is None or name not in manifest.pipelines:  # an unnamed one is called as its folder
        held = ", ".join(f"'{one}'" for one in manifest.pipelines) if manifest is not None else ""
        hint = f"it holds {held or 'no pipeline'}: name the TOML file of that in place of the folder"
        raise _error("TP711", f"{source} makes '{name}', which {directory} does not hold", hint)
    return manifest.pipelines[name]


def _options_of(name: str, pipeline: PipelineEntry, source: Path) -> BuildOptions:
    """The options that a pipeline was built with; the models that it got by ``--model`` must be there."""
    recorded: Any = pipeline.record["options"]
    options = BuildOptions.from_record(recorded, source.parent)
    for node, path in options.models.items():
        if not Path(path).is_file():
            message = f"'{name}' was built with --model {node}={path}, where there is no file now"
            hint = f"name the TOML file in place of the folder: {source} --model {node}=PATH"
            raise _error("TP711", message, hint)
    return options


def declared_samples(target: Path, model: str | None, count: int) -> tuple[Entry, list[Sample]]:
    """Samples for an entry, made from the types of its inputs.

    Args:
        target: a TOML file, or a repository whose TOML files `sources_of` finds.
        model: the entry's name; None for the only one.
        count: how many.

    Raises:
        PipelineError: the pipeline is wrong, its TOML is not there, or no such entry can be chosen.
    """
    sources = (
        sources_of(target, ", or a sample with --input") if target.is_dir() else [(target, BuildOptions())]
    )
    results = [check(path, options) for path, options in sources]
    compiled = [one for result in results for one in result.compiled]
    if target.is_dir():
        for one in compiled:
            _recorded(target, one)
    entries = {entry.name: entry for one in compiled for entry in one.reference.entries}
    if model is None and len(entries) == 1:
        model = next(iter(entries))
    listed = ", ".join(f"'{name}'" for name in entries)
    if model is None:
        raise _error("TP706", f"there are {len(entries)} entries: {listed}", "name one with --model")
    if model not in entries:
        message = f"no sample can be made for '{model}', whose inputs no TOML file declares"
        near = did_you_mean(model, entries)
        raise _error(
            "TP706",
            message,
            f"did you mean '{near}'?" if near else f"give one with --input, or measure an entry: {listed}",
        )
    return entries[model], made_samples(entries[model], count)


def _error(code: str, message: str, hint: str) -> PipelineError:
    return PipelineError([Diagnostic(code, Severity.ERROR, message, hint=hint)])
