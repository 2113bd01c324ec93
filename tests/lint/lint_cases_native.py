"""Cases about native backends, and about what shows where a model runs.

The server at hand has neither these backends nor GPUs. What only they do is UNSEEN: it follows from the
sources of the backends, which say what they refuse.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from lint_repositories import (
    MODEL,
    SENDER,
    Case,
    Server,
    config,
    ensemble,
    good,
    python,
    refused,
    step,
    tensors,
    warned,
)

Files = dict[str, str | bytes | None]

_DECOUPLED = "model_transaction_policy { decoupled: true }"
_OPTIONAL = tensors("input", "x", "o data_type: TYPE_FP32 dims: [4] optional: true")
_CPU_ONLY = "FORCE_CPU_ONLY_INPUT_TENSORS"
_DLA = "instance_group [{ kind: KIND_GPU secondary_devices [{ kind: KIND_NVDLA device_id: 0 }] }]"
_RATE = "instance_group [{ kind: KIND_CPU rate_limiter { priority: 2 } }]"


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


def _strategy(path: str) -> str:
    return _parameter("TRITON_BATCH_STRATEGY_PATH", path)


def _agent(name: str) -> str:
    return f'model_repository_agents {{ agents [{{ name: "{name}" }}] }}'


def _glue(more: str) -> Files:
    return python(more=more)


_BETWEEN = ensemble(
    step("lib_engine", writes=(("y", "a"),)),
    step("glue_plain", reads=(("x", "a"),), writes=(("y", "b"),)),
    step("lib_engine", reads=(("x", "b"),)),
)
_AFTER = ensemble(
    step("lib_engine", writes=(("y", "a"),)),
    step("glue_plain", reads=(("x", "a"),), writes=(("y", "y"),)),
)
_BETWEEN_ASKED = {
    path: text.replace("glue_plain", "glue_asks") if isinstance(text, str) else text
    for path, text in _BETWEEN.items()
}

_BY_DLPACK = MODEL.replace("tensor.as_numpy()", "np.full((1, 4), bool(tensor.to_dlpack()), np.float32)")
_BF16 = tensors("input", "x data_type: TYPE_BF16 dims: [4]")


def _chain(length: int) -> Files:
    names = ["x", *(f"t{index}" for index in range(1, length)), "y"]
    return ensemble(*(step(reads=(("x", a),), writes=(("y", b),)) for a, b in pairwise(names)))


DEPLOYED = (
    warned("optional_input", "TP853", input=_OPTIONAL),
    good("optional_of_one", input=_OPTIONAL, batch="max_batch_size: 1", batching=""),
    Case(
        "e_decoupled_by_hand", "TP854 warning", Server.WORKS, ensemble(step(), more=_DECOUPLED), ("lib_step",)
    ),
    Case(
        "e_decoupled_by_step",
        None,
        Server.LOADS,
        ensemble(step("lib_sender"), batch="max_batch_size: 1", more=_DECOUPLED),
        ("lib_sender",),
    ),
    Case("decoupled_returns", "TP836 error", Server.FAILS, python(MODEL, more=_DECOUPLED)),
    Case("decoupled_sends", None, Server.LOADS, python(SENDER, more=_DECOUPLED)),
    refused("strategy_of_sequences", "TP875", batching="sequence_batching { }", more=_strategy("/no/b.so")),
    Case(
        "strategy_relative",
        "TP875 error",
        Server.REFUSES,
        {**python(more=_strategy("b.so")), "b.so": ""},
    ),
    # Where the server runs, the file may be there; here it is not, and the server refuses the model.
    Case("strategy_absolute", "TP875 warning", Server.UNSEEN, python(more=_strategy("/no/b.so"))),
    good("strategy_of_others", more=_parameter("BATCH_STRATEGY", "b.so")),
    Case("rate_limited", "TP879 note", Server.WORKS, python(instances=_RATE)),
    warned("secondary_of_python", "TP824", instances=_DLA.replace("KIND_GPU", "KIND_CPU")),
    # The server at hand comes without agents; that of the container has the one for check sums.
    Case("agent_foreign", "TP879 warning", Server.UNSEEN, python(more=_agent("unpack"))),
    Case("agent_known", None, Server.UNSEEN, python(more=_agent("checksum"))),
    Case("bfloat16_as_numpy", "TP839 error", Server.FAILS, python(input=_BF16)),
    Case("bfloat16_by_dlpack", None, Server.LOADS, python(_BY_DLPACK, input=_BF16)),
    Case("hops_of_four", "TP860 warning", Server.WORKS, _chain(4), ("lib_step",)),
    Case("hops_of_three", None, Server.WORKS, _chain(3), ("lib_step",)),
    # Without GPUs, KIND_AUTO is KIND_CPU.
    Case("auto_beside_gpu", "TP860 warning", Server.WORKS, python(instances=""), ("lib_engine",)),
    Case("cpu_beside_gpu", None, Server.WORKS, python(), ("lib_engine",)),
    Case("auto_without_gpu", None, Server.WORKS, python(instances="")),
    Case("glue_plain", None, Server.WORKS, _glue("")),
    Case("glue_asks", None, Server.WORKS, _glue(_parameter(_CPU_ONLY, "no"))),
    Case("hop_between", "TP867 warning", Server.UNSEEN, _BETWEEN, ("lib_engine",)),
    Case("hop_asked_for", None, Server.UNSEEN, _BETWEEN_ASKED, ("lib_engine",)),
    Case("hop_after", None, Server.UNSEEN, _AFTER, ("lib_engine",)),
)

_CPU_ONE = "instance_group [{ kind: KIND_CPU }]"
_CPU = "instance_group [{ kind: KIND_CPU count: 2 }]"
_NAMED = {"input": tensors("input", "INPUT__0"), "output": tensors("output", "OUTPUT__0")}


def _native(backend: str, name: str, finding: str | None, files: tuple[str, ...], **parts: str) -> Case:
    if backend == "tensorrt" or "gpu_execution_accelerator" in parts.get("more", ""):
        parts = {"instances": "", **parts}
    own: Files = {"config.pbtxt": config(backend=f'backend: "{backend}"', **parts)}
    return Case(name, finding, Server.UNSEEN, {**own, **{f"1/{file}": "" for file in files}})


def _onnx(name: str, finding: str | None, **parts: str) -> Case:
    """An ONNX model whose file is a directory, which ONNX Runtime takes and no rule can read."""
    return _native("onnxruntime", name, finding, ("model.onnx/weights",), **parts)


def _torch(name: str, finding: str | None, **parts: str) -> Case:
    return _native("pytorch", name, finding, ("model.pt",), **parts)


def _engine(name: str, finding: str | None, *files: str, **parts: str) -> Case:
    return _native("tensorrt", name, finding, files, **parts)


def _accelerator(name: str, *options: tuple[str, str], processor: str = "gpu", warm: bool = True) -> str:
    given = " ".join(f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in options)
    listed = f'{processor}_execution_accelerator [{{ name: "{name}" {given} }}]'
    warmup = _WARMUP if warm and name == "tensorrt" else ""
    return f"optimization {{ execution_accelerators {{ {listed} }} }} {warmup}"


_SAMPLE = 'inputs { key: "x" value { data_type: TYPE_FP32 dims: [4] zero_data: true } }'
_WARMUP = f'model_warmup [{{ name: "w" batch_size: 1 {_SAMPLE} }}]'
_STATE = 'input_name: "s" output_name: "t" data_type: TYPE_FP32 dims: [4]'
_CACHED = ("trt_engine_cache_enable", "true")
_RAGGED = tensors("input", "x data_type: TYPE_FP32 dims: [-1] allow_ragged_batch: true")
_ENDS = 'kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "n" data_type: TYPE_INT32 source_input: "x"'

NATIVE = (
    _onnx("ort_plain", None),
    _onnx("ort_accelerator_unknown", "TP866 error", more=_accelerator("tensor_rt")),
    _onnx("ort_accelerator_of_gpu", "TP866 error", more=_accelerator("cuda", processor="cpu")),
    _onnx("ort_openvino", None, more=_accelerator("openvino", processor="cpu")),
    _onnx("ort_option", "TP866 error", more=_accelerator("tensorrt", _CACHED, ("segment_size", "1"))),
    _onnx(
        "ort_option_misspelt",
        "TP866 error",
        more=_accelerator("tensorrt", _CACHED, ("trt_engine_cache_pat", "x")),
    ),
    _onnx(
        "ort_option_of_later",
        "TP866 warning",
        more=_accelerator("tensorrt", _CACHED, ("trt_weightless", "1")),
    ),
    _onnx("ort_cuda_option", None, more=_accelerator("cuda", ("gpu_mem_limit", "1"))),
    _onnx("ort_cuda_misspelt", "TP866 error", more=_accelerator("cuda", ("gpu_memory_limit", "1"))),
    _onnx(
        "ort_openvino_option",
        "TP866 warning",
        more=_accelerator("openvino", ("device_type", "CPU"), processor="cpu"),
    ),
    _onnx("ort_precision", "TP866 error", more=_accelerator("tensorrt", _CACHED, ("precision_mode", "fp16"))),
    _onnx("ort_cached", None, more=_accelerator("tensorrt", _CACHED, ("precision_mode", "FP16"))),
    _onnx("ort_cold", "TP876 note", more=_accelerator("tensorrt", _CACHED, warm=False)),
    _onnx(
        "ort_cold_of_shapes",
        None,
        more=_accelerator("tensorrt", _CACHED, ("trt_profile_opt_shapes", "x:1x4"), warm=False),
    ),
    _onnx("ort_accelerated_cpu", "TP871 warning", instances=_CPU_ONE, more=_accelerator("cuda")),
    _onnx("ort_not_cached", "TP876 warning", more=_accelerator("tensorrt")),
    *(
        replace(
            _native("onnxruntime", f"ort_secret_{name}", finding, ("model.onnx.encrypted",), more=more),
            more=("TP912", *codes),
        )
        for name, finding, more, codes in (
            ("cached", "TP913 error", _accelerator("tensorrt", _CACHED), ()),
            ("dumped", "TP913 error", _accelerator("tensorrt", ("trt_dump_subgraphs", "1")), ("TP876",)),
            (
                "saved",
                "TP913 error",
                _accelerator("tensorrt", ("trt_dump_ep_context_model", "True")),
                ("TP876",),
            ),
            ("timed", "TP913 error", _accelerator("tensorrt", ("trt_timing_cache_enable", "1")), ("TP876",)),
            ("in_memory", "TP876 warning", _accelerator("tensorrt", ("trt_dump_subgraphs", "0")), ()),
            ("on_cuda", "TP912 warning", _accelerator("cuda"), ()),
        )
    ),
    _onnx("ort_threads_word", "TP866 error", more=_parameter("intra_op_thread_count", "all")),
    _onnx("ort_threads_number", None, instances=_CPU, more=_parameter("intra_op_thread_count", "2")),
    _onnx("ort_threads_of_two", "TP876 warning", instances=_CPU),
    _onnx("ort_bfloat16", "TP839 error", input=_BF16),
    _onnx("ort_state", None, batching=f"sequence_batching {{ state [{{ {_STATE} }}] }}"),
    _onnx("ort_level_99", "TP866 warning", more="optimization { graph { level: 99 } }"),
    _onnx("ort_level_1", None, more="optimization { graph { level: 1 } }"),
    _onnx("ort_cuda_graphs", "TP871 warning", more="optimization { cuda { graphs: true } }"),
    _onnx("ort_batch_raised", "TP877 warning", batch="max_batch_size: 0", batching="", output=""),
    _onnx("ort_batch_left_out", "TP877 warning", batch="", batching="", input="", output=""),
    _onnx("ort_batch_kept", None, batch="max_batch_size: 0", batching=""),
    _onnx("ort_ragged", "TP825 warning", input=_RAGGED),
    _onnx("ort_ragged_ends", None, input=_RAGGED, more=f"batch_input [{{ {_ENDS} }}]"),
    _torch("torch_indexed", None, **_NAMED),
    _torch("torch_named", None),
    _torch("torch_mixed", "TP839 warning", **{**_NAMED, "output": tensors("output", "OUTPUT__0", "score")}),
    _torch("torch_twice", "TP839 error", **{**_NAMED, "output": tensors("output", "A__0", "B__0")}),
    _torch("torch_gap", "TP839 error", **{**_NAMED, "input": tensors("input", "INPUT__1")}),
    _torch("torch_one_of_two_outputs", None, **{**_NAMED, "output": tensors("output", "OUTPUT__1")}),
    _torch(
        "torch_unsigned",
        "TP839 error",
        **{**_NAMED, "input": tensors("input", "INPUT__0 data_type: TYPE_UINT16 dims: [4]")},
    ),
    _torch(
        "torch_strings",
        "TP839 error",
        **{**_NAMED, "input": tensors("input", "I__0 data_type: TYPE_STRING dims: [1]")},
    ),
    _torch(
        "torch_string_per_item",
        None,
        **{**_NAMED, "input": tensors("input", "I__0 data_type: TYPE_STRING dims: [1] reshape { }")},
    ),
    _torch(
        "torch_batch_input",
        None,
        input=tensors("input", "I__1"),
        more="""batch_input [{
          kind: BATCH_ELEMENT_COUNT target_name: "N__0" data_type: TYPE_INT32 source_input: "I__1"
        }]""",
    ),
    _torch(
        "torch_bytes", None, **{**_NAMED, "input": tensors("input", "I__0 data_type: TYPE_UINT8 dims: [4]")}
    ),
    _engine("engine_missing", "TP809 error", "readme"),
    _engine("engine_pending", "TP809 warning", "engine.json", "model.onnx"),
    _engine("engine_built", None, "model.plan", "engine.json"),
    _engine(
        "engine_per_gpu",
        None,
        "a.plan",
        "model.plan",
        more='cc_model_filenames { key: "9.0" value: "a.plan" }',
    ),
    _engine(
        "engine_per_gpu_missing",
        "TP809 error",
        "model.plan",
        more='cc_model_filenames { key: "9.0" value: "a.plan" }',
    ),
    _engine(
        "engine_per_gpu_name",
        "TP809 warning",
        "model.plan",
        more='cc_model_filenames { key: "sm_90" value: "model.plan" }',
    ),
    _engine("engine_accelerator", "TP871 warning", "model.plan", more=_accelerator("tensorrt", _CACHED)),
    _engine("engine_dla", None, "model.plan", instances=_DLA),
    _engine("engine_graphs", None, "model.plan", more="optimization { cuda { graphs: true } }"),
    _engine("engine_batch", "TP877 warning", "model.plan", batch="max_batch_size: 0", batching="", output=""),
)

_PIPELINE = """\
from nvidia.dali import fn, pipeline_def
from nvidia.dali.plugin.triton import autoserialize


@autoserialize
@pipeline_def(batch_size=8, num_threads=2, device_id=0)
def images():
    data = fn.external_source(device="cpu", name="image")
    return fn.decoders.image(data, device="mixed"), fn.peek_image_shape(data)
"""
_IMAGE = tensors("input", "image data_type: TYPE_UINT8 dims: [-1]")
_PIXELS = "pixels data_type: TYPE_UINT8 dims: [-1,-1,3]"
_BOTH = tensors("output", _PIXELS, "shape data_type: TYPE_INT64 dims: [3]")


def _dali(name: str, finding: str | None, code: str = _PIPELINE, **parts: str) -> Case:
    own = {"backend": 'backend: "dali"', "batching": "", "input": _IMAGE, "output": _BOTH, **parts}
    return Case(name, finding, Server.UNSEEN, {"config.pbtxt": config(**own), "1/dali.py": code})


def _dali_variant(name: str, finding: str | None, size: int) -> Case:
    case = _dali(name, finding)
    return replace(case, files={**case.files, "configs/h100.pbtxt": f"max_batch_size: {size}"})


DALI = (
    _dali("images_good", None),
    _dali(
        "images_as_strings", "TP878 error", input=tensors("input", "image data_type: TYPE_STRING dims: [1]")
    ),
    _dali(
        "images_other_name", "TP878 error", input=tensors("input", "data data_type: TYPE_UINT8 dims: [-1]")
    ),
    _dali("images_one_output", "TP878 error", output=tensors("output", _PIXELS)),
    _dali("images_not_serialised", "TP878 error", _PIPELINE.replace("@autoserialize\n", "")),
    _dali("images_name_of_run_time", None, _PIPELINE.replace('name="image"', "name=NAME")),
    _dali("images_level", "TP871 warning", more="optimization { graph { level: 1 } }"),
    _dali_variant("images_variant", "TP878 warning", 4),
    _dali_variant("images_same_variant", None, 8),
    Case(
        "images_no_pipeline",
        "TP809 error",
        Server.UNSEEN,
        {"config.pbtxt": config(backend='backend: "dali"', batching=""), "1/notes": ""},
    ),
)
