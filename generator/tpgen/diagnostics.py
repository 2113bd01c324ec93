"""Diagnostics as data, the bag that collects them, and the exceptions that decide the exit code."""

import difflib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, Unpack

from .codes import CODES, CodeInfo
from .render import excerpt, printable
from .source import Span, TomlError

__all__ = [
    "CODES",
    "Bag",
    "CodeInfo",
    "Diagnostic",
    "InternalError",
    "PipelineError",
    "Severity",
    "ToolMissing",
    "did_you_mean",
    "render",
]


class Severity(StrEnum):
    """How bad a finding is; only errors stop a build."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class InternalError(Exception):
    """A bug in tpgen (exit 70)."""


class ToolMissing(Exception):
    """Something is missing in the environment (exit 3): what it is, and the command that installs it."""

    def __init__(self, message: str, command: str | None = None) -> None:
        super().__init__(message if command is None else f"{message}; install it with: {command}")
        self.message = message
        self.command = command


@dataclass(frozen=True)
class Diagnostic:
    """One finding.

    `span` is its place in a TOML file; `file` names a file (a model, say) in which there is no such place.
    `node` is the TOML node and `model` the Triton model that it is about, where there is one.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None
    hint: str | None = None
    node: str | None = None
    model: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise InternalError(f"the diagnostic code {self.code} has no page in codes/")

    def __repr__(self) -> str:
        """Its first line; the dataclass's own would show the whole text of the file."""
        return f"<Diagnostic {render(self).splitlines()[0]}>"

    @classmethod
    def from_toml_error(cls, error: TomlError) -> "Diagnostic":
        """The finding that a file can't be read or isn't TOML."""
        file = None if error.span else error.path
        return cls(error.code, Severity.ERROR, error.message, error.span, hint=error.hint, file=file)

    def to_json(self) -> dict[str, str | int | None]:
        """The record of `--json`; what doesn't apply is None. Line and column count from 1."""
        line, column = self.span.file.position(self.span.start) if self.span else (None, None)
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "file": self.span.file.path if self.span else self.file,
            "line": line,
            "column": column,
            "hint": self.hint,
            "model": self.model,
            "node": self.node,
        }


class PipelineError(Exception):
    """The pipeline, or the data given to it, is wrong (exit 1); `diagnostics` has at least one error."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(render(diagnostic) for diagnostic in self.diagnostics)


class _About(TypedDict, total=False):
    """What a finding may say besides its message and place; see Diagnostic."""

    hint: str | None
    node: str | None
    model: str | None
    file: str | None


MOST_ERRORS = 100


class Bag:
    """Collects diagnostics, so that a run shows all of them together."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._errors = 0

    def error(self, code: str, message: str, span: Span | None = None, **about: Unpack[_About]) -> None:
        """Adds a finding that stops the build.

        Raises:
            PipelineError: there are MOST_ERRORS; nobody reads more, and to find them all may take minutes.
        """
        if not self._add(Diagnostic(code, Severity.ERROR, message, span, **about)):
            return
        self._errors += 1
        if self._errors == MOST_ERRORS:
            file = span.file.path if span else about.get("file")
            message = f"these are {MOST_ERRORS} errors; whatever else is wrong is not shown"
            raise PipelineError(
                [*self.in_file_order(), Diagnostic("TP009", Severity.NOTE, message, file=file)]
            )

    def warning(self, code: str, message: str, span: Span | None = None, **about: Unpack[_About]) -> None:
        """Adds a finding that the user should act on, but need not."""
        self._add(Diagnostic(code, Severity.WARNING, message, span, **about))

    def note(self, code: str, message: str, span: Span | None = None, **about: Unpack[_About]) -> None:
        """Adds a fact worth knowing, such as a decision taken for the user."""
        self._add(Diagnostic(code, Severity.NOTE, message, span, **about))

    def _add(self, found: Diagnostic) -> bool:
        """Adds a finding; False if it is there already, because several entries have the same node."""
        is_new = found not in self.diagnostics
        if is_new:
            self.diagnostics.append(found)
        return is_new

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Adds findings made elsewhere."""
        self.diagnostics.extend(diagnostics)

    @property
    def has_errors(self) -> bool:
        """Whether one of the findings stops the build."""
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)

    def in_file_order(self) -> list[Diagnostic]:
        """The findings by file in order of first mention, in a file by place; those without a place last."""
        files: dict[str, int] = {}

        def order(diagnostic: Diagnostic) -> tuple[int, float]:
            path = diagnostic.span.file.path if diagnostic.span else diagnostic.file
            rank = files.setdefault(path, len(files)) if path else len(self.diagnostics)
            return rank, diagnostic.span.start if diagnostic.span else float("inf")

        return sorted(self.diagnostics, key=order)

    def raise_if_errors(self) -> None:
        """Raises PipelineError with all findings, in file order, if one of them is an error."""
        if self.has_errors:
            raise PipelineError(self.in_file_order())


_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


def render(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """The finding as people read it: place, severity, code, message, source line with carets, hint."""

    def painted(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    severity_color = f"1;{_COLORS[diagnostic.severity]}"
    place = str(diagnostic.span or diagnostic.file or "")
    prefix = painted(f"{printable(place)}: ", "1") if place else ""
    label = painted(f"{diagnostic.severity.value}[{diagnostic.code}]", severity_color)
    lines = [f"{prefix}{label}: {printable(diagnostic.message)}"]
    if diagnostic.span:
        for gutter, source, is_mark in excerpt(diagnostic.span):
            lines.append(f"{painted(gutter, '34')}{painted(source, severity_color) if is_mark else source}")
    if diagnostic.hint:
        hint = printable(diagnostic.hint).replace("\n", "\n        ")
        lines.append(f"  {painted('help:', '1')} {hint}")
    return "\n".join(line.rstrip() for line in lines)


_SHORT = 3  # letters


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like the word, upper and lower case being alike; None if none is near."""
    folded = word.casefold()
    if len(folded) > 100:
        return None
    by_folded: dict[str, str] = {}
    for candidate in sorted(set(candidates)):
        # A name of quite another length can't be a misspelling; this keeps thousands of candidates cheap.
        if candidate != word and abs(len(candidate) - len(word)) <= max(2, len(word) // 2):
            by_folded.setdefault(candidate.casefold(), candidate)
    if folded in by_folded:
        return by_folded[folded]
    # A misspelt name shares its start and end with the right one; comparing thousands takes too long.
    likely = heapq.nlargest(50, by_folded, key=lambda name: _shared_ends(folded, name))
    near = difflib.get_close_matches(folded, likely, n=1, cutoff=0.7)
    if not near and len(folded) <= _SHORT:  # `kk` and `k` are two thirds alike, but so are `tpu` and `gpu`
        others = [name for name in likely if len(name) != len(folded)]
        near = difflib.get_close_matches(folded, others, n=1, cutoff=0.66)
    return by_folded[near[0]] if near else None


def _shared_ends(word: str, other: str) -> int:
    """Length of the common start and the common end of two words."""
    return _shared_start(word, other) + _shared_start(word[::-1], other[::-1])


def _shared_start(word: str, other: str) -> int:
    differing = (index for index, (left, right) in enumerate(zip(word, other, strict=False)) if left != right)
    return next(differing, min(len(word), len(other)))
