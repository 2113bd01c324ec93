"""Ports of generated stages: values to tensors and back, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpgen_runtime.wire as wire
from tpgen.emit.wire_form import port_code, wire_tensors
from tpgen.ir.graph import Port
from tpgen.types import Array, Bytes, DType, ListOf, State, Symbol, Text, Type
from tpgen_runtime.errors import ItemError
from tpgen_runtime.wire import ABSENT, WireError

N, M = Symbol("N"), Symbol("M")
LEAVES: list[Type] = [
    Bytes(),
    Text(),
    Array(DType.INT64, ()),
    Array(DType.BOOL, (2,)),
    Array(DType.FLOAT32, (2, 3)),
    Array(DType.FLOAT16, (N,)),
    Array(DType.UINT8, (3, N)),
    Array(DType.UINT8, (N, M, 3)),
    Array(DType.STRING, (N,)),
    Array(DType.STRING, (2,)),
]
TYPES = [*LEAVES, *map(ListOf, LEAVES), *(ListOf(ListOf(leaf)) for leaf in LEAVES)]


def port_of(type_: Type, *, optional: bool = False, raw: bool = False) -> tuple[Any, Port]:
    port = Port("key", State(type_, quiet=optional), raw=raw)
    return eval(port_code(port), vars(wire)), port


def values(type_: Type) -> st.SearchStrategy[Any]:
    if isinstance(type_, ListOf):
        return st.lists(values(type_.item), max_size=3)
    if isinstance(type_, Bytes):
        return st.binary(max_size=4)
    if isinstance(type_, Text):
        return st.text("aé\0\N{PILE OF POO}", max_size=3)
    assert isinstance(type_, Array)
    sizes = st.tuples(*(st.just(d) if isinstance(d, int) else st.integers(0, 3) for d in type_.shape))
    return sizes.flatmap(lambda shape: arrays(type_.dtype, shape))


def arrays(dtype: DType, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    count = int(np.prod(shape))
    if dtype is DType.STRING:
        flat = st.lists(st.binary(max_size=2), min_size=count, max_size=count)
        return flat.map(lambda items: np.array([*items, None], object)[:-1].reshape(shape))
    numbers = st.lists(st.integers(0, 1), min_size=count, max_size=count)
    return numbers.map(lambda items: np.array(items, dtype.value).reshape(shape))


def same(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    return type(left) is type(right) and left == right if left is ABSENT else bool(left == right)


@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("optional", [False, True], ids=["there", "optional"])
@settings(max_examples=15)
@given(data=st.data())
def test_values_come_back(type_: Type, optional: bool, data: st.DataObject) -> None:
    port, declared = port_of(type_, optional=optional)
    kinds = values(type_) | st.just(ABSENT) if optional else values(type_)
    items = data.draw(st.lists(kinds, min_size=1, max_size=4))
    tensors = port.encode(items)
    described = {tensor.name: tensor for tensor in wire_tensors(declared)}
    assert tensors.keys() == described.keys()
    for name, tensor in tensors.items():
        dims = described[name].dims
        assert tensor.shape[0] == len(items)
        assert len(tensor.shape) == len(dims) + 1
        assert all(want in (-1, got) for want, got in zip(dims, tensor.shape[1:], strict=True)), name
    assert same(port.decode(tensors), items)


@pytest.mark.parametrize("type_", [leaf for leaf in LEAVES if isinstance(leaf, Array)], ids=str)
@settings(max_examples=10)
@given(data=st.data())
def test_one_item_is_neither_padded_nor_copied(type_: Array, data: st.DataObject) -> None:
    port, _ = port_of(type_)
    value = data.draw(values(type_))
    tensor = port.encode([value])["key"]
    assert tensor.shape[1:] == (value.shape or (1,))
    assert np.shares_memory(tensor, value) or value.size == 0


@given(items=st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=3))
def test_raw_bytes_are_padded_to_the_longest(items: list[bytes]) -> None:
    port, _ = port_of(Bytes(), raw=True)
    tensors = port.encode(items)
    assert (tensors["key"].dtype, tensors["key"].shape[0]) == (np.uint8, len(items))
    longest = max(map(len, items))
    assert port.decode(tensors) == [item.ljust(longest, b"\0") for item in items]


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (Bytes(), "text", "'key' is str, not bytes"),
        (Text(), b"bytes", "'key' is bytes, not a string"),
        (Array(DType.FLOAT32, (2,)), np.zeros(2), "'key' is float64, float32 is declared"),
        (Array(DType.FLOAT32, (2,)), np.zeros(3, np.float32), r"'key' has shape \[3\], \[2\] is declared"),
        (Array(DType.FLOAT32, (N, 4)), np.zeros((2, 5), np.float32), r"has shape \[2, 5\], \['any', 4\] is"),
        (Array(DType.FLOAT32, ()), np.zeros(1, np.float32), r"'key' has shape \[1\], \[\] is declared"),
        (Array(DType.INT64, ()), 1.5, "'key' is float64, int64 is declared"),
        (Array(DType.UINT8, ()), np.int64(3), "'key' is int64, uint8 is declared"),
        (ListOf(Text()), [b"x"], "'key' is bytes, not a string"),
        (ListOf(Array(DType.INT32, (4,))), [np.zeros(3, np.int32)], r"has shape \[3\], \[4\] is declared"),
        (Array(DType.FLOAT32, (2,)), ABSENT, "'key' is missing"),
        (Array(DType.FLOAT32, (N,)), ABSENT, "'key' is missing"),
        (Text(), ABSENT, "'key' is missing"),
        (ListOf(Text()), ABSENT, "'key' is missing"),
    ],
)
def test_values_that_are_not_declared(type_: Type, value: Any, message: str) -> None:
    port, _ = port_of(type_)
    with pytest.raises(WireError, match=message):
        port.encode([value])


@pytest.mark.parametrize(("value", "dtype"), [(3, DType.INT64), (0.5, DType.FLOAT32), (True, DType.BOOL)])
def test_python_numbers_take_the_declared_type(value: Any, dtype: DType) -> None:
    port, _ = port_of(Array(dtype, ()))
    tensor = port.encode([value])["key"]
    assert (tensor.dtype, tensor.tolist()) == (np.dtype(dtype.value), [[value]])


def test_too_many_bytes_are_refused() -> None:
    port = wire.Bytes("key", max_bytes=3)
    assert port.decode({"key": np.array([[b"abc"]], object)}) == [b"abc"]
    with pytest.raises(ItemError, match="item 1: 'key' has 4 bytes, at most 3 are accepted"):
        port.decode({"key": np.array([[b"abc"], [b"abcd"]], object)})


def test_too_many_pixels_are_refused() -> None:
    port = wire.Array("key", "uint8", (None, None, 3), max_pixels=20)
    image = np.zeros((2, 6, 5, 3), np.uint8)
    sizes = np.array([[4, 5, 3], [3, 4, 3]], np.int32)
    found = port.decode({"key": image, "key_shape": sizes})
    assert [value.shape for value in found] == [(4, 5, 3), (3, 4, 3)]
    with pytest.raises(ItemError, match="item 0: 'key' has 30 pixels, at most 20 are accepted"):
        port.decode({"key": image})
