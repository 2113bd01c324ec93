"""The type system: what joins, what crosses the wire, how a key can be missing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.type_joins import Unjoinable, join_states, join_types
from tpgen.types import (
    ABSENT,
    Array,
    Bytes,
    Color,
    DType,
    Layout,
    ListOf,
    Opaque,
    State,
    Symbol,
    Text,
    TupleOf,
    Type,
    assured,
    crosses_wire,
    present,
    turned,
    varying,
)

H, W = Symbol("H"), Symbol("W")
BGR = Array(DType.UINT8, (H, W, 3), Layout.HWC, Color.BGR)
RGB = Array(DType.UINT8, (H, W, 3), Layout.HWC, Color.RGB)
CHW = Array(DType.UINT8, (3, 8, 8), Layout.CHW, Color.BGR)
HWC = Array(DType.UINT8, (8, 8, 3), Layout.HWC, Color.BGR)
PLAIN = Array(DType.UINT8, (8, 8, 3))
FLOAT = Array(DType.FLOAT32, (8, 8, 3))


def test_symbols_are_equal_only_to_themselves() -> None:
    assert Symbol("N") != Symbol("N")
    assert Array(DType.UINT8, (H,)) == Array(DType.UINT8, (H,))
    assert Array(DType.UINT8, (Symbol("H"),)) != Array(DType.UINT8, (H,))


def test_equal_types_join_to_themselves() -> None:
    for type_ in (BGR, Bytes(), Text(), ListOf(BGR), TupleOf((BGR, Bytes())), Opaque("x")):
        assert join_types(type_, type_, "node") is type_


def test_differing_dimensions_become_a_fresh_symbol() -> None:
    joined = join_types(Array(DType.INT32, (4, 5, H)), Array(DType.INT32, (4, 6, W)), "merge")
    assert isinstance(joined, Array)
    first, second, third = joined.shape
    assert first == 4
    assert isinstance(second, Symbol) and isinstance(third, Symbol)
    assert (second.name, third.name) == ("merge.d1", "merge.d2")
    assert third not in (H, W)
    again = join_types(Array(DType.INT32, (4, 5, H)), Array(DType.INT32, (4, 6, W)), "merge")
    assert joined != again, "two joins promise nothing to each other"


def test_differing_colour_or_layout_varies() -> None:
    joined = join_types(BGR, RGB, "merge")
    assert isinstance(joined, Array)
    assert (joined.layout, joined.color, joined.shape) == (Layout.HWC, Color.VARIES, (H, W, 3))
    joined = join_types(HWC, CHW, "merge")
    assert isinstance(joined, Array)
    assert (joined.layout, joined.color) == (Layout.VARIES, Color.BGR)
    assert joined.shape == (8, 8, 3), "height, width, channels"
    assert str(joined) == "uint8[8,8,3] HWC|CHW bgr"


def test_what_is_unknown_on_one_way_is_unknown() -> None:
    for left, right in ((HWC, PLAIN), (PLAIN, HWC), (join_types(HWC, CHW, "merge"), PLAIN)):
        joined = join_types(left, right, "merge")
        assert isinstance(joined, Array)
        assert (joined.layout, joined.color) == (Layout.UNKNOWN, Color.UNKNOWN)
        assert not joined.is_image
        assert not joined.varies


def test_what_varies_can_be_turned() -> None:
    joined = join_types(RGB, Array(DType.UINT8, (3, H, W), Layout.CHW, Color.BGR), "merge")
    assert isinstance(joined, Array)
    assert (joined.layout, joined.color) == (Layout.VARIES, Color.VARIES)
    assert str(turned(joined, Layout.CHW, None)) == "uint8[3,H,W] CHW bgr|rgb"
    assert str(turned(ListOf(joined), Layout.HWC, Color.RGB)) == "[uint8[H,W,3] HWC rgb]"
    assert varying(ListOf(ListOf(joined))) == joined
    assert varying(turned(joined, Layout.HWC, Color.RGB)) is None
    assert turned(HWC, Layout.CHW, Color.RGB) is HWC, "what is known is not what was asked for"
    assert turned(Bytes(), Layout.CHW, None) == Bytes()


@pytest.mark.parametrize(
    ("left", "right", "what"),
    [
        (HWC, FLOAT, "dtype"),
        (HWC, Array(DType.UINT8, (8, 8)), "rank"),
        (HWC, Bytes(), "kind"),
        (Text(), Bytes(), "kind"),
        (ListOf(HWC), HWC, "kind"),
        (ListOf(HWC), ListOf(FLOAT), "dtype"),
        (ListOf(ListOf(HWC)), ListOf(HWC), "kind"),
        (TupleOf((HWC,)), HWC, "kind"),
    ],
)
def test_what_does_not_join(left: Type, right: Type, what: str) -> None:
    for one, other in ((left, right), (right, left)):
        with pytest.raises(Unjoinable, match=f"^{what} differs: ") as caught:
            join_types(one, other, "node")
        assert caught.value.what == what


def test_an_object_takes_in_everything() -> None:
    for type_ in (HWC, Bytes(), ListOf(Text())):
        assert isinstance(join_types(Opaque("any"), type_, "node"), Opaque)
        assert isinstance(join_types(type_, Opaque("any"), "node"), Opaque)


def test_lists_join_by_element() -> None:
    joined = join_types(ListOf(BGR), ListOf(RGB), "node")
    assert isinstance(joined, ListOf) and isinstance(joined.item, Array)
    assert joined.item.color is Color.VARIES


STATES = [
    State(type_, *flags) for type_ in (HWC, None) for flags in itertools.product([True, False], repeat=3)
]


@given(left=st.sampled_from(STATES), right=st.sampled_from(STATES))
def test_states_join_like_sets_of_ways(left: State, right: State) -> None:
    joined = join_states(left, right, "node")
    assert joined.present == (left.present or right.present)
    assert joined.quiet == (left.quiet or right.quiet)
    assert joined.failed == (left.failed or right.failed)
    assert joined == join_states(right, left, "node")
    assert joined.optional == (joined.present and (joined.quiet or joined.failed))


def test_states_of_types_that_do_not_meet() -> None:
    with pytest.raises(Unjoinable):
        join_states(present(HWC), present(Bytes()), "node")
    assert join_states(present(HWC), ABSENT, "node") == State(HWC, quiet=True)
    assert join_states(ABSENT, ABSENT, "node") == ABSENT


def test_what_was_tested_is_there() -> None:
    assert assured(State(HWC, quiet=True, failed=True)) == present(HWC)
    assert not present(HWC).optional
    assert ABSENT.absent and not ABSENT.optional


@pytest.mark.parametrize(
    ("type_", "crosses"),
    [
        (HWC, True),
        (Bytes(), True),
        (Text(), True),
        (ListOf(BGR), True),
        (ListOf(ListOf(Text())), True),
        (ListOf(ListOf(ListOf(BGR))), False),
        (ListOf(Opaque("x")), False),
        (ListOf(TupleOf((HWC,))), False),
        (TupleOf((HWC, HWC)), False),
        (Opaque("x"), False),
    ],
)
def test_what_crosses_the_wire(type_: Type, crosses: bool) -> None:
    assert crosses_wire(type_) is crosses


def test_types_as_messages_show_them() -> None:
    assert str(BGR) == "uint8[H,W,3] HWC bgr"
    assert str(Array(DType.FLOAT32, (3, 8, 8), Layout.CHW, Color.UNKNOWN)) == "float32[3,8,8] CHW"
    assert str(ListOf(Array(DType.INT64, ()))) == "[int64[]]"
    assert str(TupleOf((Bytes(), Text()))) == "(bytes, string)"
    assert str(State(HWC, quiet=True, failed=True)).endswith("?!")


@pytest.mark.parametrize("dtype", DType)
def test_every_element_type_has_a_triton_name_and_a_size(dtype: DType) -> None:
    assert dtype.triton.startswith("TYPE_")
    assert dtype.itemsize in (0, 1, 2, 4, 8)
