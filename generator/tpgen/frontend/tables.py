"""The keys of the tables that are not operator attributes: nodes, ``[pipeline]``, and keys without effect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..ir.op import attr

NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
RESERVED_NODE_NAMES = frozenset(
    {
        "global",
        "default",
        "node_name",
        "data",
        "result",
        "_box",
        "_info",
        "context",
        "event",
        "restart",
        "_stack",
        "request",
        "request_size",
    }
)
PIPELINE_TABLE = "pipeline"


@dataclass(frozen=True)
class NodeKeys:
    """Keys that every node takes, whatever its operators."""

    backend: str = attr("What the node computes: an operator, or Sequential[...].", default="Identity")
    next: tuple[str, ...] = attr("The nodes that get this node's item next, each its own copy.", default=())
    instance_num: int = attr(
        "Instances of the node, or of each instance group (&).", default=1, ge=1, le=1024
    )
    batching_timeout: float = attr(
        'Milliseconds a batch waits to fill, with batching = "timed".', default=0.0, ge=0
    )
    min: str = attr(
        "Smallest batch (or shape) of the operators' calls; one per profile (;) or instance group (&).",
        default="1",
    )
    max: str = attr(
        "Largest batch (or shape) of the operators' calls; one per profile (;) or instance group (&).",
        default="1",
    )
    range: str = attr('The batches that a node with Range[...] takes: "min,max".', default="")
    force_range: str = attr(
        'The batches of a call, whatever the shapes of min and max say: "min,max", or one per instance (;).',
        default="",
    )
    map: str = attr(
        'The keys of the node\'s new dictionary: "node[source:target,...],node2[...]".', default=""
    )
    borrow_from: str = attr("A node whose backend and instances this one shares.", default="")
    filter: str = attr(
        "Which items the node runs for: swap, Run, or, Python[module:name] ...", default="swap"
    )
    or_: bool = attr('Only items without a result run, as with filter = "or".', key="or", default=False)
    timeout_ms: float = attr(
        "Longest wait in the node's queue, milliseconds; 0 is the usual one, 30 s.", default=0.0, ge=0
    )
    retry: int = attr(
        "Further attempts after an error that can pass: a lost connection, a full queue.",
        default=0,
        ge=0,
        le=100,
    )
    on_error: str = attr(
        "Items that an operator fails on: fail; skip (they go on as they came); or a value for their result.",
        default="fail",
    )
    input_color: str = attr("See the inference operators.", default="")
    gpus: tuple[int, ...] = attr(
        "The GPUs that the node's model runs on, an instance on each; default: all.", default=(), ge=0
    )
    rate_limiter: dict[str, Any] = attr(  # noqa: RUF009
        'Resources of an instance, and its priority: {resources = [{name = "R", count = 1}], priority = 2}.',
        default=None,
    )
    priority_levels: int = attr("Levels of requests' priorities; 1 goes first.", default=None, ge=1, le=65536)
    default_priority_level: int = attr(
        "The level of requests that name none; without it, the last.", default=None, ge=1, le=65536
    )
    priority_queue_policy: dict[str, Any] = attr(  # noqa: RUF009
        "Policies of the queues of single levels: {1 = {max_queue_size = 8}}.", default=None
    )
    max_queue_size: int = attr(
        "How many requests may wait for the node's model; 0: any number.", default=1024, ge=0, le=2**31 - 1
    )
    timeout_action: str = attr(
        "What becomes of requests that waited timeout_ms: REJECT, or DELAY, behind the others.",
        default="REJECT",
        choices=("REJECT", "DELAY"),
    )
    default_queue_policy: dict[str, Any] = attr(  # noqa: RUF009
        "More fields of the queue's policy: {allow_timeout_override = false}.", default=None
    )
    response_cache: bool = attr(
        "Equal requests get the answer of the first, where the model has a backend of its own.", default=False
    )
    warmup: bool | str | dict[str, str] = attr(  # noqa: RUF009
        "Run the model when it is loaded: true, a sample file, or a file for each input.", default=False
    )
    execution_provider: str = attr(
        "What ONNX Runtime computes with, where it is a backend of its own.",
        default="",
        choices=("", "cuda", "tensorrt", "openvino", "cpu"),
    )
    execution_provider_options: dict[str, Any] = attr(  # noqa: RUF009
        "Options of the provider: {trt_engine_cache_enable = true}; none that keeps an encrypted model.",
        default=None,
    )


@dataclass(frozen=True)
class PipelineKeys:
    """Keys of the reserved table ``[pipeline]`` (tpgen's own; the original dialect has none)."""

    name: str = attr("Name of the entry model.", default="")
    inputs: dict[str, Any] = attr("Types of the entry's inputs.", default=None)  # noqa: RUF009
    outputs: tuple[str, ...] = attr("The keys that the entry answers.", default=())
    entries: tuple[str, ...] = attr("More nodes that clients may enter at.", default=())
    restarts: tuple[str, ...] = attr(
        "The nodes that user code may name in `restart`, where a loop engine runs.", default=()
    )
    max_restarts: int = attr("How often an item may start again.", default=100, ge=1, le=1_000_000)
    target: str = attr("What the repository is built for.", default="", choices=("", "cpu", "gpu"))
    max_batch: int = attr("Largest batch of a request to the entry.", default=0, ge=1, le=65536)
    batching: str = attr(
        "adaptive: no delay, batches form while instances are busy; timed: wait batching_timeout.",
        default="adaptive",
        choices=("adaptive", "timed"),
    )
    instances: str = attr(
        "auto: by cores; as-written: instance_num.", default="auto", choices=("auto", "as-written")
    )
    cores: int = attr("Cores that the repository is built for.", default=0, ge=1, le=4096)
    engine_rate: float = attr(
        "Items per second that the models alone answer, where that is known; see the cost in tpgen explain.",
        default=0.0,
        ge=0.001,
    )
    preprocess: str = attr(
        "Who prepares images on the gpu target: opencv, on the cores; dali, Triton's DALI backend in "
        "front of the first model of a straight pipeline; gpu, torch in one process on the GPU; auto, "
        "opencv, or dali where engine_rate says that the cores are the limit.",
        default="auto",
        choices=("auto", "opencv", "dali", "gpu"),
    )
    serialize_dali: bool = attr(
        "Write DALI's pipeline serialised, too (model.dali), where there is a GPU, by the DALI that is "
        "installed: the server's, or an older one.",
        default=False,
    )
    target_triton: str = attr("The oldest Triton release that must load the repository.", default="24.10")
    include: tuple[str, ...] = attr("More files that user code needs, relative to the TOML.", default=())
    triton: dict[str, Any] = attr("Raw ModelConfig per node, merged last.", default=None)  # noqa: RUF009
    dialect: str = attr("Reserved for a later native grammar.", default="", choices=("", "torchpipe"))


# Keys of the dialect that name nothing here: accepted, and listed by `tpgen explain` with this reason.
WITHOUT_EFFECT = {
    "priority": "the CUDA stream priority of the original; Triton schedules streams itself",
    "scheduler": "Triton's dynamic batcher takes its place; items of one shape are batched in any order",
    "number_factor": "belongs to the Sort and Score schedulers; nobody waits here for items of one shape",
    "instances_grp": "Triton gives the next batch to whichever instance is free",
    "active_instances_grp": "Triton gives the next batch to whichever instance is free",
    "multiple_instances": "instances are Triton instance groups",
    "instance_handle": "instances are Triton instance groups",
    "cal_request_size_method": "a request's size is its batch dimension",
    "device_id": "instance groups decide the device",
    "fake_instance_num": "one instance takes every batch size of its range here",
    "Interpreter::backend": "Triton is the interpreter (Ring and EventLoop run loops)",
    "Interpreter::env": "Triton is the interpreter",
    "PipelineV3::backend": "Triton is the interpreter",
    "PhysicalView::backend": "Triton is the interpreter",
    "Schedule::backend": "Triton's dynamic batcher takes its place",
    "MultipleInstances::backend": "instances are Triton instance groups",
    "RangeMerger::backend": "instances are Triton instance groups",
    "Logger::path": "Triton writes the log",
    "Logger::maxBytes": "Triton writes the log",
    "Logger::backupCount": "Triton writes the log",
    "Logger::pattern": "Triton writes the log",
    "Logger::flush_every": "Triton writes the log",
    "node_entrypoint": "Triton is the interpreter",
    "entrypoint": "Triton is the interpreter (Restart[...] runs loops)",
}
