"""A model on one of Triton's own backends: its configuration, and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir.graph import Port, Stage
from ..types import Array
from .config_pbtxt import messages
from .configs import Batching, set_batching
from .repo_plan import Content

MODEL_FILES = {"onnxruntime": "model.onnx", "pytorch": "model.pt", "tensorrt": "model.plan"}
# Idle threads would spin for work and take the cores from the stages that prepare the images.
_ONNX_PARAMETERS = {
    "intra_op_thread_count": "1",
    "inter_op_thread_count": "1",
    "session.intra_op.allow_spinning": "0",
}


def native_config(stage: Stage, batching: Batching) -> Any:
    """The configuration (a ``ModelConfig`` message): complete, so that no backend has anything to guess."""
    pb = messages()
    config = pb.ModelConfig(name=stage.name, backend=stage.backend, max_batch_size=stage.max_batch)
    for port in stage.inputs:
        _describe(config.input.add(), port)
    for port in stage.outputs:
        _describe(config.output.add(), port)
    kind = pb.ModelInstanceGroup.KIND_GPU if stage.on_gpu else pb.ModelInstanceGroup.KIND_CPU
    config.instance_group.add(count=stage.instances, kind=kind)
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


def native_files(stage: Stage, contents: Mapping[str, Content]) -> dict[str, Content]:
    """The files of the version directory; ``contents`` are those of the model, itself the first."""
    model, *data = contents
    name = "model.onnx" if stage.backend == "tensorrt" else MODEL_FILES[stage.backend]
    return {f"1/{name}": contents[model], **{f"1/{part}": contents[part] for part in data}}


def tensor_code(port: Port) -> str:
    """The expression of a tensor in the stage that calls the model."""
    type_ = port.type
    assert isinstance(type_, Array)
    scalar = "" if type_.shape else ", is_scalar=True"
    return f"native.Tensor({port.key!r}, {type_.dtype.value!r}{scalar})"
