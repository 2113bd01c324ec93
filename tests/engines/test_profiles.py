"""Profiles are complete, and no batch of any bucket lies outside all of them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpgen.engines.profiles import Declared, PlanProblem, ProfilePlan, Shapes, plan_profiles
from tpgen.ir.signature import BatchAxis, ModelSignature, TensorInfo
from tpgen.types import DType


def taking(*shapes: tuple[int | str | None, ...], batch: BatchAxis = BatchAxis.DYNAMIC) -> ModelSignature:
    inputs = tuple(TensorInfo(f"x{i}", DType.FLOAT32, shape) for i, shape in enumerate(shapes))
    return ModelSignature(inputs, (TensorInfo("y", DType.FLOAT32, ("N", 5)),), batch)


def sizes(text: str) -> tuple[Shapes, ...]:
    """``"1x3x32x32,1;2"``: per profile the shapes of the inputs."""
    return tuple(
        tuple(tuple(int(d) for d in shape.split("x")) for shape in part.split(","))
        for part in text.split(";")
    )


def declared(low: str, high: str, opt: str = "") -> list[Declared]:
    lows, highs = sizes(low), sizes(high)
    opts = sizes(opt) if opt else ((),) * len(lows)
    return [Declared(*one) for one in zip(lows, highs, opts, strict=True)]


def ranges(plan: ProfilePlan, position: int = 0) -> list[tuple[tuple[int, ...], ...]]:
    return [(p[position].low, p[position].opt, p[position].high) for p in plan.profiles]


CLASSIFIER = taking(("N", 3, 32, 32))
RECOGNISER = taking(("N", 3, 32, "W"))


def test_a_batch_alone_is_completed_by_the_model() -> None:
    plan = plan_profiles(CLASSIFIER, declared("1", "8"))
    assert ranges(plan) == [((1, 3, 32, 32), (8, 3, 32, 32), (8, 3, 32, 32))]
    assert plan.indices == () and plan.allocation is None and plan.notes == ()


def test_the_profiles_of_the_dialect_answer_every_batch() -> None:
    """`min = 1;4;8;32, max = 1;4;8;32`: the original splits a batch of 5, Triton would fail it."""
    plan = plan_profiles(CLASSIFIER, declared("1;4;8;32", "1;4;8;32"))
    assert [(low[0], high[0]) for low, _, high in ranges(plan)] == [(1, 1), (2, 4), (5, 8), (9, 32)]
    assert [plan.holding(((batch, 3, 32, 32),)) for batch in (1, 5, 32, 33)] == [[0], [2], [3], []]
    assert plan.indices == ("0", "1", "2", "3") and plan.allocation == "ON_PROFILE_CHANGE"
    assert "batches 5 to 7 were in no profile: min 8 is 5 now" in plan.notes


def test_every_batch_and_width_of_ocr_lies_in_a_listed_profile() -> None:
    low = "1x3x32x32;4x3x32x64;1x3x32x320;8x3x32x512"
    high = "32x3x32x32;32x3x32x64;16x3x32x320;8x3x32x512"
    widths = (32, 64, 320, 512)
    plan = plan_profiles(RECOGNISER, declared(low, high), buckets=[((3, 32, w),) for w in widths])
    for batch, width in product(range(1, 33), widths):
        assert plan.holding(((batch, 3, 32, width),)), (batch, width)
    assert plan.indices == ("0", "1", "2", "3")


def test_equal_profiles_are_one() -> None:
    """In the dialect each instance has a profile; on Triton instances share them."""
    plan = plan_profiles(CLASSIFIER, declared("1;1", "8;8"))
    assert len(plan.profiles) == 1 and plan.indices == ()
    assert plan.notes[0].startswith("two profiles are the same")


def test_a_model_of_fixed_shapes_needs_none() -> None:
    plan = plan_profiles(taking((1, 3, 8, 8), batch=BatchAxis.FIXED), declared("1", "1"))
    assert plan.profiles == () and plan.indices == ()


def test_a_model_without_a_batch_axis() -> None:
    plan = plan_profiles(taking((1, 3, "H", "W"), batch=BatchAxis.NONE), declared("1x3x32x32", "1x3x64x96"))
    assert ranges(plan) == [((1, 3, 32, 32), (1, 3, 64, 96), (1, 3, 64, 96))]


def test_several_inputs_have_one_batch() -> None:
    signature = taking(("N", 3, "W"), ("N", 2))
    plan = plan_profiles(signature, declared("1x3x8,1", "4x3x16,4"))
    assert ranges(plan, 1) == [((1, 2), (4, 2), (4, 2))]
    assert plan == plan_profiles(signature, declared("1x3x8", "4x3x16"))
    with pytest.raises(PlanProblem, match="one batch, but these differ: 'x0' 1 to 4, 'x1' 1 to 8"):
        plan_profiles(signature, declared("1x3x8,1", "4x3x16,8"))


def test_opt_is_the_largest_unless_it_is_given() -> None:
    given_ = plan_profiles(RECOGNISER, declared("1x3x32x32", "8x3x32x320", "4x3x32x160"))
    assert ranges(given_)[0][1] == (4, 3, 32, 160)
    batch_alone = plan_profiles(RECOGNISER, declared("1x3x32x32", "8x3x32x320", "4"))
    assert ranges(batch_alone)[0][1] == (4, 3, 32, 320)
    with pytest.raises(
        PlanProblem, match="min ≤ opt ≤ max is needed, not 1x3x32x32 ≤ 16x3x32x320 ≤ 8x3x32x320"
    ):
        plan_profiles(RECOGNISER, declared("1x3x32x32", "8x3x32x320", "16"))
    with pytest.raises(PlanProblem) as caught:
        plan_profiles(RECOGNISER, declared("1x3x32x32", "8x3x32x320", "4x3x32x16"))
    assert caught.value.key == "opt"


def test_a_profile_that_holds_less_than_triton_sends_is_raised() -> None:
    profiles = declared("1x3x32x32;1x3x32x320", "32x3x32x64;8x3x32x512")
    plan = plan_profiles(RECOGNISER, profiles)
    assert ranges(plan)[1][2] == (32, 3, 32, 512)
    assert "raised max 8 of 32x3x32x512" not in plan.notes[-1]
    assert any(note.startswith("raised max 8 of 3x32x512 to 32") for note in plan.notes)
    split = plan_profiles(RECOGNISER, profiles, caller_splits=True)
    assert ranges(split)[1][2] == (8, 3, 32, 512)
    assert any(note.startswith("at most 8 of 3x32x512 go into one call") for note in split.notes)


@pytest.mark.parametrize("shape", [("N", 4), (2, 4)])
@pytest.mark.parametrize("dtype", [DType.FLOAT64, DType.UINT16, DType.INT16, DType.UINT32, DType.UINT64])
def test_types_that_tensorrt_lacks(dtype: DType, shape: tuple[int | str, ...]) -> None:
    known, other = TensorInfo("x", DType.FLOAT32, shape), TensorInfo("other", dtype, shape)
    for signature in (ModelSignature((other,), (known,)), ModelSignature((known,), (other,))):
        with pytest.raises(PlanProblem, match=f"'other' is {dtype.value}, which TensorRT lacks") as caught:
            plan_profiles(signature, ())
        assert caught.value.key == "model" and "--runtime onnxruntime" in (caught.value.hint or "")


def test_what_is_fast_stays_fast_in_a_profile_that_is_raised() -> None:
    plan = plan_profiles(CLASSIFIER, declared("1", "8", "4"), max_batch=32)
    assert [tuple(shape[0] for shape in shapes) for shapes in ranges(plan)] == [(1, 4, 32)]


def test_sizes_between_profiles_go_to_the_larger_one() -> None:
    plan = plan_profiles(RECOGNISER, declared("1x3x32x32;1x3x32x320", "8x3x32x64;8x3x32x512"))
    assert plan.holding(((8, 3, 32, 65),)) == plan.holding(((1, 3, 32, 319),)) == [1]
    assert plan.notes == ("min 1x3x32x320 is 1x3x32x65 now: sizes between profiles were in none",)


ANY_SIZE = taking(("N", 3, "H", "W"))


def test_sizes_whose_combination_no_profile_has() -> None:
    """Each of height and width alone is without a hole."""
    plan = plan_profiles(ANY_SIZE, declared("1x3x32x32;1x3x64x64", "8x3x64x64;8x3x512x512"))
    assert plan.holding(((1, 3, 40, 500),)) == plan.holding(((1, 3, 500, 40),)) == [1]
    assert len(plan.notes) == 1
    plan = plan_profiles(ANY_SIZE, declared("1x3x32x32;1x3x32x32", "8x3x512x64;8x3x64x512"))
    (note,) = plan.notes
    sizes = "'x0' with 65 to 512 in dimension 2 and 'x0' with 65 to 512 in dimension 3"
    assert note == f"no profile holds {sizes}: raise 'max' if such sizes come"
    two = taking(("N", "S"), ("N", "K"))
    plan = plan_profiles(two, declared("1x2,1x1;1x8,1x1", "8x4,8x5;8x16,8x8"))
    assert plan.holding(((3, 3), (3, 7))) == plan.holding(((3, 6), (3, 1))) == [1]


def test_more_combinations_than_can_be_looked_at() -> None:
    many = taking(("N", "A", "B", "C", "D", "E", "F"))
    low = ";".join("x".join(["1"] * 1 + [str(10 * i + 1)] * 6) for i in range(6))
    high = ";".join("x".join(["1"] * 1 + [str(10 * i + 5)] * 6) for i in range(6))
    plan = plan_profiles(many, declared(low, high))
    assert plan.holding(((1, 8, 8, 8, 8, 8, 8),)) == [1]


def test_buckets_lower_the_minimum_of_the_next_larger_profile() -> None:
    profiles = declared("1x3x32x32;1x3x32x320", "8x3x32x64;8x3x32x512")
    plan = plan_profiles(RECOGNISER, profiles, buckets=[((3, 32, 160),)])
    assert ranges(plan)[1][0] == (1, 3, 32, 160) and ranges(plan)[0][2] == (8, 3, 32, 64)
    with pytest.raises(PlanProblem, match="no profile is large enough for 3x32x640: raise 'max'"):
        plan_profiles(RECOGNISER, profiles, buckets=[((3, 32, 640),)])


def test_a_larger_batch_than_the_profiles_hold() -> None:
    plan = plan_profiles(CLASSIFIER, declared("1", "8"), max_batch=20)
    assert ranges(plan)[0][2][0] == 20 and "raised max 8 of 3x32x32 to 20" in plan.notes[0]


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ("1", "8", r"dimension 3 \(W\) of input 'x0' varies, and 'max' does not say .* max = \"1x3x32x1\""),
        ("1x3x32", "8x3x32x64", "'min' of input 'x0' is 1x3x32, but the model takes Nx3x32xW"),
        ("1x1x32x32", "8x3x32x64", "'min' of input 'x0' is 1x1x32x32, but the model takes Nx3x32xW"),
        ("1x3x32x96", "8x3x32x64", "min ≤ opt ≤ max"),
    ],
)
def test_sizes_that_do_not_fit(low: str, high: str, message: str) -> None:
    with pytest.raises(PlanProblem, match=message):
        plan_profiles(RECOGNISER, declared(low, high))


_SPANS = st.tuples(st.integers(1, 24), st.integers(1, 24)).map(sorted)


@given(
    profiles=st.lists(st.tuples(_SPANS, _SPANS), min_size=1, max_size=5),
    extra=st.integers(1, 30),
    chosen=st.data(),
    with_buckets=st.booleans(),
)
@settings(max_examples=300)
def test_no_request_falls_between_profiles(
    profiles: list[tuple[list[int], list[int]]], extra: int, chosen: st.DataObject, with_buckets: bool
) -> None:
    given_ = [Declared(((b0, 3, w0),), ((b1, 3, w1),)) for (b0, b1), (w0, w1) in profiles]
    widest = max(w1 for _, (_, w1) in profiles)
    widths = (
        set(chosen.draw(st.lists(st.integers(1, widest), min_size=1, max_size=4))) if with_buckets else set()
    )
    plan = plan_profiles(
        taking(("N", 3, "W")), given_, max_batch=extra, buckets=[((3, w),) for w in sorted(widths)]
    )
    largest = max([extra, *(b1 for (_, b1), _ in profiles)])
    held = range(min(w0 for _, (w0, _) in profiles), widest + 1)
    for width, batch in product(widths or held, range(1, largest + 1)):
        assert plan.holding(((batch, 3, width),)), (batch, width)
    for profile in plan.profiles:
        (one,) = profile
        assert all(a <= b <= c for a, b, c in zip(one.low, one.opt, one.high, strict=True))
        assert one.high[0] <= largest and one.high[2] <= widest
    assert len(set(plan.profiles)) == len(plan.profiles)


@given(profiles=st.lists(st.tuples(_SPANS, _SPANS), min_size=1, max_size=5))
@settings(max_examples=200)
def test_a_caller_that_splits_finds_a_profile_for_every_part(
    profiles: list[tuple[list[int], list[int]]],
) -> None:
    """Whatever it may send of a width, it may send less of, down to one."""
    given_ = [Declared(((b0, 3, w0),), ((b1, 3, w1),)) for (b0, b1), (w0, w1) in profiles]
    plan = plan_profiles(taking(("N", 3, "W")), given_, caller_splits=True)
    for one in given_:
        for width in (one.low[0][2], one.high[0][2]):
            for batch in range(1, one.high[0][0] + 1):
                assert plan.holding(((batch, 3, width),)), (batch, width)
