"""Strings of a TOML document that remember where each of their characters stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Span, TomlDocument
from .macros import expand_offsets


@dataclass(frozen=True)
class Located:
    """A decoded string value; ``offsets[i]`` is the place of character i in the file, the last the end's."""

    text: str
    whole: Span
    offsets: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """The place of ``text[start:end]``; at least one character wide where the file has one there."""
        if not self.offsets:
            return self.whole
        first, last = self.offsets[start], self.offsets[end]
        return Span(self.whole.file, first, max(last, first + 1))


def locate(document: TomlDocument, path: tuple[str, ...]) -> Located:
    """The string value at ``path``; a value of another kind counts as its text in the file."""
    span = document.spans[path].value
    try:
        offsets = tuple(document.string_offsets(path))
    except ValueError:
        return Located(span.text, span, tuple(range(span.start, span.end + 1)))
    value: Any = document.data
    for part in path:
        value = value[part]
    assert isinstance(value, str)
    if len(offsets) != len(value) + 1:  # macros were replaced
        written = "".join(document.source.text[offset] for offset in offsets[:-1])
        offsets = expand_offsets(written, offsets)
    return Located(value, span, offsets if len(offsets) == len(value) + 1 else ())
