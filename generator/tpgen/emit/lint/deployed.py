"""Rules about what only shows where a model runs: flags of the server, copies on GPUs, hops between them."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages
from ..manifest import NAME as MANIFEST
from . import backends
from .ensemble import STEP, steps, uses
from .ensemble_types import decoupled_steps_exclude_the_cache
from .model import Model, Repository
from .scheduler import cache_is_possible
from .schema import enum_name

_FORCE_CPU = "FORCE_CPU_ONLY_INPUT_TENSORS"
_LARGE = 256 << 20  # bytes of a version, above which copies of it matter
_MANY_HOPS = 3  # between Python steps of an ensemble, 0.2 to 0.3 ms each and as much for each MB
_AGENTS = frozenset({"checksum"})  # that come with the server's container


def features_are_switched_on(model: Model) -> Iterator[Diagnostic]:
    """TP879: caches, rate limits and agents work in a server that was started with them."""
    if model.config.response_cache.enable and not any(_excludes_cache(model)):
        message = f"the answers of '{model.name}' are cached by a server with a cache only"
        hint = "tpgen serve switches it on; elsewhere: --cache-config=local,size=…"
        yield model.note("TP879", message, "response_cache", "enable", hint=hint)
    for index, group in enumerate(model.config.instance_group):
        if group.HasField("rate_limiter"):
            message = f"the rate_limiter of '{model.name}' is ignored by a server that has it off"
            hint = "tpgen serve switches it on; elsewhere: --rate-limit=execution_count"
            yield model.note("TP879", message, "instance_group", index, "rate_limiter", hint=hint)
            break
    for index, agent in enumerate(model.config.model_repository_agents.agents):
        if agent.name not in _AGENTS:
            message = f"'{model.name}' is refused by a server without the agent '{agent.name}'"
            hint = "see that it lies in the server's --repoagent-directory"
            path = ("model_repository_agents", "agents", index, "name")
            yield model.warning("TP879", message, *path, hint=hint)


def gpus_are_there(model: Model) -> Iterator[Diagnostic]:
    """TP879: a group that names GPUs is refused where there are none, of KIND_AUTO too.

    So is a Python model's of KIND_GPU, which by itself moves none of its code to a GPU.
    """
    if MANIFEST in model.repository.entries:
        return  # tpgen was asked for it
    is_python = model.backend == backends.PYTHON
    kinds = messages().ModelInstanceGroup.Kind
    for index, group in enumerate(model.config.instance_group):
        kind = enum_name(kinds, group.kind)
        if (kind == "KIND_GPU" and is_python) or (kind == "KIND_AUTO" and group.gpus):
            what = (
                "with gpus, which KIND_AUTO does not make optional" if kind == "KIND_AUTO" else "of KIND_GPU"
            )
            message = f"'{model.name}' is refused by a server without GPUs: it has an instance group {what}"
            hint = "for servers without, use KIND_CPU, or KIND_AUTO without gpus"
            yield model.note("TP879", message, "instance_group", index, hint=hint)
            break


def _excludes_cache(model: Model) -> Iterator[Diagnostic]:
    yield from cache_is_possible(model)
    yield from decoupled_steps_exclude_the_cache(model)


def python_processes_are_wanted(model: Model) -> Iterator[Diagnostic]:
    """TP860: each instance of a Python model is a process, with all that it loads."""
    if model.backend != backends.PYTHON:
        return
    groups = model.config.instance_group
    kinds = messages().ModelInstanceGroup.Kind
    automatic = [i for i, group in enumerate(groups) if enum_name(kinds, group.kind) == "KIND_AUTO"]
    if (automatic or not groups) and _uses_gpus(model.repository):
        message = f"'{model.name}' gets a process for each GPU of the server"
        hint = (
            "write instance_group [{ kind: KIND_CPU count: 1 }], or KIND_GPU with gpus if its code uses them"
        )
        path = ("instance_group", automatic[0]) if automatic else ("backend",)
        yield model.warning("TP860", message, *path, hint=hint)
    count = sum(max(1, group.count) for group in groups)
    size = _size(model) if count > 1 else 0
    if size >= _LARGE:
        message = (
            f"{count} instances of '{model.name}' are {count} processes, each with its copy of the "
            f"{size >> 20} MiB that lie in the version"
        )
        index = next(i for i, group in enumerate(groups) if group.count > 1) if len(groups) == 1 else 0
        hint = "use count: 1 and larger batches, or give the weights a native backend"
        yield model.warning("TP860", message, "instance_group", index, "count", hint=hint)


def hops_are_few(model: Model) -> Iterator[Diagnostic]:
    """TP860: each Python step of an ensemble costs a hop to another process and back."""
    if MANIFEST in model.repository.entries:
        return  # tpgen was asked for it
    all_steps = steps(model)
    models = model.repository.models
    python = {
        index
        for index, step in enumerate(all_steps)
        if (target := models.get(step.model_name)) is not None and target.backend == backends.PYTHON
    }
    writers = {use.tensor: use.step for use in uses(model, "output_map") if use.step in python}
    hops = {
        (writers[use.tensor], use.step)
        for use in uses(model, "input_map")
        if use.step in python and use.tensor in writers
    }
    if len(hops) >= _MANY_HOPS:
        message = (
            f"{len(hops)} times a Python step of ensemble '{model.name}' hands on to a Python step: "
            "each time tensors are copied out of a process and into another one"
        )
        index = min(reader for _, reader in hops)
        hint = f"do the work of '{all_steps[index].model_name}' and of the step before in one model"
        yield model.warning("TP860", message, *STEP, index, "model_name", hint=hint)


def _uses_gpus(repository: Repository) -> bool:
    return any(_runs_on_gpu(other) for other in repository.models.values() if other.is_parsed)


def _runs_on_gpu(model: Model) -> bool:
    kinds = messages().ModelInstanceGroup.Kind
    named = {enum_name(kinds, group.kind) for group in model.config.instance_group}
    return "KIND_GPU" in named or (model.backend == backends.TENSORRT and not model.is_ensemble)


def _size(model: Model) -> int:
    """Bytes of the latest version."""
    total = 0
    for version in model.loaded[:1]:
        for path in sorted(model.path_of(str(version.number)).rglob("*"))[:10000]:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total


def optional_inputs_split_batches(model: Model) -> Iterator[Diagnostic]:
    """TP853: requests with and without an optional input are never in one batch."""
    config = model.config
    if MANIFEST in model.repository.entries or config.max_batch_size < 2:
        return  # what tpgen builds has them where clients may leave something out
    if model.is_ensemble or not config.HasField("dynamic_batching"):
        return
    for index, tensor in enumerate(config.input):
        if tensor.optional:
            message = (
                f"requests with and without input '{tensor.name}' of '{model.name}' form no batch together"
            )
            hint = "make it required, and let clients send a default"
            yield model.warning("TP853", message, "input", index, "optional", hint=hint)


def gpu_tensors_stay(model: Model) -> Iterator[Diagnostic]:
    """TP867: a Python step between two GPU models gets its inputs on the CPU, unless it asks for them."""
    all_steps = steps(model)
    on_gpu = {
        index
        for index, step in enumerate(all_steps)
        if (target := model.repository.models.get(step.model_name)) and _runs_on_gpu(target)
    }
    made = {use.tensor for use in uses(model, "output_map") if use.step in on_gpu}
    read = {use.tensor for use in uses(model, "input_map") if use.step in on_gpu}
    for index, step in enumerate(all_steps):
        target = model.repository.models.get(step.model_name)
        if target is None or target.backend != backends.PYTHON or index in on_gpu:
            continue
        between = made & set(step.input_map.values()) and read & set(step.output_map.values())
        if between and _FORCE_CPU not in target.config.parameters:
            message = (
                f"'{target.name}', step {index + 1} of ensemble '{model.name}', lies between two GPU models: "
                "its tensors go to the CPU and back"
            )
            hint = f'take GPU tensors by dlpack, and set {_FORCE_CPU} to "no"; or to "yes" if it is meant so'
            yield model.warning("TP867", message, *STEP, index, "model_name", hint=hint)
