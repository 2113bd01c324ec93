"""Cases about dynamic batching and sequences."""

from __future__ import annotations

from typing import Any

from lint_repositories import FAILING, SENDER, Case, Server, good, loaded, python, refused, warned

_CACHE = "response_cache { enable: true }"
_DECOUPLED = "model_transaction_policy { decoupled: true }"
_LEVELS = "priority_levels: 2 default_priority_level: 1"
_DELAY = "timeout_action: DELAY default_timeout_microseconds: 1000"


def _dynamic(text: str) -> str:
    return f"dynamic_batching {{ {text} }}"


def _level(key: int, policy: str = "max_queue_size: 9") -> str:
    return f"priority_queue_policy {{ key: {key} value {{ {policy} }} }}"


def _ordered(text: str) -> str:
    return _dynamic(f"preserve_ordering: true {text}")


def _default(policy: str) -> str:
    return f"default_queue_policy {{ {policy} }}"


def _waiting(timeout: int, policy: str = "", delay: int = 5000) -> str:
    """Requests wait `delay` microseconds for others, and are given up after `timeout`."""
    waits = f"max_queue_delay_microseconds: {delay}"
    return _dynamic(f"{waits} {_default(f'default_timeout_microseconds: {timeout} {policy}')}")


SCHEDULER = (
    refused("preferred_9_of_8", "TP840", batching=_dynamic("preferred_batch_size: [8, 9]")),
    refused("preferred_0", "TP840", batching=_dynamic("preferred_batch_size: [0]")),
    good("preferred_8_of_8", batching=_dynamic("preferred_batch_size: [4, 8]")),
    refused("priority_no_default", "TP841", batching=_dynamic("priority_levels: 2")),
    refused("priority_default_3", "TP841", batching=_dynamic("priority_levels: 2 default_priority_level: 3")),
    refused("priority_policy_3", "TP841", batching=_dynamic(f"{_LEVELS} {_level(3)}")),
    good("priority_good", batching=_dynamic(f"{_LEVELS} {_level(2)}")),
    refused("order_levels", "TP842", batching=_ordered(_LEVELS)),
    refused("order_delay", "TP842", batching=_ordered(_default(_DELAY))),
    refused(
        "order_delay_of_level",
        "TP842",
        batching=_ordered(f"priority_levels: 1 default_priority_level: 1 {_level(1, _DELAY)}"),
    ),
    good("order_reject", batching=_ordered(_default("default_timeout_microseconds: 9000000"))),
    good("order_delay_never", batching=_ordered(_default("timeout_action: DELAY"))),
    Case(
        "cache_decoupled",
        "TP844 error",
        Server.REFUSES,
        python(SENDER, batch="max_batch_size: 1", more=f"{_CACHE} {_DECOUPLED}"),
    ),
    refused("cache_sequences", "TP844", batching="sequence_batching { }", more=_CACHE),
    Case("cache_good", "TP879 note", Server.WORKS, python(more=_CACHE)),
    Case("cache_failures", "TP844 warning", Server.WORKS, python(FAILING, more=_CACHE), more=("TP879",)),
    Case("cache_no_failures", None, Server.WORKS, python(FAILING, more="response_cache { }")),
    loaded("cache_off", batching="sequence_batching { }", more="response_cache { }"),
    Case(
        "batching_without_batch",
        "TP848 warning",
        Server.WORKS,
        python(batch="max_batch_size: 0"),
    ),
    warned("batch_without_batching", "TP849", batching=""),
    good("batch_of_one", batch="max_batch_size: 1", batching=""),
    warned("preferred_too_small", "TP850", batching=_dynamic("preferred_batch_size: [2, 4]")),
    warned("override_nothing", "TP851", batching=_dynamic(_default("allow_timeout_override: true"))),
    good(
        "override_timeout",
        batching=_dynamic(_default("allow_timeout_override: true default_timeout_microseconds: 9000000")),
    ),
    Case("timeout_in_delay", "TP925 warning", Server.LOADS, python(batching=_waiting(1000))),
    Case("timeout_of_milliseconds", "TP925 warning", Server.LOADS, python(batching=_waiting(20, delay=0))),
    good("timeout_after_delay", batching=_waiting(9000000)),
    good("timeout_delays", batching=_waiting(1000, "timeout_action: DELAY")),
    warned("default_without_levels", "TP852", batching=_dynamic("default_priority_level: 3")),
    warned("policy_without_levels", "TP852", batching=_dynamic(_level(3))),
)

_START = '{ name: "START" control [{ kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }] }'
_END = _START.replace("START", "END")
_TWICE = _START.replace('"START"', '"B"')
_ONE = _START.replace("[0, 1]", "[0]")
_BOTH = _START.replace("[0, 1]", "[0, 1] fp32_false_true: [0, 1]")


def _sequence(text: str) -> str:
    return f"sequence_batching {{ {text} }}"


def _controls(*controls: str) -> str:
    return _sequence(f"control_input [{', '.join(controls)}]")


def _id(kind: str) -> str:
    return _controls(f'{{ name: "ID" control [{{ kind: CONTROL_SEQUENCE_CORRID data_type: {kind} }}] }}')


_VECTOR = "data_type: TYPE_FP32 dims: [4]"


def _state(initial: str, *, value: str = _VECTOR, names: str = 'input_name: "s"', count: int = 1) -> str:
    first = f'initial_state {{ name: "i" {value} {initial} }} ' * count
    return _sequence(f'state [{{ {names} output_name: "t" {_VECTOR} {first} }}]')


def _two_states(values: int) -> str:
    """Two states with the same input, of which so many begin with data."""
    initial = f'initial_state {{ name: "i" {_VECTOR} zero_data: true }}'
    states = (f'{{ input_name: "s" {_VECTOR} {initial if n < values else ""} }}' for n in range(2))
    return _sequence(f"state [{', '.join(states)}]")


def _wrong_state(name: str, server: Server = Server.REFUSES, **parts: Any) -> Case:
    return Case(name, "TP847 error", server, python(batching=_state("zero_data: true", **parts)))


SEQUENCES = (
    refused(
        "preferred_sequences",
        "TP840",
        batching=_sequence("oldest { max_candidate_sequences: 4 preferred_batch_size: [9] }"),
    ),
    refused("slots_more", "TP843", batching=_sequence("direct { minimum_slot_utilization: 1.5 }")),
    loaded("slots_half", batching=_sequence("direct { minimum_slot_utilization: 0.5 }")),
    refused("control_no_name", "TP845", batching=_controls(_START.replace('name: "START"', ""))),
    refused("control_same_name", "TP845", batching=_controls(_START, _END.replace('"END"', '"START"'))),
    refused("control_same_kind", "TP845", batching=_controls(_START, _TWICE)),
    loaded("control_good", batching=_controls(_START, _END)),
    refused("control_no_values", "TP846", batching=_controls(_ONE.replace("int32_false_true: [0]", ""))),
    refused("control_one_value", "TP846", batching=_controls(_ONE)),
    refused("control_two_types", "TP846", batching=_controls(_BOTH)),
    refused("id_float", "TP846", batching=_id("TYPE_FP32")),
    refused("id_values", "TP846", batching=_id("TYPE_INT64 int32_false_true: [0, 1]")),
    loaded("control_without_input", input="", batching=_controls(_START)),
    loaded("id_good", batching=_id("TYPE_UINT64")),
    _wrong_state("state_rank", value="data_type: TYPE_FP32 dims: [4,1]"),
    _wrong_state("state_size", value="data_type: TYPE_FP32 dims: [5]"),
    _wrong_state("state_varies", value="data_type: TYPE_FP32 dims: [-1]"),
    _wrong_state("state_type", value="data_type: TYPE_INT32 dims: [4]"),
    _wrong_state("state_two_values", count=2),
    _wrong_state("state_no_name", Server.DIES, names=""),
    refused(
        "state_value_no_name",
        "TP847",
        batching=_state("zero_data: true").replace('name: "i"', ""),
    ),
    refused("state_twice", "TP847", batching=_two_states(2)),
    Case("state_twice_one_value", "TP847 warning", Server.LOADS, python(batching=_two_states(1))),
    refused("state_no_data", "TP847", batching=_state("")),
    refused("state_no_file", "TP847", batching=_state('data_file: "zeros"')),
    Case("state_zeros", "TP847 warning", Server.LOADS, python(batching=_state("zero_data: true"))),
    Case(
        "state_file",
        "TP847 warning",
        Server.LOADS,
        {**python(batching=_state('data_file: "zeros"')), "initial_state/zeros": "\0" * 16},
    ),
)
