"""Draws the source lines of a span, with carets under it, for a terminal of fixed-width characters."""

import unicodedata
from collections.abc import Iterator

from .source import SourceFile, Span

_WINDOW = 100
_LEAD = 40
_TAB = 4
_GUTTER = 5


def printable(text: str) -> str:
    """The text without anything that could steer a terminal or hide text; line breaks stay."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" else _cell(char) for char in text)


def excerpt(span: Span) -> Iterator[tuple[str, str, bool]]:
    """Yields (gutter, text, whether these are the carets) for each line to print.

    Of a span over several lines the first and the last are shown. Of a long line, the part around the span.
    """
    file = span.file
    first, start = file.position(span.start)
    last, end = file.position(max(span.start, span.end))
    if end == 1 and last > first:  # the span ends with a line break
        last -= 1
        end = len(file.line_text(last)) + 1
    if first == last:
        yield from _marked(file, first, start - 1, end - 1)
        return
    yield from _marked(file, first, start - 1, len(file.line_text(first)))
    if last > first + 1:
        yield f"{'...':>{_GUTTER}}", "", False
    text = file.line_text(last)
    yield from _marked(file, last, len(text) - len(text.lstrip()), end - 1)


def _marked(file: SourceFile, line: int, start: int, end: int) -> Iterator[tuple[str, str, bool]]:
    """One source line and the carets under its characters `start` to `end`."""
    text = file.line_text(line)
    start = min(start, len(text))
    left, right = _window(text, start)
    end = max(start, min(end, right))
    before, marked, after = (
        "".join(map(_cell, part)) for part in (text[left:start], text[start:end], text[end:right])
    )
    before = "…" * (left > 0) + before
    after += "…" * (right < len(text))
    carets = " " * _width(before) + "^" * max(1, _width(marked))
    yield f"{line:>{_GUTTER}} | ", before + marked + after, False
    yield f"{'':>{_GUTTER}} | ", carets, True


def _window(text: str, start: int) -> tuple[int, int]:
    """The characters of a line to show: at most _WINDOW of them, beginning at most _LEAD before the span."""
    left = max(0, min(start - _LEAD, len(text) - _WINDOW))
    return left, min(len(text), left + _WINDOW)


def _cell(char: str) -> str:
    if char == "\t":
        return " " * _TAB
    return char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _width(text: str) -> int:
    """Columns of a terminal: two for wide East Asian characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
