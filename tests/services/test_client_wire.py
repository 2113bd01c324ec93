"""Values to tensors and back, without a server: what the companions say is what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tpgen.services.model_spec import ModelSpec, RequestError, TensorSpec, companions, model_spec
from tpgen.services.wire import decode, encode


def spec_of(*tensors: TensorSpec, batch: int = 4) -> ModelSpec:
    """A model that takes and returns the same tensors."""
    by_name = {tensor.name: tensor for tensor in tensors}
    return ModelSpec("mirror", batch, by_name, by_name)


DENSE = spec_of(
    TensorSpec("a", "UINT8", (-1, -1, 3)),
    TensorSpec("a_shape", "INT32", (3,)),
    TensorSpec("b", "FP32", (2, -1)),
    TensorSpec("b_count", "INT32", (1,)),
)
CROPS = spec_of(
    TensorSpec("a", "UINT8", (-1, -1, -1, 3)),
    TensorSpec("a_count", "INT32", (1,)),
    TensorSpec("a_shape", "INT32", (-1, 3)),
)
PAGES = spec_of(
    TensorSpec("a", "UINT8", (-1, -1, -1, -1, 3)),
    TensorSpec("a_count", "INT32", (1,)),
    TensorSpec("a_count2", "INT32", (-1,)),
    TensorSpec("a_shape", "INT32", (-1, -1, 3)),
)
LINES = spec_of(
    TensorSpec("a", "BYTES", (-1, -1)),
    TensorSpec("a_count", "INT32", (1,)),
    TensorSpec("a_count2", "INT32", (-1,)),
)


def reflect(model: ModelSpec, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Encodes, and decodes what was encoded."""
    _, requests = encode(model, values)
    items: list[dict[str, Any]] = []
    for request in requests:
        assert {len(tensor) for tensor in request.tensors.values()} == {request.items}
        assert request.items <= model.max_batch_size
        items += decode(model, request.tensors, request.items)
    return items


def image(least: int = 0) -> st.SearchStrategy[np.ndarray]:
    side = st.integers(least, 5)
    shape = st.tuples(side, side, st.just(3))
    return shape.flatmap(lambda s: arrays.arrays(np.uint8, s))


@settings(max_examples=60)
@given(st.lists(st.tuples(image(), st.integers(0, 4)), min_size=1, max_size=9))
def test_dense_items_of_any_shape_come_back_in_it(items: list[tuple[np.ndarray, int]]) -> None:
    wide = [np.arange(2 * n, dtype=np.float32).reshape(2, n) for _, n in items]
    back = reflect(DENSE, {"a": [a for a, _ in items], "b": wide})
    assert len(back) == len(items)
    for (a, _), b, item in zip(items, wide, back, strict=True):
        assert set(item) == {"a", "b"}
        assert item["a"].shape == a.shape
        np.testing.assert_array_equal(item["a"], a)
        np.testing.assert_array_equal(item["b"], b)


@settings(max_examples=60)
@given(st.lists(st.lists(image(1), max_size=4), min_size=1, max_size=6))
def test_lists_of_arrays_keep_each_shape(items: list[list[np.ndarray]]) -> None:
    assume(any(items))
    back = reflect(CROPS, {"a": items})
    for sent, item in zip(items, back, strict=True):
        assert len(item["a"]) == len(sent)
        for left, right in zip(sent, item["a"], strict=True):
            np.testing.assert_array_equal(left, right)


@settings(max_examples=60)
@given(st.lists(st.lists(st.lists(st.binary(max_size=3), max_size=3), max_size=4), min_size=1, max_size=6))
def test_lists_of_lists_keep_each_length(items: list[list[list[bytes]]]) -> None:
    assume(any(line for lines in items for line in lines))
    back = reflect(LINES, {"a": items})
    assert [[list(line) for line in item["a"]] for item in back] == items


@settings(max_examples=60)
@given(st.lists(st.lists(st.lists(image(1), max_size=3), max_size=3), min_size=1, max_size=6))
def test_lists_of_lists_of_arrays_keep_each_shape(items: list[list[list[np.ndarray]]]) -> None:
    assume(any(line for lines in items for line in lines))
    back = reflect(PAGES, {"a": items})
    for sent, item in zip(items, back, strict=True):
        assert [len(lines) for lines in item["a"]] == [len(lines) for lines in sent]
        for lines, got in zip(sent, item["a"], strict=True):
            for left, right in zip(lines, got, strict=True):
                np.testing.assert_array_equal(left, right)


LISTS = spec_of(TensorSpec("a", "INT32", (-1, 4)), TensorSpec("a_count", "INT32", (1,)))
NUMBERS = spec_of(TensorSpec("a", "INT32", (-1,)), TensorSpec("a_count", "INT32", (1,)))


@pytest.mark.parametrize(
    ("model", "value", "items"),
    [
        (NUMBERS, [], None),
        (NUMBERS, [[], []], [0, 0]),
        (LISTS, [], None),
        (LISTS, [[]], [0]),
        (LISTS, [[], [], []], [0, 0, 0]),
        (LISTS, [[], [[1, 2, 3, 4]]], [0, 1]),
        (CROPS, [[], []], [0, 0]),
        (LINES, [[], []], None),
        (LINES, [[[]], []], [1, 0]),
        (PAGES, [[[], []], [[]]], [2, 1]),
    ],
)
def test_empty_lists_are_what_the_declared_dims_admit(
    model: ModelSpec, value: Any, items: list[int] | None
) -> None:
    is_batch, requests = encode(model, {"a": value})
    assert is_batch == (items is not None)
    lengths = [int(count) for request in requests for count in request.tensors["a_count"][:, 0]]
    assert lengths == (items if items is not None else [len(value)])
    back = reflect(model, {"a": value})
    assert [len(item["a"]) for item in back] == lengths


def test_empty_lists_beside_a_batch_are_one_too() -> None:
    model = spec_of(*LINES.inputs.values(), TensorSpec("b", "FP32", (1,)))
    assert [list(item["a"]) for item in reflect(model, {"a": [[], []], "b": [1, 2]})] == [[], []]
    for item in reflect(model, {"a": [[], []], "b": [1, 2, 3]}):
        assert [list(line) for line in item["a"]] == [[], []], "another length: one item, repeated"


@pytest.mark.parametrize("value", [[[[]]], [[[], []]]])
def test_empty_lists_that_fit_no_way_are_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="does not fit"):
        encode(LISTS, {"a": value})


def test_a_single_element_is_no_array() -> None:
    model = spec_of(
        TensorSpec("a", "FP32", (1,)),
        TensorSpec("b", "BYTES", (1,)),
        TensorSpec("c", "INT64", (1, 1)),
        TensorSpec("d", "INT64", (-1,)),
    )
    values = {"a": [0.5, 1.5], "b": ["ä\0", b""], "c": [[[1]], [[2]]], "d": [[3], [4]]}
    first, second = reflect(model, values)
    assert (type(first["a"]), first["a"], second["a"]) == (np.float32, 0.5, 1.5)
    assert (first["b"], second["b"]) == ("ä\0".encode(), b"")
    assert first["c"].tolist() == [[1]]
    assert first["d"].tolist() == [3], "a size that varies stays an array if it is one"
    assert reflect(model, first) == [first], "an answer can be sent on"
    without_batch = spec_of(TensorSpec("a", "FP32", (1,)), batch=0)
    _, (request,) = encode(without_batch, {"a": 2})
    assert decode(without_batch, request.tensors, 1)[0]["a"] == 2.0


def test_one_item_is_never_padded() -> None:
    picture = np.ones((2, 3, 3), np.uint8)
    is_batch, (request,) = encode(DENSE, {"a": picture, "b": np.zeros((2, 1), np.float32)})
    assert not is_batch
    assert request.tensors["a"].shape == (1, 2, 3, 3)
    assert request.tensors["a_shape"].tolist() == [[2, 3, 3]]
    assert request.tensors["b_count"].tolist() == [[1]]


def test_rows_of_differing_length_need_a_companion_that_says_so() -> None:
    with pytest.raises(RequestError, match="differ in shape"):
        encode(DENSE, {"a": np.ones((2, 3, 3), np.uint8), "b": [[1.0], [2.0, 3.0]]})


def test_a_companion_that_is_given_is_not_made() -> None:
    picture = np.ones((2, 3, 3), np.uint8)
    values = {"a": picture, "a_shape": [1, 1, 3], "b": np.zeros((2, 1))}
    _, (request,) = encode(DENSE, values)
    assert request.tensors["a_shape"].tolist() == [[1, 1, 3]]


def test_batches_of_differing_length_are_refused() -> None:
    model = spec_of(TensorSpec("a", "INT32", (1,)), TensorSpec("b", "INT32", (1,)))
    with pytest.raises(RequestError, match="'a': 2, 'b': 3"):
        encode(model, {"a": [1, 2], "b": [1, 2, 3]})


def test_an_answer_with_the_wrong_number_of_rows_is_refused() -> None:
    model = spec_of(TensorSpec("a", "INT32", (1,)))
    with pytest.raises(RequestError, match="returned 1 rows of 'a' for 2 items"):
        decode(model, {"a": np.zeros((1, 1), np.int32)}, 2)


@pytest.mark.parametrize(
    ("value", "datatype", "fits"),
    [
        (3, "UINT8", True),
        (300, "UINT8", False),
        (-1, "UINT8", False),
        (2.0, "INT32", True),
        (2.5, "INT32", False),
        (True, "FP32", True),
        (2**40, "FP64", True),
        (float("nan"), "FP16", True),
        (float("nan"), "INT64", False),
        (1, "BOOL", True),
        (2, "BOOL", False),
        (None, "FP32", False),
        (1j, "FP32", False),
    ],
)
def test_numbers_are_converted_if_they_stay_what_they_are(
    value: object, datatype: str, *, fits: bool
) -> None:
    model = spec_of(TensorSpec("a", datatype, (1,)))
    if not fits:
        with pytest.raises(RequestError):
            encode(model, {"a": value})
        return
    _, (request,) = encode(model, {"a": value})
    assert request.tensors["a"].shape == (1, 1)
    np.testing.assert_array_equal(request.tensors["a"][0, 0], value)


def test_encoded_bytes_fill_an_input_of_raw_uint8() -> None:
    model = spec_of(TensorSpec("a", "UINT8", (-1,)), TensorSpec("a_count", "INT32", (1,)))
    assert reflect(model, {"a": b"\x01\x02"})[0]["a"].tolist() == [1, 2]
    assert [item["a"].tolist() for item in reflect(model, {"a": [b"\x01", b"", b"\x02\x03"]})] == [
        [1],
        [],
        [2, 3],
    ]


def test_only_a_tensor_beside_its_base_is_a_companion() -> None:
    tensors = {
        name: TensorSpec(name, datatype, (1,))
        for name, datatype in (("a", "FP32"), ("a_count", "INT64"), ("a_valid", "BOOL"), ("b_count", "INT32"))
    }
    assert companions(tensors) == {"a": {"valid": tensors["a_valid"]}}


def test_the_batch_dimension_is_taken_off_where_there_is_one() -> None:
    metadata = {
        "name": "m",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["-1", 4]}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [-1, -1]}],
    }
    batched = model_spec(metadata, {"max_batch_size": 2, "input": [{"name": "x", "optional": True}]})
    assert batched.inputs["x"] == TensorSpec("x", "FP32", (4,), optional=True)
    assert batched.outputs["y"].dims == (-1,)
    assert model_spec(metadata, {}).inputs["x"].dims == (-1, 4)


OPTIONAL = spec_of(
    TensorSpec("data", "FP32", (2,)),
    TensorSpec("small", "BYTES", (1,), optional=True),
    TensorSpec("small_valid", "BOOL", (1,), optional=True),
    TensorSpec("crops", "UINT8", (-1, -1, -1, 3), optional=True),
    TensorSpec("crops_count", "INT32", (1,), optional=True),
    TensorSpec("crops_shape", "INT32", (-1, 3), optional=True),
    TensorSpec("crops_valid", "BOOL", (1,), optional=True),
)


def test_none_is_an_item_without_an_optional_input() -> None:
    image = np.ones((2, 3, 3), np.uint8)
    values = {"data": np.ones((6, 2), np.float32), "small": [None, "1", None, "", "2", "3"]}
    items = reflect(OPTIONAL, {**values, "crops": [None, [image], None, [], [image, image[:1]], None]})
    assert [item["small"] for item in items] == [None, b"1", None, b"", b"2", b"3"]
    assert [None if item["crops"] is None else len(item["crops"]) for item in items] == [
        None,
        1,
        None,
        0,
        2,
        None,
    ]
    _, requests = encode(OPTIONAL, values)
    assert requests[0].tensors["small_valid"].tolist() == [[False], [True], [False], [True]]
    assert requests[0].tensors["small"].tolist() == [[b""], [b"1"], [b""], [b""]]
    assert "small_valid" not in requests[1].tensors, "all of its items have one"
    assert reflect(OPTIONAL, {"data": [1, 2], "small": [None]})[0]["small"] is None
    for nothing in ({}, {"small": None}):
        assert encode(OPTIONAL, {"data": [1, 2], **nothing})[1][0].tensors.keys() == {"data"}


def test_none_is_no_value_of_an_input_that_is_required() -> None:
    with pytest.raises(RequestError, match="NoneType None does not fit"):
        encode(OPTIONAL, {"data": [None, [1, 2]]})
    with pytest.raises(RequestError, match="does not fit"):
        encode(OPTIONAL, {"data": None})
