"""What a repository needs of the machine that serves it: processes, memory, shared memory. Estimates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..emit.wire_form import WireTensor, wire_tensors
from ..ir.graph import Graph, Port, Stage
from ..types import Array, Bytes, DType, ListOf, Type
from .encrypted import decrypted_at_start

MIB = 1 << 20
SERVER_BYTES = 100 * MIB
# A Python process with numpy and OpenCV; with ONNX Runtime as well.
PLAIN_PROCESS_BYTES = 70 * MIB
RUNTIME_PROCESS_BYTES = 110 * MIB
# Read, and laid out anew for the machine; a second copy while it loads is given back.
MODEL_COPIES = 2
# Triton's Python backend begins with this much per instance and grows by as much.
SHM_STEP = MIB
# A Python process with torch and its CUDA libraries, of main memory. Of the GPU's, a context of its own takes
# some 0.5 GiB more, which is not counted here.
TORCH_PROCESS_BYTES = 2048 * MIB
# What tensors on the GPU are handed on in: Triton's pool as it is by default; the calls of a stage to one
# model at a time; a batch that is being made beside one that is being read.
CUDA_POOL_STEP = 64 * MIB
CALLS_IN_FLIGHT = 4
CUDA_COPIES = 2
DECRYPTED_ROOM = 1.1  # for what a rewrite adds to a model
# Of a batch's tensors: the requests, the batch being worked on, the answers.
SHM_COPIES = 3
# What stands in for sizes that only the data decides.
TYPICAL_FILE = MIB
TYPICAL_TEXT = 1024
TYPICAL_SIDES = (1080, 1920)
TYPICAL_LENGTH = 100


@dataclass(frozen=True)
class Needs:
    """Bytes, and a number of processes. ``assumes`` says what stood in for sizes that vary.

    ``largest_pool``: of the shared memory, what the process with the largest batches has for itself.
    ``decrypted``: what lies there besides, models that are decrypted at start.
    ``cuda_pool``: of each GPU's memory, what tensors are handed on in; 0 if no Python stage is on a GPU.
    """

    processes: int
    memory: int
    shared_memory: int
    assumes: str
    largest_pool: int
    decrypted: int = 0
    cuda_pool: int = 0

    @property
    def shm_size(self) -> str:
        """The argument of ``docker run --shm-size``, with room to spare: it can't be raised later."""
        steps = math.ceil((1.5 * self.shared_memory + DECRYPTED_ROOM * self.decrypted) / (64 * MIB))
        return f"{64 * max(2, steps)}m"


def needs_of(graph: Graph, model_bytes: Mapping[str, int]) -> Needs:
    """The needs of a placed graph.

    Args:
        graph: with stages.
        model_bytes: the size of the model file of each call that has one, by label.
    """
    stages = [stage for stage in graph.stages if stage.is_python]
    in_server = [stage for stage in graph.stages if not stage.is_python and not stage.on_gpu]
    memory = SERVER_BYTES + sum(
        stage.instances * _process_bytes(graph, stage, model_bytes) for stage in stages
    )
    memory += sum(stage.instances * MODEL_COPIES * model_bytes.get(stage.runs[0], 0) for stage in in_server)
    pools = [SHM_STEP + SHM_COPIES * stage.max_batch * _item_bytes(stage) for stage in stages]
    shared = sum(stage.instances * pool for stage, pool in zip(stages, pools, strict=True))
    processes = 1 + sum(stage.instances for stage in stages)
    ports = [port for stage in stages for port in (*stage.inputs, *stage.outputs)]
    decrypted = sum(model_bytes.get(label, 0) for label in decrypted_at_start(graph))
    pool = max(pools, default=SHM_STEP)
    return Needs(
        processes, memory + decrypted, shared, _assumptions(ports), pool, decrypted, cuda_pool_of(graph)
    )


def cuda_pool_of(graph: Graph) -> int:
    """Bytes of each GPU's memory that Triton needs for the tensors of stages there; 0 if there are none.

    What does not fit is allocated for every request, which costs more than the copy that it saves.
    """
    stages = [stage for stage in graph.stages if stage.is_python and stage.on_gpu]
    if not stages:
        return 0
    called = [stage for stage in graph.stages if stage.is_called and stage.on_gpu]
    sizes = [stage.max_batch * sum(map(_port_bytes, stage.outputs)) for stage in stages]
    sizes += [CALLS_IN_FLIGHT * stage.max_batch * sum(map(_port_bytes, stage.inputs)) for stage in called]
    return CUDA_POOL_STEP * max(1, math.ceil(CUDA_COPIES * sum(sizes) / CUDA_POOL_STEP))


def _process_bytes(graph: Graph, stage: Stage, model_bytes: Mapping[str, int]) -> int:
    called = graph.called_models()
    labels = [call.label for name in stage.nodes for call in graph.nodes[name].calls]
    labels = [*stage.runs[:1]] if stage.runs else [label for label in labels if label not in called]
    models = sum(model_bytes.get(label, 0) for label in labels)
    plain = TORCH_PROCESS_BYTES if stage.on_gpu else RUNTIME_PROCESS_BYTES if models else PLAIN_PROCESS_BYTES
    return plain + MODEL_COPIES * models


def _item_bytes(stage: Stage) -> int:
    return sum(_port_bytes(port) for port in (*stage.inputs, *stage.outputs))


def _port_bytes(port: Port) -> int:
    return sum(_tensor_bytes(port, tensor) for tensor in wire_tensors(port))


def _tensor_bytes(port: Port, tensor: WireTensor) -> int:
    if not tensor.companion and _innermost(port.type) == Bytes():
        return TYPICAL_FILE
    varying = sum(dim < 0 for dim in tensor.dims)
    typical = TYPICAL_SIDES if varying == 2 else (TYPICAL_LENGTH,) * varying
    fixed = math.prod(dim for dim in tensor.dims if dim >= 0)
    return (tensor.dtype.itemsize or TYPICAL_TEXT) * fixed * math.prod(typical)


def _innermost(type_: Type) -> Type:
    while isinstance(type_, ListOf):
        type_ = type_.item
    return type_


def _assumptions(ports: Iterable[Port]) -> str:
    parts: dict[str, None] = {}
    for port in ports:
        inner = _innermost(port.type)
        if inner == Bytes():
            parts["files of 1 MiB"] = None
        elif not isinstance(inner, Array) or inner.dtype is DType.STRING:
            parts["texts of 1 KiB"] = None
        elif varying := sum(not isinstance(dim, int) for dim in inner.shape):
            parts["images of 1920x1080" if varying == 2 else f"lengths of {TYPICAL_LENGTH}"] = None
    return ", ".join(parts)
