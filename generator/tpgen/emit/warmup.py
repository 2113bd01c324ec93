"""Warm-up samples of a Triton model: requests of one item each, run when the model is loaded.

The server runs those of models with backends of their own, whose data lies in ``warmup/`` beside the version;
a Python stage runs its own, in the version's ``warmup/``. What a sample is made of is a file that the user
names, or the types of the model's inputs: zeros, a grey JPEG where an encoded image is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Any

import numpy as np

from ..ir.graph import Port, Stage
from ..ir.serving import WARMUP
from ..types import Array, Bytes, ListOf, Text, Type
from .wire_form import WireTensor, wire_tensors

FOLDER = "warmup"
_SIDE = 64  # pixels of a made image


class BadSample(Exception):
    """A sample that the model cannot be given; the message says why. ``hint`` is the way out."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class WarmUp:
    """``samples`` in the JSON form of ModelConfig, and the ``files`` that they name, by path in the model."""

    samples: list[dict[str, Any]]
    files: Mapping[str, bytes]


def warm_up(stage: Stage, encoded: Mapping[str, bool], contents: Mapping[str, bytes]) -> WarmUp:
    """The samples of a stage: a batch of one item, and the largest batch.

    Args:
        stage: its ``serving`` says what the samples are.
        encoded: which inputs of bytes are read as encoded images.
        contents: the files that the user named.

    Raises:
        BadSample: a file does not hold what the input takes; or nothing fitting can be made of its type.
    """
    given = _given(stage, stage.serving[WARMUP].value, contents)
    inputs: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}
    for port in stage.inputs:
        if port.optional and port.key not in given:
            continue
        if port.key in given:
            value = given[port.key]
        else:
            value = _made(port, is_encoded=encoded.get(port.key, False), is_any_size=stage.is_python)
        for tensor, array in _tensors(stage, port, value):
            name = f"{len(files)}.bin"
            files[f"{FOLDER}/{name}"] = _data(array)
            inputs[tensor.name] = {
                "data_type": tensor.dtype.triton,
                "dims": list(array.shape),
                "input_data_file": name,
            }
    sizes = sorted({1, stage.max_batch})
    samples = [{"name": f"batch of {n}", "batch_size": n, "inputs": inputs} for n in sizes]
    return WarmUp(samples, files)


def _given(stage: Stage, asked: Any, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """The values that files give, by key."""
    ports = {port.key: port for port in stage.inputs}
    known = ", ".join(f"'{key}'" for key in ports)
    if isinstance(asked, str):
        if asked.endswith(".json"):
            named = _read_json(asked, contents[asked])
            values = {key: (asked, value) for key, value in named.items()}
        elif len(ports) != 1:
            hint = f'name a file for each: warmup = {{{next(iter(ports))} = "{asked}", ...}}'
            raise BadSample(f"'{asked}' is one file, and the model has the inputs {known}", hint)
        else:
            values = dict.fromkeys(ports, (asked, contents[asked]))
    else:
        values = {key: (file, contents[file]) for key, file in asked.items()} if asked is not True else {}
    for key in values:
        if key not in ports:
            raise BadSample(f"the model has no input '{key}'", f"it takes {known}")
    return {key: _value(ports[key], file, value) for key, (file, value) in values.items()}


def _read_json(file: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as problem:
        raise BadSample(f"'{file}' is no JSON: {problem}") from None
    if not isinstance(found, dict):
        raise BadSample(f"'{file}' is no table of inputs", 'write {"data": [0, 1, 2]}')
    return found


def _value(port: Port, file: str, value: Any) -> Any:
    """The value of an input: bytes, text or an array of its type. ``value``: a file's bytes, or JSON."""
    type_ = port.type
    if isinstance(type_, Bytes | Text):
        if isinstance(value, str | bytes):
            return value if isinstance(value, bytes) else value.encode()
        raise BadSample(f"'{file}' has no text for '{port.key}', which is {type_}")
    if not isinstance(type_, Array):
        raise _unmade(port)
    if isinstance(value, bytes):
        if not file.endswith(".npy"):
            hint = "store an array with numpy.save, one item without the batch dimension"
            raise BadSample(f"'{port.key}' is {type_}, and '{file}' is no .npy", hint)
        try:
            array = np.load(BytesIO(value), allow_pickle=False)
        except (ValueError, EOFError, OSError) as problem:
            raise BadSample(f"'{file}' cannot be read: {problem}") from None
    else:
        try:
            array = np.asarray(value, type_.dtype.value)
        except (TypeError, ValueError, OverflowError):
            raise BadSample(f"'{file}' has no numbers for '{port.key}', which is {type_}") from None
    shape = [dim if isinstance(dim, int) else None for dim in type_.shape]
    fits = len(shape) == array.ndim and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if array.dtype != np.dtype(type_.dtype.value) or not fits or not array.size:
        held = f"{array.dtype}[{','.join(map(str, array.shape))}]"
        hint = "one item, without the batch dimension"
        raise BadSample(f"'{PurePath(file).name}' holds {held}, and '{port.key}' is {type_}", hint)
    return array


def _made(port: Port, *, is_encoded: bool, is_any_size: bool) -> Any:
    """A value of an input's type; ``is_any_size``: images of all sizes are taken."""
    type_: Type = port.type
    if isinstance(type_, Text):
        return b"text"
    if isinstance(type_, Bytes):
        if is_encoded:
            return grey_jpeg()
        hint = 'name one: warmup = "sample.bin"'
        raise BadSample(f"nothing says what the bytes of '{port.key}' are, so no sample can be made", hint)
    if not isinstance(type_, Array):
        raise _unmade(port)
    side = _SIDE if type_.is_image and is_any_size else None
    sizes = [dim if isinstance(dim, int) else side for dim in type_.shape]
    if None in sizes:
        hint = f'name one: warmup = {{{port.key} = "sample.npy"}}'
        raise BadSample(f"'{port.key}' is {type_}, and no size of it is sure to fit the model", hint)
    return np.zeros([size or 1 for size in sizes], type_.dtype.value)


def _unmade(port: Port) -> BadSample:
    hint = "[pipeline.triton.NODE] model_warmup takes samples as Triton's ModelConfig has them"
    return BadSample(f"'{port.key}' is {port.type}, which no warm-up sample is made of", hint)


def _tensors(stage: Stage, port: Port, value: Any) -> Iterator[tuple[WireTensor, Any]]:
    """The tensors of a value on the wire: its own, and its companions."""
    type_ = port.type
    for tensor in wire_tensors(port) if stage.is_python else wire_tensors(port)[:1]:
        if not tensor.companion:
            plain = isinstance(value, bytes)
            if plain and port.raw:
                yield tensor, np.frombuffer(value, np.uint8)
            else:
                yield tensor, np.array([value], object) if plain else value.reshape(value.shape or (1,))
        elif tensor.name == f"{port.key}_valid":
            yield tensor, np.ones(1, bool)
        elif isinstance(type_, Array) and not type_.varies and not isinstance(type_, ListOf):
            varying = [s for s, dim in zip(value.shape, type_.shape, strict=True) if not isinstance(dim, int)]
            yield tensor, np.array(value.shape if tensor.name.endswith("_shape") else varying, np.int32)
        else:
            raise _unmade(port)


def _data(array: Any) -> bytes:
    """What Triton reads: little endian, text with its length in front."""
    if array.dtype == object:
        return b"".join(len(one).to_bytes(4, "little") + one for one in array)
    return bytes(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())


def grey_jpeg() -> bytes:
    """A grey image of 64 × 64 pixels, in colour, as a baseline JPEG: every block is its mean alone."""

    def segment(marker: int, *body: int) -> bytes:
        return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + bytes(body)

    components = [part for number in (1, 2, 3) for part in (number, 0x11, 0)]  # no subsampling, table 0
    table = (1, *[0] * 15, 0)  # a Huffman code of one bit, for 0
    blocks = 3 * math.prod((_SIDE // 8,) * 2)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, 0, *[1] * 64),
            segment(0xC0, 8, 0, _SIDE, 0, _SIDE, 3, *components),
            segment(0xC4, 0x00, *table),
            segment(0xC4, 0x10, *table),
            segment(0xDA, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0),
            bytes(2 * blocks // 8),
            b"\xff\xd9",
        )
    )
