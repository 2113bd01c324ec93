"""Reading an ONNX file's structure without its weights, at the level of the protobuf wire format.

Parsing a file of 1.9 GB takes five seconds and twice its size in memory; what `check` wants of it are
a few kilobytes. So the file is mapped, the payload of every large initializer is stepped over, and only
the rest is given to the protobuf parser.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

Buffer: TypeAlias = bytes | mmap.mmap
Field: TypeAlias = tuple[int, int, int, int]  # field number, start of the tag, start and end of the payload

SMALL = 16 * 1024  # bytes; shape constants stay, so that shape inference can use them
_GRAPH = 7  # ModelProto.graph
_INITIALIZER = 5  # GraphProto.initializer
_PAYLOADS = frozenset({4, 5, 6, 7, 9, 10, 11})  # TensorProto's value fields: float_data … raw_data …
LEFT_OUT = "#left-out"  # the location of the external data that stands for values not read


class Truncated(Exception):
    """The file ends before a field does."""

    def __init__(self, needed: int, size: int) -> None:
        super().__init__(f"{needed} bytes announced, {size} bytes there")
        self.needed = needed
        self.size = size


def skeleton(path: Path) -> bytes:
    """The serialized model without the values of its large initializers, which are marked external.

    Raises:
        Truncated: the file is a ModelProto that ends too early.
        ValueError: the bytes are not protobuf.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        out = bytearray()
        for number, tag, start, end in _fields(data, 0, len(data)):
            if number == _GRAPH:
                _emit(out, number, _graph(data, start, end))
            else:
                out += data[tag:end]
        return bytes(out)


def _graph(data: Buffer, start: int, end: int) -> bytes:
    out = bytearray()
    for number, tag, begin, stop in _fields(data, start, end):
        if number == _INITIALIZER and stop - begin > SMALL:
            kept = [data[t:e] for n, t, _, e in _fields(data, begin, stop) if n not in _PAYLOADS]
            _emit(out, number, b"".join(kept) + _left_out())
        else:
            out += data[tag:stop]
    return bytes(out)


def _left_out() -> bytes:
    """TensorProto's fields data_location (14, EXTERNAL) and external_data (13, key 1 and value 2)."""
    entry, out = bytearray(), bytearray()
    _emit(entry, 1, b"location")
    _emit(entry, 2, LEFT_OUT.encode())
    _emit(out, 13, entry)
    return bytes(out) + _varint(14 << 3) + _varint(1)


def _emit(out: bytearray, number: int, payload: bytes | bytearray) -> None:
    out += _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    position = start
    while position < end:
        key, payload = _read_varint(data, position, end)
        kind = key & 7
        if kind == 0:
            stop = _read_varint(data, payload, end)[1]
        elif kind == 1:
            stop = payload + 8
        elif kind == 2:
            length, payload = _read_varint(data, payload, end)
            stop = payload + length
        elif kind == 5:
            stop = payload + 4
        else:
            raise ValueError(f"wire type {kind} at byte {position}")
        if key >> 3 == 0:
            raise ValueError(f"field number 0 at byte {position}")
        if stop > end:
            raise Truncated(stop, end)
        yield key >> 3, position, payload, stop
        position = stop


def _read_varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= end:
            raise Truncated(position + 1, end)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"varint of more than ten bytes at byte {position}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
