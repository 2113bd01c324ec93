"""Source files: text with positions, and TOML documents that know where each key and value stands."""

import os
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .toml_errors import explain
from .toml_scan import KeyPath, Place, ScanLimit, scan, string_offsets

MAX_BYTES = 16 * 1024 * 1024
_HEAD = 1024  # bytes at the start of a file that show whether it is text
_NO_TEXT = (".onnx", ".encrypted", ".engine", ".plan", ".trt", ".pt", ".pth", ".jpg", ".jpeg", ".png", ".npy")


@dataclass(frozen=True)
class SourceFile:
    """A text and the path by which the user named it."""

    path: str
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @property
    def line_count(self) -> int:
        """Number of lines; what follows the last line break counts as one, even if it is empty."""
        return len(self._line_starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1; the column counts characters."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The line with this number (from 1), without its line break."""
        end = self._line_starts[line] if line < self.line_count else len(self.text)
        return self.text[self._line_starts[line - 1] : end].rstrip("\r\n")


@dataclass(frozen=True)
class Span:
    """The characters `start` to `end` (exclusive) of a file."""

    file: SourceFile
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.file.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, from 1, in characters."""
        return self.file.position(self.start)[1]

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.file.text[self.start : self.end]

    def sub(self, start: int, end: int) -> "Span":
        """The part from `start` to `end`, both counted from this span's start and kept inside it."""
        limit = self.end - self.start
        return Span(self.file, self.start + min(start, limit), self.start + min(end, limit))

    def __str__(self) -> str:
        line, column = self.file.position(self.start)
        return f"{self.file.path}:{line}:{column}"

    def __repr__(self) -> str:
        return f"Span({self}, {self.text[:40]!r})"


@dataclass(frozen=True)
class KeySpan:
    """Where a key and its value stand."""

    key: Span
    value: Span


class TomlError(Exception):
    """A file that can't be read, or isn't TOML.

    `code` is the diagnostic's code, `path` the file as the user named it; `span` is None if no place in it is
    at fault.
    """

    def __init__(
        self, message: str, span: Span | None = None, *, code: str, path: str, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.code = code
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.span or self.path}: {self.message}"


class _Spans(Mapping[KeyPath, KeySpan]):
    """Places of a scan as spans, made when asked for: most of a large file is never at fault."""

    def __init__(self, source: SourceFile, places: dict[KeyPath, Place]) -> None:
        self._source = source
        self._places = places

    def __getitem__(self, path: KeyPath) -> KeySpan:
        return _key_span(self._source, self._places[path])

    def __contains__(self, path: object) -> bool:
        return path in self._places

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True)
class TomlDocument:
    """A parsed TOML file.

    `data` is what tomllib made of it. `spans` has an entry for each key path in it; items of arrays, and of
    arrays of tables, are named by their index ("0", "1" ...). The key span of a table header `[a.b]` is
    `a.b`, its value span the header; of a dotted key `a.b = 1` it is `b`; of an array item, which has no key,
    it is the value. A table that only longer keys name has the span of its part of the first such key.
    """

    source: SourceFile
    data: dict[str, Any]
    spans: Mapping[KeyPath, KeySpan]

    def string_offsets(self, path: KeyPath) -> list[int]:
        """For a string value: the source offset of each decoded character, then that of its end.

        Raises KeyError for an unknown path and ValueError if the value there isn't a string.
        """
        value = self.spans[path].value
        if not value.text.startswith(('"', "'")):
            raise ValueError(f"{'.'.join(path)} is not a string")
        return string_offsets(self.source.text, value.start, value.end)


def read_source(path: str | os.PathLike[str]) -> SourceFile:
    """Reads a UTF-8 file; a byte order mark at its start is dropped.

    Raises TomlError if it can't be read, is larger than MAX_BYTES, or isn't UTF-8.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise TomlError(
            "this is a folder, not a file", code="TP001", path=name, hint="name the TOML file inside it"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TomlError(f"can't read this file: {reason}", code="TP001", path=name) from None
    if len(data) > MAX_BYTES:
        if name.lower().endswith(_NO_TEXT):
            raise _no_text(name)
        raise TomlError(
            f"this file is larger than {MAX_BYTES >> 20} MiB, so it is no pipeline description",
            code="TP001",
            path=name,
        )
    return SourceFile(name, _decoded(name, data))


def _decoded(path: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TomlError(
            "this file is UTF-16", code="TP002", path=path, hint="save it as UTF-8, as TOML wants it"
        )
    if b"\0" in data[:_HEAD]:
        raise _no_text(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A strict decoder's offset counts from behind the byte order mark that `error.object` lacks as well.
        if path.lower().endswith(_NO_TEXT):
            raise _no_text(path) from None
        source = SourceFile(path, error.object.decode("utf-8", errors="replace"))
        at = len(error.object[: error.start].decode("utf-8"))
        raise TomlError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            Span(source, at, at + 1),
            code="TP002",
            path=path,
            hint="save the file as UTF-8",
        ) from None


def _no_text(path: str) -> TomlError:
    return TomlError(
        "this is no TOML file: it holds no text",
        code="TP002",
        path=path,
        hint="name the pipeline's TOML file; a model goes behind --model: --model NODE=PATH",
    )


def load_toml(source: SourceFile) -> TomlDocument:
    """Parses a TOML text; tomllib alone judges it.

    Raises TomlError with the place and the way out if it isn't valid.
    """
    try:
        found = scan(source.text)
    except ScanLimit as limit:
        raise TomlError(
            f"this is no pipeline description: {limit}",
            Span(source, limit.offset, limit.offset + 1),
            code="TP003",
            path=source.path,
            hint="if it should be one, look for a missing quote or bracket above this place",
        ) from None
    try:
        data = tomllib.loads(source.text)
    except (
        ValueError
    ) as error:  # TOMLDecodeError is one; a number of more than 4300 digits raises a plain one
        complaint = explain(source.text, found, str(error))
        raise TomlError(
            complaint.message,
            Span(source, complaint.start, complaint.end),
            code="TP003",
            path=source.path,
            hint=complaint.hint,
        ) from None
    if not found.complete:
        raise RuntimeError(
            f"{source.path}: valid TOML that the position scanner can't follow; this is a bug in tpgen"
        )
    return TomlDocument(source, data, _Spans(source, found.places))


def _key_span(source: SourceFile, place: Place) -> KeySpan:
    return KeySpan(
        Span(source, place.key_start, place.key_end), Span(source, place.value_start, place.value_end)
    )
