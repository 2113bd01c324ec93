"""Rules about sequence batching: controls, strategies, states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages
from . import backends
from .model import Model
from .schema import data_type, enum_name, shape

_SEQUENCE = "sequence_batching"
_VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")
_CORRID = "CONTROL_SEQUENCE_CORRID"


def _kind(control: Any) -> str:
    return enum_name(messages().ModelSequenceBatching.Control.Kind, control.kind)


def controls_are_named_once(model: Model) -> Iterator[Diagnostic]:
    """TP845: each control has a tensor of its own, and each kind is there once."""
    tensors: set[str] = set()
    kinds: set[str] = set()
    for index, tensor in enumerate(model.config.sequence_batching.control_input):
        path = (_SEQUENCE, "control_input", index)
        if not tensor.name:
            message = f"control_input {index + 1} of '{model.name}' has no name"
            yield model.error("TP845", message, *path, "name", hint='write name: "START"')
        elif tensor.name in tensors:
            message = f"the control tensor '{tensor.name}' of '{model.name}' is given twice"
            yield model.error("TP845", message, *path, "name", hint="use a tensor for each control")
        tensors.add(tensor.name)
        for number, control in enumerate(tensor.control):
            kind = _kind(control)
            if kind in kinds:
                message = f"'{model.name}' has two {kind} controls"
                yield model.error("TP845", message, *path, "control", number, hint="remove one")
            kinds.add(kind)


def controls_have_values(model: Model) -> Iterator[Diagnostic]:
    """TP846: start, ready and end have one pair of values, the correlation id a type and none."""
    for index, tensor in enumerate(model.config.sequence_batching.control_input):
        for number, control in enumerate(tensor.control):
            path = (_SEQUENCE, "control_input", index, "control", number)
            given = [field for field in _VALUES if len(getattr(control, field))]
            if _kind(control) == _CORRID:
                yield from _check_corrid(model, control, given, path)
            elif len(given) != 1:
                message = f"{_kind(control)} of '{model.name}' has {' and '.join(given) or 'no values'}"
                hint = f"give one of {', '.join(_VALUES)}, as in int32_false_true: [0, 1]"
                yield model.error("TP846", message, *path, *given[1:2], hint=hint)
            elif len(values := getattr(control, given[0])) != 2:
                message = f"{given[0]} of {_kind(control)} has {len(values)} values, not 2"
                hint = f"write {given[0]}: [ FALSE, TRUE ] in numbers"
                yield model.error("TP846", message, *path, given[0], hint=hint)


def _check_corrid(
    model: Model, control: Any, given: list[str], path: tuple[str | int, ...]
) -> Iterator[Diagnostic]:
    kinds = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
    if data_type(control.data_type) not in kinds:
        message = f"{_CORRID} of '{model.name}' has the type {data_type(control.data_type)}"
        yield model.error("TP846", message, *path, "data_type", hint=f"one of {', '.join(kinds)}")
    for field in given:
        message = f"{_CORRID} of '{model.name}' has {field}"
        yield model.error("TP846", message, *path, field, hint="it has a data_type only")


def slots_are_a_share(model: Model) -> Iterator[Diagnostic]:
    """TP843: the direct strategy waits for a share of its slots."""
    share = model.config.sequence_batching.direct.minimum_slot_utilization
    if not 0 <= share <= 1:
        message = f"minimum_slot_utilization of '{model.name}' is {share:g}"
        path = (_SEQUENCE, "direct", "minimum_slot_utilization")
        yield model.error("TP843", message, *path, hint="use 0 to 1")


def states_are_kept(model: Model) -> Iterator[Diagnostic]:
    """TP847: the Python backend has no way to write a state, so each request begins with the initial one."""
    if model.backend != backends.PYTHON or any(states_begin_with_data(model)):
        return
    if model.config.sequence_batching.state:
        message = f"the states of '{model.name}' never change: Python models can't write them"
        hint = "keep them in the code, by correlation id; execute has it in request.correlation_id()"
        yield model.warning("TP847", message, _SEQUENCE, "state", 0, hint=hint)


def states_begin_with_data(model: Model) -> Iterator[Diagnostic]:
    """TP847: a state has an input of its own, and at most one initial value: zeros, or a file."""
    names: set[str] = set()
    for index, state in enumerate(model.config.sequence_batching.state):
        path = (_SEQUENCE, "state", index)
        if not state.input_name:
            message = f"state {index + 1} of '{model.name}' has no input_name: the server dies of it"
            yield model.error("TP847", message, *path, "input_name", hint='write input_name: "…"')
        elif state.initial_state and state.input_name in names:
            message = f"two states of '{model.name}' that begin with data have the input '{state.input_name}'"
            yield model.error("TP847", message, *path, "input_name", hint="use a tensor for each state")
        if state.initial_state:
            names.add(state.input_name)
        if len(state.initial_state) > 1:
            message = f"the state '{state.input_name}' of '{model.name}' begins in two ways"
            yield model.error("TP847", message, *path, "initial_state", 1, hint="remove one")
        for number, initial in enumerate(state.initial_state):
            yield from _check_initial(model, state, initial, (*path, "initial_state", number))


def _check_initial(
    model: Model, state: Any, initial: Any, path: tuple[str | int, ...]
) -> Iterator[Diagnostic]:
    label = f"the initial value of the state '{state.input_name}' of '{model.name}'"
    if not initial.name:
        yield model.error("TP847", f"{label} has no name", *path, "name", hint='write name: "…"')
    if initial.WhichOneof("state_data") is None:
        hint = "write zero_data: true, or data_file"
        yield model.error("TP847", f"{label} has no data", *path, hint=hint)
    elif initial.data_file and not model.path_of(f"initial_state/{initial.data_file}").is_file():
        message = f"data_file '{initial.data_file}' of '{model.name}' is not in initial_state/"
        yield model.error("TP847", message, *path, "data_file", hint="put the file there")
    if initial.data_type != state.data_type:
        wanted = data_type(state.data_type)
        message = f"{label} has the type {data_type(initial.data_type)}, the state {wanted}"
        yield model.error("TP847", message, *path, "data_type", hint=f"write data_type: {wanted}")
    fits = len(initial.dims) == len(state.dims) and all(
        wanted in (-1, given) for given, wanted in zip(initial.dims, state.dims, strict=True)
    )
    if not fits or any(dim < 0 for dim in initial.dims):
        message = f"{label} has the dims {shape(initial.dims)}, the state {shape(state.dims)}"
        yield model.error("TP847", message, *path, "dims", hint="give sizes that are those of the state")
