"""The ``ModelConfig`` of stages and of the ensembles that join them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.filters import DATA, RESULT
from ..ir.graph import Entry, Port, Stage
from .config_pbtxt import messages
from .wire_form import WireTensor, wire_tensors

# Bounds of every queue: enough for any burst that can be answered in time, little enough to fail fast.
MAX_QUEUE_SIZE = 1024
QUEUE_TIMEOUT_US = 30_000_000


@dataclass(frozen=True)
class Batching:
    """How batches form: ``delay_us`` is None for none (they form while instances are busy)."""

    delay_us: int | None = None
    queue_timeout_us: int = QUEUE_TIMEOUT_US


def stage_config(stage: Stage, entry: Entry, batching: Batching) -> Any:
    """The configuration of a stage on Triton's Python backend (a ``ModelConfig`` message).

    What clients may leave out is optional in every stage that it is led to, not only in the entry.
    """
    pb = messages()
    config = pb.ModelConfig(name=stage.name, backend="python", max_batch_size=stage.max_batch)
    from_clients = {port.key for port in entry.inputs} - ({DATA} if stage.takes_over else set())
    for port in stage.inputs:
        for tensor in wire_tensors(port):
            _add_input(config, port, tensor, optional_companion=port.key in from_clients)
    _add_outputs(config, stage.outputs)
    kind = pb.ModelInstanceGroup.KIND_GPU if stage.on_gpu else pb.ModelInstanceGroup.KIND_CPU
    config.instance_group.add(count=stage.instances, kind=kind)
    if stage.on_gpu:  # else the server would bring to the host what lies on the GPU
        config.parameters["FORCE_CPU_ONLY_INPUT_TENSORS"].string_value = "no"
    set_batching(config, batching)
    return config


def set_batching(config: Any, batching: Batching) -> None:
    """Dynamic batching, with bounds on the queue."""
    dynamic = config.dynamic_batching
    dynamic.SetInParent()
    if batching.delay_us:
        dynamic.max_queue_delay_microseconds = batching.delay_us
    policy = dynamic.default_queue_policy
    policy.timeout_action = messages().ModelQueuePolicy.REJECT
    policy.default_timeout_microseconds = batching.queue_timeout_us
    policy.allow_timeout_override = True
    policy.max_queue_size = MAX_QUEUE_SIZE


def _add_input(config: Any, port: Port, tensor: WireTensor, *, optional_companion: bool) -> None:
    """Add an input. Python stages get a list of requests, so inputs of varying size may be ragged.

    A client with one item needs no companion: the tensor's own shape says it all.
    """
    added = config.input.add(name=tensor.name, data_type=tensor.dtype.triton, dims=tensor.dims)
    if -1 in tensor.dims:
        added.allow_ragged_batch = True
    if port.optional or (tensor.companion and optional_companion):
        added.optional = True


def _add_outputs(config: Any, ports: Sequence[Port]) -> None:
    for port in ports:
        for tensor in wire_tensors(port):
            config.output.add(name=tensor.name, data_type=tensor.dtype.triton, dims=tensor.dims)


def ensemble_config(entry: Entry, stages: Sequence[Stage]) -> Any:
    """The ensemble that leads an entry's inputs through its stages, in order."""
    config = messages().ModelConfig(name=entry.name, platform="ensemble", max_batch_size=entry.max_batch)
    for port in entry.inputs:
        for tensor in wire_tensors(port):
            _add_input(config, port, tensor, optional_companion=True)
            config.input[-1].ClearField("allow_ragged_batch")
    _add_outputs(config, entry.outputs)
    sources = {port.key: "" for port in entry.inputs}  # key -> what stands before it in the tensor's name
    for index, stage in enumerate(stages):
        step = config.ensemble_scheduling.step.add(model_name=stage.name, model_version=-1)
        later = stages[index + 1 :]
        for tensor_name, key in stage.reads:
            step.input_map[tensor_name] = sources[key] + key
        for tensor_name, key in stage.writes:
            sources[key] = "" if _is_answer(key, entry, later) else f"{stage.nodes[0]}."
            step.output_map[tensor_name] = sources[key] + key
        if stage.reads:
            continue
        for port in stage.inputs:
            key = RESULT if stage.takes_over and port.key == DATA else port.key
            for tensor in wire_tensors(port):
                step.input_map[tensor.name] = sources[key] + key + tensor.name.removeprefix(port.key)
        for port in stage.outputs:
            sources[port.key] = "" if _is_answer(port.key, entry, later) else f"{stage.nodes[0]}."
            for tensor in wire_tensors(port):
                step.output_map[tensor.name] = sources[port.key] + tensor.name
    _put_first_what_may_be_left_out(config)
    return config


def _put_first_what_may_be_left_out(config: Any) -> None:
    """Turn the steps round where a request for some outputs may need not all inputs.

    The server then leaves out the first step of the list as well (TP898), which must be one that such a
    request does not need. Of a chain that is the last one. The order has no other meaning.
    """
    steps = config.ensemble_scheduling.step
    if not {tensor.name for tensor in config.input} <= set(steps[0].input_map.values()):
        turned = list(reversed(steps))
        del steps[:]
        steps.extend(turned)


def _is_answer(key: str, entry: Entry, later: Sequence[Stage]) -> bool:
    """True if the entry answers this key and no later stage writes it again."""
    answered = any(port.key == key for port in entry.outputs)
    return answered and not any(key in _written(stage) for stage in later)


def _written(stage: Stage) -> set[str]:
    return {key for _, key in stage.writes} if stage.reads else {port.key for port in stage.outputs}
