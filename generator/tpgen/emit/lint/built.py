"""A repository that tpgen built: are the files that its tpgen.json lists there, and as they were written?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...diagnostics import Diagnostic, PipelineError, Severity
from ..listing import sha256_of
from ..manifest import NAME, Manifest, read_manifest

_SHOWN = 3  # files that a message names


def files_are_as_built(root: Path) -> Iterator[Diagnostic]:
    """TP873 and TP874, once per model; nothing for a repository without a tpgen.json."""
    if not (root / NAME).is_file():
        return
    try:
        manifest = read_manifest(root)
    except PipelineError as problem:  # the server does not read it
        yield from (replace(found, severity=Severity.WARNING) for found in problem.diagnostics)
        return
    if manifest is not None:
        yield from _compared(root, manifest)


def _compared(root: Path, manifest: Manifest) -> Iterator[Diagnostic]:
    for pipeline in manifest.pipelines.values():
        way_out = f"build it again: tpgen build {pipeline.source} -o {root}"
        for model, files in pipeline.models.items():
            if not (root / model).exists():
                message = f"model '{model}' is not there, which was built from {pipeline.source}"
                yield _finding("TP873", Severity.ERROR, message, root / model, model, way_out)
            else:
                yield from _changes(root / model, files, model, way_out)
    yield from _changes(root, manifest.root_files, None, "build the repository again")


def _changes(folder: Path, files: Mapping[str, str], model: str | None, way_out: str) -> Iterator[Diagnostic]:
    missing, changed = [], []
    for path, digest in files.items():
        found = _digest(folder / path)
        if found is None:
            missing.append(path)
        elif found != digest:
            changed.append(path)
    of = f" of model '{model}'" if model else ""
    if missing:
        message = f"{_listed(missing)}{of} {_are(missing)} not there, though tpgen wrote {_them(missing)}"
        yield _finding("TP873", Severity.ERROR, message, folder / missing[0], model, way_out)
    if changed:
        message = f"{_listed(changed)}{of} {_are(changed)} not as tpgen wrote {_them(changed)}"
        hint = f"{way_out}; what should stay belongs into the TOML"
        yield _finding("TP874", Severity.WARNING, message, folder / changed[0], model, hint)


def _digest(path: Path) -> str | None:
    """The file's hash, empty if it can't be read, None if it is not there."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _finding(
    code: str, severity: Severity, message: str, file: Path, model: str | None, hint: str
) -> Diagnostic:
    return Diagnostic(code, severity, message, hint=hint, model=model, file=str(file))


def _listed(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(f"'{path}'" for path in paths[:_SHOWN]) + (f" and {more} more files" if more > 0 else "")


def _are(paths: list[str]) -> str:
    return "are" if len(paths) > 1 else "is"


def _them(paths: list[str]) -> str:
    return "them" if len(paths) > 1 else "it"
