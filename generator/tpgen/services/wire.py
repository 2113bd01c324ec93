"""Turns values into the tensors of a request, and the tensors of an answer back into values.

A model's item is what a caller thinks in: no batch dimension, its true shape, None where there is nothing. On
the wire there is a batch dimension, all items of a request have one shape (zero-padded), and companion
tensors say what is padding:

======================  ===================  ==============================================================
companion               dims                 an item's value
======================  ===================  ==============================================================
``<key>_count``         ``[1]``              is that long on its varying axis
``<key>_shape``         ``[rank]``           has that shape
``<key>_shape``         ``[-1, rank - 1]``   is a list of ``<key>_count`` arrays, each with its own shape
``<key>_count2``        ``[-1]``             is a list of ``<key>_count`` lists, each with its own length
``<key>_shape``         ``[-1, -1, rank-2]`` is a list of lists of arrays, each with its own shape
``<key>_valid``         ``[1]``              is None if false
``<key>_tag``           ``[1]``, ``[-1]``…   is an image of this layout and order, ``HWC rgb``; of a list, an
                                             entry per element. It is answered beside the value
======================  ===================  ==============================================================

An output of dims ``[1]`` is one element: a numpy scalar, or bytes. An array of one element looks the same on
the wire, and is taken for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diagnostics import did_you_mean
from .input_values import NUMPY, Array, Value, is_batch, is_hollow, is_hollow_batch, leaves
from .model_spec import ModelSpec, RequestError, TensorSpec, companions

_PADDING = {"count", "shape", "count2"}


@dataclass(frozen=True)
class Request:
    """The tensors of one request, with the batch dimension if the model has one."""

    tensors: dict[str, Array]
    items: int


def encode(model: ModelSpec, values: Mapping[str, Any]) -> tuple[bool, list[Request]]:
    """Makes the requests for the given inputs.

    A list that is one level deeper than an item of the input is a batch; any other value is one item, and is
    repeated if another input is a batch. How deep lists are that hold nothing but empty lists can't be seen:
    they are an item where the input is declared as that many lists, unless another input is a batch of that
    length. In a batch of an optional input, None is an item without it. Batches beyond
    ``max_batch_size`` become several requests, and so do items of differing shape if the model has no
    companion that could tell their padding.

    Returns:
        Whether a batch was given, and the requests in the order of the items.

    Raises:
        RequestError: an input is unknown, missing, or does not fit; status 400.
    """
    _check_names(model, values)
    values = {name: v for name, v in values.items() if v is not None or not model.inputs[name].optional}
    batches: dict[str, list[Value]] = {}
    singles: dict[str, Value] = {}
    sure = {len(value) for name, value in values.items() if is_batch(model, model.inputs[name], value)}
    for name, value in values.items():
        spec = model.inputs[name]
        if is_batch(model, spec, value) or (is_hollow(value) and is_hollow_batch(model, spec, value, sure)):
            may_lack = "valid" in companions(model.inputs).get(name, {})
            batches[name] = [
                None if item is None and may_lack else leaves(model, spec, item) for item in value
            ]
        else:
            singles[name] = leaves(model, spec, value)
    counts = {len(batch) for batch in batches.values()}
    if len(counts) > 1 or 0 in counts:
        sizes = ", ".join(f"'{name}': {len(batch)}" for name, batch in batches.items())
        raise RequestError(
            f"inputs of model '{model.name}' are batches of differing or no length: {sizes}", 400
        )
    count = counts.pop() if counts else 1
    columns = {name: batches.get(name) or [singles[name]] * count for name in values}
    if not model.is_batching:
        return bool(batches), [_unbatched(model, columns, i) for i in range(count)]
    parts = _split(model, columns, count)
    return bool(batches), [_request(model, columns, part) for part in parts]


def decode(model: ModelSpec, tensors: Mapping[str, Array], items: int) -> list[dict[str, Value]]:
    """Makes the items of an answer: padding cut off, absent outputs None, companions left out but tags.

    Raises:
        RequestError: an output does not hold as many items as were sent.
    """
    described = companions(model.outputs)
    hidden = {spec.name for group in described.values() for spec in group.values()}
    tags = _described_tags(described)
    described.update(tags)
    hidden -= tags.keys()
    shown = [name for name in tensors if name not in hidden]
    if not model.is_batching:
        whole = {name: tensor[np.newaxis] for name, tensor in tensors.items()}
        return [{name: _item(model, described, whole, name, 0) for name in shown}]
    for name in shown:
        if len(tensors[name]) != items:
            message = f"model '{model.name}' returned {len(tensors[name])} rows of '{name}' for {items} items"
            raise RequestError(message, 500)
    return [{name: _item(model, described, tensors, name, index) for name in shown} for index in range(items)]


def _described_tags(described: Mapping[str, Mapping[str, TensorSpec]]) -> dict[str, dict[str, TensorSpec]]:
    """What describes tags: they are there with their value, and as long as its lists are."""
    found = {}
    for told in described.values():
        tag = told.get("tag")
        if tag is not None and tag.datatype == "BYTES":
            depth = tag.dims.count(-1)
            kinds = ("valid", *("count", "count2")[:depth])
            found[tag.name] = {kind: told[kind] for kind in kinds if kind in told}
    return found


# --- values to tensors ---------------------------------------------------------------


def _check_names(model: ModelSpec, values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in model.inputs:
            guess = did_you_mean(name, model.inputs)
            known = ", ".join(f"'{key}' ({spec})" for key, spec in model.inputs.items())
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise RequestError(f"model '{model.name}' has no input '{name}'; it takes {known}{hint}", 400)
    made = {
        spec.name
        for base, group in companions(model.inputs).items()
        if base in values
        for spec in group.values()
    }
    for name, spec in model.inputs.items():
        if not spec.optional and name not in values and name not in made:
            raise RequestError(f"model '{model.name}' needs the input '{name}' ({spec})", 400)


def _split(model: ModelSpec, columns: Mapping[str, Sequence[Value]], count: int) -> list[range]:
    """Cuts the items into requests, each with at most ``max_batch_size`` that can be padded to one shape."""
    described = companions(model.inputs)
    bare = [name for name in columns if not _PADDING & described.get(name, {}).keys()]
    shapes = [tuple(_extent(_sent(model, name, columns[name][i])) for name in bare) for i in range(count)]
    parts = []
    start = 0
    for i in range(1, count + 1):
        if i == count or i - start == model.max_batch_size or shapes[i] != shapes[start]:
            parts.append(range(start, i))
            start = i
    return parts


def _unbatched(model: ModelSpec, columns: Mapping[str, Sequence[Value]], index: int) -> Request:
    request = _request(model, columns, range(index, index + 1))
    return Request({name: tensor[0] for name, tensor in request.tensors.items()}, 1)


def _request(model: ModelSpec, columns: Mapping[str, Sequence[Value]], part: range) -> Request:
    described = companions(model.inputs)
    tensors = {}
    for name, column in columns.items():
        items = [_sent(model, name, column[i]) for i in part]
        tensors[name] = _padded(items, model.inputs[name])
        for kind, companion in described.get(name, {}).items():
            is_there = np.array([[column[i] is not None] for i in part])
            if kind == "valid" and companion.name not in columns and not is_there.all():
                tensors[companion.name] = is_there
            # A tag cannot be read off a value.
            if companion.name not in columns and kind in _PADDING:
                told = [_described(kind, item, model.inputs[name], companion) for item in items]
                tensors[companion.name] = _padded(told, companion)
    return Request(tensors, len(part))


def _sent(model: ModelSpec, name: str, value: Value) -> Value:
    """What travels for an item: where it has no value, the least that the input may be."""
    if value is not None:
        return value
    spec = model.inputs[name]
    empty: Any = b"" if spec.datatype == "BYTES" else 0
    return np.full([max(dim, 0) for dim in spec.dims], empty, NUMPY[spec.datatype])


def _extent(value: Value) -> tuple[int, ...]:
    """The smallest shape that holds a value and everything in it."""
    if isinstance(value, np.ndarray):
        return value.shape
    inner = [_extent(element) for element in value]
    return (len(value), *(max(sizes) for sizes in zip(*inner, strict=True)))


def _padded(items: Sequence[Value], spec: TensorSpec) -> Array:
    """The items behind each other on a batch axis, zero-padded (empty bytes) to one shape."""
    if len(items) == 1 and isinstance(items[0], np.ndarray):
        return items[0][np.newaxis]
    extent = _extent(items)
    empty: Any = b"" if spec.datatype == "BYTES" else 0
    tensor = np.full(extent, empty, NUMPY[spec.datatype])
    for row, item in zip(tensor, items, strict=True):
        _fill(row, item)
    return tensor


def _fill(target: Array, value: Value) -> None:
    if isinstance(value, np.ndarray):
        target[tuple(slice(size) for size in value.shape)] = value
    else:
        for row, element in zip(target, value, strict=False):
            _fill(row, element)


def _described(kind: str, item: Value, spec: TensorSpec, companion: TensorSpec) -> Value:
    """What a companion input says of an item."""
    if kind == "count":
        length = item.shape[spec.varying_axis] if isinstance(item, np.ndarray) else len(item)
        return np.array([length], np.int32)
    if kind == "count2":
        return np.array([len(element) for element in item], np.int32)
    return _shapes(item, companion.dims)


def _shapes(item: Value, dims: tuple[int, ...]) -> Value:
    """The shape of an item, or of each element of a list, or of each element of its lists."""
    if len(dims) == 1:
        return np.array(_extent(item), np.int32)
    if len(dims) == 2:
        return np.array([_extent(element) for element in item], np.int32).reshape(len(item), dims[1])
    return [_shapes(element, dims[1:]) for element in item] or np.zeros((0, 0, dims[-1]), np.int32)


# --- tensors to values ---------------------------------------------------------------


def _item(
    model: ModelSpec,
    described: Mapping[str, Mapping[str, TensorSpec]],
    tensors: Mapping[str, Array],
    name: str,
    index: int,
) -> Value:
    told = {
        kind: tensors[companion.name][index]
        for kind, companion in described.get(name, {}).items()
        if companion.name in tensors
    }
    if "valid" in told and not told["valid"].all():
        return None
    value = tensors[name][index]
    count = int(told["count"].reshape(-1)[0]) if "count" in told else None
    shapes = told.get("shape")
    if "count2" in told:
        lengths = told["count2"].reshape(-1)[:count]
        return [
            _elements(value[i], None if shapes is None else shapes[i], length)
            for i, length in enumerate(lengths)
        ]
    if shapes is not None and shapes.ndim == 2:
        return _elements(value, shapes, count)
    if shapes is not None:
        return _cut(value, shapes)
    if count is not None:
        axis = model.outputs[name].varying_axis if name in model.outputs else 0
        return value[(slice(None),) * axis + (slice(count),)]
    return value.reshape(-1)[0] if value.shape in ((), (1,)) and _is_single(model, name) else value


def _is_single(model: ModelSpec, name: str) -> bool:
    """True if an output declares one element, not a size that may be one."""
    return name in model.outputs and model.outputs[name].dims in ((), (1,))


def _elements(rows: Array, shapes: Array | None, count: int | None) -> Value:
    """The first elements of a list; as an array if they all have one shape."""
    if shapes is None:
        return rows[:count]
    return [_cut(row, shape) for row, shape in zip(rows[:count], shapes[:count], strict=True)]


def _cut(value: Array, shape: Array) -> Array:
    return value[tuple(slice(int(size)) for size in shape)]
