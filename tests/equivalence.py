"""What all ways to run a pipeline have to agree on: the outcomes of items, compared value by value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from random_pipelines import Pipeline
from tpgen.driver import load_interpreter
from tpgen.ir.graph import Entry
from tpgen.runner.interpreter import ItemError
from tpgen.types import Array, ListOf, Text, Type, varying

Outcome = dict[str, Any] | ItemError


def interpreted(made: Pipeline, entry: Entry, items: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    interpreter = load_interpreter(made.compiled)
    alone = [interpreter.run(entry, [item])[0] for item in items]
    together = interpreter.run(entry, items)
    for index, (one, other) in enumerate(zip(alone, together, strict=True)):
        if isinstance(one, ItemError):
            assert isinstance(other, ItemError), f"item {index} fails alone only: {one}"
            assert str(other) == moved(str(one), index), f"{other}, and alone {one}"
        else:
            assert not isinstance(other, ItemError), other
            check_values(entry, one, other)
    return alone


def moved(message: str, index: int) -> str:
    """The message of a failed item 0 as that of another place in its request."""
    return re.sub(r"\] item 0([:,])", rf"] item {index}\1", message)


def as_sent(entry: Entry, item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as callers of the client write it: an empty list as an array, which has a rank."""
    return {
        port.key: _sendable(port.type, item[port.key], raw=port.raw)
        for port in entry.inputs
        if port.key in item
    }


def _sendable(type_: Type, value: Any, *, raw: bool) -> Any:
    if raw:
        return np.frombuffer(value, np.uint8)
    if isinstance(type_, ListOf):
        if not value:
            return np.zeros(empty_shape(type_), dtype_of(type_))
        return [_sendable(type_.item, element, raw=False) for element in value]
    return value


def empty_shape(type_: Type) -> tuple[int, ...]:
    if isinstance(type_, ListOf):
        return (0, *empty_shape(type_.item))
    return tuple(d if isinstance(d, int) else 0 for d in type_.shape) if isinstance(type_, Array) else ()


def dtype_of(type_: Type) -> Any:
    if isinstance(type_, ListOf):
        return dtype_of(type_.item)
    return type_.dtype.value if isinstance(type_, Array) else object


def received(entry: Entry, found: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of the client as the item's values: what is absent left out, texts as such."""
    there = [port for port in entry.outputs if found[port.key] is not None]
    tags = [f"{port.key}_tag" for port in there if varying(port.type)]
    return {
        **{port.key: _bare(port.type, found[port.key]) for port in there},
        **{tag: np.asarray(found[tag]).astype(str).tolist() for tag in tags},
    }


def _bare(type_: Type, value: Any) -> Any:
    if isinstance(type_, ListOf):
        return [_bare(type_.item, element) for element in value]
    if isinstance(type_, Array) and type_.shape == (1,) and np.ndim(value) == 0:
        return np.array([value], dtype_of(type_))  # on the wire no different from a single value
    return value.decode() if isinstance(type_, Text) else value


def check_values(entry: Entry, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    assert found.keys() == wanted.keys(), f"keys {sorted(found)}, {sorted(wanted)} expected"
    for key in wanted.keys() - {port.key for port in entry.outputs}:
        assert found[key] == wanted[key], key  # the tag of one
    for port in entry.outputs:
        if port.key in wanted:
            for name, left, right in pairs(port.key, wanted[port.key], found[port.key]):
                check_value(name, left, right)


def pairs(name: str, wanted: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), f"{name}: {len(found)} elements, {len(wanted)} expected"
        for index, (left, right) in enumerate(zip(wanted, found, strict=True)):
            yield from pairs(f"{name}[{index}]", left, right)
    else:
        yield name, wanted, found


def check_value(name: str, wanted: Any, found: Any) -> None:
    if isinstance(wanted, bytes | str):
        assert found == wanted, f"{name}: {found!r}, {wanted!r} expected"
        return
    wanted, found = np.asarray(wanted), np.asarray(found)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), f"{name}: {found}, {wanted} expected"
    if wanted.dtype.kind != "f":
        assert np.array_equal(found, wanted), f"{name}: {found}, {wanted} expected"
        return
    scale = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * scale, err_msg=name)
