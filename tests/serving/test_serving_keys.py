"""Keys of a node that are about its Triton model: what the configuration says then, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.onnx_build import model, node, save, tensor
from small_models import write_models
from tpgen.diagnostics import Diagnostic, PipelineError
from tpgen.driver import BuildOptions, BuildResult, build, check
from tpgen.driver.explain import explain
from tpgen.emit.config_pbtxt import parse
from tpgen.emit.warmup import grey_jpeg
from tpgen.ir.serving import PROVIDER
from tpgen.services.deployment import write_deployment

NET = """
[pipeline]
inputs = {data = "float32[3,8,8]"}
[net]
backend = "TensorrtTensor"
model = "convolution.onnx"
max = 4
"""
OTHER = """
[other]
backend = "TensorrtTensor"
model = "relu.onnx"
max = 4
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    write_models(made)
    return made


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    for file in models.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def config(folder: Path, text: str, model: str = "p__net", **options: Any) -> Any:
    """The configuration of a model of a pipeline called p, for a GPU unless said otherwise."""
    (folder / "p.toml").write_text(text)
    options = {"target": "gpu", "cores": 2} | options
    build(folder / "p.toml", folder / "repository", BuildOptions(**options))
    return parse((folder / "repository" / model / "config.pbtxt").read_text())


def findings(folder: Path, text: str, **options: Any) -> list[tuple[str, str, int, str]]:
    """Code, severity, line and text pointed at, of what is found in a pipeline; pending engines left out."""
    (folder / "p.toml").write_text(text)
    options = {"target": "gpu", "cores": 2} | options
    try:
        found: tuple[Diagnostic, ...] = check(folder / "p.toml", BuildOptions(**options)).diagnostics
    except PipelineError as problem:
        found = problem.diagnostics
    return [
        (one.code, one.severity.value, one.span.line, one.span.text) for one in found if one.span is not None
    ]


def check_of(folder: Path, way: dict[str, str]) -> BuildResult:
    """What a check of the pipeline of the folder finds."""
    return check(folder / "p.toml", BuildOptions(cores=2, **way))


def test_every_key_is_a_field_of_the_model(folder: Path) -> None:
    found = config(
        folder,
        NET
        + """
gpus = [0, 2]
rate_limiter = {resources = [{name = "memory", global = true, count = 4}], priority = 2}
priority_levels = 3
priority_queue_policy = {1 = {max_queue_size = 8}}
max_queue_size = 64
timeout_action = "DELAY"
timeout_ms = 250
default_queue_policy = {allow_timeout_override = false}
response_cache = true
warmup = true
""",
    )
    (group,) = found.instance_group
    assert list(group.gpus) == [0, 2] and group.count == 1
    (resource,) = group.rate_limiter.resources
    assert (resource.name, getattr(resource, "global"), resource.count) == ("memory", True, 4)
    assert group.rate_limiter.priority == 2
    batching = found.dynamic_batching
    # who names no priority goes behind those who do
    assert (batching.priority_levels, batching.default_priority_level) == (3, 3)
    policy = batching.default_queue_policy
    assert (policy.max_queue_size, policy.timeout_action, policy.allow_timeout_override) == (64, 1, False)
    assert policy.default_timeout_microseconds == 250_000
    assert batching.priority_queue_policy[1].max_queue_size == 8
    assert found.response_cache.enable
    assert [(one.batch_size, list(one.inputs)) for one in found.model_warmup] == [
        (1, ["image"]),
        (4, ["image"]),
    ]


def test_raw_fields_stand_above_the_keys(folder: Path) -> None:
    text = NET + "max_queue_size = 64\n[pipeline.triton.net]\n"
    raw = "dynamic_batching.default_queue_policy.max_queue_size = 7\n"
    policy = config(folder, text + raw).dynamic_batching.default_queue_policy
    assert policy.max_queue_size == 7


def test_a_key_above_the_first_node_holds_for_all(folder: Path) -> None:
    text = "max_queue_size = 9\nresponse_cache = true\ngpus = '1'\n" + NET.replace(
        'model = "convolution.onnx"', 'model = "convolution.onnx"\nnext = "last"'
    )
    text += '[last]\nbackend = "Identity"\n'
    net = config(folder, text)
    assert net.dynamic_batching.default_queue_policy.max_queue_size == 9
    assert net.response_cache.enable and list(net.instance_group[0].gpus) == [1]
    whole = config(folder, text, "p", target="cpu")
    assert whole.dynamic_batching.default_queue_policy.max_queue_size == 9
    assert not whole.response_cache.enable and not whole.instance_group[0].gpus
    facts = explain(check(folder / "p.toml", BuildOptions(target="cpu", cores=2)).compiled[0])
    assert {one.key for one in facts.ignored} >= {"gpus", "response_cache"}
    assert any("max_queue_size = 9" in decision for decision in facts.decisions)


def test_the_keys_of_a_node_with_a_model_are_about_the_model(folder: Path) -> None:
    text = (
        NET.replace("TensorrtTensor", "Sequential[Identity,TensorrtTensor,Tensor2Vector]")
        + "max_queue_size = 5\n"
    )
    assert config(folder, text).dynamic_batching.default_queue_policy.max_queue_size == 5
    behind = parse((folder / "repository" / "p__net__after" / "config.pbtxt").read_text())
    assert behind.dynamic_batching.default_queue_policy.max_queue_size == 1024


WRONG = {
    "a level that is none": ("priority_levels = 2\ndefault_priority_level = 3", ("TP841", "error", 9)),
    "a default without levels": ("default_priority_level = 1", ("TP852", "warning", 8)),
    "a misspelt field": ('rate_limiter = {resorces = [{name = "a"}]}', ("TP115", "error", 8)),
    "no table": ("rate_limiter = 3", ("TP103", "error", 8)),
    "another action": ('timeout_action = "WAIT"', ("TP105", "error", 8)),
    "a negative GPU": ("gpus = [-1]", ("TP104", "error", 8)),
    "an unknown provider": ('execution_provider = "tensort"', ("TP105", "error", 8)),
    "an unknown option": (
        'execution_provider_options = {trt_engine_cache_pat = 1}\nexecution_provider = "tensorrt"',
        ("TP866", "error", 8),
    ),
    "engines built with every start": ('execution_provider = "tensorrt"', ("TP876", "warning", 8)),
    "a sample that is not there": ('warmup = "nothing.npy"', ("TP118", "error", 8)),
    "a sample of another type": ('warmup = "doubles.npy"', ("TP923", "error", 8)),
    "a sample with a batch": ('warmup = "batch.npy"', ("TP923", "error", 8)),
    "a picture for numbers": ('warmup = "grey.jpg"', ("TP923", "error", 8)),
    "an input that is none": ('warmup = {mask = "doubles.npy"}', ("TP923", "error", 8)),
    "JSON that is none": ('warmup = "broken.json"', ("TP923", "error", 8)),
    "no sample at all": ("warmup = [1]", ("TP103", "error", 8)),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_found_at_its_key(text: str, expected: tuple[str, str, int], folder: Path) -> None:
    np.save(folder / "doubles.npy", np.zeros((3, 8, 8)))
    np.save(folder / "batch.npy", np.zeros((1, 3, 8, 8), np.float32))
    (folder / "grey.jpg").write_bytes(grey_jpeg())
    (folder / "broken.json").write_text("{")
    found = findings(folder, NET + text)
    assert expected in [one[:3] for one in found], found


def test_nodes_of_one_model_that_want_different_things_are_told(folder: Path) -> None:
    text = NET.replace("max = 4", "max = 4\nnext = 'last'\nmax_queue_size = 3")
    text += '[last]\nbackend = "Identity"\nmax_queue_size = 4\n'
    assert ("TP921", "warning", 12, "max_queue_size") in findings(folder, text, target="cpu")
    assert not any(code == "TP921" for code, *_ in findings(folder, text, target="cpu", fuse="none"))
    found = config(folder, text, "p", target="cpu")
    assert found.dynamic_batching.default_queue_policy.max_queue_size == 3


def test_the_answers_of_a_python_stage_are_not_cached(folder: Path) -> None:
    text = NET + "response_cache = true\n"
    assert ("TP922", "warning", 8, "response_cache") in findings(folder, text, target="cpu")
    assert not config(folder, text, "p", target="cpu").response_cache.enable


IN_VAIN = {
    "no GPU": ("gpus = [0]\n", {"target": "cpu"}, True),
    "GPUs of a model on the CPU": ('gpus = [0]\nexecution_provider = "cpu"\n', {}, True),
    "a provider in a Python stage": ('execution_provider = "cuda"\n', {"target": "cpu"}, True),
    "a provider for GPUs": (
        'execution_provider = "cuda"\n',
        {"target": "cpu", "runtime": "onnxruntime"},
        True,
    ),
    "options of no provider": ("execution_provider_options = {gpu_mem_limit = 1}\n", {}, True),
    "options of the CPU": (
        'execution_provider_options = {gpu_mem_limit = 1}\nexecution_provider = "cpu"\n',
        {},
        True,
    ),
    "a model on the CPU anyway": ('execution_provider = "cpu"\n', {"target": "cpu"}, False),
    "GPUs": ("gpus = [0]\n", {}, False),
    "no provider": ('execution_provider = ""\n', {"target": "cpu"}, False),
}


@pytest.mark.parametrize(("text", "options", "is_told"), IN_VAIN.values(), ids=IN_VAIN)
def test_a_key_of_a_node_that_has_no_effect_is_told(
    text: str, options: dict[str, Any], is_told: bool, folder: Path
) -> None:
    key = text.partition(" ")[0]
    expected = [("TP922", "warning", 8, key)] if is_told else []
    assert [one for one in findings(folder, NET + text, **options) if one[0] == "TP922"] == expected
    if is_told and PROVIDER not in text:  # as the same file is built for several targets
        above = findings(folder, text + NET, **options)
        assert not [one for one in above if one[0] == "TP922"]


def test_a_model_of_dali_takes_no_keys(folder: Path) -> None:
    text = """
[pipeline]
preprocess = "dali"
[decode]
backend = "Sequential[DecodeTensor,ResizeTensor,cvtColorTensor]"
resize_h = 8
resize_w = 8
color = "rgb"
max_queue_size = 3
next = "net"
[net]
backend = "TensorrtTensor"
model = "convolution.onnx"
max = 4
"""
    assert ("TP922", "warning", 9, "max_queue_size") in findings(folder, text)


def test_a_stage_that_calls_models_is_not_warmed_up(folder: Path) -> None:
    text = NET.replace("max = 4", "max = 4\nretry = 1\nnext = 'last'\npriority_levels = 2\nwarmup = true")
    text += '[last]\nbackend = "Softmax"\nwarmup = true\n'
    found = findings(folder, text)
    assert ("TP922", "warning", 14, "warmup") in found
    assert ("TP922", "warning", 10, "priority_levels") in found
    assert not config(folder, text, "p").model_warmup
    assert config(folder, text).model_warmup


def test_a_node_without_a_model_has_no_provider(folder: Path) -> None:
    text = NET.replace("max = 4", "max = 4\nnext = 'last'")
    text += '[last]\nbackend = "Tensor2Vector"\nexecution_provider = "cuda"\n'
    assert ("TP922", "error", 11, "execution_provider") in findings(folder, text)


PROVIDERS = {
    "cuda": ("cuda", {}, "gpu_execution_accelerator", True),
    "cuda with options": ("cuda", {"gpu_mem_limit": 1 << 30}, "gpu_execution_accelerator", True),
    "tensorrt": (
        "tensorrt",
        {"trt_engine_cache_enable": True, "trt_engine_cache_path": "/cache"},
        "gpu_execution_accelerator",
        True,
    ),
    "openvino": ("openvino", {}, "cpu_execution_accelerator", False),
}


@pytest.mark.parametrize(("name", "options", "field", "on_gpu"), PROVIDERS.values(), ids=PROVIDERS)
def test_a_provider_makes_onnx_runtime_the_backend(
    name: str, options: dict[str, Any], field: str, on_gpu: bool, folder: Path
) -> None:
    text = NET + f'execution_provider = "{name}"\n'
    if options:
        listed = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
        text += f"execution_provider_options = {{{listed}}}\n"
    found = config(folder, text)
    assert found.backend == "onnxruntime"
    assert found.instance_group[0].kind == (1 if on_gpu else 2)
    (accelerator,) = getattr(found.optimization.execution_accelerators, field)
    assert accelerator.name == name
    expected = {key: str(value).lower() for key, value in options.items()}
    assert dict(accelerator.parameters) == expected
    assert not list((folder / "repository").glob("*/1/engine.json"))


@pytest.mark.parametrize(
    ("option", "severity", "hint"),
    [
        ("trt_fp16_enable", "error", 'precision_mode with the value "FP16"'),
        ("trt_int8_enable", "error", 'precision_mode with the value "INT8"'),
        ("trt_bf16_enable", "error", "FP16, FP32, INT8"),
        ("trt_engine_cache_pat", "error", "did you mean 'trt_engine_cache_path'?"),
        ("trt_weightless", "warning", "leave it out"),
    ],
)
def test_an_unknown_option_has_the_hint_that_helps(
    option: str, severity: str, hint: str, folder: Path
) -> None:
    options = f'execution_provider_options = {{trt_engine_cache_enable = true, {option} = "1"}}\n'
    (folder / "p.toml").write_text(f'{NET}execution_provider = "tensorrt"\n{options}')
    try:
        found = check(folder / "p.toml", BuildOptions(target="gpu", cores=2)).diagnostics
    except PipelineError as problem:
        found = problem.diagnostics
    (one,) = (one for one in found if one.code == "TP866")
    assert one.severity.value == severity and hint in (one.hint or "")
    assert one.span is not None and one.span.line == 9


def test_keys_for_an_engine_say_nothing_where_there_is_none(folder: Path) -> None:
    def in_vain(text: str) -> list[tuple[int, str]]:
        return [(line, what) for code, _, line, what in findings(folder, text) if code == "TP922"]

    keys, provider = 'precision = "fp16"\nmax_workspace_size = 512\n', 'execution_provider = "cuda"\n'
    assert in_vain(NET + keys) == []
    assert in_vain(NET + keys + provider) == [(8, '"fp16"'), (9, "512")]
    compiled = check(folder / "p.toml", BuildOptions(target="gpu", cores=2)).compiled[0]
    why = {key.key: key.why for key in explain(compiled).ignored}
    assert provider.strip() in why["precision"]
    assert in_vain('precision = "fp16"\n' + NET + provider) == [(1, '"fp16"')]
    both = NET.replace("max = 4", f"max = 4\n{provider}next = 'other'") + OTHER
    relu = [node("Relu", "x", "y")]
    save(model(relu, [tensor("x", ["N", 3])], [tensor("y", ["N", 3])]), folder / "relu.onnx")
    assert in_vain('precision = "fp16"\n' + both) == []  # one of the two has an engine


@pytest.mark.parametrize("value", ["[]", "''", "[0, 0]", "'1,0,1'"])
def test_gpus_are_some_each_once(folder: Path, value: str) -> None:
    (code, severity, line, what), *more = findings(folder, f"{NET}gpus = {value}\n")
    assert (code, severity, line, more) == ("TP104", "error", 8, [])
    assert what == value.replace("'", '"') or what == value
    assert len(findings(folder, f"gpus = {value}\n{NET}{OTHER}")) == 1  # not once for each node


def test_options_of_a_provider_want_the_provider(folder: Path) -> None:
    options = "execution_provider_options = {a = 1}\n"
    for way in ({"target": "cpu"}, {"target": "gpu"}, {"target": "gpu", "runtime": "onnxruntime"}):
        found = findings(folder, NET + options, **way)
        assert found == [("TP922", "warning", 8, "execution_provider_options")]
        checked = check_of(folder, way)
        (warning,) = (one for one in checked.diagnostics if one.code == "TP922")
        assert 'write execution_provider beside it: execution_provider = "cuda"' in str(warning.hint)
        why = {one.key: one.why for one in explain(checked.compiled[0]).ignored}
        assert "has no execution_provider" in why["execution_provider_options"]
    assert findings(folder, NET + options + 'execution_provider = "cuda"\n') == []


def test_a_model_can_stay_on_the_cpu_of_a_machine_with_gpus(folder: Path) -> None:
    found = config(folder, NET + 'execution_provider = "cpu"\n')
    assert (found.backend, found.instance_group[0].kind, found.instance_group[0].count) == (
        "onnxruntime",
        2,
        2,
    )
    assert not found.optimization.ListFields()
    assert found.parameters["intra_op_thread_count"].string_value == "1"


def test_openvino_computes_on_the_cpu_target(folder: Path) -> None:
    text = NET + 'execution_provider = "openvino"\n'
    found = config(folder, text, target="cpu", runtime="onnxruntime")
    assert found.optimization.execution_accelerators.cpu_execution_accelerator[0].name == "openvino"
    facts = explain(check(folder / "p.toml", BuildOptions(target="cpu", cores=2)).compiled[0])
    assert "execution_provider" in {one.key for one in facts.ignored}


def test_an_image_that_cannot_be_decoded_is_no_sample(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "fine.jpg").write_bytes(grey_jpeg())
    text = '[decode]\nbackend = "DecodeMat"\nwarmup = "broken.jpg"\n'
    assert findings(folder, text, target="cpu") == [("TP923", "error", 3, "warmup")]
    assert findings(folder, text.replace("broken", "fine"), target="cpu") == []


@pytest.mark.parametrize("sample", ['"{}.jpg"', '{{data = "{}.jpg"}}'])
@pytest.mark.parametrize("way", [{"target": "cpu"}, {"target": "cpu", "fuse": "none"}, {"target": "gpu"}])
def test_only_what_decodes_the_image_judges_it(folder: Path, sample: str, way: dict[str, str]) -> None:
    (folder / "cut.jpg").write_bytes(grey_jpeg()[:-40])
    (folder / "fine.jpg").write_bytes(grey_jpeg())
    (folder / "numbers.jpg").write_bytes(b"\x93NUMPY")
    at_key = ("TP923", "error", 3, "warmup")
    for decoder in ("DecodeMat", "DecodeTensor"):
        resize = decoder.replace("Decode", "Resize") + "(resize_h=32,resize_w=32)"
        alone = f'[d]\nbackend = "{decoder}"\nwarmup = {sample}\nnext = "r"\n[r]\nbackend = "{resize}"\n'
        together = f'[d]\nbackend = "Sequential[{decoder},{resize}]"\nwarmup = {sample}\n'
        for text in (alone, together):
            for name, expected in (("fine", []), ("cut", [at_key]), ("numbers", [at_key])):
                found = findings(folder, text.format(name), **way)
                assert [one for one in found if one[1] != "note"] == expected


def test_bytes_of_an_unknown_kind_need_a_file(folder: Path) -> None:
    code = "from tpgen_runtime import Tensor, op\n\n@op(outputs={'result': Tensor('int32', [])})\n"
    (folder / "mine.py").write_text(code + "def size(data):\n    return len(data)\n")
    text = '[size]\nbackend = "Python[mine:size]"\nwarmup = true\n'
    assert findings(folder, text, target="cpu") == [("TP923", "error", 3, "warmup")]
    (folder / "item.json").write_text('{"data": "text"}')
    found = config(folder, text.replace("true", '"item.json"'), "p", target="cpu")
    assert not found.model_warmup  # the server would die of an item that fails
    samples = folder / "repository" / "p" / "1" / "warmup"
    assert [one["batch_size"] for one in json.loads((samples / "samples.json").read_text())] == [1, 8]
    assert (samples / "0.bin").read_bytes() == b"\4\0\0\0text"


def test_containers_start_the_server_with_what_the_models_ask_for(folder: Path) -> None:
    def flags(text: str, target: str) -> tuple[str, ...]:
        (folder / "p.toml").write_text(NET + text)
        options = BuildOptions(target=target, cores=2)
        return write_deployment(folder / "p.toml", folder / "deployment", options)[0].flags[1:]

    cache, limit = "--cache-config=local,size=67108864", "--rate-limit=execution_count"
    limiter = 'rate_limiter = {resources = [{name = "R"}]}\n'
    assert flags("", "gpu") == ()
    assert flags(limiter + "response_cache = true\n", "gpu") == (cache, limit)
    assert flags("[pipeline.triton.net]\nresponse_cache = {enable = true}\n", "gpu") == (cache,)
    assert flags("response_cache = false\n", "gpu") == ()
    assert flags("[pipeline.triton.net]\nresponse_cache = {enable = false}\n", "gpu") == ()
    named = 'parameters = {of = {string_value = "response_cache"}, rate_limiter = {string_value = "R"}}\n'
    assert flags("[pipeline.triton.net]\n" + named, "gpu") == ()
    assert flags(limiter + "response_cache = true\n", "cpu") == (limit,)


def test_a_changed_sample_is_a_changed_build(folder: Path) -> None:
    np.save(folder / "item.npy", np.zeros((3, 8, 8), np.float32))
    config(folder, NET + 'warmup = "item.npy"\n')
    sample = folder / "repository" / "p__net" / "warmup" / "0.bin"
    assert sample.read_bytes() == bytes(4 * 3 * 8 * 8)
    np.save(folder / "item.npy", np.ones((3, 8, 8), np.float32))
    config(folder, NET + 'warmup = "item.npy"\n')
    assert sample.read_bytes() == np.ones((3, 8, 8), "<f4").tobytes()
    config(folder, NET)
    assert not sample.exists()


@pytest.mark.parametrize(
    ("key", "marked"), [("max_queue_size = 3", "max_queue_size"), ("timeout_ms = 50", "50")]
)
def test_a_key_of_a_node_that_a_models_graph_does_is_told(folder: Path, key: str, marked: str) -> None:
    text = NET.replace("convolution.onnx", "rgb.onnx").replace("3,8,8", "3,224,224")
    text = text.replace("max = 4", "max = 4\nnext = 'best'")
    text += f'[best]\nbackend = "ArgMax"\n{key}\n'
    assert ("TP922", "warning", 11, marked) in findings(folder, text, target="gpu")
    assert not [one for one in findings(folder, text, target="cpu") if one[0] == "TP922"]


def test_a_provider_of_a_node_that_a_models_graph_does_is_refused(folder: Path) -> None:
    text = NET.replace("convolution.onnx", "rgb.onnx").replace("3,8,8", "3,224,224")
    text = text.replace("max = 4", "max = 4\nnext = 'best'")
    text += '[best]\nbackend = "ArgMax"\nexecution_provider = "cuda"\n'
    assert ("TP922", "error", 11, "execution_provider") in findings(folder, text, target="gpu")


def in_one_stage(above: str, first: str, second: str) -> str:
    """Two nodes of one stage, each with keys."""
    head = f'{above}[pipeline]\ninputs = {{data = "float32[4]"}}\n'
    return f'{head}[a]\nbackend = "Softmax"\nnext = "b"\n{first}[b]\nbackend = "ArgMax"\n{second}'


def test_a_nodes_own_value_stands_above_that_of_all_nodes(folder: Path) -> None:
    text = in_one_stage("max_queue_size = 9\n", "", "max_queue_size = 3\n")
    assert config(folder, text, "p").dynamic_batching.default_queue_policy.max_queue_size == 3
    assert not [one for one in findings(folder, text) if one[0] == "TP921"]


def test_of_two_own_values_the_first_holds(folder: Path) -> None:
    text = in_one_stage("max_queue_size = 9\n", "max_queue_size = 5\n", "max_queue_size = 3\n")
    assert config(folder, text, "p").dynamic_batching.default_queue_policy.max_queue_size == 5
    assert ("TP921", "warning", 10, "max_queue_size") in findings(folder, text)


def test_keys_about_priorities_come_from_one_node(folder: Path) -> None:
    policy = "priority_queue_policy = {3 = {max_queue_size = 2}}\n"
    second = f"priority_levels = 3\ndefault_priority_level = 1\n{policy}"
    batching = config(folder, in_one_stage("", "", second), "p").dynamic_batching
    assert (batching.priority_levels, batching.default_priority_level) == (3, 1)
    text = in_one_stage("", "priority_levels = 2\n", second)
    batching = config(folder, text, "p").dynamic_batching
    assert (batching.priority_levels, batching.default_priority_level) == (2, 2)
    assert not batching.priority_queue_policy
    lost = ["priority_levels", "default_priority_level", "priority_queue_policy"]
    assert sorted(one[3] for one in findings(folder, text) if one[0] == "TP921") == sorted(lost)


def test_a_queue_without_limit(folder: Path) -> None:
    policy = config(folder, NET + "max_queue_size = 0\n").dynamic_batching.default_queue_policy
    assert policy.max_queue_size == 0
    assert policy.default_timeout_microseconds > 0


def test_advice_at_a_provider_names_keys_of_the_node(folder: Path) -> None:
    (folder / "p.toml").write_text(NET + 'execution_provider = "tensorrt"\n')
    found = check(folder / "p.toml", BuildOptions(target="gpu", cores=2)).diagnostics
    hints = [one.hint or "" for one in found if one.code == "TP876"]
    assert any("execution_provider_options = {trt_engine_cache_enable = true" in hint for hint in hints)
    assert not any("parameters {" in hint or "model_warmup" in hint for hint in hints)
