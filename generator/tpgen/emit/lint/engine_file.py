"""Rules about a TensorRT model beside the `engine.json` that says how its engine is, or is to be, built."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...diagnostics import Diagnostic, did_you_mean
from ...engines.plan_files import PLAN, plans_of, why_stale
from ...engines.profiles import Profile
from ...engines.requests import BadRequest, EngineRequest, read_request
from ...engines.requests import Tensor as EngineTensor
from ...types import DType
from . import backends
from .model import Model
from .read import Unreadable, read_text
from .schema import data_type, shape
from .tensors import Tensor, tensors

REQUEST = "engine.json"


def _requests(model: Model) -> Iterator[tuple[str, EngineRequest]]:
    """What the versions that are loaded say of their engines; nothing for those that say nothing."""
    for version in model.loaded if model.backend == backends.TENSORRT else ():
        file = f"{version.number}/{REQUEST}"
        try:
            yield file, read_request(read_text(model.path_of(file))[0])
        except (Unreadable, BadRequest):
            continue


def engines_are_not_stale(model: Model) -> Iterator[Diagnostic]:
    """TP908: an engine is the one that `engine.json` asks for; of others nothing is known."""
    for file, request in _requests(model):
        folder = model.path_of(file).parent
        for plan in plans_of(folder):
            try:
                why = why_stale(plan, request)
            except OSError:
                continue  # what cannot be read, the server says
            if why:
                message = f"the engine '{plan.name}' of '{model.name}' is stale: {'; '.join(why)}"
                field = "default_model_filename" if plan.name == PLAN else "cc_model_filenames"
                hint = f"tpgen engines build {shlex.quote(str(model.repository.root))}"
                yield model.warning("TP908", message, field, hint=hint)


def configuration_fits_engine(model: Model) -> Iterator[Diagnostic]:
    """TP830: names, types and dims are those of the engine."""
    for file, request in _requests(model):
        known = {"input": request.inputs, "output": request.outputs}
        for tensor in tensors(model):
            infos = {info.name: info for info in known[tensor.kind]}
            info = infos.get(tensor.value.name)
            if info is not None:
                yield from _compare(model, tensor, info, file)
                continue
            message = f"the engine of '{model.name}' has no {tensor.kind} '{tensor.value.name}'"
            close = did_you_mean(tensor.value.name, infos)
            hint = f"did you mean '{close}'?" if close else f"{file} has {', '.join(infos)}"
            yield model.error("TP830", message, tensor.kind, tensor.index, "name", hint=hint)


def _compare(model: Model, tensor: Tensor, info: EngineTensor, file: str) -> Iterator[Diagnostic]:
    path = (tensor.kind, tensor.index)
    value = tensor.value
    found, is_known = data_type(value.data_type), info.dtype in set(DType)
    if value.data_type and is_known and found != (right := DType(info.dtype).triton):
        message = f"{tensor.label} is {found}, and {right} in {file}"
        yield model.error("TP830", message, *path, "data_type", hint=f"write {right}")
    dims = list(value.reshape.shape if value.HasField("reshape") else value.dims)
    batching = model.config.max_batch_size > 0
    full = [-1, *dims] if batching else dims
    wanted = [-1 if size is None else size for size in info.shape]
    if value.dims and not _go_together(full, wanted):
        message = f"{tensor.label} is {shape(full)} with its batch dimension, {shape(wanted)} in {file}"
        hint = f"write dims: {shape(wanted[1:] if batching else wanted)}"
        yield model.error("TP830", message, *path, "dims", hint=hint)


def _go_together(one: list[int], other: list[int]) -> bool:
    """True if the sizes are the same, where -1 is any size."""
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))


def profiles_hold_all_batches(model: Model) -> Iterator[Diagnostic]:
    """TP856: the listed profiles exist, and hold every batch from 1 to max_batch_size."""
    for file, request in _requests(model):
        if not request.profiles:
            continue
        for index, group in enumerate(model.config.instance_group or [None]):
            listed = list(group.profile) if group is not None else []
            chosen = []
            for number, text in enumerate(listed or ["0"]):
                if text.isdecimal() and int(text) >= len(request.profiles):
                    count = len(request.profiles)
                    message = f"'{model.name}' has no optimization profile {text}: {file} has {count}"
                    path = ("instance_group", index, "profile", number)
                    hint = f"use 0 to {count - 1}"
                    yield model.error("TP856", message, *path, hint=hint)
                elif text.isdecimal():
                    chosen.append(request.profiles[int(text)])
            yield from _batches(model, chosen, len(request.profiles) > len(listed or ["0"]))


def _batches(model: Model, profiles: list[Profile], has_more: bool) -> Iterator[Diagnostic]:
    largest = model.config.max_batch_size
    if largest < 1 or not profiles:
        return
    ranges = [
        (max(one.low[0] for one in profile), min(one.high[0] for one in profile)) for profile in profiles
    ]
    top = max(high for _, high in ranges)
    more = "list the other profiles in instance_group too, or " if has_more else ""
    if largest > top:
        message = f"max_batch_size of '{model.name}' is {largest}, and its profiles hold {top} at most"
        yield model.error("TP856", message, "max_batch_size", hint=f"{more}write max_batch_size: {top}")
        return
    missing = [n for n in range(1, largest + 1) if not any(low <= n <= high for low, high in ranges)]
    if missing:
        message = f"no profile of '{model.name}' holds a batch of {missing[0]}: such requests fail"
        hint = f"{more}build the engine with smaller minima"
        yield model.warning("TP856", message, "max_batch_size", hint=hint)
