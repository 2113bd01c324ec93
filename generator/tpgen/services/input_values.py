"""Turns a caller's values into arrays of the dtype and rank that a model's inputs are declared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .model_spec import ModelSpec, RequestError, TensorSpec, companions

Array: TypeAlias = NDArray[Any]
# An array, a numpy scalar or bytes, or a list of them (nested once at most); None for an absent output.
Value: TypeAlias = Any

NUMPY = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": np.float32,  # the client libraries take and give BF16 as float32
    "BYTES": np.object_,
}


_BYTES = ": it takes bytes, such as the content of a file, or text; an image is sent encoded (JPEG, PNG)"


def _depth(spec: TensorSpec, value: Any) -> int:
    """How many axes a value has, nested lists included; bytes for an input of numbers are a row of them.

    Of lists that hold nothing at all, only those that can be seen are counted.
    """
    if isinstance(value, np.ndarray):
        return value.ndim
    if isinstance(value, bytes | bytearray | memoryview):
        return 0 if spec.datatype == "BYTES" else 1
    if isinstance(value, list | tuple):
        return 1 + max((_depth(spec, element) for element in value), default=0)
    return 0


def is_batch(model: ModelSpec, spec: TensorSpec, value: Any) -> bool:
    """True if a value is one level deeper than an item of the input, or has a None in place of one."""
    if isinstance(value, list | tuple) and any(item is None for item in value):
        return "valid" in companions(model.inputs).get(spec.name, {})
    depth, rank = _depth(spec, value), len(spec.dims)
    # One element per item is passed bare: [a, b] for dims [1] are two items, not one of two elements.
    bare = spec.is_scalar and isinstance(value, list | tuple) and depth < rank + 1
    return bare or depth == rank + 1


def is_hollow(value: Any) -> bool:
    """True for lists that hold nothing but lists, the innermost of them empty: no element shows the depth."""
    return isinstance(value, list | tuple) and all(is_hollow(element) for element in value)


def is_hollow_batch(model: ModelSpec, spec: TensorSpec, value: Sequence[Any], lengths: set[int]) -> bool:
    """Whether lists without any element are a batch; ``lengths`` are those of the batches beside them."""
    told = companions(model.inputs).get(spec.name, {})
    levels = 2 if "count2" in told else int("count" in told)
    return bool(value) and (_depth(spec, value) > levels or lengths == {len(value)})


def leaves(model: ModelSpec, spec: TensorSpec, item: Any) -> Value:
    """An item as an array of the input's rank and dtype; a list of arrays where elements differ in shape."""
    if isinstance(item, list | tuple) and not item and len(spec.dims) > 1 and spec.dims[0] == -1:
        return np.zeros((0, *(max(dim, 0) for dim in spec.dims[1:])), NUMPY[spec.datatype])
    if isinstance(item, list | tuple) and any(_depth(spec, element) for element in item):
        inner = TensorSpec(spec.name, spec.datatype, spec.dims[1:])
        elements = [leaves(model, inner, element) for element in item]
        if len(spec.dims) and spec.dims[0] not in (-1, len(elements)):
            raise _misfit(model, spec, f"a list of {len(elements)}")
        same = all(isinstance(e, np.ndarray) and e.shape == elements[0].shape for e in elements)
        if not same and not _may_be_ragged(model, spec):
            raise _misfit(model, spec, "a list whose elements differ in shape")
        return np.stack(elements) if same else elements
    array = _array(model, spec, item)
    if spec.is_scalar and array.size == 1:
        array = array.reshape(spec.dims)
    fits = array.ndim == len(spec.dims) and all(
        dim in (-1, size) for dim, size in zip(spec.dims, array.shape, strict=True)
    )
    if not fits:
        raise _misfit(model, spec, f"shape [{','.join(str(size) for size in array.shape)}]")
    return array


def _may_be_ragged(model: ModelSpec, spec: TensorSpec) -> bool:
    """True if the model has a companion that tells the shape of each element of this list."""
    told = companions(model.inputs).get(spec.name, {})
    return "count2" in told or ("shape" in told and len(told["shape"].dims) > 1)


def _array(model: ModelSpec, spec: TensorSpec, value: Any) -> Array:
    wanted = np.dtype(NUMPY[spec.datatype])
    if spec.datatype == "BYTES":
        return _bytes_array(model, spec, value)
    if isinstance(value, bytes | bytearray | memoryview) and wanted.itemsize == 1:
        return np.frombuffer(value, wanted)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" and array.size:
        raise _misfit(model, spec, f"{type(value).__name__} {_short(value)}")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(wanted)
    if not np.can_cast(array.dtype, wanted, "same_kind") and not np.array_equal(converted, array):
        raise _misfit(model, spec, f"{array.dtype} {_short(value)}, which would change when converted,")
    return np.ascontiguousarray(converted).reshape(array.shape)


def _bytes_array(model: ModelSpec, spec: TensorSpec, value: Any) -> Array:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "OSU":
            shape_text = ",".join(str(size) for size in value.shape)
            raise _misfit(model, spec, f"an array {value.dtype}[{shape_text}]", _BYTES)
        elements, shape = value.reshape(-1).tolist(), value.shape
    elif isinstance(value, list | tuple):
        elements, shape = value, (len(value),)
    else:
        elements, shape = [value], ()
    result = np.empty(len(elements), object)
    result[:] = [_as_bytes(model, spec, element) for element in elements]
    return result.reshape(shape)


def _as_bytes(model: ModelSpec, spec: TensorSpec, element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, bytes | bytearray | memoryview):
        return bytes(element)
    raise _misfit(model, spec, f"{type(element).__name__} {_short(element)}", _BYTES)


def _misfit(model: ModelSpec, spec: TensorSpec, what: str, way_out: str = "") -> RequestError:
    message = f"input '{spec.name}' of model '{model.name}' is {spec}; {what} does not fit{way_out}"
    return RequestError(message, 400)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
