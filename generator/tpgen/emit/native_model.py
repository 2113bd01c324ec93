"""A model on one of Triton's own backends: its configuration, and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..ir.graph import Port, Stage
from ..types import Array
from .config_pbtxt import messages
from .configs import Batching, set_batching
from .names import literal
from .repo_plan import ENCRYPTED, Content
from .vendor import program_files

MODEL_FILES = {"onnxruntime": "model.onnx", "pytorch": "model.pt", "tensorrt": "model.plan"}
# Idle threads would spin for work and take the cores from the stages that prepare the images.
_ONNX_PARAMETERS = {
    "intra_op_thread_count": "1",
    "inter_op_thread_count": "1",
    "session.intra_op.allow_spinning": "0",
}


@dataclass(frozen=True)
class Engine:
    """A TensorRT engine that is still to be built.

    ``profiles`` and ``allocation`` are what the configuration says of its profiles, if it has several;
    ``request`` is the text of ``engine.json``.
    """

    profiles: tuple[str, ...]
    allocation: str | None
    request: str


def native_config(stage: Stage, batching: Batching, engine: Engine | None) -> Any:
    """The configuration (a ``ModelConfig`` message): complete, so that no backend has anything to guess."""
    pb = messages()
    config = pb.ModelConfig(name=stage.name, backend=stage.backend, max_batch_size=stage.max_batch)
    for port in stage.inputs:
        _describe(config.input.add(), port)
    for port in stage.outputs:
        _describe(config.output.add(), port)
    kind = pb.ModelInstanceGroup.KIND_GPU if stage.on_gpu else pb.ModelInstanceGroup.KIND_CPU
    group = config.instance_group.add(count=stage.instances, kind=kind)
    if engine is not None:
        config.default_model_filename = MODEL_FILES["tensorrt"]
        group.profile.extend(engine.profiles)
        if engine.allocation:
            config.parameters["execution_context_allocation_strategy"].string_value = engine.allocation
    set_batching(config, batching)
    if stage.backend == "onnxruntime" and not stage.on_gpu:
        for key, value in _ONNX_PARAMETERS.items():
            config.parameters[key].string_value = value
    return config


def _describe(tensor: Any, port: Port) -> None:
    """A tensor of the file. What is a single number per item has one dimension, as Triton wants."""
    type_ = port.type
    assert isinstance(type_, Array)
    tensor.name = port.key
    tensor.data_type = type_.dtype.triton
    dims = [dim if isinstance(dim, int) else -1 for dim in type_.shape]
    tensor.dims.extend(dims or [1])
    if not dims:
        tensor.reshape.SetInParent()  # to no dimension besides the batch


def native_files(stage: Stage, contents: Mapping[str, Content], engine: Engine | None) -> dict[str, Content]:
    """The files of the version directory; ``contents`` are those of the model, itself the first.

    Beside the network that an engine is built from lies what is asked of the builder.
    """
    model, *data = contents
    name = MODEL_FILES[stage.backend] if engine is None else "model.onnx"
    if model.endswith(ENCRYPTED):  # what decrypts it at start lies beside it
        files = {f"1/{name}{ENCRYPTED}": contents[model]}
        return files | {f"1/{path}": content for path, content in program_files("unlock").items()}
    files = {f"1/{name}": contents[model], **{f"1/{part}": contents[part] for part in data}}
    return files if engine is None else {**files, "1/engine.json": engine.request.encode()}


def tensor_code(port: Port) -> str:
    """The expression of a tensor in the stage that calls the model."""
    type_ = port.type
    assert isinstance(type_, Array)
    scalar = "" if type_.shape else ", is_scalar=True"
    return f"native.Tensor({literal(port.key)}, {literal(type_.dtype.value)}{scalar})"
