"""The client and the generated stages speak one wire form, for every type that may cross it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tpgen_runtime.wire as runtime_wire
from tpgen.emit.wire_form import port_code, wire_tensors
from tpgen.ir.graph import Port
from tpgen.services.model_spec import ModelSpec, TensorSpec
from tpgen.services.wire import decode, encode
from tpgen.types import Array, Bytes, Color, DType, Layout, ListOf, State, Symbol, Text, Type
from tpgen_runtime import image_wire
from tpgen_runtime.errors import ItemError
from tpgen_runtime.looks import laid_out, tag_of, tagged

N, M = Symbol("N"), Symbol("M")
TYPES: dict[str, Type] = {
    "scalar": Array(DType.FLOAT32, ()),
    "vector": Array(DType.INT64, (3,)),
    "one varying": Array(DType.UINT8, (2, N)),
    "two varying": Array(DType.UINT8, (N, M, 3)),
    "strings": Array(DType.STRING, (N,)),
    "bytes": Bytes(),
    "text": Text(),
    "list of scalars": ListOf(Array(DType.FLOAT32, ())),
    "list of boxes": ListOf(Array(DType.INT32, (4,))),
    "list of rows": ListOf(Array(DType.INT32, (N,))),
    "list of crops": ListOf(Array(DType.UINT8, (N, M, 3))),
    "list of bytes": ListOf(Bytes()),
    "list of texts": ListOf(Text()),
    "list of lists of boxes": ListOf(ListOf(Array(DType.INT32, (4,)))),
    "list of lists of rows": ListOf(ListOf(Array(DType.INT32, (N,)))),
    "list of lists of texts": ListOf(ListOf(Text())),
    "list of lists of crops": ListOf(ListOf(Array(DType.UINT8, (N, M, 3)))),
}


def cases(*, optional: bool) -> list[Any]:
    """Each type, as parameters."""
    prefix = "optional " * optional
    return [pytest.param(type_, optional, id=f"{prefix}{name}") for name, type_ in TYPES.items()]


def values_of(type_: Type, *, shortest: int = 0) -> st.SearchStrategy[Any]:
    """Values of a type: arrays, bytes, text, lists of them with at least ``shortest`` elements."""
    if isinstance(type_, ListOf):
        return st.lists(values_of(type_.item, shortest=shortest), min_size=shortest, max_size=3)
    if isinstance(type_, Bytes):
        return st.binary(max_size=3)
    if isinstance(type_, Text):
        return st.text("aé", max_size=3)
    assert isinstance(type_, Array)
    sizes = [st.just(d) if isinstance(d, int) else st.integers(0, 3) for d in type_.shape]
    return st.tuples(*sizes).flatmap(lambda shape: array_of(type_.dtype, shape))


def array_of(dtype: DType, shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    count = int(np.prod(shape))
    if dtype is DType.STRING:
        rows = st.lists(st.binary(max_size=2), min_size=count, max_size=count)
        return rows.map(lambda flat: np.array([*flat, None], object)[:-1].reshape(shape))
    numbers = st.lists(st.integers(0, 9), min_size=count, max_size=count)
    return numbers.map(lambda flat: np.array(flat, dtype.value).reshape(shape))


def both_sides(type_: Type, *, optional: bool) -> tuple[ModelSpec, Any]:
    """The model as the server would describe it, and the port object of the generated stage."""
    port = Port("key", State(type_, quiet=optional))
    specs = {
        tensor.name: TensorSpec(tensor.name, _protocol_name(tensor.dtype), tensor.dims)
        for tensor in wire_tensors(port)
    }
    return ModelSpec("m", 4, specs, specs), eval(
        port_code(port), {**vars(runtime_wire), "image_wire": image_wire}
    )


def _protocol_name(dtype: DType) -> str:
    return "BYTES" if dtype is DType.STRING else dtype.triton.removeprefix("TYPE_")


def plain(value: Any) -> Any:
    """A value as nested lists of numbers and bytes, so that arrays and lists of them compare."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return [plain(element) for element in value] if isinstance(value, list) else value


def check_dims(tensors: dict[str, np.ndarray], specs: Mapping[str, TensorSpec]) -> None:
    """Triton does not compare what a Python model returns with its config; so it is done here."""
    assert set(tensors) == set(specs)
    for name, tensor in tensors.items():
        declared, found = specs[name].dims, tensor.shape[1:]
        fits = len(declared) == len(found) and all(d in (-1, f) for d, f in zip(declared, found, strict=True))
        assert fits, f"{name} is declared {declared} and has {found}"


@pytest.mark.parametrize(("type_", "optional"), cases(optional=False))
@settings(max_examples=25)
@given(data=st.data())
def test_a_stage_reads_what_the_client_sends(type_: Type, data: st.DataObject, *, optional: bool) -> None:
    # How deep an empty list is cannot be seen, so whether it is an item or a batch: callers give an array.
    items = data.draw(st.lists(values_of(type_, shortest=1), min_size=1, max_size=4))
    model, port = both_sides(type_, optional=optional)
    _, requests = encode(model, {"key": items})
    for request in requests:
        check_dims(request.tensors, model.inputs)
    read = [value for request in requests for value in port.decode(request.tensors)]
    assert plain(read) == plain(items)


@pytest.mark.parametrize(("type_", "optional"), cases(optional=False) + cases(optional=True))
@settings(max_examples=25)
@given(data=st.data())
def test_the_client_reads_what_a_stage_answers(type_: Type, data: st.DataObject, *, optional: bool) -> None:
    values = values_of(type_)
    if optional:
        values = st.one_of(values, st.none())
    items = data.draw(st.lists(values, min_size=1, max_size=4))
    model, port = both_sides(type_, optional=optional)
    assume(any(item is not None for item in items))
    tensors = port.encode([runtime_wire.ABSENT if item is None else item for item in items])
    check_dims(tensors, model.outputs)
    got = [item["key"] for item in decode(model, tensors, len(items))]
    assert plain(got) == plain(items)
    for value in got:
        if isinstance(type_, Bytes | Text):
            assert value is None or isinstance(value, bytes)
        elif isinstance(type_, Array) and not type_.shape:
            assert value is None or isinstance(value, np.generic)


IMAGES: dict[str, Type] = {
    "colour": Array(DType.UINT8, (N, M, 3), Layout.HWC, Color.VARIES),
    "colour of planes": Array(DType.FLOAT32, (3, N, M), Layout.CHW, Color.VARIES),
    "layout": Array(DType.UINT8, (N, M, 3), Layout.VARIES, Color.BGR),
    "both": Array(DType.UINT8, (N, M, 3), Layout.VARIES, Color.VARIES),
    "fixed size": Array(DType.UINT8, (4, 2, 3), Layout.VARIES, Color.VARIES),
}
IMAGES |= {f"list: {name}": ListOf(type_) for name, type_ in IMAGES.items()}
IMAGES |= {"list of lists": ListOf(ListOf(IMAGES["both"]))}


def images_of(type_: Type) -> st.SearchStrategy[Any]:
    """Images that say what they are, or lists of such."""
    if isinstance(type_, ListOf):
        return st.lists(images_of(type_.item), max_size=3)
    assert isinstance(type_, Array)
    layouts = ["HWC", "CHW"] if type_.layout is Layout.VARIES else [type_.layout.value]
    colors = ["bgr", "rgb"] if type_.color is Color.VARIES else [type_.color.value]
    sizes = [st.just(d) if isinstance(d, int) else st.integers(1, 3) for d in type_.shape]
    plain = st.tuples(*sizes).flatmap(lambda shape: array_of(type_.dtype, shape))
    return st.builds(_image, plain, st.sampled_from(layouts), st.sampled_from(colors), st.just(type_))


def _image(plain: np.ndarray, layout: str, color: str, type_: Array) -> Any:
    if type_.layout is Layout.VARIES and layout == "CHW":
        plain = np.ascontiguousarray(plain.transpose(2, 0, 1))
    return tagged(plain, layout, color)


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("name", IMAGES)
@settings(max_examples=20)
@given(data=st.data())
def test_images_say_what_they_are(name: str, data: st.DataObject, *, optional: bool) -> None:
    """The client and the next stage get the image with its tag; what varies in layout travels as HWC."""
    values = images_of(IMAGES[name])
    items = data.draw(st.lists(st.one_of(values, st.none()) if optional else values, min_size=1, max_size=4))
    assume(any(item is not None for item in items))
    model, port = both_sides(IMAGES[name], optional=optional)
    tensors = port.encode([runtime_wire.ABSENT if item is None else item for item in items])
    check_dims(tensors, model.outputs)
    layout = "CHW" if "planes" in name else "HWC"
    wanted = [None if item is None else laid_out(item, layout) for item in items]
    tags = [None if item is None else plain(tag_of(item)) for item in wanted]
    got = decode(model, tensors, len(items))
    assert plain([item["key"] for item in got]) == plain(wanted)
    assert plain([item["key_tag"] for item in got]) == tags
    read = [None if value is runtime_wire.ABSENT else value for value in port.decode(tensors)]
    assert plain(read) == plain(wanted)
    assert [None if value is None else plain(tag_of(value)) for value in read] == tags


def test_a_tag_that_is_none_is_refused() -> None:
    _, port = both_sides(IMAGES["both"], optional=False)
    tensors = port.encode([tagged(np.zeros((4, 2, 3), np.uint8), "HWC", "rgb")] * 2)
    tensors["key_tag"][1] = b"HWC cmyk"
    with pytest.raises(ItemError, match="item 1: 'key_tag' is 'HWC cmyk', no layout and colour order"):
        port.decode(tensors)


LISTS = [name for name, type_ in TYPES.items() if isinstance(type_, ListOf)]


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=10)
@given(data=st.data())
def test_the_tensors_of_other_keys_do_not_matter(name: str, data: st.DataObject) -> None:
    items = data.draw(st.lists(values_of(TYPES[name], shortest=1), min_size=1, max_size=3))
    model, port = both_sides(TYPES[name], optional=False)
    _, requests = encode(model, {"key": items})
    others = {"other": np.zeros((len(items), 1)), "other_shape": np.zeros((len(items), 1, 3), np.int32)}
    read = [value for request in requests for value in port.decode({**others, **request.tensors})]
    assert plain(read) == plain(items)


def one_of(type_: Type) -> Any:
    """Some value of a type."""
    if isinstance(type_, ListOf):
        return [one_of(type_.item)]
    if isinstance(type_, Array):
        return np.ones([d if isinstance(d, int) else 2 for d in type_.shape], type_.dtype.value)
    return b"a" if isinstance(type_, Bytes) else "a"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("count", [-1, 3])
def test_a_count_that_does_not_fit_its_list_is_refused(name: str, count: int) -> None:
    type_ = TYPES[name]
    assert isinstance(type_, ListOf)
    _, port = both_sides(type_, optional=False)
    tensors = port.encode([[one_of(type_.item)] * 2])
    tensors["key_count"][:] = count
    with pytest.raises(ItemError, match=f"item 0: 'key' has 2 elements, its count says {count}"):
        port.decode(tensors)


@pytest.mark.parametrize("sizes", [[2, 3, 1], [2, 9, 3], [-1, 2, 3]])
def test_sizes_that_do_not_fit_the_array_are_refused(sizes: list[int]) -> None:
    _, port = both_sides(TYPES["two varying"], optional=False)
    tensors = port.encode([np.zeros((2, 4, 3), np.uint8)] * 2)
    tensors["key_shape"][1] = sizes
    with pytest.raises(ItemError, match=r"item 1: 'key' has shape \[2, 4, 3\], its sizes say"):
        port.decode(tensors)


def test_what_is_wrong_with_an_input_names_the_item_and_the_element() -> None:
    _, text = both_sides(Text(), optional=False)
    with pytest.raises(ItemError, match=r"^item 1: 'key' is not UTF-8 text"):
        text.decode({"key": np.array([[b"a"], [b"\xff"]], object)})
    _, texts = both_sides(ListOf(Text()), optional=False)
    with pytest.raises(ItemError, match=r"^item 0, element 1: 'key' is not UTF-8 text"):
        texts.decode({"key": np.array([[b"a", b"\xff"]], object)})
