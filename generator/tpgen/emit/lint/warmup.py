"""Rules about warm-up samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...diagnostics import Diagnostic
from .model import Model
from .scan import Key, Step
from .schema import data_type, shape

_BYTES = {
    **dict.fromkeys(("TYPE_BOOL", "TYPE_UINT8", "TYPE_INT8"), 1),
    **dict.fromkeys(("TYPE_UINT16", "TYPE_INT16", "TYPE_FP16", "TYPE_BF16"), 2),
    **dict.fromkeys(("TYPE_UINT64", "TYPE_INT64", "TYPE_FP64"), 8),
}


def _samples(model: Model) -> Iterator[tuple[int, Any]]:
    """The samples that the server makes; it skips those of batch 0."""
    for index, sample in enumerate(model.config.model_warmup):
        if sample.batch_size and not model.is_ensemble:
            yield index, sample


def sample_inputs(model: Model) -> Iterator[tuple[tuple[Step, ...], str, Any]]:
    """The inputs of the samples, each with its path and name."""
    for index, sample in _samples(model):
        for name in sorted(sample.inputs):
            yield ("model_warmup", index, "inputs", Key(name), "value"), name, sample.inputs[name]


def samples_are_not_skipped(model: Model) -> Iterator[Diagnostic]:
    """TP861: without batch_size there is no warm-up, and no word about it."""
    for index, sample in enumerate(model.config.model_warmup):
        if not sample.batch_size and not model.is_ensemble:
            message = f"the warm-up sample '{sample.name}' of '{model.name}' has no batch_size: it is skipped"
            hint = "add batch_size: 1"
            yield model.warning("TP861", message, "model_warmup", index, "batch_size", hint=hint)


def samples_fit_the_batch(model: Model) -> Iterator[Diagnostic]:
    """TP862: a sample is no larger than a batch: the server refuses such a model, or dies of it."""
    largest = max(1, model.config.max_batch_size)
    for index, sample in _samples(model):
        if sample.batch_size > largest:
            message = (
                f"the warm-up sample '{sample.name}' of '{model.name}' has the batch_size "
                f"{sample.batch_size}, the model at most {largest}"
            )
            hint = f"use {largest} or less"
            yield model.error("TP862", message, "model_warmup", index, "batch_size", hint=hint)


def samples_have_all_inputs(model: Model) -> Iterator[Diagnostic]:
    """TP863: a sample is a request, so required inputs are required."""
    if not model.knows_tensors:
        return
    for index, sample in _samples(model):
        for tensor in model.config.input:
            if not tensor.optional and tensor.name not in sample.inputs:
                message = f"the warm-up sample '{sample.name}' of '{model.name}' lacks input '{tensor.name}'"
                hint = f'add inputs {{ key: "{tensor.name}" value {{ … }} }}'
                yield model.error("TP863", message, "model_warmup", index, "name", hint=hint)


def sample_inputs_fit(model: Model) -> Iterator[Diagnostic]:
    """TP864: data, type and dimensions of a sample are those of the input, without the batch dimension."""
    for path, name, value in sample_inputs(model):
        tensor = model.named(model.config.input, name)
        if value.WhichOneof("input_data_type") is None:
            message = f"the warm-up input '{name}' of '{model.name}' has no data"
            hint = "add zero_data: true, random_data: true or input_data_file"
            yield model.error("TP864", message, *path, hint=hint)
        if any(dim < 0 for dim in value.dims):
            message = f"dims of the warm-up input '{name}' are {shape(value.dims)}"
            yield model.error("TP864", message, *path, "dims", hint="give sizes: -1 is none")
        elif tensor is not None and not _fits(value.dims, tensor.dims):
            message = f"dims of the warm-up input '{name}' are {shape(value.dims)}, not {shape(tensor.dims)}"
            yield model.error("TP864", message, *path, "dims", hint="leave the batch dimension out")
        if tensor is not None and tensor.data_type and value.data_type != tensor.data_type:
            wanted = data_type(tensor.data_type)
            message = f"the warm-up input '{name}' has the type {data_type(value.data_type)}, not {wanted}"
            yield model.error("TP864", message, *path, "data_type", hint=f"write data_type: {wanted}")


def _fits(given: Any, wanted: Any) -> bool:
    if not wanted:
        return True
    return len(given) == len(wanted) and all(w in (-1, g) for g, w in zip(given, wanted, strict=True))


def sample_files_exist(model: Model) -> Iterator[Diagnostic]:
    """TP865: files of samples lie in `warmup/`, and hold enough bytes for one item."""
    for path, name, value in sample_inputs(model):
        if not value.input_data_file:
            continue
        file = model.path_of(f"warmup/{value.input_data_file}")
        kind = data_type(value.data_type)
        needed = math.prod(value.dims) * _BYTES.get(kind, 4)
        if not file.is_file():
            message = f"input_data_file '{value.input_data_file}' of '{name}' is not in warmup/"
            yield model.error("TP865", message, *path, "input_data_file", hint="put the file there")
        elif kind != "TYPE_STRING" and file.stat().st_size < needed:
            message = f"'{value.input_data_file}' of '{name}' has {file.stat().st_size} bytes, not {needed}"
            hint = f"{kind} {shape(value.dims)} takes {needed} bytes"
            yield model.error("TP865", message, *path, "input_data_file", hint=hint)
