"""Rules about the ONNX file of a model beside its configuration."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic, did_you_mean
from ...engines.errors import ModelError
from ...engines.signature import read_signature
from ...ir.signature import ModelSignature, TensorInfo
from . import backends
from .model import Model
from .schema import data_type, shape
from .tensors import Tensor, tensors


def _signatures(model: Model) -> Iterator[tuple[str, ModelSignature]]:
    """The files of the versions that are loaded, with what each says of itself; broken ones are left out."""
    for file in _files(model):
        try:
            yield file, read_signature(model.path_of(file))
        except ModelError:
            continue


def _files(model: Model) -> Iterator[str]:
    """The ONNX files of the versions that are loaded, relative to the model's directory."""
    name = backends.model_file(model.backend, model.config)
    if model.backend == backends.ONNX and name is not None:
        files = (f"{version.number}/{name}" for version in model.loaded)
        yield from (file for file in files if model.path_of(file).is_file())


def model_can_be_read(model: Model) -> Iterator[Diagnostic]:
    """TP838: the file is an ONNX model with tensors that Triton can carry."""
    for file in _files(model):
        try:
            read_signature(model.path_of(file))
        except ModelError as error:
            yield model.error_in("TP838", error.message, file, hint=error.hint)


def configuration_fits_model(model: Model) -> Iterator[Diagnostic]:
    """TP830: names, types and dims are those of the file."""
    for file, signature in _signatures(model):
        known = {"input": signature.inputs, "output": signature.outputs}
        for tensor in tensors(model):
            infos = {info.name: info for info in known[tensor.kind]}
            info = infos.get(tensor.value.name)
            if info is not None:
                yield from _compare(model, tensor, info, file)
            elif tensor.value.name:
                message = f"{file} of '{model.name}' has no {tensor.kind} '{tensor.value.name}'"
                close = did_you_mean(tensor.value.name, infos)
                hint = f"did you mean '{close}'?" if close else f"{tensor.kind}s: {', '.join(infos)}"
                yield model.error("TP830", message, tensor.kind, tensor.index, "name", hint=hint)


def _compare(model: Model, tensor: Tensor, info: TensorInfo, file: str) -> Iterator[Diagnostic]:
    path = (tensor.kind, tensor.index)
    value = tensor.value
    if value.data_type and data_type(value.data_type) != info.dtype.triton:
        message = f"{tensor.label} is {data_type(value.data_type)}, and {info.dtype.triton} in {file}"
        yield model.error("TP830", message, *path, "data_type", hint=f"write {info.dtype.triton}")
    dims = list(value.reshape.shape if value.HasField("reshape") else value.dims)
    if not value.dims:
        return
    batching = model.config.max_batch_size > 0
    full = [-1, *dims] if batching else dims
    wanted = [dim if isinstance(dim, int) else -1 for dim in info.shape]
    if batching and wanted and wanted[0] != -1:
        message = f"{tensor.label} has the fixed batch {wanted[0]} in {file}, and max_batch_size is not 0"
        hint = "export the model with a batch dimension that varies, or set max_batch_size: 0"
        yield model.error("TP830", message, *path, "dims", hint=hint)
    elif len(full) != len(wanted) or any(w not in (-1, f) for w, f in zip(wanted, full, strict=True)):
        message = f"{tensor.label} is {shape(full)} with its batch dimension, and {shape(wanted)} in {file}"
        right = wanted[1:] if batching else wanted
        yield model.error("TP830", message, *path, "dims", hint=f"write dims: {shape(right)}")
