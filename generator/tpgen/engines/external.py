"""Writing models. Large ones get their weights in one file beside them, which processes share by mmap."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .loading import attribute_tensors_of, external_range, initializers_of, load_model

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

THRESHOLD = 4 * 1024 * 1024  # bytes of weights from which sharing them is worth a second file
ALIGNMENT = 4096  # a page: onnxruntime maps each tensor by itself
_SMALL = 1024  # bytes; shape constants stay inside, where shape inference looks for them
_CHUNK = 1 << 24
_VALUE_FIELDS = (
    "raw_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
    "external_data",
)


@dataclass(frozen=True)
class WrittenModel:
    """The files of a model that was written: the ONNX file and, for large ones, its weights."""

    model: Path
    data: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.model,) if self.data is None else (self.model, self.data)


def externalize(
    model: ModelProto, out_dir: Path, name: str, *, source_dir: Path | None = None, threshold: int = THRESHOLD
) -> WrittenModel:
    """Write ``out_dir/name``; from ``threshold`` bytes of weights on, they go to ``out_dir/name.data``.

    Tensors whose data is external already are copied from ``source_dir`` (the folder of the file that
    ``model`` was read from), one at a time: memory is needed for the largest, not for all. ``model`` itself
    is not changed. The bytes written are a function of the model alone.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    large, small = _divide(initializers_of(copy.graph), source_dir, threshold)
    for tensor in (*attribute_tensors_of(copy.graph), *small):
        _embed(tensor, source_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    target = out_dir / name
    data = out_dir / f"{name}.data" if large else None
    if data:
        _write_data(large, data, source_dir)
    target.write_bytes(copy.SerializeToString(deterministic=True))
    return WrittenModel(target, data)


def copy_model(path: Path, out_dir: Path, name: str, *, threshold: int = THRESHOLD) -> WrittenModel:
    """Write a copy of a model file as `externalize` would: the same values, shared between processes.

    Raises:
        ModelError: the file or its external data can't be read.
    """
    return externalize(load_model(path), out_dir, name, source_dir=path.parent, threshold=threshold)


def payload(tensor: TensorProto, source_dir: Path | None) -> bytes:
    """The little-endian bytes of a tensor, wherever they are kept."""
    return b"".join(_chunks(tensor, source_dir))


def _divide(
    tensors: Iterable[TensorProto], source_dir: Path | None, threshold: int
) -> tuple[list[TensorProto], list[TensorProto]]:
    """The tensors that go to the data file, and those that stay in the model."""
    large: list[TensorProto] = []
    small: list[TensorProto] = []
    for tensor in tensors:
        fits = tensor.data_type == tensor.STRING or _size(tensor, source_dir) < _SMALL
        (small if fits else large).append(tensor)
    if sum(_size(tensor, source_dir) for tensor in large) < threshold:
        return [], [*large, *small]
    return large, small


def _chunks(tensor: TensorProto, source_dir: Path | None) -> Iterator[bytes]:
    if tensor.data_location != tensor.EXTERNAL:
        yield tensor.raw_data if tensor.HasField("raw_data") else _typed_bytes(tensor)
        return
    assert source_dir is not None, "a model with external data needs the folder it was read from"
    location, offset, length = external_range(tensor)
    with (source_dir / location).open("rb") as file:
        file.seek(offset)
        left = length if length is not None else os.path.getsize(source_dir / location) - offset
        while left > 0:
            block = file.read(min(left, _CHUNK))
            if not block:
                return
            left -= len(block)
            yield block


def _typed_bytes(tensor: TensorProto) -> bytes:
    """The bytes of a tensor that keeps its values in float_data, int32_data and so on."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _size(tensor: TensorProto, source_dir: Path | None) -> int:
    if tensor.data_location == tensor.EXTERNAL:
        location, offset, length = external_range(tensor)
        if length is not None:
            return length
        assert source_dir is not None, "a model with external data needs the folder it was read from"
        return os.path.getsize(source_dir / location) - offset
    return len(tensor.raw_data) if tensor.HasField("raw_data") else tensor.ByteSize()


def _write_data(tensors: list[TensorProto], path: Path, source_dir: Path | None) -> None:
    partial = path.with_name(path.name + ".part")  # the weights being read may lie at `path` itself
    ranges = []
    with partial.open("wb") as file:
        for tensor in tensors:
            offset = _align(file)
            for block in _chunks(tensor, source_dir):
                file.write(block)
            ranges.append((offset, file.tell() - offset))
    os.replace(partial, path)
    for tensor, (offset, length) in zip(tensors, ranges, strict=True):
        _refer(tensor, path.name, offset, length)


def _align(file: IO[bytes]) -> int:
    position = file.tell()
    padding = -position % ALIGNMENT
    file.write(b"\0" * padding)
    return position + padding


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    _clear_values(tensor)
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _embed(tensor: TensorProto, source_dir: Path | None) -> None:
    if tensor.data_location != tensor.EXTERNAL:
        return
    data = payload(tensor, source_dir)
    _clear_values(tensor)
    tensor.ClearField("data_location")
    tensor.raw_data = data


def _clear_values(tensor: TensorProto) -> None:
    for field in _VALUE_FIELDS:
        tensor.ClearField(field)
