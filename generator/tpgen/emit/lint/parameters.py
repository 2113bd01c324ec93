"""Rules about parameters, and about fields that only some backends read."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ...diagnostics import Diagnostic
from . import backends
from .model import Model
from .scan import Key, Step

_MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"
_OTHER_ARCHIVES = (b"\x28\xb5\x2f\xfd", b"PK", b"\x04\x22\x4d\x18")  # of zstd, zip, lz4
_STRATEGIES = ("STATIC", "ON_PROFILE_CHANGE")


def _parameter(model: Model, name: str) -> str | None:
    """The value of a parameter, None if it is not given."""
    parameters = model.config.parameters
    return str(parameters[name].string_value) if name in parameters else None


def _path(name: str) -> tuple[Step, ...]:
    return ("parameters", Key(name), "value", "string_value")


def cpu_tensors_are_yes_or_no(model: Model) -> Iterator[Diagnostic]:
    """TP867: the Python backend takes these two words only."""
    name = "FORCE_CPU_ONLY_INPUT_TENSORS"
    value = _parameter(model, name)
    if model.backend == backends.PYTHON and value is not None and value not in ("yes", "no"):
        message = f"{name} of '{model.name}' is '{value}'"
        meant = "yes" if value.lower() in ("true", "1", "yes", "on") else "no"
        yield model.error("TP867", message, *_path(name), hint=f'write "{meant}"')


def environment_exists(model: Model) -> Iterator[Diagnostic]:
    """TP868: the Python backend starts in a packed environment, or in a directory with bin/activate."""
    name = "EXECUTION_ENV_PATH"
    value = _parameter(model, name)
    if model.backend != backends.PYTHON or not value:
        return
    if not value.startswith(("/", _MODEL_DIRECTORY)):
        message = f"{name} of '{model.name}' is '{value}', relative to where the server happens to run"
        hint = f'write "{_MODEL_DIRECTORY}/{value}"'
        yield model.error("TP868", message, *_path(name), hint=hint)
        return
    is_inside = value.startswith(_MODEL_DIRECTORY)
    if is_inside and ".." in value.split("/"):
        message = f"{name} of '{model.name}' leads out of the model's directory: '{value}'"
        hint = "put it into the model's directory: later releases refuse the model"
        yield model.warning("TP868", message, *_path(name), hint=hint)
    path = model.path_of(value.removeprefix(_MODEL_DIRECTORY).lstrip("/")) if is_inside else Path(value)
    # The server may run elsewhere, where an absolute path exists.
    report = model.error if is_inside else model.warning
    if not path.exists():
        message = f"{name} of '{model.name}' names '{value}', which does not exist here"
        yield report("TP868", message, *_path(name), hint="the server refuses the model without it")
    elif path.is_dir() and not (path / "bin" / "activate").exists():
        message = f"{name} of '{model.name}' names a directory without bin/activate"
        yield report("TP868", message, *_path(name), hint="unpack a conda-pack environment there")
    elif path.is_file() and not _may_be_archive(path):
        message = f"{name} of '{model.name}' names '{value}', which is no archive"
        yield report("TP868", message, *_path(name), hint="pack the environment with conda-pack, as .tar.gz")


def _may_be_archive(path: Path) -> bool:
    """False for a file that is no tar, packed or not; of other forms libarchive may know more."""
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(_OTHER_ARCHIVES) or tarfile.is_tarfile(path)
    except OSError:
        return True


def batch_strategy_exists(model: Model) -> Iterator[Diagnostic]:
    """TP875: a library that forms batches, by an absolute path, for models without sequences."""
    name = "TRITON_BATCH_STRATEGY_PATH"
    value = _parameter(model, name)
    if value is None or model.is_ensemble:
        return
    if model.config.HasField("sequence_batching"):
        message = f"{name} of '{model.name}' does not go with sequence_batching"
        yield model.error("TP875", message, *_path(name), hint="remove it")
    elif not value.startswith("/"):
        message = f"{name} of '{model.name}' is '{value}', relative to where the server happens to run"
        hint = "write an absolute path; or remove it, and name the file batchstrategy.so: it is found so"
        yield model.error("TP875", message, *_path(name), hint=hint)
    elif not Path(value).exists():
        message = f"{name} of '{model.name}' names '{value}', which does not exist here"
        yield model.warning("TP875", message, *_path(name), hint="the server refuses the model without it")
    elif not Path(value).resolve().is_relative_to(model.directory.resolve()):
        message = f"{name} of '{model.name}' is outside the model's directory"
        hint = "put the library into the model's directory: later releases refuse the model"
        yield model.warning("TP875", message, *_path(name), hint=hint)


def strategies_are_known(model: Model) -> Iterator[Diagnostic]:
    """TP869: how a TensorRT engine allocates its contexts."""
    name = "execution_context_allocation_strategy"
    value = _parameter(model, name)
    if model.backend == backends.TENSORRT and value is not None and value not in _STRATEGIES:
        message = f"{name} of '{model.name}' is '{value}'"
        yield model.error("TP869", message, *_path(name), hint=f"one of {', '.join(_STRATEGIES)}")


def metric_tags_are_labels(model: Model) -> Iterator[Diagnostic]:
    """TP870: a tag is a label of Prometheus; the server dies of any other."""
    for tag in sorted(model.config.metric_tags):
        if tag and (tag.startswith("__") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", tag)):
            message = f"metric_tags of '{model.name}' has '{tag}': the server dies of it when the model loads"
            hint = "use letters, digits and '_', not two of them first"
            yield model.error("TP870", message, "metric_tags", Key(tag), "key", hint=hint)


def metrics_are_complete(model: Model) -> Iterator[Diagnostic]:
    """TP872: a control of a metric names a family, and buckets of its histogram."""
    # The protobuf at hand may not know these fields, so they are looked for in the text.
    for metrics in model.text.places.root.named("model_metrics"):
        for control in metrics.named("metric_control"):
            for outer, inner in (("metric_identifier", "family"), ("histogram_options", "buckets")):
                given = [value for node in control.named(outer) for value in node.named(inner)]
                if not any(model.text.places.value_of(value) for value in given):
                    message = f"a metric_control of '{model.name}' has no {outer} with {inner}"
                    span = model.text.places.span_of(control)
                    hint = f"add {outer} {{ {inner}: … }}"
                    yield model.error_at("TP872", message, span, hint=hint)


_IGNORED = {
    backends.PYTHON: ("execution_accelerators", "graph", "cuda"),
    backends.DALI: ("execution_accelerators", "graph", "cuda"),
    backends.TENSORRT: ("execution_accelerators",),
    backends.ONNX: ("cuda",),
}


def optimizations_are_read(model: Model) -> Iterator[Diagnostic]:
    """TP871: a backend ignores the optimizations of others."""
    optimization = model.config.optimization
    for field in _IGNORED.get(model.backend, ()):
        if optimization.HasField(field):
            message = f"optimization.{field} of '{model.name}' has no effect on a model of {model.backend}"
            yield model.warning("TP871", message, "optimization", field, hint="remove it")
