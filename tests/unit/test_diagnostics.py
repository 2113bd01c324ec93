"""Collecting, ordering and drawing diagnostics."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpgen.diagnostics import (
    CODES,
    Bag,
    Diagnostic,
    InternalError,
    PipelineError,
    Severity,
    ToolMissing,
    did_you_mean,
    render,
)
from tpgen.source import SourceFile, Span, TomlError, load_toml


def span(text: str, marked: str, path: str = "face.toml") -> Span:
    """The first place of `marked` in a file of this text."""
    start = text.index(marked)
    return Span(SourceFile(path, text), start, start + len(marked))


def drawn(where: Span | None, hint: str | None = None, message: str = "m") -> list[str]:
    """The lines of an error."""
    return render(Diagnostic("TP003", Severity.ERROR, message, where, hint)).split("\n")


def test_layout() -> None:
    where = span("\n\n\n\nheigth = 224\n", "heigth")
    assert drawn(where, "did you mean 'height'?", "unknown key 'heigth' for 'ResizeMat'") == [
        "face.toml:5:1: error[TP003]: unknown key 'heigth' for 'ResizeMat'",
        "    5 | heigth = 224",
        "      | ^^^^^^",
        "  help: did you mean 'height'?",
    ]


def test_without_a_place() -> None:
    assert drawn(None) == ["error[TP003]: m"]
    finding = Diagnostic("TP003", Severity.NOTE, "m", file="resnet.onnx")
    assert render(finding) == "resnet.onnx: note[TP003]: m"


def test_tabs_and_wide_characters_keep_the_carets_below() -> None:
    assert drawn(span("\tx = 日本 y", "x"))[1:] == ["    1 |     x = 日本 y", "      |     ^"]
    assert drawn(span("\tx = 日本 y", "日本"))[2] == "      |         ^^^^"
    assert drawn(span("\tx = 日本 y", "y"))[2] == "      |" + " " * 14 + "^"


def test_empty_span_and_end_of_file_get_one_caret() -> None:
    file = SourceFile("p.toml", "[a\n")
    assert drawn(Span(file, 2, 2))[1:] == ["    1 | [a", "      |   ^"]
    assert drawn(Span(file, 2, 3))[1:] == ["    1 | [a", "      |   ^"]
    assert drawn(Span(file, 3, 3)) == ["p.toml:2:1: error[TP003]: m", "    2 |", "      | ^"]
    assert drawn(Span(SourceFile("p.toml", ""), 0, 0))[0] == "p.toml:1:1: error[TP003]: m"


def test_span_over_lines_shows_first_and_last() -> None:
    text = 'm = """one\n  two\n  three"""\n'
    assert drawn(span(text, text[4:-1]))[1:] == [
        '    1 | m = """one',
        "      |     ^^^^^^",
        "  ...",
        '    3 |   three"""',
        "      |   ^^^^^^^^",
    ]
    assert drawn(span("[a]\nb\n", "[a]\nb\n"))[1:] == ["    1 | [a]", "      | ^^^", "    2 | b", "      | ^"]


def test_long_lines_are_cut_around_the_span() -> None:
    source, carets = drawn(span("x" * 300 + "ERR" + "y" * 300, "ERR"))[1:]
    assert len(source) <= 120
    assert source[carets.index("^") : carets.rindex("^") + 1] == "ERR"
    assert source.startswith("    1 | …x")
    assert source.endswith("y…")
    source, carets = drawn(span("a = " + "x" * 3_000_000, "x" * 3_000_000))[1:]
    assert len(carets) == len(source.rstrip("…"))


@settings(max_examples=200)
@given(st.text('ab ="\n\r\t\x00\u200bé日', max_size=150), st.integers(0, 150), st.integers(0, 150))
def test_any_span_of_any_text_can_be_drawn(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    where = Span(SourceFile("p.toml", text), start, min(start + length, len(text)))
    lines = drawn(where)
    assert all(char.isprintable() for line in lines for char in line)
    assert lines[1].startswith(f"{where.line:>5} |")
    assert set(lines[2][7:].lstrip()) == {"^"}
    marked = where.text.split("\n")[0].rstrip("\r")
    if "…" not in lines[1] and text.isascii() and text.replace("\n", "").replace("\r\n", "").isprintable():
        carets = lines[2].index("^"), lines[2].rindex("^") + 1
        under = lines[1].ljust(carets[1])[slice(*carets)]
        assert under.rstrip() == marked.rstrip() if marked else len(under) == 1


def test_nothing_can_steer_the_terminal() -> None:
    text = "a = '\x1b[31m\u202e\x07' # \x85"
    finding = Diagnostic("TP003", Severity.ERROR, f"bad {text}", span(text, "'", "p\x1b.toml"), hint=text)
    assert all(char.isprintable() or char == "\n" for char in render(finding))


def test_color_is_only_added() -> None:
    finding = Diagnostic("TP003", Severity.WARNING, "m", span("abc", "b"), hint="h")
    assert "\x1b[" in render(finding, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", render(finding, color=True)) == render(finding)


def test_hint_of_several_lines_is_indented() -> None:
    assert drawn(None, "add\nbackend = 'X'")[1:] == ["  help: add", "        backend = 'X'"]


def test_json_record() -> None:
    finding = Diagnostic("TP003", Severity.ERROR, "m", span("a\nbc", "c"), hint="h", node="n")
    assert json.dumps(finding.to_json()) == (
        '{"code": "TP003", "severity": "error", "message": "m", "file": "face.toml", "line": 2, "column": 2, '
        '"hint": "h", "model": null, "node": "n"}'
    )
    record = Diagnostic("TP003", Severity.NOTE, "m", file="a.onnx", model="a").to_json()
    assert (record["file"], record["line"], record["column"], record["model"]) == ("a.onnx", None, None, "a")


def test_bag_orders_by_file_and_place() -> None:
    first, second = SourceFile("b.toml", "0123456789"), SourceFile("a.toml", "0123")
    bag = Bag()
    bag.warning("TP003", "four", Span(first, 7, 8))
    bag.note("TP001", "six")
    bag.error("TP003", "five", Span(second, 0, 1))
    bag.note("TP003", "one", Span(first, 0, 1))
    bag.error("TP003", "two", Span(first, 2, 3), hint="h", node="n", model="m")
    bag.extend([Diagnostic("TP003", Severity.ERROR, "three", Span(first, 2, 9))])
    assert [finding.message for finding in bag.diagnostics] == ["four", "six", "five", "one", "two", "three"]
    with pytest.raises(PipelineError) as caught:
        bag.raise_if_errors()
    assert [finding.message for finding in caught.value.diagnostics] == [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
    ]
    assert str(caught.value).startswith("b.toml:1:1: note[TP003]: one\n    1 | 0123456789\n")
    assert caught.value.diagnostics[1].node == "n"


def test_only_errors_stop() -> None:
    bag = Bag()
    bag.warning("TP003", "w")
    bag.note("TP003", "n")
    bag.raise_if_errors()
    assert not bag.has_errors


def test_unregistered_code_is_a_bug() -> None:
    with pytest.raises(InternalError, match="TP000 has no page"):
        Bag().error("TP000", "m")


def test_codes_are_sorted_and_explained() -> None:
    assert list(CODES) == sorted(CODES)
    for code, info in CODES.items():
        assert re.fullmatch(r"TP\d{3}", code)
        assert info.title, code
        assert not info.title.endswith("."), code
        assert len(info.explanation) > 80, f"{code} needs an explanation that shows the way out"


def test_toml_error_becomes_a_finding() -> None:
    with pytest.raises(TomlError) as caught:
        load_toml(SourceFile("p.toml", "a = b"))
    finding = Diagnostic.from_toml_error(caught.value)
    assert render(finding).startswith("p.toml:1:5: error[TP003]: 'b' is not a TOML value\n")
    assert finding.hint == 'text needs quotes: "b"'
    finding = Diagnostic.from_toml_error(TomlError("gone", code="TP001", path="x.toml"))
    assert render(finding) == "x.toml: error[TP001]: gone"


def test_tool_missing_says_the_command() -> None:
    error = ToolMissing("tritonserver is not installed", "pip install 'tpgen[serve]'")
    assert str(error) == "tritonserver is not installed; install it with: pip install 'tpgen[serve]'"
    assert (error.message, error.command) == ("tritonserver is not installed", "pip install 'tpgen[serve]'")
    assert str(ToolMissing("no GPU")) == "no GPU"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("heigth", "height"),
        ("ResizeMta", "ResizeMat"),
        ("resizemat", "ResizeMat"),
        ("hight", "height"),
        ("height", None),
        ("zzz", None),
        ("", None),
        ("h" * 1_000_000, None),
    ],
)
def test_did_you_mean(word: str, expected: str | None) -> None:
    assert did_you_mean(word, ["ResizeMat", "width", "height", "DecodeMat"]) == expected


def test_did_you_mean_among_thousands() -> None:
    nodes = [f"node_{number}" for number in range(5000)]
    assert did_you_mean("noed_4321", nodes) == "node_4321"
    assert did_you_mean("node_43211", nodes) == "node_4321"
