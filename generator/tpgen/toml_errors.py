"""Says in the user's words what tomllib refused, and marks the token that has to change."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .toml_scan import Scan

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TEXT_IN_HINT = 40


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with the characters `start` to `end`, and the way out where one can be guessed."""

    message: str
    start: int
    end: int
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One refusal: the text, what the scanner saw of it, tomllib's reason and the offset that it names."""

    text: str
    scan: Scan
    reason: str
    offset: int

    def line_start(self) -> int:
        return self.text.rfind("\n", 0, self.offset) + 1

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends, without a comment and trailing blanks."""
        end = self.text.find("\n", offset)
        line = self.text[offset : len(self.text) if end < 0 else end]
        return offset + len(line.partition("#")[0].rstrip())

    def inside(self, openers: str) -> int | None:
        """Where the innermost value that isn't complete starts, if it starts with one of these characters."""
        start = self.scan.open_at
        return start if start is not None and self.text[start : start + 1] in tuple(openers) else None

    def line_number(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


def explain(text: str, scan: Scan, error: str) -> Complaint:
    """Turns tomllib's refusal of `text` into a complaint; `scan` is what the scanner found in it."""
    at = _AT.search(error)
    if at is None:
        return _huge_number(text, error)
    offset = len(text)
    if at[1]:
        offset = _line_offset(text, int(at[1])) + int(at[2]) - 1
    case = _Case(text, scan, error[: at.start()], offset)
    for pattern, handler in _HANDLERS:
        if re.match(pattern, case.reason):
            return handler(case)
    return Complaint(case.reason[:1].lower() + case.reason[1:], offset, max(offset, case.line_end(offset)))


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line - 1):
        offset = text.index("\n", offset) + 1
    return offset


def _huge_number(text: str, error: str) -> Complaint:
    """Python converts no integer of more digits than its own limit; that refusal comes without a place."""
    match = re.search(r"[0-9][0-9_]{4000,}", text)
    if match is None:
        return Complaint(error, 0, 0)
    return Complaint("this number has too many digits", match.start(), match.end())


def _quoted(text: str) -> str:
    """The text as a TOML string, shortened to fit a hint."""
    short = text if len(text) <= _TEXT_IN_HINT else text[: _TEXT_IN_HINT - 1] + "…"
    return f"'{short}'" if '"' in short or "\\" in short else f'"{short}"'


def _not_a_value(case: _Case, start: int) -> Complaint:
    end = case.line_end(start)
    value = case.text[start:end]
    if not value:
        return Complaint("a value is missing here", start, start, 'write one, or "" for an empty text')
    if value.startswith("="):
        rest = value.lstrip("= ")
        return Complaint("two '=' follow this key", start, start + 1, f"one '=' is enough: = {rest}")
    if value.lower() in ("true", "false"):
        return Complaint(f"'{value}' is not a TOML value", start, end, f"write {value.lower()}")
    if re.fullmatch(r"[-+]?[0-9.]+(\s*,\s*[-+]?[0-9.]+)+", value):
        hint = f"a list of numbers needs brackets: [{value}]"
    else:
        hint = f"text needs quotes: {_quoted(value)}"
    shown = value if len(value) <= _TEXT_IN_HINT else value[: _TEXT_IN_HINT - 1] + "…"
    return Complaint(f"'{shown}' is not a TOML value", start, end, hint)


def _invalid_value(case: _Case) -> Complaint:
    if case.inside("[{") is not None and not case.text[case.offset :].strip():
        return _open_bracket(case)
    return _not_a_value(case, case.offset)


def _text_after_value(case: _Case) -> Complaint:
    """Either the value itself is no TOML (`1x3x224`), or a second statement follows on the same line."""
    rest = Complaint(
        "unexpected text after the end of the statement",
        case.offset,
        case.line_end(case.offset),
        "each key and each [table] stands on a line of its own",
    )
    place = next(reversed(case.scan.places.values()), None)
    if place is None or not case.line_start() <= place.value_start < case.offset:
        return rest
    unquoted = re.match(r"[\w.+-]", case.text[place.value_start])
    one_value = "=" not in case.text[case.offset : case.line_end(case.offset)]
    return _not_a_value(case, place.value_start) if unquoted and one_value else rest


def _twice(case: _Case) -> Complaint:
    if case.scan.duplicate is None:
        start = case.line_start()
        return Complaint("this key or table is defined twice", start, case.line_end(start))
    path, again = case.scan.duplicate
    first = case.line_number(case.scan.places[path].key_start)
    return Complaint(
        f"'{'.'.join(path)}' is defined twice",
        again.key_start,
        again.key_end,
        f"it is first defined on line {first}; keep one of the two",
    )


def _open_string(case: _Case) -> Complaint:
    start = case.inside("\"'") or case.offset
    end = case.line_end(start)
    return Complaint("this string is not closed", start, end, "add the closing quote")


def _line_break_in_string(case: _Case) -> Complaint:
    complaint = _open_string(case)
    hint = 'add the closing quote; a text of several lines stands between """ and """'
    return Complaint("this string is not closed on its line", complaint.start, complaint.end, hint)


def _open_bracket(case: _Case) -> Complaint:
    start = case.inside("[{")
    array = (start is not None and case.text[start] == "[") or "array" in case.reason
    closer = "]" if array else "}"
    if start is not None and case.offset >= len(case.text.rstrip()):
        what = "array" if array else "inline table"
        return Complaint(f"this {what} is not closed", start, start + 1, f"add the closing '{closer}'")
    hint = None if array else "an inline table ends on the line where it starts"
    if array and start is not None:
        hint = f"the array starts on line {case.line_number(start)}"
    return Complaint(f"expected ',' or '{closer}' here", case.offset, case.offset + 1, hint)


def _no_equals(case: _Case) -> Complaint:
    start = case.line_start()
    key, equals, _ = case.text[start : case.line_end(start)].partition("=")
    name = key.strip()
    if not equals or '"' in name or "'" in name:
        return Complaint(
            "expected '=' after this key", case.offset, max(case.offset, case.line_end(case.offset))
        )
    start += len(key) - len(key.lstrip())
    return Complaint(
        f"'{name}' is not a TOML key", start, start + len(name), f"put it in quotes: {_quoted(name)} = …"
    )


def _invalid_statement(case: _Case) -> Complaint:
    end = case.line_end(case.offset)
    if re.match(r"[^=\s\[\]\"'\x00-\x1f]+\s*=", case.text[case.offset : end]):
        return _no_equals(case)
    return Complaint("expected a key or a [table] here", case.offset, end)


def _bad_name(case: _Case) -> Complaint:
    return Complaint(
        "a name is expected here",
        case.offset,
        case.offset + 1,
        "names of other characters than A-Z a-z 0-9 _ - need quotes",
    )


def _bad_header(case: _Case) -> Complaint:
    hint = "names of other characters than A-Z a-z 0-9 _ - need quotes"
    return Complaint("expected ']' at the end of the table's name", case.offset, case.offset + 1, hint)


def _bad_escape(case: _Case) -> Complaint:
    start = max(0, case.text.rfind("\\", 0, case.offset))
    return Complaint(
        f"'{case.text[start : case.offset]}' is not an escape of TOML",
        start,
        case.offset,
        "write two backslashes, or put the text between single quotes",
    )


def _bad_character(case: _Case) -> Complaint:
    code = ord(case.text[case.offset]) if case.offset < len(case.text) else 0
    return Complaint(f"the character U+{code:04X} is not allowed here", case.offset, case.offset + 1)


_HANDLERS: tuple[tuple[str, Callable[[_Case], Complaint]], ...] = (
    (r"Invalid value", _invalid_value),
    (r"Expected newline", _text_after_value),
    (r"Cannot (overwrite|declare|redefine|mutate)|Duplicate inline table key", _twice),
    (r"Illegal character '(\\r)?\\n'", _line_break_in_string),
    (r"Unterminated string|Expected [\"']+$|Expected \"'+\"", _open_string),
    (r"Unclosed", _open_bracket),
    (r"Expected '=' after", _no_equals),
    (r"Invalid statement", _invalid_statement),
    (r"Invalid initial character", _bad_name),
    (r"Expected '\]+' at the end", _bad_header),
    (r"Unescaped", _bad_escape),
    (r"Illegal character", _bad_character),
)
