"""Where each field of a config.pbtxt stands, duplicates included, which the parsed message hides.

A scanner for protobuf's text format that knows names, values and nesting, and nothing of types. Protobuf
alone judges the text: of one that it refuses, the scanner gives what it understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ...source import SourceFile, Span

_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*)*
    (?P<token>
        "(?:[^"\\\n]|\\.)*"? | '(?:[^'\\\n]|\\.)*'? |   # a string, or the start of one that never ends
        [-+]?[\w.]+(?:[-+][\w.]+)?  |                   # a word or a number
        .                                               # any other sign
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[xX][0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CLOSING = {"{": "}", "<": ">"}
_NAME = re.compile(r"[A-Za-z_]\w*")
_DEPTH = 64  # a model configuration has nine levels


class Key(NamedTuple):
    """A step of a path: the entry of a map with this key."""

    text: str


Step: TypeAlias = str | int | Key
"""A step of a path: a field's name; after it the index among the fields of that name, or a map's key."""


class Token(NamedTuple):
    """A word, number, string or sign of the text, and where it stands."""

    text: str
    start: int
    end: int


@dataclass
class Node:
    """A field with one value; each element of a list has a node of its own.

    `name` is the field's, `start` and `end` enclose the value; `fields` are those in it if it is a message.
    """

    name: Token
    start: int
    end: int
    listed: bool = False
    fields: list[Node] | None = None

    def named(self, name: str) -> list[Node]:
        """The fields of that name in this message, in order."""
        return [node for node in self.fields or () if node.name.text == name]


@dataclass(frozen=True)
class Places:
    """The fields of a text by path, as in ``("input", 0, "dims")`` or ``("parameters", Key("A"), "value")``.

    A name without an index means the last field of that name, which is the one that counts.
    """

    source: SourceFile
    root: Node = field(repr=False)

    def find(self, *path: Step) -> Node | None:
        """The field at a path."""
        found = [self.root]
        for step in path:
            if isinstance(step, str):
                found = found[-1].named(step)
            elif isinstance(step, Key):
                found = [entry for entry in found if self.key_of(entry) == step.text]
            else:
                found = found[step : step + 1]
            if not found:
                return None
        return found[-1]

    def span(self, *path: Step) -> Span:
        """The field at a path; where it is missing, the innermost message around its place."""
        for length in range(len(path), 0, -1):
            node = self.find(*path[:length])
            if node is not None:
                return self.span_of(node)
        return Span(self.source, 0, 0)

    def span_of(self, node: Node) -> Span:
        """What to point at: of a message its name, of an element of a list its value, else name and value."""
        if node.listed:
            return Span(self.source, node.start, node.end if node.fields is None else node.start + 1)
        return Span(self.source, node.name.start, node.end if node.fields is None else node.name.end)

    def name_of(self, node: Node) -> Span:
        """The characters of a field's name."""
        return Span(self.source, node.name.start, node.name.end)

    def key_of(self, entry: Node) -> str | None:
        """The key of a map's entry; None if it is not one."""
        keys = entry.named("key")
        return self.value_of(keys[-1]) if keys else None

    def value_of(self, node: Node) -> str:
        """The value of a field that is no message: of a string what is in it, else the text."""
        return unquote(self.source.text[node.start : node.end])

    def walk(self) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Every field with the names that lead to it, in the order of the text."""
        stack: list[tuple[tuple[str, ...], Node]] = [((), self.root)]
        while stack:
            names, node = stack.pop()
            if names:
                yield names, node
            stack.extend(((*names, child.name.text), child) for child in reversed(node.fields or ()))

    def at(self, line: int, column: int) -> Span:
        """The token at a line and column, which protobuf counts from 1 as well."""
        lines = self.source.text.split("\n")
        start = sum(len(text) + 1 for text in lines[: line - 1]) + column - 1
        found = _TOKEN.match(self.source.text, start)
        return Span(self.source, start, found.end("token") if found else start)


def scan(source: SourceFile) -> Places:
    """Finds the fields of a text; what comes after a place that makes no sense is left out."""
    return Places(source, _Scanner(source.text).run())


def unquote(text: str) -> str:
    """The value of adjacent string literals; other text is returned as it is."""
    if not text.startswith(('"', "'")):
        return text
    return "".join(
        _ESCAPE.sub(lambda escape: _unescaped(escape[0][1:]), token.text[1:-1]) for token in _tokens(text)
    )


def _unescaped(escape: str) -> str:
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    if len(escape) > 1:
        number = int(escape[1:], 16)
        return chr(number) if number <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
    return _CONTROL.get(escape, escape)


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while found := _TOKEN.match(text, position):
        yield Token(found["token"], found.start("token"), found.end("token"))
        position = found.end()


class _Frame(NamedTuple):
    """A message that is being read."""

    node: Node
    closing: str


class _Scanner:
    """Reads a text once, as far as it makes sense."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._end = Token("", len(text), len(text))
        self._peek = next(self._tokens, self._end)

    def run(self) -> Node:
        root = Node(Token("", 0, 0), 0, self._end.end, fields=[])
        frames = [_Frame(root, "")]
        while (token := self._next()).text and len(frames) <= _DEPTH:
            if token.text == frames[-1].closing:
                node = frames.pop().node
                node.end = token.end
                if node.listed:
                    self._elements(frames, node.name)
            elif _NAME.fullmatch(token.text):
                self._value(frames, token)
            elif token.text not in (",", ";"):
                break
        return root

    def _next(self) -> Token:
        token, self._peek = self._peek, next(self._tokens, self._end)
        return token

    def _value(self, frames: list[_Frame], name: Token) -> None:
        if self._peek.text == ":":
            self._next()
        if self._peek.text == "[":
            self._next()
            self._elements(frames, name)
        elif self._peek.text in _CLOSING:
            self._open(frames, name, listed=False)
        elif self._peek.text:
            self._scalar(frames, name, listed=False)

    def _elements(self, frames: list[_Frame], name: Token) -> None:
        """The rest of a list; a message in it interrupts, and `run` comes back when it ends."""
        while self._peek.text:
            if self._peek.text in _CLOSING:
                self._open(frames, name, listed=True)
                return
            if self._peek.text == "]":
                self._next()
                return
            if self._peek.text == ",":
                self._next()
            else:
                self._scalar(frames, name, listed=True)

    def _open(self, frames: list[_Frame], name: Token, *, listed: bool) -> None:
        token = self._next()
        node = Node(name, token.start, self._end.end, listed, fields=[])
        self._add(frames, node)
        frames.append(_Frame(node, _CLOSING[token.text]))

    def _scalar(self, frames: list[_Frame], name: Token, *, listed: bool) -> None:
        first = last = self._next()
        if first.text in ("-", "+"):
            last = self._next()
        while first.text[0] in "\"'" and self._peek.text.startswith(('"', "'")):
            last = self._next()
        self._add(frames, Node(name, first.start, last.end, listed))

    def _add(self, frames: list[_Frame], node: Node) -> None:
        fields = frames[-1].node.fields
        assert fields is not None, "a frame's node is a message"
        fields.append(node)
