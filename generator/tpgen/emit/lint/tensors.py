"""Rules about inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages
from . import backends
from .model import Model
from .python_code import completes_itself
from .schema import data_type, enum_name, shape


@dataclass(frozen=True)
class Tensor:
    """An input or output of a configuration; `kind` and `index` are its path."""

    kind: str
    index: int
    value: Any

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.kind} '{self.value.name}'" if self.value.name else f"{self.kind} {self.index + 1}"


def tensors(model: Model) -> Iterator[Tensor]:
    """The inputs and outputs of a model."""
    for kind in ("input", "output"):
        for index, value in enumerate(getattr(model.config, kind)):
            yield Tensor(kind, index, value)


def _is_complete(model: Model) -> bool:
    """True if nothing adds to the configuration before the server checks it."""
    if model.backend == backends.PYTHON:
        return not completes_itself(model)
    return model.backend not in backends.COMPLETING


def tensors_are_described(model: Model) -> Iterator[Diagnostic]:
    """TP820: each has a name, a type and dimensions."""
    complete = _is_complete(model)
    for tensor in tensors(model):
        missing = []
        if not tensor.value.name:
            missing.append("name")
        if complete and tensor.value.data_type == messages().TYPE_INVALID:
            missing.append("data_type")
        if complete and not tensor.value.dims:
            missing.append("dims")
        for field in missing:
            message = f"{tensor.label} of '{model.name}' has no {field}"
            place = (tensor.kind, tensor.index, "name" if tensor.value.name else field)
            yield model.error("TP820", message, *place, hint=_HINTS[field])


_HINTS = {
    "name": 'write name: "…"',
    "data_type": "write data_type: TYPE_FP32, or what it holds",
    "dims": "write dims: [ … ], without the batch dimension; a scalar is dims: [1]",
}


def dims_are_positive(model: Model) -> Iterator[Diagnostic]:
    """TP821: a dimension is 1 or more, or -1 for one that varies; also after a reshape."""
    for tensor in tensors(model):
        for path, dims in _dims_and_reshape(tensor):
            for index, dim in enumerate(dims):
                if dim < 1 and dim != -1:
                    message = f"{path[-1]} of {tensor.label} has the dimension {dim}"
                    hint = "use 1 or more, or -1 for a dimension that varies"
                    yield model.error("TP821", message, *path, index, hint=hint)


def _dims_and_reshape(tensor: Tensor) -> list[tuple[tuple[str | int, ...], Sequence[int]]]:
    found: list[tuple[tuple[str | int, ...], Sequence[int]]] = [
        ((tensor.kind, tensor.index, "dims"), tensor.value.dims)
    ]
    if tensor.value.HasField("reshape"):
        found.append(((tensor.kind, tensor.index, "reshape", "shape"), tensor.value.reshape.shape))
    return found


def reshapes_keep_elements(model: Model) -> Iterator[Diagnostic]:
    """TP822: dims and reshape have the same number of elements, also between dimensions that vary."""
    for tensor in tensors(model):
        if not tensor.value.HasField("reshape"):
            continue
        dims, wanted = list(tensor.value.dims), list(tensor.value.reshape.shape)
        if not dims or any(dim < 1 and dim != -1 for dim in (*dims, *wanted)):
            continue  # another rule has said so
        path = (tensor.kind, tensor.index, "reshape")
        if not wanted and model.config.max_batch_size == 0:
            message = f"reshape of {tensor.label} is empty, and max_batch_size is 0"
            yield model.error("TP822", message, *path, hint="only batching models can have scalars: use [1]")
        elif _elements(dims) != _elements(wanted):
            message = f"reshape of {tensor.label} turns {shape(dims)} into {shape(wanted)}"
            hint = "both need the same number of elements, and as many between dimensions of -1"
            yield model.error("TP822", message, *path, hint=hint)


def _elements(dims: Sequence[int]) -> list[int]:
    """The number of elements before, between and after the dimensions that vary."""
    counts = [1]
    for dim in dims:
        if dim == -1:
            counts.append(1)
        else:
            counts[-1] *= dim
    return counts


def formats_have_three_dims(model: Model) -> Iterator[Diagnostic]:
    """TP823: an image format needs an image."""
    formats = messages().ModelInput.Format
    for tensor in tensors(model):
        if tensor.kind == "input" and tensor.value.format and len(tensor.value.dims) != 3:
            name = enum_name(formats, tensor.value.format)
            message = f"{tensor.label} has the format {name} and {len(tensor.value.dims)} dims, not 3"
            yield model.error("TP823", message, "input", tensor.index, "format", hint="leave format out")


def tensorrt_flags_are_for_tensorrt(model: Model) -> Iterator[Diagnostic]:
    """TP824: other backends refuse shape tensors and non-linear formats."""
    for tensor in tensors(model):
        for field in ("is_shape_tensor", "is_non_linear_format_io"):
            if not getattr(tensor.value, field):
                continue
            path = (tensor.kind, tensor.index, field)
            if model.backend != backends.TENSORRT:
                message = f"{tensor.label} sets {field}, which only the backend tensorrt may"
                yield model.error("TP824", message, *path, hint="leave it out")
            elif field == "is_non_linear_format_io" and len(tensor.value.dims) != 3:
                message = f"{tensor.label} sets {field} and has {len(tensor.value.dims)} dims, not 3"
                yield model.error("TP824", message, *path, hint="leave it out, or give three dims")


def batch_tensors_fit(model: Model) -> Iterator[Diagnostic]:
    """TP825: batch_input and batch_output name one input that exists, and outputs that exist."""
    if not model.knows_tensors:
        return
    inputs = [tensor.name for tensor in model.config.input]
    outputs = [tensor.name for tensor in model.config.output]
    for kind in ("batch_input", "batch_output"):
        for index, value in enumerate(getattr(model.config, kind)):
            if len(value.source_input) != 1:
                message = f"{kind} {index + 1} has {len(value.source_input)} source inputs, not 1"
                hint = 'write source_input: "NAME"'
                yield model.error("TP825", message, kind, index, "source_input", hint=hint)
            for name in value.source_input:
                if name not in inputs:
                    message = f"{kind} {index + 1} is made from '{name}', which is no input"
                    hint = f"inputs: {', '.join(inputs)}"
                    yield model.error("TP825", message, kind, index, "source_input", hint=hint)
    for index, value in enumerate(model.config.batch_input):
        if value.data_type not in (messages().TYPE_INT32, messages().TYPE_FP32):
            message = f"batch_input {index + 1} has the type {data_type(value.data_type)}"
            hint = "use TYPE_INT32 or TYPE_FP32"
            yield model.error("TP825", message, "batch_input", index, "data_type", hint=hint)
    for index, value in enumerate(model.config.batch_output):
        for name in dict.fromkeys(value.target_name):
            if name not in outputs or list(value.target_name).count(name) > 1:
                how = "names no output" if name not in outputs else "is given twice"
                message = f"target_name '{name}' of batch_output {index + 1} {how}"
                hint = f"outputs, each once: {', '.join(outputs)}"
                yield model.error("TP825", message, "batch_output", index, "target_name", hint=hint)


def batch_tensors_are_made(model: Model) -> Iterator[Diagnostic]:
    """TP825: the Python backend makes no batch_input, and scatters no batch_output."""
    if model.backend != backends.PYTHON or any(batch_tensors_fit(model)):
        return
    for kind in ("batch_input", "batch_output"):
        if getattr(model.config, kind):
            message = f"{kind} of '{model.name}' has no effect: Python models get their requests one by one"
            hint = "remove it; execute knows the shapes of all requests"
            yield model.warning("TP825", message, kind, 0, hint=hint)


def label_files_exist(model: Model) -> Iterator[Diagnostic]:
    """TP826: a file of labels is a file, in the model's directory: the server dies of a directory."""
    for index, output in enumerate(model.config.output):
        if not output.label_filename:
            continue
        # The server puts the model's directory in front, of an absolute path too.
        path = model.path_of(output.label_filename.lstrip("/"))
        field = ("output", index, "label_filename")
        if not path.is_file():
            what = "is a directory, of which the server dies" if path.is_dir() else "does not exist"
            message = f"label_filename '{output.label_filename}' of output '{output.name}' {what}"
            yield model.error("TP826", message, *field, hint="put the file beside config.pbtxt")
        elif not path.resolve().is_relative_to(model.directory.resolve()):
            message = (
                f"label_filename '{output.label_filename}' of output '{output.name}' is outside the directory"
            )
            hint = "put the file beside config.pbtxt: later releases refuse the model"
            yield model.warning("TP826", message, *field, hint=hint)


def names_are_unique(model: Model) -> Iterator[Diagnostic]:
    """TP827: of two inputs of one name both are required, and no request can have both."""
    for kind in ("input", "output"):
        seen: dict[str, Any] = {}
        for index, value in enumerate(getattr(model.config, kind)):
            first = seen.setdefault(value.name, value)
            if first is value or not value.name:
                continue
            fails = kind == "input" and not first.optional and not value.optional
            report = model.error if fails else model.warning
            what = "no request can meet both" if fails else "the first one counts"
            message = f"'{model.name}' has two {kind}s '{value.name}': {what}"
            yield report("TP827", message, kind, index, "name", hint="rename or remove one")


def varying_inputs_are_ragged(model: Model) -> Iterator[Diagnostic]:
    """TP831: without allow_ragged_batch, requests of different shapes are never batched together."""
    config = model.config
    if model.backend != backends.PYTHON or config.max_batch_size < 2:
        return
    if not config.HasField("dynamic_batching"):
        return
    for index, value in enumerate(config.input):
        if -1 in value.dims and not value.allow_ragged_batch:
            message = f"input '{value.name}' varies in size: requests of different sizes form no batch"
            hint = "add allow_ragged_batch: true; execute gets a list of requests in any case"
            yield model.warning("TP831", message, "input", index, "dims", hint=hint)
