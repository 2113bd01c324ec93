"""`tpgen.json`: what a repository holds of ours, per pipeline, with the hash of every file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from .findings import failure
from .repo_plan import JSON, RepoPlan, is_safe_path

NAME = "tpgen.json"
REQUIREMENTS = "requirements.txt"
_FORMAT = 1
# Folders above the repository within which a TOML file is taken to move together with it.
_NEAR = 3


@dataclass(frozen=True)
class PipelineEntry:
    """One pipeline of a repository. `models`: model name -> path inside the model -> sha256 of the file.

    `path`: the TOML file, relative to the repository; empty where it lies beside it, or far from it.
    """

    source: str
    fingerprint: str
    entries: tuple[str, ...]
    models: Mapping[str, Mapping[str, str]]
    requirements: tuple[str, ...]
    record: Mapping[str, JSON]
    path: str = ""

    @classmethod
    def of(cls, plan: RepoPlan, hashes: Mapping[str, Mapping[str, str]], root: Path) -> PipelineEntry:
        """The entry that a plan leaves in the repository at `root`; `hashes` is the same as `models`."""
        return cls(
            PurePath(plan.source).name,
            plan.fingerprint,
            plan.entries,
            hashes,
            plan.requirements,
            plan.record,
            _path_from(root, Path(plan.source)),
        )

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file of the pipeline as (path inside the repository, sha256)."""
        for model, files in self.models.items():
            for path, digest in files.items():
                yield f"{model}/{path}", digest


@dataclass(frozen=True)
class Manifest:
    """The content of tpgen.json. `root_files`: files of ours beside it, with their sha256."""

    pipelines: Mapping[str, PipelineEntry]
    root_files: Mapping[str, str]

    def owner_of(self, model: str) -> str | None:
        """The pipeline that a model directory belongs to, None if it is not ours."""
        return next((name for name, entry in self.pipelines.items() if model in entry.models), None)

    def models(self) -> set[str]:
        """The names of all model directories that are ours."""
        return {model for entry in self.pipelines.values() for model in entry.models}

    def files(self, pipelines: Iterable[str] | None = None) -> dict[str, str]:
        """Files of models, path inside the repository -> sha256, of the named pipelines or of all."""
        names = self.pipelines if pipelines is None else pipelines
        return dict(pair for name in names for pair in self.pipelines[name].files())

    def to_text(self) -> str:
        """The file's text: sorted, two blanks of indentation, a newline at the end."""
        pipelines = {name: _entry_to_json(entry) for name, entry in self.pipelines.items()}
        document = {"format": _FORMAT, "pipelines": pipelines, "files": dict(self.root_files)}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def requirements_text(entries: Iterable[PipelineEntry]) -> str:
    """The merged requirements file: each line once, sorted without regard to case."""
    lines = {line.strip() for entry in entries for line in entry.requirements}
    head = "# What the server's Python needs for the pipelines in this directory. Written by tpgen.\n"
    return head + "".join(f"{line}\n" for line in sorted(lines, key=lambda line: (line.lower(), line)))


def read_manifest(directory: Path) -> Manifest | None:
    """Reads DIR/tpgen.json; None if there is none. PipelineError TP604 if it can't be understood."""
    path = directory / NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise failure("TP602", f"cannot read '{path}': {error.strerror}", file=path) from error
    try:
        return _from_json(json.loads(text.decode("utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise failure(
            "TP604",
            f"'{path}' is not a record that this version of tpgen can read",
            hint="a newer tpgen may have written it: use that one, build into another directory with -o, "
            "or delete the directory if nothing in it is yours",
            file=path,
        ) from error


def _path_from(root: Path, source: Path) -> str:
    """Where a TOML file lies, seen from a repository, in POSIX form; empty if that is not worth recording.

    Beside the repository its name is enough. Of a file that is far away, or has nothing in common with the
    repository but the root of the file system, the path would only tell how this machine is organised.
    """
    if not source.is_file():
        return ""
    origin, root = source.parent.resolve(), root.resolve()
    above = root.parents[:_NEAR]
    if origin == root.parent or not any(origin.is_relative_to(one) for one in above if one.name):
        return ""
    return Path(os.path.relpath(origin / source.name, root)).as_posix()


def _entry_to_json(entry: PipelineEntry) -> dict[str, JSON]:
    return {
        "source": entry.source,
        "fingerprint": entry.fingerprint,
        "entries": list(entry.entries),
        "models": {model: dict(files) for model, files in entry.models.items()},
        "requirements": list(entry.requirements),
        "record": entry.record,
        **({"path": entry.path} if entry.path else {}),
    }


def _from_json(document: Any) -> Manifest:
    if document["format"] != _FORMAT:
        raise ValueError("another format")
    pipelines = {str(name): _entry_from_json(entry) for name, entry in document["pipelines"].items()}
    return Manifest(pipelines, _hashes(document["files"]))


def _entry_from_json(entry: Any) -> PipelineEntry:
    models = {model: _hashes(files) for model, files in entry["models"].items()}
    if any("/" in model or not is_safe_path(model) for model in models):
        raise ValueError("a model name that leaves the directory")
    return PipelineEntry(
        str(entry["source"]),
        str(entry["fingerprint"]),
        tuple(str(name) for name in entry["entries"]),
        models,
        tuple(str(line) for line in entry["requirements"]),
        dict(entry["record"]),
        str(entry.get("path", "")),
    )


def _hashes(files: Any) -> dict[str, str]:
    # Listed files get replaced and removed, so a path that leaves the directory must never pass.
    if not all(is_safe_path(path) and isinstance(digest, str) for path, digest in files.items()):
        raise ValueError("a path that leaves the directory")
    return dict(files)
