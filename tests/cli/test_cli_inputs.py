"""`--input`: from the command line to samples, and from samples to items of the declared types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpgen.cli.inputs import parse_value, read_samples
from tpgen.diagnostics import PipelineError
from tpgen.driver.values import Misfit, as_declared, item_for
from tpgen.ir.graph import Entry, Port
from tpgen.types import Array, Bytes, DType, ListOf, Symbol, Text, present

LITERALS = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


def message_of(raised: pytest.ExceptionInfo[PipelineError]) -> str:
    return str(raised.value)


@settings(max_examples=100)
@given(LITERALS)
def test_json_literals_come_back(value: Any) -> None:
    assert parse_value("k", json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["hello", "", "null", "NaN", "-Infinity", '{"a": 1}', "[1, 2", "1.2.3", "a=b", "[" * 5000]
)
def test_what_is_no_literal_is_text(text: str) -> None:
    assert parse_value("k", text) == text


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8")
    np.save(tmp_path / "b.npy", np.arange(6, dtype=np.int16).reshape(2, 3))
    assert parse_value("k", f"@{tmp_path}/a.jpg") == b"\xff\xd8"
    array = parse_value("k", f"@{tmp_path}/b.npy")
    assert array.dtype == np.int16
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_repeated_key_makes_samples() -> None:
    assert read_samples([("a", "1"), ("a", "2")]) == [{"a": 1}, {"a": 2}]
    assert read_samples([("a", "1"), ("b", "2")]) == [{"a": 1, "b": 2}]
    by_sample = read_samples([("a", "1"), ("b", "x"), ("a", "2"), ("b", "y")])
    by_key = read_samples([("a", "1"), ("a", "2"), ("b", "x"), ("b", "y")])
    assert by_sample == by_key == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert read_samples([("a", "1"), ("a", "2"), ("b", "3")]) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
    assert read_samples([]) == []


def test_keys_with_differing_numbers_of_values() -> None:
    with pytest.raises(PipelineError) as raised:
        read_samples([("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2")])
    assert "error[TP721]: 'b' has 2 values, but 'a' has 3" in message_of(raised)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jpg", None, "no such file"),
        ("nowhere/none.jpg", None, "nowhere' does not exist"),
        (".", None, "is a directory"),
        ("text.npy", b"not an array", "is not an array of numbers"),
        ("empty.npy", b"", "is not an array of numbers"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError) as raised:
        read_samples([("data", f"@{tmp_path / name}")])
    assert "error[TP721]: input 'data'" in message_of(raised)
    assert words in message_of(raised)


def test_arrays_of_objects_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PipelineError, match="TP721"):
        read_samples([("data", f"@{tmp_path}/o.npy")])


IMAGE = Array(DType.UINT8, (Symbol("H"), Symbol("W"), 3))
VECTOR = Array(DType.FLOAT32, (3,))


@pytest.mark.parametrize(
    ("type_", "value", "wanted"),
    [
        (Bytes(), b"ab", b"ab"),
        (Bytes(), "ä", "ä".encode()),
        (Text(), "ab", "ab"),
        (ListOf(Text()), ["a", "b"], ["a", "b"]),
        (ListOf(Text()), [], []),
    ],
)
def test_values_that_are_no_arrays(type_: Any, value: Any, wanted: Any) -> None:
    assert as_declared(type_, value) == wanted


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (VECTOR, [1, 2, 3]),
        (VECTOR, np.array([0.1, 0.2, 0.3])),
        (Array(DType.INT64, ()), 7),
        (Array(DType.INT8, (2,)), np.array([1.0, -2.0])),
        (Array(DType.BOOL, (2,)), [True, False]),
        (IMAGE, np.zeros((4, 5, 3), np.int64)),
        (Array(DType.FLOAT16, (1,)), [0.5]),
        (Array(DType.BFLOAT16, (1,)), [0.5]),
    ],
)
def test_numbers_take_the_declared_type(type_: Array, value: Any) -> None:
    found = as_declared(type_, value)
    assert found.dtype == np.dtype("float32" if type_.dtype is DType.BFLOAT16 else type_.dtype.value)
    np.testing.assert_allclose(found.astype(float), np.asarray(value, float), rtol=1e-6)


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (Bytes(), 3, "3"),
        (Text(), 3, "3"),
        (Text(), b"ab", "2 bytes"),
        (VECTOR, "1 2 3", "the text '1 2 3'"),
        (VECTOR, b"abc", "3 bytes"),
        (VECTOR, [1, 2], r"shape \[2\]"),
        (VECTOR, [[1], [2, 3]], "differing lengths"),
        (VECTOR, ["a", "b", "c"], "array of <U1"),
        (IMAGE, np.full((2, 2, 3), 256), "would change"),
        (IMAGE, np.full((2, 2, 3), 0.5), "would change"),
        (IMAGE, np.zeros((2, 2)), r"shape \[2,2\]"),
        (Array(DType.BOOL, ()), 2, "would change"),
        (ListOf(Text()), "abc", "the text"),
        (ListOf(Bytes()), 5, "5"),
    ],
)
def test_values_that_do_not_fit(type_: Any, value: Any, words: str) -> None:
    with pytest.raises(Misfit, match=words):
        as_declared(type_, value)


@settings(max_examples=100)
@given(
    st.sampled_from([d for d in DType if d.value.startswith(("int", "uint"))]),
    st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=4),
)
def test_integers_never_change(dtype: DType, values: list[int]) -> None:
    type_ = Array(dtype, (len(values),))
    limits = np.iinfo(dtype.value)
    if all(limits.min <= value <= limits.max for value in values):
        assert as_declared(type_, values).tolist() == values
    else:
        with pytest.raises(Misfit):
            as_declared(type_, values)


ENTRY = Entry(
    "face",
    "decode",
    inputs=(
        Port("data", present(Bytes())),
        Port("score", present(Array(DType.FLOAT32, ()))),
        Port("label", present(Text()), optional=True),
    ),
)


def test_an_item_of_an_entry() -> None:
    assert item_for(ENTRY, {"data": "x", "score": 1}) == {"data": b"x", "score": np.float32(1)}
    assert item_for(ENTRY, {"data": b"x", "score": 1, "label": "a"})["label"] == "a"


def test_all_problems_of_an_item_are_told() -> None:
    with pytest.raises(PipelineError) as raised:
        item_for(ENTRY, {"dta": b"x", "score": "high", "label": 5})
    text = message_of(raised)
    assert "'face' has no input 'dta'" in text
    assert "did you mean 'data'?" in text
    assert "'face' needs the input 'data' (bytes)" in text
    assert "input 'score' of 'face' is float32[], but the text 'high' is given" in text
    assert "'label=\"...\"'" in text


def test_the_advice_for_a_file_in_place_of_an_array() -> None:
    entry = Entry("face", "resize", inputs=(Port("data", present(IMAGE)),))
    for value, advice in ((b"\xff\xd8", "data=@file.npy"), ("a.npy", "data=@a.npy")):
        with pytest.raises(PipelineError, match=advice):
            item_for(entry, {"data": value})
