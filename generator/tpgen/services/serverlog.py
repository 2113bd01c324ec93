"""Reads tritonserver's log: why a start failed, what that means, and which warnings are the server's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What server 24.10 writes on every machine without a GPU, whatever it serves.
_EXPECTED = tuple(
    re.compile(pattern)
    for pattern in (
        r"pinned_memory_manager\.cc:\d+\] \"Unable to allocate pinned system memory",  # at start
        r"pinned_memory_manager\.cc:\d+\] \"failed to allocate pinned system memory: no pinned memory pool",
        r"\"CudaDriverHelper has not been initialized",
        r"\"unable to create stream for .*: CUDA driver version is insufficient",  # once per ensemble
        r"\"DCGM unable to start",
        r"Error: Failed to initialize NVML",
    )
)
_PROBLEM = re.compile(
    r"[WE]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:]+Z [WE] |"
    r"Error: |\[libprotobuf (?:ERROR|WARNING)|terminate called"
)
_POLL_FAILED = re.compile(r"\"Poll failed for model directory '(?P<model>[^']*)': (?P<reason>.*)\"$")
_LOAD_FAILED = re.compile(
    r"\"failed to load (?:model )?'(?P<model>[^']*)'(?: version \d+)?: (?P<reason>.*)\"$"
)
_PROTO_ERROR = re.compile(
    r"Error parsing text-format inference\.ModelConfig: (?P<at>\d+:\d+): (?P<reason>.*)$"
)
_PORT = re.compile(
    r"failed to start (?P<service>HTTP|GRPC|Metrics) service: .*Socket '(?P<socket>[^']*)' already",
    re.IGNORECASE,
)
_LOADED = re.compile(r"\"successfully loaded '([^']*)'")
_LOADING = re.compile(r"\"loading: (.*):\d+\"$")
_FATAL = re.compile(
    r"^(?:error: creating server: \w+ - (.*)|.*tritonserver: (unrecognized option.*)|(Bad option: .*))$"
)
_USAGE = "Usage: tritonserver"


@dataclass(frozen=True)
class Failure:
    """Why the server refused a model, and what that means in other words."""

    model: str
    reason: str
    hint: str | None


def own_log_problems(log: str) -> list[str]:
    """The warnings and errors in a server's log that a model, a config or a flag caused.

    Left out is what the server writes on any machine without a GPU: pinned memory that cannot be had (at the
    start, and at the first large tensor), the missing CUDA driver, NVML and DCGM, and the CUDA stream that it
    wants for each ensemble.
    """
    return [
        line
        for line in log.splitlines()
        if _PROBLEM.match(line) and not any(expected.search(line) for expected in _EXPECTED)
    ]


def failures(log: str) -> list[Failure]:
    """The models that the server refused, in the order of its log, each once with its most telling reason."""
    found: dict[str, str] = {}
    syntax = None
    for line in log.splitlines():
        if match := _PROTO_ERROR.search(line):
            # The line that names the model comes next and does not repeat the reason.
            syntax = f"config.pbtxt:{match['at']}: {match['reason']}"
        elif match := _POLL_FAILED.search(line):
            by_syntax = syntax is not None and "failed to read text proto" in match["reason"]
            found.setdefault(match["model"], syntax if by_syntax and syntax else _unescape(match["reason"]))
            syntax = None
        elif match := _LOAD_FAILED.search(line):
            found.setdefault(match["model"], _unescape(match["reason"]))
    return [Failure(model, reason, explain(reason)) for model, reason in found.items()]


def port_conflict(log: str) -> tuple[str, str] | None:
    """The service and the socket of "already in use", if that ended the server."""
    match = _PORT.search(log)
    return (match["service"], match["socket"]) if match else None


def unfinished_models(log: str) -> list[str]:
    """The models that the server began to load and never finished."""
    begun = dict.fromkeys(match[1] for line in log.splitlines() if (match := _LOADING.search(line)))
    return [model for model in begun if model not in set(_LOADED.findall(log))]


def last_words(log: str, count: int = 12) -> list[str]:
    """The last lines of the log that a person wants to see: no tables, no routine, no expected warnings."""
    if _USAGE in log:
        # A wrong flag: the list of all of them says nothing about it.
        log = "\n".join(line for line in log.splitlines() if not line.startswith((" ", "\t", _USAGE)))
    lines = [
        _without_frames(line)
        for line in log.splitlines()
        if line.strip()
        and not re.match(r"[+|]|I\d{4} \d\d:", line)
        and not any(expected.search(line) for expected in _EXPECTED)
    ]
    return lines[-count:]


def _without_frames(line: str) -> str:
    """A line of the log whose escaped text is a Python error, without the frames: its reason alone."""
    before, traceback, frames = line.partition("Traceback (most recent call last):")
    if not traceback:
        return line.partition("\\n\\nAt:")[0]
    reasons = [one for one in frames.split("\\n") if one.strip(' "') and not one.startswith((" ", "\\t"))]
    return before + reasons[-1] if reasons else line


def fatal_reason(log: str) -> str | None:
    """What the server gives as the reason of its end, if it does."""
    matches = [match for line in log.splitlines() if (match := _FATAL.match(line))]
    return next(group for group in matches[-1].groups() if group) if matches else None


def missing_library(log: str) -> str | None:
    """The shared library without which the server could not be started at all."""
    match = re.search(r"error while loading shared libraries: ([^:]+):", log)
    return match[1] if match else None


def _unescape(text: str) -> str:
    """Undoes the log's escapes; of a Python message's frames, the innermost is left that is no importer's."""
    text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\t", "\t")
    lines = [line for line in text.splitlines() if line.strip() and "<frozen importlib" not in line]
    if "At:" in lines:
        place = lines.index("At:")
        lines = [*lines[:place], *(f"  at {line.strip()}" for line in lines[place + 1 : place + 2])]
    text = "\n".join(lines)
    return re.sub(r"^(?:Internal|Invalid argument|Not found|Unsupported|Unavailable): ", "", text)


_EXPLANATIONS: tuple[tuple[str, str], ...] = (
    (
        r"No module named '(?P<name>[^']+)'",
        (
            "the server's Python lacks a package: install the repository's requirements.txt into it, or "
            "serve with --isolated"
        ),
    ),
    (
        r"NO_SUCHFILE|No such file or directory",
        "a file that the model reads is not there: tpgen check DIR tells which of a repository are missing",
    ),
    (
        r"has no field named|Unknown enumeration value|config\.pbtxt:\d+:\d+|failed to read text proto",
        (
            "config.pbtxt can't be read: a misspelt field or value, or a field that this server is too old "
            "to know (build with --target-triton)"
        ),
    ),
    (
        r"directory name must equal model name",
        "the folder's name and 'name' in config.pbtxt have to be the same",
    ),
    (
        r"at least one version must be available",
        (
            "the model's folder needs a version folder, such as '1', that its version_policy admits; names "
            "with a leading zero are ignored"
        ),
    ),
    (
        r"required version \d+ is not loaded",
        "an ensemble step leaves out model_version (-1 means the latest)",
    ),
    (
        r"contains models that are not available or ambiguous",
        "a step of this ensemble is missing or failed to load itself; look at that model first",
    ),
    (
        r"is not used|is unused in ensemble|is not written",
        "an ensemble's tensor is left dangling; in a map the key is the step's tensor, the value its own",
    ),
    (
        r"allows maximum batch size \d+, but it contains model",
        "an ensemble's max_batch_size may not exceed that of any of its steps",
    ),
    (
        r"inconsistent shape|inconsistent data type",
        "two models that an ensemble joins disagree on a tensor; shapes include the batch dimension, -1",
    ),
    (
        r"first dimension .*must be -1",
        "the ONNX file has a fixed batch dimension; build with --dynamic-batch, or set max to 1",
    ),
    (
        r"configuration specifies|dimensions.*initial batch dimension",
        "the config's dims and the model's shape differ; dims hold no batch dimension if max_batch_size > 0",
    ),
    (
        r"unexpected shape for input",
        "the batch dimension is missing, or a size differs from the model's dims",
    ),
    (r"input byte size mismatch", "fewer bytes were sent than the shape says; an empty batch can't be sent"),
    (r"batch-size must be <=", "the batch is larger than the model's max_batch_size; send it in parts"),
    (
        r"Exceeds maximum queue size|Request timeout expired",
        "the model's queue is full, or the request waited too long in it: the server is overloaded",
    ),
    (
        r"expected \d+ inputs? but got \d+",
        "a required input was not sent, or an earlier step of the ensemble returned no tensor for it",
    ),
    (
        r"unexpected deadlock",
        "a step of the ensemble returned fewer tensors than it declares, or not all were asked",
    ),
    (
        r"Stub process .* is not healthy",
        "the model's Python process died (crash in native code, out of memory, os._exit); restart the server",
    ),
    (
        r"shared memory pool size|No space left on device",
        "shared memory is too small: start the container with a larger --shm-size",
    ),
    (
        r"unable to find backend library",
        "this server has no such backend; the pip server has only the Python one",
    ),
    (r"KIND_GPU but no GPUs|no GPUs are available", "the model is built for a GPU; build with --target cpu"),
    (r"only supports? max-batch", "the TensorRT engine's profile ends below max_batch_size; build it again"),
    (
        r"unable to load plan file|Version tag does not match",
        "the TensorRT engine was built with another TensorRT version or for another GPU",
    ),
    (
        r"failed to find any Optimization Profile",
        "the request's shape lies outside all profiles of the engine",
    ),
    (r"Number of outputs expected by the requests", "a DALI model has to be asked for all of its outputs"),
)


def explain(message: str) -> str | None:
    """What a message of the server means in plain words and what helps, or None if that is not known."""
    for pattern, explanation in _EXPLANATIONS:
        if re.search(pattern, message):
            return explanation
    return None
