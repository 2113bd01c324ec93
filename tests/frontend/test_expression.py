"""The grammar of ``backend``, and where each of its parts stands in the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.frontend.expression import MAX_DEPTH, Expr, ExpressionError, Text, parse_items, whole
from tpgen.frontend.located import Located, locate
from tpgen.source import SourceFile, Span, load_toml


def located(text: str) -> Located:
    """A string as it stands in a file, between quotes."""
    file = SourceFile("p.toml", f'"{text}"')
    return Located(text, Span(file, 0, len(text) + 2), tuple(range(1, len(text) + 2)))


def parse(text: str) -> tuple[Expr, ...]:
    return parse_items(whole(located(text)))


def shown(expr: Expr) -> str:
    """The expression written out again."""
    filter_ = f"({expr.filter.text})" if expr.filter else ""
    given_ = ",".join(a.value if a.key is None else f"{a.key}={a.value}" for a in expr.arguments)
    arguments = f"({given_})" if expr.arguments else ""
    content = "" if expr.content is None else f"[{expr.content.text}]"
    return f"{filter_}{expr.name}{arguments}{content}"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("A", ["A"]),
        ("A,B", ["A", "B"]),
        (" A , B\t,\nC ", ["A", "B", "C"]),
        ("S[A,B]", ["S[A,B]"]),
        ("S[A,S[B,C]],D", ["S[A,S[B,C]]", "D"]),
        ("(swap)A,(or) B[C]", ["(swap)A", "(or)B[C]"]),
        ("A(k=v)", ["A(k=v)"]),
        ("A( k = v , 3 )[x]", ["A(k=v,3)[x]"]),
        ("A(k=[1,2],j=(3,4))", ["A(k=[1,2],j=(3,4))"]),
        ("A()", ["A"]),
        ("A[]", ["A[]"]),
        ("Copy[a:b,c:d]", ["Copy[a:b,c:d]"]),
        ("Python[module.sub:name]", ["Python[module.sub:name]"]),
        ("A(k=a=b)", ["A(k=a=b)"]),
        ("A.b_c1", ["A.b_c1"]),
    ],
)
def test_items(text: str, items: list[str]) -> None:
    assert [shown(item) for item in parse(text)] == items


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "an operator's name is missing here", '"'),
        ("A,", "an operator's name is missing here", '"'),
        (",A", "an operator's name is missing here", ","),
        ("S[A]B", "'B' is not expected after 'S'", "B"),
        ("A B", "'B' is not expected after 'A'", "B"),
        ("A[B](k=v)", "'(k=v)' is not expected after 'A'", "(k=v)"),
        ("3A", "'3A' is not an operator's name", "3A"),
        ("-", "'-' is not an operator's name", "-"),
        ("(swap)", "'' is not an operator's name", '"'),
        ("S[A", "'[' is never closed: ']' is missing", "["),
        ("S[(A]", "']' closes nothing", "]"),
        ("A)", "')' closes nothing", ")"),
        ("S[A}", "'}' closes nothing", "}"),
        ("A(k=(v)", "'(' is never closed: ')' is missing", "("),
        ("{A}", "'{A}' is not an operator's name", "{A}"),
    ],
)
def test_what_is_no_expression(text: str, message: str, marked: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.span.text) == (message, marked)


def test_places_in_the_file() -> None:
    (outer,) = parse("Seq[A, (swap) Bb(k=v, 12) [x:y]]")
    assert outer.content is not None
    first, second = parse_items(outer.content)
    assert (first.span.text, first.span.start) == ("A", 5)
    assert second.filter is not None and second.content is not None
    parts = [second.span, second.filter.span, *(a.span for a in second.arguments), second.content.span]
    assert [span.text for span in parts] == ["Bb", "swap", "k=v", "12", "x:y"]


def test_places_behind_escapes() -> None:
    document = load_toml(SourceFile("p.toml", '[a]\nbackend = "\\u0041,\\tB\\u0062(k=\\"v\\")"\n'))
    first, second = parse_items(whole(locate(document, ("a", "backend"))))
    assert (first.name, first.span.text) == ("A", "\\u0041")
    assert (second.name, second.span.text) == ("Bb", "B\\u0062")
    assert (second.arguments[0].value, second.arguments[0].span.text) == ('"v"', 'k=\\"v\\"')


def test_places_in_a_text_of_several_lines() -> None:
    document = load_toml(SourceFile("p.toml", '[a]\nbackend = """\nS[A,\n  B C]"""\n'))
    (outer,) = parse_items(whole(locate(document, ("a", "backend"))))
    assert outer.content is not None
    with pytest.raises(ExpressionError) as caught:
        parse_items(outer.content)
    assert (caught.value.span.text, caught.value.span.line, caught.value.span.column) == ("C", 4, 5)


def test_depth_is_bounded() -> None:
    text = "S[" * (MAX_DEPTH - 1) + "A" + "]" * (MAX_DEPTH - 1)
    for _ in range(MAX_DEPTH - 1):
        (item,) = parse(text)
        assert item.content is not None
        text = item.content.text
    assert text == "A"
    with pytest.raises(ExpressionError, match="nested deeper"):
        parse("S[" * (MAX_DEPTH + 1) + "A" + "]" * (MAX_DEPTH + 1))


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,5}", fullmatch=True)
VALUES = st.from_regex(r"[a-z0-9:.;|&x ]{0,5}", fullmatch=True).map(str.strip)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    filter_ = draw(st.sampled_from(["", "(swap)", "(Run)"]))
    arguments = draw(st.lists(st.tuples(NAMES, VALUES), max_size=2))
    written = f"({','.join(f'{key}={value}' for key, value in arguments)})" if arguments else ""
    content = ""
    if depth and draw(st.booleans()):
        content = f"[{','.join(draw(st.lists(expressions(depth - 1), min_size=1, max_size=2)))}]"
    return f"{filter_}{draw(NAMES)}{written}{content}"


@given(items=st.lists(expressions(), min_size=1, max_size=3))
def test_what_is_written_is_read_back(items: list[str]) -> None:
    assert [shown(item) for item in parse(",".join(items))] == items


@given(text=st.text("AbS[](){},=: (swap)\t\n\"'é", max_size=40))
def test_any_text_is_an_expression_or_an_error_inside_it(text: str) -> None:
    held = located(text)

    def walk(part: Text) -> None:
        for item in parse_items(part):
            if item.content is not None and item.content.text:
                walk(item.content)

    span = held.whole
    try:
        walk(whole(held))
    except ExpressionError as problem:
        span = problem.span
    assert held.whole.start <= span.start <= span.end <= held.whole.end
