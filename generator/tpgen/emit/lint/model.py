"""A model of a repository as the rules see it: what lies in its directory, its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from ...diagnostics import Diagnostic, Severity
from ...source import Span
from ..config_pbtxt import ConfigSyntaxError, ModelConfig
from . import backends
from .scan import Places, Step

CONFIG = "config.pbtxt"
_NO_VERSIONS = {"warmup", "initial_state"}
_BIGGEST_VERSION = 2**63 - 1


class Entry(Enum):
    """What a name in a directory stands for; of a link, what it leads to."""

    FILE = "file"
    DIRECTORY = "directory"
    BROKEN = "a link that leads nowhere"


@dataclass(frozen=True)
class ConfigText:
    """The text of a config.pbtxt. `problem` says why there is none, or why the server would not use it."""

    path: str
    exists: bool
    places: Places
    problem: str | None = None
    is_utf8: bool = True


@dataclass(frozen=True)
class Version:
    """A directory that the server takes for a version; it then looks in `str(number)`, whatever the name."""

    directory: str
    number: int


@dataclass(frozen=True)
class Repository:
    """A directory of models, the release of the server that is to load it, and what else lies in it."""

    root: Path
    target: str
    models: dict[str, Model] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Model:
    """One directory of a repository.

    `config` is empty if there is no file or it cannot be parsed; `syntax` says what is wrong with it then.
    """

    name: str
    directory: Path
    entries: Mapping[str, Entry]
    text: ConfigText
    config: ModelConfig
    repository: Repository = field(repr=False, compare=False)
    syntax: ConfigSyntaxError | None = None
    problem: str | None = None

    def error(self, code: str, message: str, *path: Step, hint: str) -> Diagnostic:
        """The server refuses this model, or fails every request to it. `path` is the field at fault."""
        return self._finding(code, Severity.ERROR, message, hint, self._place(path))

    def warning(self, code: str, message: str, *path: Step, hint: str) -> Diagnostic:
        """The server loads this model, but does not run it as written."""
        return self._finding(code, Severity.WARNING, message, hint, self._place(path))

    def note(self, code: str, message: str, *path: Step, hint: str) -> Diagnostic:
        """The server runs this model as written if it was started for it, which no file says."""
        return self._finding(code, Severity.NOTE, message, hint, self._place(path))

    def error_at(self, code: str, message: str, span: Span | None, *, hint: str | None) -> Diagnostic:
        """As `error`, for a place that is no field."""
        return self._finding(code, Severity.ERROR, message, hint, span)

    def warning_at(self, code: str, message: str, span: Span | None, *, hint: str | None) -> Diagnostic:
        """As `warning`, for a place that is no field."""
        return self._finding(code, Severity.WARNING, message, hint, span)

    def error_in(self, code: str, message: str, file: str, *, hint: str | None) -> Diagnostic:
        """As `error`, about a file or directory of the model, named relative to its directory."""
        return self._about_file(code, Severity.ERROR, message, file, hint)

    def warning_in(self, code: str, message: str, file: str, *, hint: str | None) -> Diagnostic:
        """As `warning`, about a file or directory of the model, named relative to its directory."""
        return self._about_file(code, Severity.WARNING, message, file, hint)

    def _about_file(
        self, code: str, severity: Severity, message: str, file: str, hint: str | None
    ) -> Diagnostic:
        path = str(self.directory / file)
        return Diagnostic(code, severity, message, hint=hint, model=self.name, file=path)

    def _finding(
        self, code: str, severity: Severity, message: str, hint: str | None, span: Span | None
    ) -> Diagnostic:
        file = None if span else self.text.path if self.text.exists else str(self.directory)
        return Diagnostic(code, severity, message, span, hint=hint, model=self.name, file=file)

    def _place(self, path: tuple[Step, ...]) -> Span | None:
        return self.text.places.span(*path) if self.text.exists and path else None

    def path_of(self, file: str) -> Path:
        """A file named in the configuration, relative to the model's directory."""
        return self.directory / file

    @property
    def is_parsed(self) -> bool:
        """True if the configuration can be judged: a file that the server can read, or none."""
        return self.text.problem is None and self.syntax is None

    @property
    def is_ensemble(self) -> bool:
        """True for a configuration with ensemble steps, or that says to be an ensemble."""
        return bool(self.config.HasField("ensemble_scheduling") or self.config.platform == backends.ENSEMBLE)

    @cached_property
    def backend(self) -> str:
        """The backend's name as the server finds it: given, by platform, or by a file's name; else empty."""
        return backends.effective(self.config, self._first_version_files, self.name)

    @cached_property
    def _first_version_files(self) -> frozenset[str]:
        """The server looks into the first directory, by name, whatever it is."""
        directories = sorted(name for name, kind in self.entries.items() if kind is Entry.DIRECTORY)
        if not directories:
            return frozenset()
        try:
            return frozenset(path.name for path in (self.directory / directories[0]).iterdir())
        except OSError:
            return frozenset()

    @cached_property
    def versions(self) -> tuple[Version, ...]:
        """The directories that the server takes for versions, the latest first."""
        found = [
            Version(name, int(match[0]))
            for name, kind in self.entries.items()
            if kind is Entry.DIRECTORY and (match := version_number(name))
        ]
        return tuple(sorted(found, key=lambda version: -version.number))

    @cached_property
    def loaded(self) -> tuple[Version, ...]:
        """The versions that the version policy admits."""
        policy = self.config.version_policy
        kind = policy.WhichOneof("policy_choice")
        if kind == "all":
            return self.versions
        if kind == "specific":
            return tuple(v for v in self.versions if v.number in policy.specific.versions)
        count = policy.latest.num_versions if kind == "latest" else 1
        numbers = sorted({version.number for version in self.versions}, reverse=True)[:count]
        return tuple(version for version in self.versions if version.number in numbers)

    @property
    def knows_tensors(self) -> bool:
        """True if the configuration tells the inputs and outputs, so that no backend has to."""
        return bool(self.config.input) and bool(self.config.output)

    def named(self, tensors: Any, name: str) -> Any:
        """The first of the inputs or outputs with that name, or None."""
        return next((tensor for tensor in tensors if tensor.name == name), None)


def version_number(name: str) -> re.Match[str] | None:
    """The number at the start of a directory's name, as the server reads it; None if it reads none there."""
    if name in _NO_VERSIONS or (len(name) > 1 and name.startswith("0")):
        return None
    return re.match(r"\s*[-+]?[0-9]+", name)


def is_too_big(number: int) -> bool:
    """True for a version that overflows the server's integer, and ends it."""
    return not -_BIGGEST_VERSION - 1 <= number <= _BIGGEST_VERSION
