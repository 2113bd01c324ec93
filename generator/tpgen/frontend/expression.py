"""The grammar of ``backend``: ``Sequential[A,(filter)B(key=value),C[argument]]`` (dialect.md 1.2).

An expression is read one level at a time: what stands in the brackets stays text until the operator is
known, because only containers hold operators there (``Add[key:value]`` does not).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..source import Span
from .located import Located
from .shown import shown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OPENING = {"(": ")", "[": "]", "{": "}"}
MAX_DEPTH = 32


class ExpressionError(Exception):
    """A ``backend`` value that is not an expression."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


@dataclass(frozen=True)
class Text:
    """A part of a located string."""

    whole: Located
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.whole.text[self.start : self.end]

    @property
    def span(self) -> Span:
        return self.whole.span(self.start, self.end)

    def stripped(self) -> Text:
        text = self.text
        left = len(text) - len(text.lstrip())
        right = len(text) - len(text.rstrip())
        if left == len(text):
            return Text(self.whole, self.start, self.start)
        return Text(self.whole, self.start + left, self.end - right)

    def cut(self, start: int, end: int) -> Text:
        """The part from ``start`` to ``end``, counted inside this one."""
        return Text(self.whole, self.start + start, self.start + end)


@dataclass(frozen=True)
class Argument:
    """``key=value`` in the parentheses behind a name; ``key`` is None for a bare value."""

    key: str | None
    value: str
    span: Span


@dataclass(frozen=True)
class Expr:
    """One operator with its filter, arguments and the text in its brackets (None: no brackets)."""

    name: str
    span: Span
    filter: Text | None
    arguments: tuple[Argument, ...]
    content: Text | None


def whole(located: Located) -> Text:
    """The full text of a located string, spaces around it left out."""
    return Text(located, 0, len(located.text)).stripped()


def parse_items(text: Text) -> tuple[Expr, ...]:
    """The comma-separated operators in a container's brackets (or in a whole ``backend`` value).

    Raises:
        ExpressionError: an unmatched bracket, an empty item, something that is no name.
    """
    return tuple(_parse_item(part) for part in split_top(text, ","))


def split_top(text: Text, separator: str) -> list[Text]:
    """Split at separators outside all brackets."""
    parts: list[Text] = []
    closers: list[tuple[str, int]] = []
    start = 0
    for index, char in enumerate(text.text):
        if char in _OPENING:
            closers.append((_OPENING[char], index))
            if len(closers) > MAX_DEPTH:
                raise ExpressionError(
                    f"nested deeper than {MAX_DEPTH} levels", text.cut(index, index + 1).span
                )
        elif closers and char == closers[-1][0]:
            closers.pop()
        elif char in ")]}":
            raise ExpressionError(f"'{char}' closes nothing", text.cut(index, index + 1).span)
        elif char == separator and not closers:
            parts.append(text.cut(start, index))
            start = index + 1
    if closers:
        closer, index = closers[-1]
        raise ExpressionError(
            f"'{text.text[index]}' is never closed: '{closer}' is missing", text.cut(index, index + 1).span
        )
    parts.append(text.cut(start, len(text.text)))
    return parts


def _parse_item(part: Text) -> Expr:
    rest = part.stripped()
    if not rest.text:
        raise ExpressionError("an operator's name is missing here", part.span)
    filter_, rest = _leading_filter(rest)
    match = _NAME.match(rest.text)
    if match is None:
        raise ExpressionError(f"{shown(rest.text)} is not an operator's name", rest.span)
    name = rest.cut(0, match.end())
    rest = rest.cut(match.end(), len(rest.text)).stripped()
    inside, rest = _bracketed(rest, "(")
    arguments = () if inside is None else _arguments(inside)
    content, rest = _bracketed(rest, "[")
    if rest.text:
        raise ExpressionError(f"{shown(rest.text)} is not expected after {shown(name.text)}", rest.span)
    return Expr(name.text, name.span, filter_, arguments, content)


def _leading_filter(text: Text) -> tuple[Text | None, Text]:
    inside, rest = _bracketed(text, "(")
    return (None, text) if inside is None else (inside, rest)


def _bracketed(text: Text, opening: str) -> tuple[Text | None, Text]:
    """The text inside a leading bracket and what follows it; None if the text does not start with one."""
    content = text.text
    if not content.startswith(opening):
        return None, text
    depth = 0
    for index, char in enumerate(content):
        depth += (char in _OPENING) - (char in ")]}")
        if depth == 0:
            return text.cut(1, index).stripped(), text.cut(index + 1, len(content)).stripped()
    raise ExpressionError(f"'{opening}' is never closed", text.cut(0, 1).span)


def _arguments(inside: Text) -> tuple[Argument, ...]:
    if not inside.text:
        return ()
    found = []
    for part in split_top(inside, ","):
        piece = part.stripped()
        key, equals, value = piece.text.partition("=")
        found.append(
            Argument(key.strip(), value.strip(), piece.span) if equals else Argument(None, key, piece.span)
        )
    return tuple(found)
