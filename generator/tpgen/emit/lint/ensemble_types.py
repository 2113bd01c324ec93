"""Rules about ensembles beside the models of their steps: names, types, shapes, batch sizes, answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...diagnostics import Diagnostic, did_you_mean
from . import backends
from .ensemble import STEP, Use, run_order, steps, uses
from .model import Model, Repository
from .python_code import completes_itself
from .scan import Key, Step
from .schema import data_type, shape


class End(NamedTuple):
    """What a model says about a tensor of an ensemble: `batched` adds a dimension in front of `dims`."""

    owner: str
    kind: int
    dims: tuple[int, ...]
    batched: bool
    path: tuple[Step, ...]

    @property
    def full(self) -> tuple[int, ...]:
        """The dimensions on the wire."""
        return (-1, *self.dims) if self.batched else self.dims


def _target(model: Model, step: Any) -> Model | None:
    """The model of a step, if it is there and tells its inputs and outputs."""
    found = model.repository.models.get(step.model_name)
    if found is None or not found.is_parsed:
        return None
    is_complete = found.backend == backends.PYTHON and not completes_itself(found)
    return found if found.knows_tensors or is_complete else None


def maps_name_real_tensors(model: Model) -> Iterator[Diagnostic]:
    """TP885: the keys of the maps are inputs and outputs of the step's model."""
    all_steps = steps(model)
    for map_name, kind in (("input_map", "input"), ("output_map", "output")):
        for use in uses(model, map_name):
            target = _target(model, all_steps[use.step])
            names = [tensor.name for tensor in getattr(target.config, kind)] if target else [use.key]
            if target is None or use.key in names:
                continue
            message = (
                f"'{target.name}', step {use.step + 1} of ensemble '{model.name}', has no {kind} '{use.key}'"
            )
            close = did_you_mean(use.key, names)
            hint = f"did you mean '{close}'?" if close else f"{kind}s: {', '.join(names)}"
            path = (*STEP, use.step, map_name, Key(use.key), "key")
            yield model.error("TP885", message, *path, hint=hint)


def required_inputs_are_mapped(model: Model) -> Iterator[Diagnostic]:
    """TP886: a step gets all inputs that its model requires."""
    for index, step in enumerate(steps(model)):
        target = _target(model, step)
        for tensor in target.config.input if target is not None else ():
            if not tensor.optional and tensor.name not in step.input_map:
                message = (
                    f"'{step.model_name}', step {index + 1} of ensemble '{model.name}', "
                    f"gets nothing for its input '{tensor.name}'"
                )
                hint = f'add input_map {{ key: "{tensor.name}" value: "…" }}'
                yield model.error("TP886", message, *STEP, index, "model_name", hint=hint)


def _ends(model: Model) -> Iterator[tuple[str, End]]:
    """All that is said about the ensemble's tensors, in the order in which the server compares it."""
    batched = model.config.max_batch_size > 0
    inputs = {tensor.name for tensor in model.config.input}
    for kind in ("input", "output"):
        for index, tensor in enumerate(getattr(model.config, kind)):
            if kind == "output" and tensor.name in inputs:
                continue  # the server does not look at what is said of it there
            dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
            path = (kind, index, "dims")
            yield tensor.name, End(model.name, tensor.data_type, tuple(dims), batched, path)
    by_step: dict[int, list[Use]] = {}
    for map_name in ("input_map", "output_map"):
        for use in uses(model, map_name):
            by_step.setdefault(use.step, []).append(use)
    for index, step in enumerate(steps(model)):
        target = _target(model, step)
        if target is not None:
            yield from _step_ends(target, by_step.get(index, []))


def _step_ends(target: Model, mapped: list[Use]) -> Iterator[tuple[str, End]]:
    batched = target.config.max_batch_size > 0
    for use in mapped:
        tensors = target.config.input if use.map == "input_map" else target.config.output
        tensor = target.named(tensors, use.key)
        if tensor is not None and tensor.data_type and tensor.dims:
            yield use.tensor, End(target.name, tensor.data_type, tuple(tensor.dims), batched, use.path)


def _joints(model: Model) -> Iterator[tuple[str, End, End]]:
    """Each tensor with the first model that describes it, and another one."""
    first: dict[str, End] = {}
    for name, end in _ends(model):
        known = first.setdefault(name, end)
        if known is not end:
            yield name, known, end


def types_agree(model: Model) -> Iterator[Diagnostic]:
    """TP891: the models that a tensor joins hold the same type."""
    for name, first, second in _joints(model):
        if first.kind != second.kind and first.kind:
            message = (
                f"'{name}' of ensemble '{model.name}' is {data_type(first.kind)} in '{first.owner}' and "
                f"{data_type(second.kind)} in '{second.owner}'"
            )
            yield model.error("TP891", message, *second.path, hint="convert it in one of the models")


def inputs_are_answered_as_they_are(model: Model) -> Iterator[Diagnostic]:
    """TP891: an input that is an output too is handed back, whatever the output says that it is."""
    inputs = {tensor.name: tensor for tensor in model.config.input}
    for index, tensor in enumerate(model.config.output if model.is_ensemble else ()):
        given = inputs.get(tensor.name)
        if given is None:
            continue
        path = ("output", index)
        if given.data_type != tensor.data_type:
            message = (
                f"output '{tensor.name}' of ensemble '{model.name}' is its input: it is "
                f"{data_type(given.data_type)}, and clients are told {data_type(tensor.data_type)}"
            )
            yield model.warning("TP891", message, *path, "data_type", hint="write the type of the input")
        elif not _match(given.dims, tensor.dims):
            message = (
                f"output '{tensor.name}' of ensemble '{model.name}' is its input: it is "
                f"{shape(given.dims)}, and clients are told {shape(tensor.dims)}"
            )
            yield model.warning("TP891", message, *path, "dims", hint="write the dims of the input")


def shapes_agree(model: Model) -> Iterator[Diagnostic]:
    """TP892: dims are the same, or the full shapes are, where -1 goes with any size."""
    for name, first, second in _joints(model):
        if _match(first.dims, second.dims) or _match(first.full, second.full):
            continue
        message = (
            f"'{name}' of ensemble '{model.name}' is {shape(first.full)} in '{first.owner}' and "
            f"{shape(second.full)} in '{second.owner}', the batch dimension included"
        )
        yield model.error("TP892", message, *second.path, hint="change the dims of one, or reshape in a step")


def _match(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))


def batch_sizes_fit(model: Model) -> Iterator[Diagnostic]:
    """TP893: an ensemble's batch is that of each step that batches."""
    size = model.config.max_batch_size
    for step in steps(model):
        target = model.repository.models.get(step.model_name)
        if target is None or not target.is_parsed or not 0 < target.config.max_batch_size < size:
            continue
        limit = target.config.max_batch_size
        message = (
            f"max_batch_size of ensemble '{model.name}' is {size}, "
            f"but its step '{step.model_name}' takes {limit} at most"
        )
        hint = f"write max_batch_size: {limit}, or raise that of '{step.model_name}'"
        yield model.error("TP893", message, "max_batch_size", hint=hint)


def batches_of_fixed_size_fit(model: Model) -> Iterator[Diagnostic]:
    """TP893: where nothing batches before a step that does, the first dimension is that step's batch."""
    all_steps = steps(model)
    largest: dict[str, End] = {}
    for name, end in _ends(model):
        if not end.batched and end.dims and end.dims[0] > largest.get(name, _NOTHING).dims[0]:
            largest[name] = end
    for use in uses(model, "input_map") if largest else ():
        target = _target(model, all_steps[use.step])
        limit = target.config.max_batch_size if target is not None else 0
        end = largest.get(use.tensor, _NOTHING)
        if 0 < limit < end.dims[0]:
            message = (
                f"'{use.tensor}' of ensemble '{model.name}' has {end.dims[0]} items, but its step "
                f"'{all_steps[use.step].model_name}' takes {limit} at most: every request fails"
            )
            hint = f"raise max_batch_size of '{all_steps[use.step].model_name}'"
            yield model.error("TP893", message, *end.path, hint=hint)


_NOTHING = End("", 0, (0,), False, ())


def unbatched_steps_take_batches(model: Model) -> Iterator[Diagnostic]:
    """TP894: in a batching ensemble a step without batches gets them all the same."""
    size = model.config.max_batch_size
    for index, step in enumerate(steps(model) if size > 1 else ()):
        target = _target(model, step)
        if target is None or target.config.max_batch_size > 0:
            continue
        for name in sorted(step.input_map):
            tensor = target.named(target.config.input, name)
            if tensor is not None and (not tensor.dims or tensor.dims[0] != -1):
                message = (
                    f"'{target.name}', step {index + 1} of ensemble '{model.name}', does not batch: "
                    f"requests of more than one item fail at its input '{name}' {shape(tensor.dims)}"
                )
                hint = f"set max_batch_size in '{target.name}', or begin its dims with -1"
                yield model.warning("TP894", message, *STEP, index, "model_name", hint=hint)
                break


def ensembles_end(model: Model) -> Iterator[Diagnostic]:
    """TP895: no ensemble runs itself, through others either."""
    way = _way_back(model)
    if way is not None:
        index, names = way
        message = f"ensemble '{model.name}' runs itself: {' → '.join(names)}"
        yield model.error("TP895", message, *STEP, index, "model_name", hint="take the step out")


def _way_back(model: Model) -> tuple[int, list[str]] | None:
    """The step that leads back to the ensemble, and the names on the way."""
    for index, step in enumerate(steps(model)):
        came_from: dict[str, str] = {step.model_name: model.name}
        waiting = [step.model_name]
        while waiting:
            name = waiting.pop()
            if name == model.name:
                return index, _way(came_from, name)
            found = model.repository.models.get(name)
            for inner in steps(found) if found is not None else ():
                if inner.model_name not in came_from:
                    came_from[inner.model_name] = name
                    waiting.append(inner.model_name)
    return None


def _way(came_from: dict[str, str], last: str) -> list[str]:
    names = [last]
    while True:
        names.append(came_from[names[-1]])
        if names[-1] == last:
            return names[::-1]


def decoupled_answers_do_not_join(model: Model) -> Iterator[Diagnostic]:
    """TP896: what a step reads, and what the ensemble answers, come from the same answers of one model."""
    origin = _origins(model) if steps(model) else {}
    hint = "a decoupled model gives any number of answers: take all tensors from it, or none"
    for index, step in enumerate(steps(model)):
        if names := _of_several(origin, sorted(step.input_map.values())):
            message = (
                f"'{step.model_name}', step {index + 1} of ensemble '{model.name}', joins {names}, "
                "of which there is not the same number"
            )
            yield model.error("TP896", message, *STEP, index, "model_name", hint=hint)
    if names := _of_several(origin, [output.name for output in model.config.output]):
        message = f"ensemble '{model.name}' answers {names}, of which there is not the same number"
        yield model.error("TP896", message, "output", len(model.config.output) - 1, "name", hint=hint)


def _of_several(origin: dict[str, int], tensors: list[str]) -> str:
    """The first tensors of each origin, or nothing if all have the same."""
    by_origin = {origin[tensor]: f"'{tensor}'" for tensor in reversed(tensors) if tensor in origin}
    return " and ".join(sorted(by_origin.values())) if len(by_origin) > 1 else ""


def _origins(model: Model) -> dict[str, int]:
    """For each tensor the last decoupled step on its way, -1 for none."""
    origin = {tensor.name: -1 for tensor in model.config.input}
    all_steps = steps(model)
    for index in run_order(model):
        step = all_steps[index]
        decoupled = _is_decoupled(model.repository, step.model_name)
        mine = index if decoupled else max((origin[t] for t in step.input_map.values()), default=-1)
        for tensor in step.output_map.values():
            origin.setdefault(tensor, mine)
    return origin


def _is_decoupled(repository: Repository, name: str) -> bool:
    """What a model says of itself; of an ensemble, what its steps say."""
    seen = {name}
    waiting = [name]
    while waiting:
        model = repository.models.get(waiting.pop())
        if model is None:
            continue
        if not model.is_ensemble and model.config.model_transaction_policy.decoupled:
            return True
        inner = {step.model_name for step in steps(model)} - seen
        seen |= inner
        waiting += inner
    return False


def decoupled_steps_exclude_the_cache(model: Model) -> Iterator[Diagnostic]:
    """TP844: an ensemble with a decoupled step is decoupled itself."""
    if not model.config.response_cache.enable or not model.is_ensemble:
        return
    for step in steps(model):
        if _is_decoupled(model.repository, step.model_name):
            message = (
                f"response_cache of ensemble '{model.name}' does not go with '{step.model_name}', decoupled"
            )
            yield model.error("TP844", message, "response_cache", "enable", hint="leave response_cache out")
            return


def decoupled_is_what_steps_are(model: Model) -> Iterator[Diagnostic]:
    """TP854: whether an ensemble is decoupled follows from its steps, whatever it says."""
    policy = model.config.model_transaction_policy
    if not steps(model) or not policy.decoupled:
        return
    known = all(step.model_name in model.repository.models for step in steps(model))
    if known and not any(_is_decoupled(model.repository, step.model_name) for step in steps(model)):
        message = f"ensemble '{model.name}' says that it is decoupled, and none of its steps is: it is not"
        hint = "remove model_transaction_policy"
        yield model.warning("TP854", message, "model_transaction_policy", "decoupled", hint=hint)


def optional_inputs_may_be_absent(model: Model) -> Iterator[Diagnostic]:
    """TP897: who leaves out an optional input of an ensemble fails where a step requires it."""
    optional = {tensor.name: index for index, tensor in enumerate(model.config.input) if tensor.optional}
    all_steps = steps(model)
    for use in uses(model, "input_map") if optional else ():
        target = _target(model, all_steps[use.step])
        tensor = target.named(target.config.input, use.key) if target is not None else None
        if use.tensor in optional and target is not None and tensor is not None and not tensor.optional:
            message = (
                f"the optional input '{use.tensor}' of ensemble '{model.name}' is required by "
                f"'{target.name}', step {use.step + 1}: requests without it fail"
            )
            path = ("input", optional[use.tensor], "optional")
            yield model.warning(
                "TP897", message, *path, hint=f"make it required, or optional in '{target.name}'"
            )


def dali_outputs_are_mapped(model: Model) -> Iterator[Diagnostic]:
    """TP899: DALI wants to be asked for all of its outputs."""
    for index, step in enumerate(steps(model)):
        target = _target(model, step)
        if target is None or target.backend != backends.DALI:
            continue
        for output in target.config.output:
            if output.name not in step.output_map:
                message = (
                    f"the output '{output.name}' of the DALI model '{target.name}' is not mapped in ensemble "
                    f"'{model.name}': every request fails"
                )
                hint = "use it, or take it out of the DALI pipeline"
                yield model.error("TP899", message, *STEP, index, "output_map", hint=hint)
