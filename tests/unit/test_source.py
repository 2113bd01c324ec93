"""Reading files, positions, and what a wrong TOML file is told."""

import os
from pathlib import Path

import pytest

from tpgen.source import MAX_BYTES, SourceFile, Span, TomlError, load_toml, read_source


def refused(text: str) -> TomlError:
    """The error of a text that isn't TOML."""
    with pytest.raises(TomlError) as caught:
        load_toml(SourceFile("p.toml", text))
    assert caught.value.code == "TP003"
    return caught.value


def test_positions_count_lines_and_characters_from_one() -> None:
    file = SourceFile("p.toml", "é = 1\r\nb\n\n")
    assert [file.position(offset) for offset in (0, 4, 5, 7, 8, 9, 10)] == [
        (1, 1),
        (1, 5),
        (1, 6),
        (2, 1),
        (2, 2),
        (3, 1),
        (4, 1),
    ]
    assert [file.line_text(line) for line in (1, 2, 3, 4)] == ["é = 1", "b", "", ""]
    assert file.line_count == 4


def test_span_and_its_parts() -> None:
    span = Span(SourceFile("p.toml", "a = 'Sequential[X]'"), 5, 18)
    assert (span.text, span.line, span.column, str(span)) == ("Sequential[X]", 1, 6, "p.toml:1:6")
    assert span.sub(11, 12).text == "X"
    assert span.sub(11, 99).text == "X]"
    assert span.sub(99, 99).text == ""


@pytest.mark.parametrize(
    ("text", "place", "marked", "message", "hint"),
    [
        (
            "a = DecodeMat # x",
            "1:5",
            "DecodeMat",
            "'DecodeMat' is not a TOML value",
            'text needs quotes: "DecodeMat"',
        ),
        ("next = a,b\n", "1:8", "a,b", "'a,b' is not a TOML value", 'text needs quotes: "a,b"'),
        ("max = 1x3x224", "1:7", "1x3x224", "'1x3x224' is not a TOML value", 'text needs quotes: "1x3x224"'),
        (
            "m = 1.5, 2",
            "1:5",
            "1.5, 2",
            "'1.5, 2' is not a TOML value",
            "a list of numbers needs brackets: [1.5, 2]",
        ),
        ("a = True", "1:5", "True", "'True' is not a TOML value", "write true"),
        ("a =\n", "1:4", "", "a value is missing here", 'write one, or "" for an empty text'),
        ("a = 1 b = 2", "1:7", "b = 2", "unexpected text after the end of the statement", "line of its own"),
        ('a = "b" c', "1:9", "c", "unexpected text after the end of the statement", "line of its own"),
        ("a::b = 1", "1:1", "a::b", "'a::b' is not a TOML key", 'put it in quotes: "a::b" = …'),
        ("é = 1", "1:1", "é", "'é' is not a TOML key", 'put it in quotes: "é" = …'),
        ("hello world", "1:7", "world", "expected '=' after this key", None),
        ("= 1", "1:1", "= 1", "expected a key or a [table] here", None),
        (
            "a=1\na=2",
            "2:1",
            "a",
            "'a' is defined twice",
            "it is first defined on line 1; keep one of the two",
        ),
        (
            "[n]\n[m]\n[n]\n",
            "3:2",
            "n",
            "'n' is defined twice",
            "it is first defined on line 1; keep one of the two",
        ),
        ("a.b=1\na=2", "2:1", "a", "'a' is defined twice", "first defined on line 1"),
        ("[a.b]\nc=1\n[a]\nb.d=1", "4:1", "b", "'a.b' is defined twice", "first defined on line 1"),
        ("a={b=1,b=2}", "1:8", "b", "'a.b' is defined twice", "first defined on line 1"),
        ("a=1\n[a.b]", "2:1", "[a.b]", "this key or table is defined twice", None),
        ('a = "x\nb = 1', "1:5", '"x', "this string is not closed on its line", "add the closing quote"),
        ('a = "x\r\n', "1:5", '"x', "this string is not closed on its line", "add the closing quote"),
        ('a = """x\ny', "1:5", '"""x', "this string is not closed", "add the closing quote"),
        ("a = 'x", "1:5", "'x", "this string is not closed", "add the closing quote"),
        ("a = [1,\n", "1:5", "[", "this array is not closed", "add the closing ']'"),
        ("a = {b = [{c = 1", "1:11", "{", "this inline table is not closed", "add the closing '}'"),
        ("a = [1\nb = 2", "2:1", "b", "expected ',' or ']' here", "the array starts on line 1"),
        ("a = [1 2]", "1:8", "2", "expected ',' or ']' here", "the array starts on line 1"),
        ("[a b]", "1:4", "b", "expected ']' at the end of the table's name", "need quotes"),
        ("[]", "1:2", "]", "a name is expected here", "need quotes"),
        ('a = "\\q"', "1:6", "\\q", "'\\q' is not an escape of TOML", "single quotes"),
        ('a = "\x01"', "1:6", "\x01", "the character U+0001 is not allowed here", None),
        (f"a = 1\nb = {'9' * 5000}", "2:5", "9" * 5000, "this number has too many digits", None),
    ],
)
def test_invalid_toml_names_the_token_and_the_way_out(
    text: str, place: str, marked: str, message: str, hint: str | None
) -> None:
    error = refused(text)
    assert error.span is not None
    assert (str(error.span), error.span.text) == (f"p.toml:{place}", marked)
    assert error.message == message
    assert error.hint == hint or (hint and error.hint and hint in error.hint)


def test_text_that_is_shown_is_shortened() -> None:
    error = refused("a = " + "x" * 100_000)
    assert len(error.message) < 100
    assert error.hint is not None
    assert len(error.hint) < 100


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "]",
        "{",
        "a.",
        "'",
        '"',
        "=",
        "a",
        "\\",
        "\x00",
        "a=1,",
        "1,",
        "[],",
        "[[a]]\n",
        "a.b.c={",
        "é\n",
        "#\n[[",
    ],
)
def test_two_megabytes_of_garbage_end_in_an_error(piece: str) -> None:
    for start in ("", "a = ", 'a = "', "a = [", "a = {"):
        refused(start + piece * (2_000_000 // len(piece)))


def test_file_is_read_as_utf8_without_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes("\ufeffa = 'é'\r\n".encode())
    assert read_source(path) == SourceFile(str(path), "a = 'é'\r\n")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf8_are_located(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(mark + "é = 1\nä = '".encode() + b"\xff'\n")
    with pytest.raises(TomlError, match=r":2:6: byte 0xff is not UTF-8$") as caught:
        read_source(path)
    assert (caught.value.code, caught.value.path) == ("TP002", str(path))


def test_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes("a = 1".encode("utf-16"))
    with pytest.raises(TomlError, match="this file is UTF-16") as caught:
        read_source(path)
    assert caught.value.code == "TP002"


def test_what_cant_be_read_is_an_error(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.touch()
    os.truncate(large, MAX_BYTES + 1)
    for path, message in (
        (str(tmp_path / "none.toml"), "can't read this file: No such file or directory"),
        (str(tmp_path), "this is a folder, not a file"),
        (str(large), "this file is larger than 16 MiB"),
        ("a\0b", "can't read this file: embedded null byte"),
        ("n" * 5000, "can't read this file: File name too long"),
    ):
        with pytest.raises(TomlError) as caught:
            read_source(path)
        assert caught.value.code == "TP001"
        assert str(caught.value).startswith(f"{path}: {message}")
