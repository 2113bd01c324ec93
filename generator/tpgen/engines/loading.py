"""Opening ONNX files: what is wrong with one is said as a `ModelError`, in terms of what the file is."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..diagnostics import did_you_mean
from ..types import DType
from . import wire
from .errors import EXTERNAL_DATA, MISSING, NOT_A_MODEL, ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

LIMIT = 2**31 - 1  # bytes; neither protobuf nor onnxruntime reads a longer message

_DTYPES = {
    1: DType.FLOAT32,
    2: DType.UINT8,
    3: DType.INT8,
    4: DType.UINT16,
    5: DType.INT16,
    6: DType.INT32,
    7: DType.INT64,
    8: DType.STRING,
    9: DType.BOOL,
    10: DType.FLOAT16,
    11: DType.FLOAT64,
    12: DType.UINT32,
    13: DType.UINT64,
    16: DType.BFLOAT16,
}
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
_EXPORT = "export the model to ONNX (torch.onnx.export, tf2onnx ...) and name that file"
# How files start that people take for ONNX: (offset, bytes, what it is, the way out).
_LOOKALIKES = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run 'git lfs pull'"),
    (0, b"PK\x03\x04", "a zip archive (PyTorch and Keras save models so)", _EXPORT),
    (0, b"\x89HDF", "an HDF5 file (Keras weights)", _EXPORT),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, b"\x80\x02", "a Python pickle (an old PyTorch checkpoint)", _EXPORT),
    (0, b"ftrt", "a TensorRT engine", "name the ONNX file that it was built from"),
    (4, b"TFL3", "a TensorFlow Lite model", _EXPORT),
    (4, b"ORTM", "a model in ONNX Runtime's own ORT format", "name the ONNX file that it was made from"),
    (8, b'{"', "a safetensors file: weights without a graph", _EXPORT),
)
_HTML = (b"<!doctype", b"<html", b"<?xml", b"<head")


def dtype_of(number: int) -> DType | None:
    """The dtype of a ``TensorProto.DataType`` number; None: Triton has no such type."""
    return _DTYPES.get(number)


def number_of(dtype: DType) -> int:
    """The ``TensorProto.DataType`` number of a dtype."""
    return _NUMBERS[dtype]


def load_skeleton(path: Path) -> ModelProto:
    """The model without the values of its large initializers; fast for files of any size.

    Raises:
        ModelError: there is no such file, or it isn't an ONNX model, or it is too long for any runtime.
    """
    _require_file(path)
    try:
        return _parse(wire.skeleton(path), path)
    except wire.Truncated as error:
        if _starts_like_a_model(path):
            raise _truncated(path, error.needed) from None
        raise _not_onnx(path) from None
    except ValueError:
        raise _not_onnx(path) from None


def load_model(path: Path) -> ModelProto:
    """The model with the values that lie in the file itself; external data stays where it is.

    Raises:
        ModelError: as `load_skeleton`; or a file of external data is missing or too short.
    """
    skeleton = load_skeleton(path)  # finds what is wrong with the file, at little cost
    model = _parse(path.read_bytes(), path) if path.stat().st_size > wire.SMALL else skeleton
    check_external_data(model, path)
    return model


def check_external_data(model: ModelProto, path: Path) -> None:
    """Check that every file of external data is there and long enough; ``model`` may be a skeleton.

    Raises:
        ModelError: one is not.
    """
    sizes: dict[str, int] = {}
    for tensor in (*initializers_of(model.graph), *attribute_tensors_of(model.graph)):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        location, offset, length = external_range(tensor)
        if location == wire.LEFT_OUT:
            continue
        if location not in sizes:
            sizes[location] = _size_of_data(path, location, tensor.name)
        if offset + (length or 0) > sizes[location]:
            raise ModelError(
                EXTERNAL_DATA,
                f"'{location}', the weights of model '{path}', is too short: tensor '{tensor.name}' ends at "
                f"byte {offset + (length or 0)}, the file has {sizes[location]}",
                "copy the file again: it was cut off, or belongs to another model",
            )


def external_files(path: Path) -> list[Path]:
    """The files beside a model that hold its external data, sorted."""
    model = load_skeleton(path)
    tensors = (*initializers_of(model.graph), *attribute_tensors_of(model.graph))
    locations = {external_range(t)[0] for t in tensors if t.data_location == t.EXTERNAL}
    return [path.parent / location for location in sorted(locations - {wire.LEFT_OUT})]


def external_range(tensor: TensorProto) -> tuple[str, int, int | None]:
    """Location, offset and length (None: to the end) of a tensor's external data."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    length = entries.get("length")
    return entries.get("location", ""), int(entries.get("offset", 0)), int(length) if length else None


def initializers_of(graph: GraphProto) -> Iterator[TensorProto]:
    """The constants of a graph and of its sub-graphs."""
    yield from graph.initializer
    for node in graph.node:
        for sub in subgraphs(node):
            yield from initializers_of(sub)


def attribute_tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """The tensors that nodes hold in attributes (Constant), in sub-graphs too."""
    for node in graph.node:
        for held in node.attribute:
            if held.HasField("t"):
                yield held.t
            yield from held.tensors
        for sub in subgraphs(node):
            yield from attribute_tensors_of(sub)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in a node's attributes (If, Loop, Scan)."""
    for held in node.attribute:
        if held.HasField("g"):
            yield held.g
        yield from held.graphs


def _require_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                empty = not file.read(1)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(MISSING, f"model file '{path}' can't be read: {reason}", None) from None
    if stat.S_ISDIR(mode):
        found = sorted(p.name for p in path.glob("*.onnx"))
        hint = f"name the file: '{path / found[0]}'" if found else "name an .onnx file"
        raise ModelError(NOT_A_MODEL, f"model '{path}' is a directory, not a file", hint)
    if not stat.S_ISREG(mode):
        raise ModelError(NOT_A_MODEL, f"model '{path}' is a device or pipe, not a file", "name an .onnx file")
    if empty:
        raise ModelError(NOT_A_MODEL, f"model file '{path}' is empty", "copy or export it again")
    if path.stat().st_size > LIMIT:
        raise ModelError(
            NOT_A_MODEL,
            f"model file '{path}' is larger than 2 GiB; protobuf and onnxruntime read no such file",
            "export it with its weights in a file beside it (onnx.save(..., save_as_external_data=True))",
        )


def _missing(path: Path) -> ModelError:
    near = did_you_mean(path.name, sorted(p.name for p in path.parent.glob("*.onnx")))
    hint = f"did you mean '{near}'?" if near else f"put the file there; it is looked for in '{path.parent}'"
    return ModelError(MISSING, f"model file '{path}' does not exist", hint)


def _parse(data: bytes, path: Path) -> ModelProto:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise _not_onnx(path) from None
    if not (model.ir_version and model.graph.output and (model.opset_import or model.ir_version < 3)):
        raise _not_onnx(path)
    return model


def _starts_like_a_model(path: Path) -> bool:
    """True if the first field is a plausible ir_version."""
    with path.open("rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x08 and 0 < head[1] < 64


def _truncated(path: Path, needed: int) -> ModelError:
    size = path.stat().st_size
    return ModelError(
        NOT_A_MODEL,
        f"model file '{path}' is an ONNX file that was cut off: it has {size} bytes and announces {needed}",
        "copy or export it again",
    )


def _not_onnx(path: Path) -> ModelError:
    with path.open("rb") as file:
        head = file.read(512)
    for offset, magic, what, hint in _LOOKALIKES:
        if head[offset : offset + len(magic)] == magic:
            return ModelError(NOT_A_MODEL, f"model file '{path}' is {what}", hint)
    if head.lstrip().lower().startswith(_HTML):
        return ModelError(
            NOT_A_MODEL, f"model file '{path}' is a web page", "the download went wrong: get it again"
        )
    what = "text" if _is_text(head) else "no ONNX model"
    return ModelError(NOT_A_MODEL, f"model file '{path}' is {what}; an ONNX file was expected", _EXPORT)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\r\n\t" for char in text)


def _size_of_data(path: Path, location: str, tensor: str) -> int:
    inside = PurePosixPath(location)
    if not location or inside.is_absolute() or ".." in inside.parts:
        raise ModelError(
            EXTERNAL_DATA,
            f"model '{path}' keeps the weights of tensor '{tensor}' in '{location}', outside its own folder",
            "save it again with the weights beside it; onnxruntime reads no others",
        )
    file = path.parent / location
    if not file.is_file():
        raise ModelError(
            EXTERNAL_DATA,
            f"model '{path}' keeps its weights in '{location}', which is not beside it",
            f"copy '{location}' to '{path.parent}' too",
        )
    return file.stat().st_size
