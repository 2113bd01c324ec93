"""Answers for people, for JSON and for `.npz` files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_FIRST = 6
_RANKED = 5
_LISTED = 4


def describe(outputs: Mapping[str, Any]) -> str:
    """Outputs as lines of text: dtype and shape, the first values, for a vector its largest five."""
    width = max((len(key) for key in outputs), default=0)
    lines = []
    for key, value in outputs.items():
        head, *rest = _lines(value)
        lines += [f"  {key:<{width}}  {head}", *(f"  {'':<{width}}  {line}" for line in rest)]
    return "\n".join(lines)


def _lines(value: Any) -> Iterator[str]:
    import numpy as np

    if value is None:
        yield "absent"
    elif isinstance(value, bytes):
        yield f"{len(value)} bytes: {value[:32]!r}{'...' if len(value) > 32 else ''}"
    elif isinstance(value, str):
        yield repr(value)
    elif isinstance(value, list | tuple):
        yield f"a list of {len(value)}"
        for element in value[:_LISTED]:
            yield from (f"- {line}" for line in _lines(element))
        if len(value) > _LISTED:
            yield f"... and {len(value) - _LISTED} more"
    else:
        yield from _array_lines(np.asarray(value))


def _array_lines(array: np.ndarray[Any, Any]) -> Iterator[str]:
    flat = array.reshape(-1)
    shown = " ".join(_number(item) for item in flat[:_FIRST].tolist())
    more = " ..." if flat.size > _FIRST else ""
    dtype = "string" if array.dtype.kind in "OSU" else str(array.dtype)
    yield f"{dtype}[{','.join(map(str, array.shape))}]  {shown}{more}"
    if array.dtype.kind == "f" and max(array.shape, default=0) == flat.size > _FIRST:
        order = (-flat).argsort(kind="stable")[:_RANKED]
        yield f"largest: {', '.join(f'{index} ({_number(flat[index].item())})' for index in order)}"


def _number(item: Any) -> str:
    if isinstance(item, float):
        return f"{item:.5g}"
    if isinstance(item, bytes):
        return repr(item.decode("utf-8", errors="replace"))
    return str(item)


def to_json(value: Any) -> Any:
    """A value as JSON has it: arrays as nested lists, bytes as ``{"base64": ...}``."""
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        value = _text_array(value).tolist() if value.dtype.kind in "OS" else value.tolist()
    if isinstance(value, list | tuple):
        return [to_json(element) for element in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return value


def to_arrays(name: str, value: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """A value as arrays for a ``.npz`` file: a list's elements are ``<name>.<index>``, bytes uint8."""
    import numpy as np

    if isinstance(value, list | tuple):
        for index, element in enumerate(value):
            yield from to_arrays(f"{name}.{index}", element)
    elif isinstance(value, bytes):
        yield name, np.frombuffer(value, dtype=np.uint8)
    elif value is not None:
        array = np.asarray(value)
        yield name, _text_array(array) if array.dtype.kind in "OS" else array


def _text_array(array: Any) -> np.ndarray[Any, Any]:
    """An array of strings that holds str; on the wire and inside a pipeline their elements are bytes."""
    import numpy as np

    elements = np.asarray(array).reshape(-1).tolist()
    texts = [e.decode("utf-8", errors="replace") if isinstance(e, bytes) else str(e) for e in elements]
    return np.array(texts, dtype=np.str_).reshape(array.shape)
