"""Cases about instances, warm-up and parameters."""

from __future__ import annotations

from lint_repositories import (
    FAILING,
    Case,
    Server,
    good,
    python,
    refused,
    tensorrt,
    tensors,
    warned,
    x,
)


def _instances(*groups: str) -> str:
    return f"instance_group [{', '.join(f'{{ {group} }}' for group in groups)}]"


def _resources(second: str) -> str:
    resources = f'{{ name: "R" global: true count: 1 }}, {{ name: "{second}" count: 1 }}'
    return _instances(f"kind: KIND_CPU rate_limiter {{ resources [{resources}] }}")


_TWO_PROFILES = _instances('kind: KIND_GPU profile: ["0", "1"]')
_STRATEGY = "execution_context_allocation_strategy"
_ON_CHANGE = f'parameters {{ key: "{_STRATEGY}" value {{ string_value: "ON_PROFILE_CHANGE" }} }}'

INSTANCES = (
    refused("group_with_blank", "TP803", instances=_instances('name: "a b" kind: KIND_CPU')),
    Case(
        "group_with_quote",
        "TP803 error",
        Server.HANGS,
        python(instances=_instances('name: "a\'b" kind: KIND_CPU')),
    ),
    good("group_named", instances=_instances('name: "a.b/c-1" kind: KIND_CPU')),
    refused("cpu_with_gpus", "TP855", instances=_instances("kind: KIND_CPU gpus: [0]")),
    refused("model_with_gpus", "TP855", instances=_instances("kind: KIND_MODEL gpus: [0]")),
    tensorrt("gpu_with_gpus", None, instances=_instances("kind: KIND_GPU gpus: [0]")),
    tensorrt("engine_on_cpu", "TP855 error", instances=_instances("kind: KIND_CPU")),
    tensorrt("engine_of_auto", None, instances=_instances("count: 2")),
    Case("gpu_of_python", "TP879 note", Server.NEEDS_GPU, python(instances=_instances("kind: KIND_GPU"))),
    Case("auto_with_gpus", "TP879 note", Server.NEEDS_GPU, python(instances=_instances("gpus: [0]"))),
    good("auto_for_all", instances=_instances("count: 1")),
    refused("profile_of_python", "TP856", instances=_instances('kind: KIND_CPU profile: ["0"]')),
    tensorrt("profile_name", "TP856 error", instances=_instances('kind: KIND_GPU profile: ["a"]')),
    tensorrt("profile_index", None, instances=_instances('kind: KIND_GPU profile: ["1"]')),
    tensorrt("profiles_static", "TP869 warning", instances=_TWO_PROFILES),
    tensorrt("profiles_on_change", None, instances=_TWO_PROFILES, more=_ON_CHANGE),
    Case(
        "all_passive",
        "TP857 error",
        Server.DIES,
        python(instances=_instances("kind: KIND_CPU passive: true")),
    ),
    good("some_passive", instances=_instances("kind: KIND_CPU passive: true", "kind: KIND_CPU")),
    warned("count_0", "TP858", instances=_instances("kind: KIND_CPU count: 0")),
    warned("count_minus_3", "TP858", instances=_instances("kind: KIND_CPU count: -3")),
    good("count_missing", instances=_instances("kind: KIND_CPU")),
    Case(
        "resource_both",
        "TP859 warning",
        Server.WORKS,
        python(instances=_resources("R")),
        more=("TP879",),
    ),
    Case("resource_each", "TP879 note", Server.WORKS, python(instances=_resources("S"))),
)


def _shared(resource: str) -> dict[str, str | bytes | None]:
    return python(
        instances=_instances(f"kind: KIND_CPU rate_limiter {{ resources [{{ {resource} count: 1 }}] }}")
    )


# A server with --rate-limit=execution_count refuses that of the first two which it loads last.
RESOURCES = (
    Case("share_all", "TP859 warning", Server.WORKS, _shared('name: "R" global: true'), more=("TP879",)),
    Case("share_each", "TP859 warning", Server.WORKS, _shared('name: "R"'), more=("TP879",)),
    Case("share_another", "TP879 note", Server.WORKS, _shared('name: "S"')),
)

_VALUE = "data_type: TYPE_FP32 dims: [4] zero_data: true"
_FILE = _VALUE.replace("zero_data: true", 'input_data_file: "f"')
_VARYING = x("dims: [-1] allow_ragged_batch: true")
_WITH_OPTIONAL = tensors("input", "x", "o data_type: TYPE_FP32 dims: [4] optional: true")


def _warmup(value: str = _VALUE, batch: str = "batch_size: 1", name: str = "x") -> str:
    return f'model_warmup [{{ name: "w" {batch} inputs {{ key: "{name}" value {{ {value} }} }} }}]'


def _without(part: str, other: str = "") -> str:
    return _warmup(_VALUE.replace(part, other))


WARMUP = (
    warned("warmup_no_batch", "TP861", more=_warmup(batch="")),
    good("warmup_8_of_8", more=_warmup(batch="batch_size: 8")),
    Case(
        "warmup_9_of_8",
        "TP862 error",
        Server.REFUSES_OR_DIES,
        python(more=_warmup(batch="batch_size: 9")),
    ),
    Case(
        "warmup_2_of_0",
        "TP862 error",
        Server.REFUSES_OR_DIES,
        python(more=_warmup(batch="batch_size: 2"), batch="", batching=""),
    ),
    good("warmup_1_of_0", more=_warmup(), batch="", batching=""),
    refused("warmup_no_input", "TP863", more='model_warmup [{ name: "w" batch_size: 1 }]'),
    refused("warmup_other_input", "TP863", more=_warmup(name="z")),
    good(
        "warmup_more_inputs",
        more=_warmup().replace("inputs {", f'inputs {{ key: "z" value {{ {_VALUE} }} }} inputs {{', 1),
    ),
    good(
        "warmup_without_optional",
        more=_warmup(),
        input=_WITH_OPTIONAL,
        batch="max_batch_size: 1",
        batching="",
    ),
    refused("warmup_batch_in_dims", "TP864", more=_without("[4]", "[1,4]")),
    refused("warmup_varying", "TP864", more=_without("[4]", "[-1]")),
    refused("warmup_type", "TP864", more=_without("FP32", "INT32")),
    refused("warmup_no_type", "TP864", more=_without("data_type: TYPE_FP32")),
    refused("warmup_no_data", "TP864", more=_without("zero_data: true")),
    good("warmup_of_varying", more=_warmup(), input=_VARYING),
    Case("warmup_failures", "TP924 warning", Server.WORKS, python(FAILING, more=_warmup())),
    Case(
        "warmup_no_failures",
        None,
        Server.WORKS,
        {**python(FAILING, more=_warmup(_FILE)), "warmup/f": "\0" * 16},
    ),
    refused("warmup_no_file", "TP865", more=_warmup(_FILE)),
    Case(
        "warmup_short_file",
        "TP865 error",
        Server.REFUSES,
        {**python(more=_warmup(_FILE)), "warmup/f": "123"},
    ),
    Case("warmup_file", None, Server.WORKS, {**python(more=_warmup(_FILE)), "warmup/f": "\0" * 16}),
)

_CPU_ONLY = "FORCE_CPU_ONLY_INPUT_TENSORS"
_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"
_OWN = f"{_DIRECTORY}/env"
_ACCELERATORS = 'execution_accelerators { gpu_execution_accelerator [{ name: "tensorrt" }] }'


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


def _environment(path: str) -> str:
    return _parameter("EXECUTION_ENV_PATH", path)


def _tag(key: str) -> str:
    return f'metric_tags {{ key: "{key}" value: "a-b \\"c\\"" }}'


def _metric(buckets: str) -> str:
    control = f'metric_identifier {{ family: "f" }} histogram_options {{ {buckets} }}'
    return f"model_metrics {{ metric_control [{{ {control} }}] }}"


PARAMETERS = (
    refused("cpu_false", "TP867", more=_parameter(_CPU_ONLY, "false")),
    refused("cpu_capital", "TP867", more=_parameter(_CPU_ONLY, "NO")),
    good("cpu_no", more=_parameter(_CPU_ONLY, "no")),
    refused("environment_missing", "TP868", more=_environment(f"{_OWN}.tar.gz")),
    Case(
        "environment_relative",
        "TP868 error",
        Server.REFUSES,
        {**python(more=_environment("env")), "env/bin/activate": ""},
    ),
    Case("environment_bare", "TP868 error", Server.REFUSES, {**python(more=_environment(_OWN)), "env/x": ""}),
    Case(
        "environment_text",
        "TP868 error",
        Server.REFUSES,
        {**python(more=_environment(f"{_OWN}.tar.gz")), "env.tar.gz": "a readme"},
    ),
    Case(
        "environment_there",
        None,
        Server.WORKS,
        {**python(more=_environment(_OWN)), "env/bin/activate": ""},
    ),
    Case(
        "environment_outside",
        "TP868 warning",
        Server.WORKS,
        {**python(more=_environment(f"{_DIRECTORY}/../shared_env")), "../shared_env/bin/activate": ""},
    ),
    Case("environment_absolute", "TP868 warning", Server.UNSEEN, python(more=_environment("/no/env.tar.gz"))),
    tensorrt("strategy_unknown", "TP869 error", more=_parameter(_STRATEGY, "dynamic")),
    tensorrt("strategy_known", None, more=_parameter(_STRATEGY, "ON_PROFILE_CHANGE")),
    Case("tag_dash", "TP870 error", Server.DIES, python(more=_tag("data-center"))),
    Case("tag_reserved", "TP870 error", Server.DIES, python(more=_tag("__a"))),
    good("tag_good", more=_tag("data_center")),
    Case("metric_no_buckets", "TP872 error", Server.UNSEEN, python(more=_metric("")), target="24.11"),
    Case(
        "metric_no_family",
        "TP872 error",
        Server.UNSEEN,
        python(more=_metric("buckets: [ 1, 2 ]").replace('"f"', '""')),
        target="24.11",
    ),
    Case("metric_buckets", None, Server.UNSEEN, python(more=_metric("buckets: [ 1, 2 ]")), target="24.11"),
    warned("accelerator_of_python", "TP871", more=f"optimization {{ {_ACCELERATORS} }}"),
    good("memory_of_python", more="optimization { input_pinned_memory { enable: false } }"),
)
