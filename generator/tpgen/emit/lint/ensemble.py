"""Rules about ensembles by themselves: their fields, their steps, and the tensors that lead through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...diagnostics import Diagnostic, did_you_mean
from . import backends
from .model import Model
from .scan import Key, Step

STEP = ("ensemble_scheduling", "step")
_NOT_OF_ENSEMBLES = ("instance_group", "optimization", "model_warmup", "backend")


class Use(NamedTuple):
    """An entry of a step's map: `key` is a tensor of the step's model, `tensor` the ensemble's."""

    step: int
    map: str
    key: str
    tensor: str

    @property
    def path(self) -> tuple[Step, ...]:
        """Where the ensemble's tensor is named."""
        return (*STEP, self.step, self.map, Key(self.key), "value")


def steps(model: Model) -> list[Any]:
    """The steps of an ensemble; none for other models."""
    return list(model.config.ensemble_scheduling.step) if model.is_ensemble else []


def uses(model: Model, map_name: str) -> Iterator[Use]:
    """All entries of the input maps, or of the output maps, in the order of the steps."""
    for index, step in enumerate(steps(model)):
        for key, tensor in sorted(getattr(step, map_name).items()):
            yield Use(index, map_name, key, tensor)


def is_a_whole_ensemble(model: Model) -> Iterator[Diagnostic]:
    """TP880: platform "ensemble" and steps come together."""
    if not model.is_ensemble:
        return
    if model.config.platform != backends.ENSEMBLE:
        platform = f"the platform '{model.config.platform}'" if model.config.platform else "no platform"
        message = f"'{model.name}' has ensemble_scheduling, and {platform}"
        yield model.error("TP880", message, "platform", hint='write platform: "ensemble"')
    if not steps(model):
        message = f"the ensemble '{model.name}' has no steps"
        yield model.error("TP880", message, *STEP[:1], hint="add ensemble_scheduling { step [ … ] }")


def has_no_instances(model: Model) -> Iterator[Diagnostic]:
    """TP881: an ensemble has no backend, no instances and no warm-up of its own."""
    for field, value in model.config.ListFields() if model.is_ensemble else ():
        if field.name in _NOT_OF_ENSEMBLES and (value or field.name == "optimization"):
            message = f"the ensemble '{model.name}' sets {field.name}"
            hint = f"remove it; {field.name} belongs to the models of its steps"
            yield model.error("TP881", message, field.name, hint=hint)


def steps_are_complete(model: Model) -> Iterator[Diagnostic]:
    """TP882: a step names a model, and maps an input and an output."""
    for index, step in enumerate(steps(model)):
        for field in ("model_name", "input_map", "output_map"):
            if not getattr(step, field):
                message = f"step {index + 1} of ensemble '{model.name}' has no {field}"
                yield model.error("TP882", message, *STEP, index, field, hint=f"add {field}")


def steps_exist(model: Model) -> Iterator[Diagnostic]:
    """TP883: the models of the steps lie in the same repository."""
    models = model.repository.models
    for index, step in enumerate(steps(model)):
        if step.model_name and step.model_name not in models:
            message = (
                f"step {index + 1} of ensemble '{model.name}' runs '{step.model_name}', which is not there"
            )
            close = did_you_mean(step.model_name, models)
            hint = f"did you mean '{close}'?" if close else "add the model to the repository"
            yield model.error("TP883", message, *STEP, index, "model_name", hint=hint)


def versions_are_loaded(model: Model) -> Iterator[Diagnostic]:
    """TP884: a version that is left out is 0, not the latest."""
    for index, step in enumerate(steps(model)):
        target = model.repository.models.get(step.model_name)
        loaded = {version.number for version in target.loaded} if target is not None else set()
        if step.model_version == -1 or target is None or step.model_version in loaded:
            continue
        is_given = model.text.places.find(*STEP, index, "model_version") is not None
        what = (
            f"needs version {step.model_version} of"
            if is_given
            else "needs version 0, for want of another, of"
        )
        message = f"step {index + 1} of ensemble '{model.name}' {what} '{step.model_name}'"
        hint = "write model_version: -1 for the latest"
        field = "model_version" if is_given else "model_name"
        yield model.error("TP884", message, *STEP, index, field, hint=hint)


def tensors_are_used(model: Model) -> Iterator[Diagnostic]:
    """TP887: what enters an ensemble, or leaves a step, is read by a step or leaves the ensemble."""
    if not steps(model):
        return
    read = {use.tensor for use in uses(model, "input_map")}
    outputs = {output.name for output in model.config.output}
    written = {use.tensor for use in uses(model, "output_map")}
    for index, tensor in enumerate(model.config.input):
        if tensor.name not in read and tensor.name not in written:
            message = f"no step of ensemble '{model.name}' reads its input '{tensor.name}'"
            hint = "in input_map the key is the model's input, the value the ensemble's tensor"
            yield model.error("TP887", message, "input", index, "name", hint=hint)
    for use in uses(model, "output_map"):
        if use.tensor not in read | outputs:
            message = f"nothing reads '{use.tensor}' in ensemble '{model.name}'"
            hint = "remove the entry: outputs of a step need not be mapped"
            yield model.error("TP887", message, *use.path, hint=hint)


def tensors_are_written(model: Model) -> Iterator[Diagnostic]:
    """TP888: what a step reads, and what leaves the ensemble, was written before."""
    if not steps(model):
        return
    all_steps = steps(model)
    ready = {tensor.name for tensor in model.config.input}
    ready.update(*(all_steps[index].output_map.values() for index in run_order(model)))
    written = {use.tensor for use in uses(model, "output_map")}
    for use in uses(model, "input_map"):
        if use.tensor not in ready and use.tensor not in written:
            message = (
                f"step {use.step + 1} of ensemble '{model.name}' reads '{use.tensor}', which nothing writes"
            )
            close = did_you_mean(use.tensor, ready | written)
            hint = (
                f"did you mean '{close}'?" if close else "map an output, or an input of the ensemble, to it"
            )
            yield model.error("TP888", message, *use.path, hint=hint)
    for index, output in enumerate(model.config.output):
        if output.name not in ready | written:
            message = f"no step of ensemble '{model.name}' writes its output '{output.name}'"
            close = did_you_mean(output.name, written)
            hint = f"did you mean '{close}'?" if close else "map an output of a step to it"
            yield model.error("TP888", message, "output", index, "name", hint=hint)
    if unready := _in_circles(model, ready):
        names = ", ".join(f"'{use.tensor}'" for use in unready)
        message = f"tensors of ensemble '{model.name}' wait for each other: {names}"
        yield model.error("TP888", message, *unready[0].path, hint="a step can't read what it leads to")


def run_order(model: Model) -> list[int]:
    """The steps in an order in which each gets its inputs from those before it; others are left out."""
    missing = {index: set(step.input_map.values()) for index, step in enumerate(steps(model))}
    readers: dict[str, list[int]] = {}
    for use in uses(model, "input_map"):
        readers.setdefault(use.tensor, []).append(use.step)
    produced = [list(step.output_map.values()) for step in steps(model)]
    order = [index for index, tensors in missing.items() if not tensors]
    fresh = [tensor.name for tensor in model.config.input]
    seen: set[str] = set()
    for index in order:
        fresh += produced[index]
    while fresh:
        tensor = fresh.pop()
        for reader in () if tensor in seen else readers.get(tensor, ()):
            missing[reader].discard(tensor)
            if not missing[reader]:
                order.append(reader)
                fresh += produced[reader]
        seen.add(tensor)
    return order


def _in_circles(model: Model, ready: set[str]) -> list[Use]:
    """The first outputs of the steps that wait for each other, or for such steps."""
    first = {use.step: use for use in reversed(list(uses(model, "output_map"))) if use.tensor not in ready}
    writers = {use.tensor: use.step for use in uses(model, "output_map") if use.step in first}
    waits_for = {
        index: {writers[tensor] for tensor in step.input_map.values() if tensor in writers}
        for index, step in enumerate(steps(model))
        if index in first
    }
    # A step that only waits for a tensor that nothing writes has been reported, and those behind it too.
    while stuck := [index for index, others in waits_for.items() if not others & waits_for.keys()]:
        for index in stuck:
            del waits_for[index]
    return [first[index] for index in sorted(waits_for)]


def tensors_are_written_once(model: Model) -> Iterator[Diagnostic]:
    """TP889: no two outputs are mapped to one tensor."""
    writers: dict[str, Use] = {}
    for use in uses(model, "output_map"):
        first = writers.setdefault(use.tensor, use)
        if first is not use:
            message = (
                f"steps {first.step + 1} and {use.step + 1} of ensemble '{model.name}' write '{use.tensor}'"
            )
            yield model.error("TP889", message, *use.path, hint="give one of them another name")


def inputs_are_not_written(model: Model) -> Iterator[Diagnostic]:
    """TP890: a step that writes an input starts the ensemble anew, for ever."""
    inputs = {tensor.name for tensor in model.config.input}
    for use in uses(model, "output_map"):
        if use.tensor in inputs:
            message = (
                f"step {use.step + 1} of ensemble '{model.name}' writes its input '{use.tensor}': "
                "the first request runs for ever"
            )
            yield model.error("TP890", message, *use.path, hint="give the step's output another name")


def parts_can_be_asked_for(model: Model) -> Iterator[Diagnostic]:
    """TP898: a request for some outputs, which needs not all inputs, loses the first step on the way."""
    inputs = {tensor.name for tensor in model.config.input}
    outputs = [output.name for output in model.config.output]
    for index, output in enumerate(outputs if len(outputs) > 1 else ()):
        needed, tensors = _needed_for(model, output)
        idle = sorted(inputs - tensors)
        if 0 in needed and idle:
            message = (
                f"a request for '{output}' alone fails in ensemble '{model.name}': it has no use for the "
                f"input '{idle[0]}', and the server drops the first step with it"
            )
            hint = "ask for all outputs, or put a step first that such requests do not need"
            yield model.warning("TP898", message, "output", index, "name", hint=hint)


def _needed_for(model: Model, output: str) -> tuple[set[int], set[str]]:
    """The steps and tensors that lead to an output."""
    writers = {use.tensor: use.step for use in uses(model, "output_map")}
    all_steps = steps(model)
    needed: set[int] = set()
    tensors: set[str] = set()
    waiting = [output]
    while waiting:
        tensor = waiting.pop()
        tensors.add(tensor)
        step = writers.get(tensor)
        if step is not None and step not in needed:
            needed.add(step)
            waiting += all_steps[step].input_map.values()
    return needed, tensors
