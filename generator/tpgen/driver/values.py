"""Values that a user gives, as the entry's inputs declare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..diagnostics import Diagnostic, PipelineError, Severity, did_you_mean
from ..ir.graph import Entry, Port
from ..types import Array, Bytes, DType, ListOf, Text, Type

if TYPE_CHECKING:
    import numpy as np


class Misfit(Exception):
    """A value that a type does not take; the text says what it is."""


def item_for(entry: Entry, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as an item of an entry: every key known, none missing, each of its declared type.

    Args:
        entry: the entry, its inputs typed.
        values: bytes, str, bool, numbers, nested lists or arrays, by key. Numbers are converted where that
            changes nothing but the precision of floats; str becomes UTF-8 bytes where bytes are declared.

    Raises:
        PipelineError: TP722, for each key that does not fit.
    """
    ports = {port.key: port for port in entry.inputs}
    problems = [_unknown(entry, key) for key in values if key not in ports]
    item: dict[str, Any] = {}
    for key, port in ports.items():
        if key not in values:
            if not port.optional:
                problems.append(_problem(f"'{entry.name}' needs the input '{key}' ({port.type})"))
            continue
        try:
            item[key] = as_declared(port.type, values[key])
        except Misfit as problem:
            message = f"input '{key}' of '{entry.name}' is {port.type}, but {problem} is given"
            problems.append(_problem(message, _advice(port, values[key])))
    if problems:
        raise PipelineError(problems)
    return item


def as_declared(type_: Type, value: Any) -> Any:
    """The value as a type asks for it.

    Raises:
        Misfit: the type does not take it.
    """
    if isinstance(type_, Bytes):
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
    elif isinstance(type_, Text):
        if isinstance(value, str):
            return value
    elif isinstance(type_, ListOf):
        if not isinstance(value, str | bytes | bytearray) and hasattr(value, "__len__"):
            return [as_declared(type_.item, element) for element in value]
    elif isinstance(type_, Array):
        return _as_array(type_, value)
    raise Misfit(described(value))


def _as_array(type_: Array, value: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    if isinstance(value, str | bytes | bytearray) and type_.dtype is not DType.STRING:
        raise Misfit(described(value))
    try:
        array = np.asarray(value)
    except ValueError:
        raise Misfit("a list of lists of differing lengths") from None
    fits = array.ndim == len(type_.shape) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(type_.shape, array.shape, strict=True)
    )
    if not fits:
        raise Misfit(f"shape [{','.join(str(size) for size in array.shape)}]")
    return _converted(type_.dtype, array)


def _converted(dtype: DType, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array with another element type. Floats may be rounded, nothing else may change."""
    import numpy as np

    if dtype is DType.STRING:
        if array.dtype.kind not in "OSU":
            raise Misfit(f"an array of {array.dtype}")
        encoded = [s.encode() if isinstance(s, str) else bytes(s) for s in array.reshape(-1).tolist()]
        out = np.empty(array.size, dtype=np.object_)
        out[:] = encoded
        return out.reshape(array.shape)
    wanted = np.dtype("float32" if dtype is DType.BFLOAT16 else dtype.value)
    if array.dtype == wanted or array.size == 0:
        return array.astype(wanted, copy=False)
    if array.dtype.kind not in "biuf":
        raise Misfit(f"an array of {array.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(wanted)
    if wanted.kind != "f" and not np.array_equal(converted, array):
        raise Misfit(f"{described(array)}, which would change,")
    return converted


def described(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, str):
        return f"the text {value[:40]!r}{'...' if len(value) > 40 else ''}"
    if hasattr(value, "dtype"):
        dims = ",".join(str(size) for size in value.shape)
        return f"{value.dtype}[{dims}]"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"{value!r}"


def _unknown(entry: Entry, key: str) -> Diagnostic:
    known = [port.key for port in entry.inputs]
    near = did_you_mean(key, known)
    hint = f"did you mean '{near}'?" if near else f"inputs: {', '.join(known)}"
    return _problem(f"'{entry.name}' has no input '{key}'", hint)


def _problem(message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic("TP722", Severity.ERROR, message, hint=hint)


def _advice(port: Port, value: Any) -> str | None:
    """What to do about the mistakes that are made most."""
    if isinstance(port.type, Text):
        return f"text that looks like a number is written in quotes: '{port.key}=\"...\"'"
    if isinstance(port.type, Array) and isinstance(value, bytes):
        return f"give an array: {port.key}=@file.npy, or begin the pipeline with DecodeMat"
    if isinstance(value, str) and not isinstance(port.type, Bytes):
        return f"a file's content is given with @: {port.key}=@{value}"
    return None
