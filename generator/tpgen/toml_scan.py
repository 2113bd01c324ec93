"""Finds where every key and value of a TOML text stands.

`tomllib` keeps no positions, so this scanner walks the same text and records offsets only. It judges nothing:
on text that tomllib accepts it maps every key path; on anything else it stops at the first token it can't
follow, and tomllib says what is wrong. It never recurses and reads each character a bounded number of times.
"""

import re
import tomllib
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]

MAX_DEPTH = 16
"""Levels of tables, dotted keys and brackets; tomllib takes quadratic time in the length of a dotted key."""

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_INDENT = re.compile(r"[ \t]*+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")
_STRING = (
    r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?!"")(?:[^"\\\n]++|\\.)*+"'
    r"|'(?!'')[^'\n]*+'"
)
# A date and its time may be parted by one space; no other unquoted value holds one.
_BARE_VALUE = r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*+|[^\s,\[\]{}#\"'=]++"
_QUOTED_KEY = re.compile(_STRING)
_SCALAR = re.compile(f"{_STRING}|{_BARE_VALUE}")
_ITEM_AND_COMMA = re.compile(f"({_STRING}|{_BARE_VALUE}){_BLANK.pattern},{_BLANK.pattern}")
_CHARACTER = re.compile(r"(?P<nothing>\\[ \t]*+\r?\n[ \t\r\n]*+)|\\x..|\\u.{4}|\\U.{8}|\\[\s\S]|\r\n|[\s\S]")


MAX_PLACES = 200_000
"""Keys and array items of one file: forty for each node of a pipeline of 5,000."""


class ScanLimit(Exception):
    """The text goes beyond MAX_DEPTH or MAX_PLACES; `offset` is where it does."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class _Lost(Exception):
    """The text at the current position isn't what TOML has there."""


class Place(NamedTuple):
    """Where one key path stands: the offsets of its key and of its value."""

    key_start: int
    key_end: int
    value_start: int
    value_end: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scanner found.

    `complete` is false if it lost its way; `open_at` is then the bracket or quote it was inside, if any, and
    `duplicate` the key that stands there for the second time, if that is why.
    """

    places: dict[KeyPath, Place]
    complete: bool
    open_at: int | None
    duplicate: tuple[KeyPath, Place] | None


class _Part(NamedTuple):
    """One part of a dotted key."""

    name: str
    start: int
    end: int


@dataclass(slots=True)
class _Open:
    """An array or inline table whose closing bracket hasn't come yet; it is the value of `key`."""

    path: KeyPath
    key: list[_Part]
    start: int
    closer: str
    items: int = 0


def scan(text: str) -> Scan:
    """Maps every key path of `text`; array items are named by their index ("0", "1" ...).

    Raises ScanLimit if the text is too large or too deep to be a pipeline: it would cost seconds to parse.
    """
    scanner = _Scanner(text)
    try:
        scanner.run()
        complete = True
    except _Lost:
        complete = False
    return Scan(scanner.places, complete, scanner.open_at, scanner.duplicate)


class _Scanner:
    """One walk over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.places: dict[KeyPath, Place] = {}
        self.open_at: int | None = None
        self.duplicate: tuple[KeyPath, Place] | None = None
        self._table: KeyPath = ()
        self._implicit: set[KeyPath] = set()  # tables that only exist because a longer key names them
        self._array_tables: dict[KeyPath, int] = {}  # path of [[name]] -> index of its last item

    def run(self) -> None:
        """Reads the statements one by one."""
        self._skip(_BLANK)
        while self.position < len(self.text):
            if self.text[self.position] == "[":
                self._header()
            else:
                self._value(self._table, self._assigned_key(self._table))
            self._skip(_BLANK)

    def _header(self) -> None:
        start = self.position
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.position += brackets
        self._skip(_INDENT)
        key = self._key(0)
        self._expect("]" * brackets)
        end = self.position
        path: KeyPath = ()
        for part in key[:-1]:
            path = self._item_of((*path, part.name))
            if path not in self.places:
                self._implicit.add(path)
                self._add(path, Place(part.start, part.end, start, end))
        path = (*path, key[-1].name)
        place = Place(key[0].start, key[-1].end, start, end)
        if brackets == 2:
            self._array_tables[path] = self._array_tables.get(path, -1) + 1
            if path not in self.places:
                self._add(path, place)
            path = self._item_of(path)
        if path in self.places and path not in self._implicit:
            self._refuse_duplicate(path, place)
        else:
            self._implicit.discard(path)
            self._add(path, place)
        self._table = path

    def _item_of(self, path: KeyPath) -> KeyPath:
        """The last item if the path names an array of tables, else the path."""
        index = self._array_tables.get(path)
        return path if index is None else (*path, str(index))

    def _value(self, base: KeyPath, key: list[_Part]) -> None:
        """Reads the value at the current position, and all that lies inside it."""
        stack: list[_Open] = []
        while True:
            start = self.position
            path = base + tuple(part.name for part in key)
            opener = self.text[start : start + 1]
            if opener in ("[", "{", '"', "'"):
                self.open_at = start
            if opener in ("[", "{"):
                self._check_depth(len(path) + 1)
                self.position += 1
                stack.append(_Open(path, key, start, "]" if opener == "[" else "}"))
                first = True
            else:
                self._scalar()
                self._record_value(path, key, start)
                first = False
            while stack and self._closed(stack[-1], first):
                done = stack.pop()
                self._record_value(done.path, done.key, done.start)
                first = False
            if not stack:
                self.open_at = None
                return
            base, key = stack[-1].path, self._next_key(stack[-1])

    def _closed(self, container: _Open, first: bool) -> bool:
        """Steps over the comma that is due except before the first item, and over the bracket if it comes."""
        self.open_at = container.start
        self._skip(_BLANK)
        if not first and self.text.startswith(",", self.position):
            self.position += 1
            self._skip(_BLANK)
        elif not first and not self.text.startswith(container.closer, self.position):
            raise _Lost
        if container.closer == "]":
            self._skip_scalars(container)
        if not self.text.startswith(container.closer, self.position):
            return False
        self.position += 1
        return True

    def _next_key(self, container: _Open) -> list[_Part]:
        if container.closer == "}":
            return self._assigned_key(container.path)
        # An item of an array has no key of its own: the value stands for it.
        container.items += 1
        return [_Part(str(container.items - 1), self.position, self.position)]

    def _skip_scalars(self, array: _Open) -> None:
        """Records the scalars ahead that a comma follows; arrays of a million numbers come in one go."""
        while match := _ITEM_AND_COMMA.match(self.text, self.position):
            start, end = match.span(1)
            self._add((*array.path, str(array.items)), Place(start, end, start, end))
            array.items += 1
            self.position = match.end()

    def _assigned_key(self, base: KeyPath) -> list[_Part]:
        key = self._key(len(base))
        self._expect("=")
        self._skip(_INDENT)
        return key

    def _key(self, depth: int) -> list[_Part]:
        parts: list[_Part] = []
        while True:
            self._check_depth(depth + len(parts) + 1)
            start = self.position
            match = _BARE_KEY.match(self.text, start) or _QUOTED_KEY.match(self.text, start)
            if match is None or match[0][:3] in ('"""', "'''"):
                raise _Lost
            self.position = match.end()
            parts.append(_Part(_key_name(match[0]), start, self.position))
            self._skip(_INDENT)
            if not self.text.startswith(".", self.position):
                return parts
            self.position += 1
            self._skip(_INDENT)

    def _scalar(self) -> None:
        match = _SCALAR.match(self.text, self.position)
        if match is None:
            raise _Lost
        self.position = match.end()

    def _record_value(self, path: KeyPath, key: list[_Part], start: int) -> None:
        end = self.position
        base = path[: len(path) - len(key)]
        for count, part in enumerate(key[:-1], 1):
            prefix = base + path[len(base) : len(base) + count]
            if prefix in self.places and prefix not in self._implicit:
                self._refuse_duplicate(prefix, Place(part.start, part.end, start, end))
            elif prefix not in self.places:
                self._implicit.add(prefix)
                self._add(prefix, Place(part.start, part.end, key[0].start, end))
        last = key[-1]
        own_key = (last.start, last.end) if last.start < last.end else (start, end)
        if path in self.places:
            self._refuse_duplicate(path, Place(*own_key, start, end))
        else:
            self._add(path, Place(*own_key, start, end))

    def _refuse_duplicate(self, path: KeyPath, place: Place) -> NoReturn:
        """A key or table given twice is always an error, so there is nothing to look for behind it."""
        self.duplicate = (path, place)
        raise _Lost

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ScanLimit(f"nested more than {MAX_DEPTH} levels deep", self.position)

    def _add(self, path: KeyPath, place: Place) -> None:
        if len(self.places) >= MAX_PLACES:
            raise ScanLimit(f"more than {MAX_PLACES} keys and array items", place.value_start)
        self.places[path] = place

    def _expect(self, token: str) -> None:
        self._skip(_INDENT)
        if not self.text.startswith(token, self.position):
            raise _Lost
        self.position += len(token)

    def _skip(self, blank: re.Pattern[str]) -> None:
        match = blank.match(self.text, self.position)
        assert match is not None  # both patterns match the empty string
        self.position = match.end()


def _key_name(token: str) -> str:
    if token[0] == "'":
        return token[1:-1]
    if token[0] == '"':
        return _decoded(token) if "\\" in token else token[1:-1]
    return token


def _decoded(token: str) -> str:
    """A quoted key as tomllib reads it, so that both agree on every escape."""
    try:
        value = tomllib.loads(f"key = {token}")["key"]
    except ValueError:
        raise _Lost from None
    assert isinstance(value, str)
    return value


def string_offsets(text: str, start: int, end: int) -> list[int]:
    """Maps characters of a decoded string to the source.

    `text[start:end]` is a TOML string with its quotes. Entry i is the offset of the decoded character i, and
    one more entry holds the end of the content. An escape is one character, a line ending `\\r\\n` too, as
    tomllib has it.
    """
    quote = text[start]
    width = 3 if end - start >= 6 and text[start : start + 3] == quote * 3 else 1
    first, last = start + width, end - width
    if width == 3:
        first += {"\n": 1, "\r": 2}.get(text[first], 0)  # a line break right after the quotes doesn't count
    if quote == "'" and "\r" not in text[first:last]:
        return list(range(first, last + 1))
    offsets = []
    position = first
    while position < last:
        if quote == "'":
            step = 2 if text.startswith("\r\n", position) else 1
        else:
            match = _CHARACTER.match(text, position, last)
            assert match is not None
            if match["nothing"] is not None:
                position = match.end()
                continue
            step = match.end() - position
        offsets.append(position)
        position += step
    offsets.append(last)
    return offsets
