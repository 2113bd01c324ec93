"""TOML values as attribute values: native ones, and the dialect's strings."""

from __future__ import annotations

import contextlib
import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.frontend.batches import parse_shapes, profiles_of, range_of
from tpgen.frontend.shown import LONGEST, shown
from tpgen.frontend.type_syntax import MOST_DIMENSIONS, TypeSyntaxError, parse_type
from tpgen.frontend.values import ValueProblem, parse_value
from tpgen.ir.op import Attribute, AttributeField
from tpgen.types import Array, Bytes, Color, DType, Layout, ListOf, Symbol, Text


def attribute(annotation: str, **declared: Any) -> AttributeField:
    return AttributeField("key", annotation, True, None, Attribute("Doc.", **declared))


def parse(annotation: str, value: Any, **declared: Any) -> Any:
    return parse_value(attribute(annotation, **declared), value)


@pytest.mark.parametrize(
    ("annotation", "value", "parsed"),
    [
        ("int", 5, 5),
        ("int", "5", 5),
        ("int", " -5 ", -5),
        ("int", 5.0, 5),
        ("int | None", "7", 7),
        ("float", 5, 5.0),
        ("float", "0.5", 0.5),
        ("float", "1e-3", 0.001),
        ("bool", True, True),
        ("bool", "1", True),
        ("bool", 0, False),
        ("bool", "False", False),
        ("bool", "on", True),
        ("str", "text", "text"),
        ("str", 5, "5"),
        ("str", 0.25, "0.25"),
        ("str", True, "1"),
        ("str", ["a", 1], "a,1"),
        ("tuple[int, ...]", "1, 2,3", (1, 2, 3)),
        ("tuple[int, ...]", [1, "2"], (1, 2)),
        ("tuple[int, ...]", 4, (4,)),
        ("tuple[int, ...]", "", ()),
        ("tuple[int, ...]", "[1,2]", (1, 2)),
        ("tuple[float, ...]", "123.675, 116.28, 103.53", (123.675, 116.28, 103.53)),
        ("tuple[float, ...]", [0, 0.5], (0.0, 0.5)),
        ("tuple[str, ...]", "a, b", ("a", "b")),
        ("tuple[str, ...]", ["a b", "c"], ("a b", "c")),
    ],
)
def test_values(annotation: str, value: Any, parsed: Any) -> None:
    found = parse(annotation, value)
    assert (found, type(found)) == (parsed, type(parsed))


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        ("int", "five", "'key' is 'five', but a whole number is needed"),
        ("int", 5.5, "'key' is 5.5, but a whole number is needed"),
        ("int", True, "'key' is true, but a whole number is needed"),
        ("int", [5], "'key' is [5], but a whole number is needed"),
        ("int", 2**63, f"'key' is {hex(2**63)}, but a whole number is needed"),
        ("int", math.nan, "'key' is nan, but a whole number is needed"),
        ("int", math.inf, "'key' is inf, but a whole number is needed"),
        ("int", 1e300, "'key' is 1e+300, but a whole number is needed"),
        ("float", "x", "'key' is 'x', but a number is needed"),
        ("float", "nan", "'key' is 'nan', but a number is needed"),
        ("float", math.inf, "'key' is inf, but a number is needed"),
        ("bool", "maybe", "'key' is 'maybe', but true or false is needed"),
        ("bool", 2, "'key' is 2, but true or false is needed"),
        ("str", datetime.date(1979, 5, 27), "'key' is 1979-05-27, but a string is needed"),
        ("str", {"a": 1}, "'key' is {a = 1}, but a string is needed"),
        ("tuple[int, ...]", "1;2", "'key' is '1;2', but a list of whole numbers is needed"),
        ("tuple[float, ...]", [1, "x"], "'key' is [1, 'x'], but a list of numbers is needed"),
    ],
)
def test_values_of_the_wrong_kind(annotation: str, value: Any, message: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        parse(annotation, value)
    assert (caught.value.code, caught.value.message) == ("TP103", message)


@pytest.mark.parametrize(
    ("annotation", "value", "declared", "message"),
    [
        ("int", 0, {"ge": 1}, "'key' is 0, at least 1 is needed"),
        ("int", 9, {"le": 8}, "'key' is 9, at most 8 is allowed"),
        ("float", 0.25, {"ge": 0.5}, "'key' is 0.25, at least 0.5 is needed"),
        ("tuple[int, ...]", "1,0", {"ge": 1}, "'key' is 0, at least 1 is needed"),
    ],
)
def test_values_out_of_range(annotation: str, value: Any, declared: Any, message: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        parse(annotation, value, **declared)
    assert (caught.value.code, caught.value.message) == ("TP104", message)


def test_choices() -> None:
    assert parse("str", "rgb", choices=("", "rgb", "bgr")) == "rgb"
    with pytest.raises(ValueProblem) as caught:
        parse("str", "rgbb", choices=("", "rgb", "bgr"))
    assert caught.value.code == "TP105"
    assert caught.value.hint == "did you mean 'rgb'? One of: 'rgb', 'bgr'"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KINDS = ["int", "float", "bool", "str", "tuple[int, ...]", "tuple[float, ...]", "tuple[str, ...]"]


@given(annotation=st.sampled_from([*KINDS, "dict[str, Type]"]), value=ANY)
def test_any_value_is_taken_or_refused(annotation: str, value: Any) -> None:
    said = ValueProblem("TP103", "")
    try:
        parse(annotation, value)
    except ValueProblem as problem:
        said = problem
    assert said.code in ("TP103", "TP114")
    assert len(said.message) < 300


@given(value=ANY)
def test_what_is_shown_is_short(value: Any) -> None:
    assert len(shown(value)) <= 4 * LONGEST  # a repr doubles what it escapes


@given(numbers=st.lists(st.integers(-(10**6), 10**6)))
def test_lists_as_strings_and_natively(numbers: list[int]) -> None:
    assert parse("tuple[int, ...]", numbers) == parse("tuple[int, ...]", ",".join(map(str, numbers)))


# --- min and max --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "extent"),
    [
        (4, (4, 4)),
        ("4", (4, 4)),
        ("1x3x224x224", (1, 1)),
        ("4x3x224x224,4x10", (4, 4)),
        ("1x3x8x8;16x3x8x8", (1, 16)),
        ("16;16;1", (1, 16)),
        ("4X3", (4, 4)),
        (" 2 ; 8 ", (2, 8)),
        ([2, 4], (2, 4)),
    ],
)
def test_batches_and_shapes(value: Any, extent: tuple[int, int]) -> None:
    shapes = parse_shapes("max", value)
    assert range_of(profiles_of(shapes, shapes)) == extent


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "TP103"),
        ("x", "TP103"),
        ("4x", "TP103"),
        ("a", "TP103"),
        (0, "TP104"),
        ("0x3", "TP104"),
        ("1x0", "TP104"),
        (True, "TP103"),
        (1.5, "TP103"),
        (";".join("1" * 1025), "TP104"),
        (-1, "TP104"),
    ],
)
def test_what_is_no_batch(value: Any, code: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        parse_shapes("max", value)
    assert caught.value.code == code


# --- types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("bytes", Bytes()),
        (" string ", Text()),
        ("int64[]", Array(DType.INT64, ())),
        ("int64", Array(DType.INT64, ())),
        ("float32[4]", Array(DType.FLOAT32, (4,))),
        ("float32[3, 8,8]", Array(DType.FLOAT32, (3, 8, 8))),
        ("uint8[8,8,3] bgr", Array(DType.UINT8, (8, 8, 3), Layout.HWC, Color.BGR)),
        ("uint8[3,8,8] rgb", Array(DType.UINT8, (3, 8, 8), Layout.CHW, Color.RGB)),
        ("uint8[8,8,1] gray", Array(DType.UINT8, (8, 8, 1), Layout.HWC, Color.GRAY)),
        ("uint8[3,8,3] chw rgb", Array(DType.UINT8, (3, 8, 3), Layout.CHW, Color.RGB)),
        ("uint8[3,8,8] HWC", Array(DType.UINT8, (3, 8, 8), Layout.HWC, Color.UNKNOWN)),
        ("string[5]", Array(DType.STRING, (5,))),
        ("[int32[4]]", ListOf(Array(DType.INT32, (4,)))),
        ("[[string]]", ListOf(ListOf(Text()))),
    ],
)
def test_types(text: str, type_: Any) -> None:
    assert parse_type(text, {}) == type_


def test_named_dimensions_are_shared_in_one_declaration() -> None:
    symbols: dict[str, Symbol] = {}
    image = parse_type("uint8[H,W,3]", symbols)
    mask = parse_type("uint8[H,W,-1]", symbols)
    other = parse_type("uint8[H,?]", {})
    assert isinstance(image, Array) and isinstance(mask, Array) and isinstance(other, Array)
    assert image.shape[:2] == mask.shape[:2]
    assert image.shape[0] != other.shape[0]
    anything = [mask.shape[2], other.shape[1]]
    assert all(isinstance(dim, Symbol) for dim in anything)
    assert anything[0] != anything[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a type"),
        ("uint8[", "'uint8[' is not a type"),
        ("uint8[3]]", "'uint8[3]]' is not a type"),
        ("float[3]", "'float' is not an element type; known: bool"),
        ("uint8[0]", "'0' is not a dimension"),
        ("uint8[-2]", "'-2' is not a dimension"),
        ("uint8[a-b]", "'a-b' is not a dimension"),
        ("uint8[1e3]", "'1e3' is not a dimension"),
        ("uint8[8,8,3] brg", "'brg' is neither a colour (rgb, bgr, gray) nor a layout (HWC, CHW)"),
        ("uint8[8,8] rgb", "only an array of rank 3 can be an image"),
        ("[[[bytes]]]", "lists are nested twice at most"),
        (f"uint8[{'1,' * (MOST_DIMENSIONS + 1)}]", "33 dimensions are more than the 32"),
        ("[]", "'' is not a type"),
    ],
)
def test_what_is_no_type(text: str, message: str) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        parse_type(text, {})
    assert str(caught.value).startswith(message)


@given(st.text("uint8floa32bytesrg[],HW3-1 ", max_size=30))
def test_any_text_is_a_type_or_none(text: str) -> None:
    with contextlib.suppress(TypeSyntaxError):
        parse_type(text, {})


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Any:
    if depth and draw(st.booleans()):
        return ListOf(draw(types(depth - 1)))
    if draw(st.booleans()):
        return draw(st.sampled_from([Bytes(), Text()]))
    dims = draw(st.lists(st.integers(1, 9), max_size=4))
    dtype = draw(st.sampled_from([d for d in DType if d is not DType.STRING]))
    return Array(dtype, tuple(dims))


@given(type_=types())
def test_the_text_of_a_type_is_read_back(type_: Any) -> None:
    assert parse_type(str(type_), {}) == type_
