"""Raw ModelConfig fields: what is merged, what is refused, and where the finding stands."""

from __future__ import annotations

from typing import Any

import pytest

from tpgen.diagnostics import Bag
from tpgen.emit.config_pbtxt import messages
from tpgen.emit.overrides import OWNED_FIELDS, Override, apply_override
from tpgen.source import SourceFile, Span


def config() -> Any:
    made = messages().ModelConfig(name="m", backend="python", max_batch_size=8)
    made.dynamic_batching.max_queue_delay_microseconds = 5
    made.dynamic_batching.default_queue_policy.max_queue_size = 1024
    made.instance_group.add(count=2, kind="KIND_CPU")
    made.parameters["old"].string_value = "1"
    return made


def merged(target: str = "24.10", **fields: Any) -> Any:
    bag = Bag()
    result = apply_override(config(), Override("m", fields), target, bag)
    assert bag.diagnostics == []
    return result


def refused(fields: dict[str, Any], target: str = "24.10") -> list[tuple[str, str, str | None]]:
    bag = Bag()
    result = apply_override(config(), Override("m", fields), target, bag)
    assert result == config(), "a refused override changed the configuration"
    return [(d.code, d.message, d.hint) for d in bag.diagnostics]


def test_messages_are_merged_lists_replaced_maps_joined() -> None:
    made = merged(
        dynamic_batching={"default_queue_policy": {"default_timeout_microseconds": 7}},
        instance_group=[{"count": 4, "kind": "KIND_CPU"}],
        parameters={"new": {"string_value": "2"}},
        optimization={"priority": "PRIORITY_MAX"},
        version_policy={"specific": {"versions": [1]}},
    )
    assert made.dynamic_batching.max_queue_delay_microseconds == 5
    assert made.dynamic_batching.default_queue_policy.max_queue_size == 1024
    assert made.dynamic_batching.default_queue_policy.default_timeout_microseconds == 7
    assert [group.count for group in made.instance_group] == [4]
    assert {key: value.string_value for key, value in made.parameters.items()} == {"old": "1", "new": "2"}
    assert made.optimization.priority == messages().ModelOptimizationPolicy.PRIORITY_MAX
    assert list(made.version_policy.specific.versions) == [1]


def test_zero_and_camel_case_are_taken() -> None:
    made = merged(
        dynamicBatching={"maxQueueDelayMicroseconds": 0, "default_queue_policy": {"maxQueueSize": 0}}
    )
    assert made.dynamic_batching.max_queue_delay_microseconds == 0
    assert made.dynamic_batching.default_queue_policy.max_queue_size == 0


def test_one_of_several_takes_the_place_of_the_other() -> None:
    made = merged(sequence_batching={"max_sequence_idle_microseconds": 9})
    assert made.WhichOneof("scheduling_choice") == "sequence_batching"


@pytest.mark.parametrize("name", sorted(OWNED_FIELDS))
def test_what_the_compiler_owns_is_refused(name: str) -> None:
    assert name in messages().ModelConfig.DESCRIPTOR.fields_by_name
    findings = refused({name: 1})
    assert ("TP115", f"'{name}' follows from the pipeline, and can't be set here", "take it out") in findings


def test_camel_case_does_not_get_around_ownership() -> None:
    assert refused({"maxBatchSize": 4}) == [
        ("TP115", "'maxBatchSize' follows from the pipeline, and can't be set here", "take it out")
    ]


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        (
            {"instance_grou": []},
            "'instance_grou' is no field of ModelConfig",
            "did you mean 'instance_group'?",
        ),
        (
            {"dynamic_batching": {"default_queue_policy": {"maxQueueSiz": 1}}},
            "'maxQueueSiz' is no field of ModelQueuePolicy",
            "did you mean 'max_queue_size'?",
        ),
        ({"instance_group": {"count": 4}}, "'instance_group' is a table, but a list is needed", None),
        ({"instance_group": [3]}, "'instance_group' is 3, but a table is needed", None),
        ({"dynamic_batching": []}, "'dynamic_batching' is a list, but a table is needed", None),
        ({"parameters": 1}, "'parameters' is 1, but a table is needed", None),
        ({"parameters": {"a": 1}}, "'value' is 1, but a table is needed", None),
        (
            {"parameters": {"a": {"string_valu": ""}}},
            "'string_valu' is no field of ModelParameter",
            "did you mean 'string_value'?",
        ),
        (
            {"instance_group": [{"kind": "KIND_CPUS"}]},
            "'kind' cannot be 'KIND_CPUS'",
            "did you mean 'KIND_CPU'?",
        ),
        (
            {"instance_group": [{"count": True}]},
            "'count' is True, but a whole number (32 bits) is needed",
            None,
        ),
        ({"instance_group": [{"count": 2**31}]}, "but a whole number (32 bits) is needed", None),
        (
            {"instance_group": [{"count": "2"}]},
            "'count' is '2', but a whole number (32 bits) is needed",
            None,
        ),
        (
            {"dynamic_batching": {"max_queue_delay_microseconds": -1}},
            "'max_queue_delay_microseconds' is -1, but a whole number from 0 is needed",
            None,
        ),
        ({"dynamic_batching": {"preserve_ordering": 1}}, "is 1, but true or false is needed", None),
        ({"model_warmup": [{"name": 5}]}, "'name' is 5, but a string is needed", None),
        (
            {"dynamic_batching": {"priority_queue_policy": {"high": {}}}},
            "the key 'high' of 'priority_queue_policy' is not a whole number from 0",
            None,
        ),
        (
            {"dynamic_batching": {"priority_queue_policy": {str(2**64): {}}}},
            "the key '18446744073709551616' of 'priority_queue_policy' is not a whole number from 0",
            None,
        ),
        (
            {"sequence_batching": {"direct": {"minimum_slot_utilization": 1e39}}},
            "'minimum_slot_utilization' is 1e+39, but a number is needed",
            None,
        ),
        (
            {"sequence_batching": {"direct": {"minimum_slot_utilization": float("nan")}}},
            "'minimum_slot_utilization' is nan, but a number is needed",
            None,
        ),
        (
            {"dynamic_batching": {}, "sequenceBatching": {}},
            "'dynamic_batching' and 'sequenceBatching' exclude each other",
            "remove one of them",
        ),
        (
            {"response_cache": {}, "responseCache": {}},
            "'response_cache' and 'responseCache' exclude each other",
            "remove one of them",
        ),
    ],
)
def test_misfits_are_named(fields: dict[str, Any], message: str, hint: str | None) -> None:
    ((code, found, advice),) = refused(fields)
    assert (code, message in found) == ("TP115", True), found
    assert hint is None or advice == hint


def test_fields_that_the_target_does_not_know() -> None:
    ((code, message, hint),) = refused({"modelMetrics": {"metric_control": []}})
    assert code == "TP620"
    assert message == "'model_metrics' needs Triton 24.11, and this build is for 24.10"
    assert hint is not None and 'target_triton = "24.11"' in hint


def test_a_field_that_only_a_later_tritonclient_knows() -> None:
    if "model_metrics" in messages().ModelConfig.DESCRIPTOR.fields_by_name:
        merged("24.11", model_metrics={})
    else:
        assert "install a later one" in str(refused({"model_metrics": {}}, "24.11"))


def test_the_finding_stands_at_the_key_or_at_what_holds_it() -> None:
    source = SourceFile("p.toml", "[pipeline.triton.m]\ninstance_group = [{count = 0, kint = 1}]\n")
    table, group = Span(source, 1, 18), Span(source, 20, 34)
    places = {(): table, ("instance_group",): group}
    bag = Bag()
    fields = {"instance_group": [{"kint": 1}], "nonsense": 1}
    apply_override(config(), Override("m", fields, places), "24.10", bag)
    assert [d.span for d in bag.diagnostics] == [group, table]
