"""The position scanner against tomllib, on random TOML and on the spellings that are easy to get wrong."""

import datetime
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpgen.frontend.located import locate
from tpgen.source import SourceFile, TomlDocument, TomlError, load_toml

BARE = st.text("abcXYZ0123_-", min_size=1, max_size=6)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
BLANK = st.sampled_from(["", " ", "\t", "  "])
BREAK = st.sampled_from(["\n", "\r\n", "\n\n", ' # a = [1, "x\n', "\t# ]}'''\r\n"])
INSIDE_ARRAY = st.lists(st.one_of(BLANK, BREAK), max_size=2).map("".join)


def basic(text: str) -> str:
    """The text as a basic string, with escapes for all that needs one."""
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + "".join(c if ord(c) >= 32 and c != "\x7f" else f"\\u{ord(c):04x}" for c in out) + '"'


def plain(text: str) -> str:
    """The text without what literal strings can't hold."""
    return "".join(c for c in text if (ord(c) >= 32 or c in "\t\n") and c not in "\x7f'")


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A string in one of its four spellings."""
    text = draw(TEXT)
    match draw(st.integers(0, 4)):
        case 0:
            return basic(text)
        case 1:
            return "'" + plain(text).replace("\n", "") + "'"
        case 2:
            quotes = draw(st.sampled_from(["", "'", "''"]))
            start = draw(st.sampled_from(["", "\n", "\r\n"]))
            return "'''" + start + plain(text).replace("\n", "\r\n") + quotes + "'''"
        case 3:
            body = basic(text)[1:-1] + draw(
                st.sampled_from(["\\\n  \t", "\\  \r\n\r\n ", 'x""y', "\n", "\r\n", "\\U0001F600"])
            )
            return '"""' + body + basic(draw(TEXT))[1:-1] + draw(st.sampled_from(["", '"', '""'])) + '"""'
    return basic(text + "#[]{},=")


SCALARS = st.one_of(
    strings(),
    st.integers().map(str),
    st.sampled_from(["1_000", "0x1F", "-3.5e-7", "inf", "-inf", "true", "false", "1979-05-27", "07:32:00.5"]),
    st.sampled_from(["1979-05-27 07:32:00Z", "1979-05-27T07:32:00-07:00", "1979-05-27 07:32:00"]),
)


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    """An array over several lines, with comments and perhaps a comma at its end."""
    out = "["
    for index, item in enumerate(parts := draw(st.lists(items, max_size=4))):
        comma = "," if index < len(parts) - 1 or draw(st.booleans()) else ""
        out += draw(INSIDE_ARRAY) + item + draw(INSIDE_ARRAY) + comma
    return out + draw(INSIDE_ARRAY) + "]"


@st.composite
def keys(draw: st.DrawFn, number: int) -> str:
    """One part of a key, unlike any with another number."""
    name = f"{draw(st.one_of(BARE, TEXT))}_{number}"
    if all(c.isascii() and (c.isalnum() or c in "_-") for c in name) and draw(st.booleans()):
        return name
    literal = plain(name).replace("\n", "")
    return f"'{literal}'" if literal == name and draw(st.booleans()) else basic(name)


@st.composite
def assignments(draw: st.DrawFn, values: st.SearchStrategy[str], prefix: str, count: int) -> list[str]:
    """`key = value` lines, some dotted, some sharing the table that their dotted keys make."""
    lines = []
    for number in range(count):
        parts = [draw(keys(number))]
        if draw(st.booleans()):
            parts.insert(0, draw(st.sampled_from([f"{prefix}shared", f'"{prefix} \\u0041"'])))
        dot = draw(st.sampled_from([".", " . ", "\t."]))
        lines.append(dot.join(parts) + draw(BLANK) + "=" + draw(BLANK) + draw(values))
    return lines


@st.composite
def inline_tables(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An inline table, on one line but for what its values bring."""
    lines = draw(assignments(values, "i", draw(st.integers(0, 3))))
    return "{" + draw(BLANK) + (draw(BLANK) + "," + draw(BLANK)).join(lines) + draw(BLANK) + "}"


VALUES = st.recursive(SCALARS, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=8)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A whole file: keys, tables, sub-tables before and after their parents, arrays of tables."""
    lines = draw(assignments(VALUES, "r", draw(st.integers(0, 3))))
    for number in range(draw(st.integers(0, 4))):
        name = draw(keys(number + 10))
        gap = draw(BLANK)
        layouts = [
            [f"[{gap}{name}{gap}]"],
            [f"[{name}.{gap}'sub table']", f"[{name}]"],
            [f"[{name}]", f"[{name}{gap}.sub]"],
            [
                f"[[{name}]]",
                f"[[ {name} ]]",
                f"[{name}.part]",
                f"[[{name}.inner]]",
                f"[[{name}.inner]]",
                f"[[{name}]]",
            ],
            [f"[[{name}.deep]]", f"[{name}.deep.er]"],
        ]
        for header in draw(st.sampled_from(layouts)):
            lines += [header, *draw(assignments(VALUES, "t", draw(st.integers(0, 2))))]
    return draw(BLANK) + "".join(line + draw(BREAK) for line in lines)


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All key paths of parsed TOML."""
    if path:
        yield path, value
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = [(str(i), item) for i, item in enumerate(value)] if isinstance(value, list) else []
    for name, item in items:
        yield from walk(item, (*path, name))


def load(text: str) -> TomlDocument:
    """The document of a text."""
    return load_toml(SourceFile("pipeline.toml", text))


def parsed(text: str) -> Any:
    """The value that a slice of TOML holds."""
    return tomllib.loads(f"value = {text}")["value"]


@settings(max_examples=150, deadline=None)
@given(documents())
def test_every_path_has_its_place(text: str) -> None:
    document = load(text)
    expected = dict(walk(document.data))
    assert set(document.spans) == set(expected)
    for path, value in expected.items():
        key, spelled = document.spans[path].key, document.spans[path].value
        if spelled.start <= key.start < key.end < spelled.end:
            # A table that a header, or a longer dotted key, names.
            name = path[-2] if isinstance(expected.get(path[:-1]), list) else path[-1]
            assert last_part(key.text) == name
            assert isinstance(value, dict | list)
            continue
        assert repr(parsed(spelled.text)) == repr(value)
        if (key.start, key.end) != (spelled.start, spelled.end):
            assert key.end < spelled.start
            assert last_part(key.text) == path[-1]


def last_part(key: str) -> str:
    """The name that the last part of a key spells."""
    table: Any = tomllib.loads(f"[{key}]")
    while table:
        ((name, table),) = table.items()
    return name


@settings(max_examples=150, deadline=None)
@given(strings())
def test_every_character_of_a_string_has_its_offset(spelled: str) -> None:
    text = f"before = 1\nvalue = {spelled} # after"
    document = load(text)
    value = document.data["value"]
    offsets = document.string_offsets(("value",))
    assert len(offsets) == len(value) + 1
    assert offsets == sorted(set(offsets))
    for index, char in enumerate(value):
        source = text[offsets[index] : offsets[index + 1]]
        if source[0] == "\\" and spelled[0] == '"':
            # Followed by a trimmed line break, an escape's slice holds that as well; both decode to one
            # character.
            assert parsed(f'"""{source}"""') == char
        else:
            assert source[0] == char or (source.startswith("\r\n") and char == "\n")
    end = document.spans["value",].value.end
    assert offsets[-1] == end - (3 if spelled[:3] in ('"""', "'''") and len(spelled) >= 6 else 1)


def place(text: str, *path: str) -> tuple[str, str]:
    """The key and the value slice of a path."""
    spans = load(text).spans[path]
    return spans.key.text, spans.value.text


def test_spans_of_headers_dotted_keys_and_items() -> None:
    text = '[ node . "a b" ]\nx.y = [1, {z = 2}]\n[[list]]\n[[list]]\nk = 1'
    assert place(text, "node", "a b") == ('node . "a b"', '[ node . "a b" ]')
    assert place(text, "node") == ("node", '[ node . "a b" ]')
    assert place(text, "node", "a b", "x") == ("x", "x.y = [1, {z = 2}]")
    assert place(text, "node", "a b", "x", "y") == ("y", "[1, {z = 2}]")
    assert place(text, "node", "a b", "x", "y", "0") == ("1", "1")
    assert place(text, "node", "a b", "x", "y", "1", "z") == ("z", "2")
    assert load(text).spans["list",].value.line == 3
    assert load(text).spans["list", "1"].value.line == 4
    assert place(text, "list", "1", "k") == ("k", "1")


def test_an_explicit_header_replaces_the_implied_one() -> None:
    text = "[a.b]\n[a]\n"
    assert load(text).spans["a",].key.line == 2


def test_column_inside_a_backend_expression() -> None:
    text = '[n]\nbackend = "Sequential[ResizeMta]"\n'
    document = load(text)
    value = document.data["n"]["backend"]
    start = value.index("ResizeMta")
    span = locate(document, ("n", "backend")).span(start, start + len("ResizeMta"))
    assert (span.text, span.line, span.column) == ("ResizeMta", 2, 23)


def test_the_place_in_a_string_counts_escapes_as_one_character() -> None:
    document = load('a = "x\\u0041\\tResizeMta"')
    located = locate(document, ("a",))
    assert located.span(3, 12).text == "ResizeMta"
    assert located.span(1, 2).text == "\\u0041"
    assert located.span(0, len(located.text)).text == "x\\u0041\\tResizeMta"


def test_string_offsets_refuse_other_values() -> None:
    document = load("a = 1\n")
    with pytest.raises(ValueError, match="a is not a string"):
        document.string_offsets(("a",))
    with pytest.raises(KeyError):
        document.string_offsets(("b",))


def test_values_are_tomllibs() -> None:
    assert load("day = 1979-05-27\n").data == {"day": datetime.date(1979, 5, 27)}


@pytest.mark.parametrize("depth", [15, 16, 17, 100_000])
def test_nesting_has_a_limit_and_no_recursion(depth: int) -> None:
    for text, column in (
        ("[" + ".".join("a" * depth) + "]", 34),
        ("a=" + "[" * (depth - 1) + "]" * (depth - 1), 18),
    ):
        if depth <= 16:
            load(text)
            continue
        with pytest.raises(TomlError, match="nested more than 16 levels deep") as caught:
            load(text)
        assert caught.value.span is not None
        assert caught.value.span.column == column
