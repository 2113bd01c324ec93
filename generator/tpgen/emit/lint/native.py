"""Rules about models that run on native backends: onnxruntime, pytorch, tensorrt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...diagnostics import Diagnostic, did_you_mean
from ..config_pbtxt import messages
from ..repo_plan import ENCRYPTED
from . import backends
from .model import Model
from .scan import Key, Step
from .schema import data_type, enum_name

_ACCELERATORS = {
    "gpu_execution_accelerator": ("tensorrt", "cuda"),
    "cpu_execution_accelerator": ("openvino",),
}
# Options of the accelerators. Later releases have more of TensorRT's, which begin with trt_, and of CUDA's.
_OPTIONS = {
    "tensorrt": frozenset(
        {
            *("precision_mode", "max_workspace_size_bytes"),
            *("int8_calibration_table_name", "int8_use_native_calibration_table"),
            *("trt_max_partition_iterations", "trt_min_subgraph_size", "trt_dla_enable", "trt_dla_core"),
            *("trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix"),
            *("trt_dump_subgraphs", "trt_force_sequential_engine_build", "trt_layer_norm_fp32_fallback"),
            *("trt_context_memory_sharing_enable", "trt_timing_cache_enable", "trt_timing_cache_path"),
            *("trt_force_timing_cache", "trt_detailed_build_log", "trt_build_heuristics_enable"),
            *("trt_sparsity_enable", "trt_builder_optimization_level", "trt_auxiliary_streams"),
            *("trt_tactic_sources", "trt_extra_plugin_lib_paths", "trt_cuda_graph_enable"),
            *("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"),
            *("trt_dump_ep_context_model", "trt_ep_context_file_path", "trt_ep_context_embed_mode"),
        }
    ),
    "cuda": frozenset(
        {
            *("gpu_mem_limit", "arena_extend_strategy", "do_copy_in_default_stream"),
            *("cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d"),
            *("enable_cuda_graph", "tunable_op_enable", "tunable_op_tuning_enable"),
            *("tunable_op_max_tuning_duration_ms", "enable_skip_layer_norm_strict_mode"),
            *("prefer_nhwc", "use_tf32", "fuse_conv_bias", "sdpa_kernel", "use_ep_level_unified_stream"),
        }
    ),
    "openvino": frozenset[str](),
}
_PRECISIONS = ("FP16", "FP32", "INT8")
# What Triton's backend calls otherwise than ONNX Runtime itself.
_MEANT = {
    "trt_fp16_enable": 'write precision_mode with the value "FP16"',
    "trt_int8_enable": 'write precision_mode with the value "INT8"',
    "trt_bf16_enable": f"the values of precision_mode are {', '.join(_PRECISIONS)}",
    "trt_max_workspace_size": "write max_workspace_size_bytes",
    "trt_int8_calibration_table_name": "write int8_calibration_table_name",
    "trt_int8_use_native_calibration_table": "write int8_use_native_calibration_table",
}
# Options that keep engines, timings of layers, or the graph itself: of all releases, so by their names.
_WRITES = re.compile(r"_dump_|_cache_enable$|_detailed_build_log$")
_OFF = ("", "0", "false")
_GRAPH_LEVELS = (-1, 0, 1, 2)
_THREADS = ("intra_op_thread_count", "inter_op_thread_count")
_INDEXED = re.compile(r".*?__(\d+)")
_NOT_OF_TORCH = frozenset({"TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64"})
_WITHOUT_BFLOAT16 = (backends.ONNX, backends.DALI, "openvino", "tensorflow")
_RAISES_BATCH = {
    backends.ONNX: "4, or what --backend-config=onnxruntime,default-max-batch-size says",
    backends.TENSORRT: "the largest batch of the engine's profile",
}


def _accelerators(model: Model) -> Iterator[tuple[tuple[Step, ...], Any, tuple[str, ...]]]:
    """Each accelerator with its path, and the names that there are in its list."""
    chosen = model.config.optimization.execution_accelerators
    for field, known in _ACCELERATORS.items():
        for index, value in enumerate(getattr(chosen, field)):
            yield ("optimization", "execution_accelerators", field, index), value, known


def accelerators_are_known(model: Model) -> Iterator[Diagnostic]:
    """TP866: ONNX Runtime refuses accelerators, and options of TensorRT, that it does not know."""
    for path, value, known in _accelerators(model) if model.backend == backends.ONNX else ():
        if value.name not in known:
            message = f"'{value.name}' of '{model.name}' is no accelerator of this kind"
            yield model.error("TP866", message, *path, "name", hint=f"one of {', '.join(known)}")
        for key in sorted(set(value.parameters) - _OPTIONS.get(value.name, frozenset(value.parameters))):
            yield from _unknown_option(model, value.name, key, (*path, "parameters", Key(key), "key"))
        precision = value.parameters.get("precision_mode") if value.name == "tensorrt" else None
        if precision is not None and precision not in _PRECISIONS:
            message = f"precision_mode of '{model.name}' is '{precision}'"
            place = (*path, "parameters", Key("precision_mode"), "value")
            yield model.error("TP866", message, *place, hint=f"one of {', '.join(_PRECISIONS)}")


def _unknown_option(model: Model, accelerator: str, key: str, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """One that is nearly another's name is misspelt; one that is not may be of a later release."""
    message = f"the accelerator {accelerator} of '{model.name}' has no option '{key}'"
    known = _OPTIONS[accelerator]
    close = did_you_mean(key, known) or did_you_mean(f"trt_{key}", known)
    if accelerator == "openvino":
        hint = "it takes none; environment variables of the server set up OpenVINO"
        yield model.warning("TP866", f"{message}: it is ignored", *path, hint=hint)
    elif key in _MEANT and accelerator == "tensorrt":
        yield model.error("TP866", message, *path, hint=_MEANT[key])
    elif close or (accelerator == "tensorrt" and not key.startswith("trt_")):
        hint = f"did you mean '{close}'?" if close else "its options begin with trt_"
        yield model.error("TP866", message, *path, hint=hint)
    elif accelerator == "tensorrt":
        hint = "leave it out, unless the release that serves is known to take it"
        yield model.warning(
            "TP866", f"{message} that is known: the backend is likely to refuse it", *path, hint=hint
        )


def onnx_settings_are_numbers(model: Model) -> Iterator[Diagnostic]:
    """TP866: numbers of threads are whole numbers, and there are three levels of optimization."""
    if model.backend != backends.ONNX:
        return
    for name in _THREADS:
        if name not in model.config.parameters:
            continue
        value = model.config.parameters[name].string_value
        if not re.fullmatch(r"\s*[-+]?\d+", value):
            message = f"{name} of '{model.name}' is '{value}'"
            path = ("parameters", Key(name), "value", "string_value")
            yield model.error("TP866", message, *path, hint='write a number as a string: "2"')
    level = model.config.optimization.graph.level
    if level not in _GRAPH_LEVELS:
        message = f"optimization.graph.level of '{model.name}' is {level}, which means nothing"
        hint = "-1: basic optimizations, 1: extended ones, 2: none; leave it out for all of them"
        yield model.warning("TP866", message, "optimization", "graph", "level", hint=hint)


def encrypted_models_stay_secret(model: Model) -> Iterator[Diagnostic]:
    """TP913: TensorRT's provider writes engines and parts of the graph as they are, decrypted."""
    if model.backend != backends.ONNX or not _is_encrypted(model):
        return
    for path, value, _ in _accelerators(model):
        for key in sorted(value.parameters):
            if _WRITES.search(key) and value.parameters[key].strip().lower() not in _OFF:
                message = f"'{key}' writes of the encrypted model '{model.name}' to a disk, unencrypted"
                place = (*path, "parameters", Key(key), "value")
                yield model.error("TP913", message, *place, hint="leave it out; engines stay in memory then")


def _is_encrypted(model: Model) -> bool:
    return any(
        file.name.endswith(ENCRYPTED)
        for version in model.loaded
        for file in model.path_of(version.directory).glob("*")
    )


def engines_are_kept(model: Model) -> Iterator[Diagnostic]:
    """TP876: ONNX Runtime builds its TensorRT engines anew with every start, unless they are cached."""
    for path, value, _ in _accelerators(model) if model.backend == backends.ONNX else ():
        enabled = value.parameters.get("trt_engine_cache_enable", "").lower()
        if value.name == "tensorrt" and enabled not in ("true", "1"):
            message = f"'{model.name}' builds its TensorRT engines anew whenever the server starts"
            hint = (
                'add parameters { key: "trt_engine_cache_enable" value: "true" }, and trt_engine_cache_path'
            )
            if _is_encrypted(model):
                hint = (
                    'it is encrypted, so they cannot be cached; the accelerator "cuda" starts without engines'
                )
            yield model.warning("TP876", message, *path, "name", hint=hint)


def accelerators_have_a_gpu(model: Model) -> Iterator[Diagnostic]:
    """TP871: accelerators of GPUs are for instances on GPUs; others run without, and without a word."""
    groups = model.config.instance_group
    kinds = messages().ModelInstanceGroup.Kind
    if model.backend != backends.ONNX or not groups:
        return
    if all(enum_name(kinds, group.kind) == "KIND_CPU" for group in groups):
        for path, value, _ in _accelerators(model):
            if path[2] == "gpu_execution_accelerator":
                message = f"'{value.name}' has no effect: all instances of '{model.name}' are of KIND_CPU"
                hint = "use KIND_GPU, or remove the accelerator"
                yield model.warning("TP871", message, *path, "name", hint=hint)


def engines_are_there_at_once(model: Model) -> Iterator[Diagnostic]:
    """TP876: ONNX Runtime builds TensorRT engines in the first request, unless a sample comes before it."""
    config = model.config
    if model.backend != backends.ONNX or any(sample.batch_size for sample in config.model_warmup):
        return
    if not config.max_batch_size and not any(-1 in tensor.dims for tensor in config.input):
        return  # engines of fixed shapes are built when the model is loaded
    for path, value, _ in _accelerators(model):
        if value.name == "tensorrt" and "trt_profile_opt_shapes" not in value.parameters:
            message = f"the first request to '{model.name}' builds its TensorRT engine, which takes minutes"
            hint = "add model_warmup: the model is ready when its engines are"
            yield model.note("TP876", message, *path, "name", hint=hint)


def threads_are_shared_out(model: Model) -> Iterator[Diagnostic]:
    """TP876: each instance of ONNX Runtime on the CPU starts a thread for every core, if nobody says less."""
    if model.backend != backends.ONNX or "intra_op_thread_count" in model.config.parameters:
        return
    kinds = messages().ModelInstanceGroup.Kind
    for index, group in enumerate(model.config.instance_group):
        if group.count > 1 and enum_name(kinds, group.kind) == "KIND_CPU":
            message = (
                f"{group.count} instances of '{model.name}' start a thread for each core, "
                f"{group.count} times as many as there are"
            )
            hint = (
                'add parameters { key: "intra_op_thread_count" value { string_value: "…" } }: cores ÷ count'
            )
            yield model.warning("TP876", message, "instance_group", index, "count", hint=hint)


def batch_is_not_raised(model: Model) -> Iterator[Diagnostic]:
    """TP877: a backend that completes inputs and outputs turns a max_batch_size of 0 into another one."""
    what = _RAISES_BATCH.get(model.backend)
    if what is None or model.config.max_batch_size != 0 or model.knows_tensors or not model.text.exists:
        return
    node = model.text.places.find("max_batch_size")
    how = "is 0" if node is not None else "is left out"
    message = (
        f"max_batch_size of '{model.name}' {how}, and so are inputs or outputs: the server makes it {what}"
    )
    hint = "write all inputs and outputs, or the max_batch_size that you want"
    yield model.warning("TP877", message, "max_batch_size" if node is not None else "name", hint=hint)


def torch_names_have_an_order(model: Model) -> Iterator[Diagnostic]:
    """TP839: PyTorch knows its tensors by number, as in INPUT__0, or else by their order."""
    if model.backend != "pytorch" or model.config.runtime:
        return
    for kind in ("input", "output"):
        names = [tensor.name for tensor in getattr(model.config, kind)]
        numbers = [int(match[1]) if (match := _INDEXED.fullmatch(name)) else None for name in names]
        if None in numbers:
            if any(number is not None for number in numbers):
                index = numbers.index(None)
                message = (
                    f"{kind} '{names[index]}' of '{model.name}' has no number, so those of the others don't "
                    f"count: {kind}s are taken in the order of the configuration"
                )
                hint = f"name all of them as in {kind.upper()}__0, or none"
                yield model.warning("TP839", message, kind, index, "name", hint=hint)
            continue
        count = len(names) + _made_by_server(model)
        for index, number in enumerate(numbers):
            twice = number in numbers[:index]
            if twice or (kind == "input" and number is not None and number >= count):
                why = "is given twice" if twice else f"is none of 0 to {count - 1}"
                message = f"the number of {kind} '{names[index]}' of '{model.name}' {why}"
                yield model.error(
                    "TP839", message, kind, index, "name", hint="count from 0, each number once"
                )


def _made_by_server(model: Model) -> int:
    """The inputs that no client sends: of the batch, and of sequences."""
    sequences = model.config.sequence_batching
    of_batch = sum(len(value.target_name) for value in model.config.batch_input)
    return of_batch + len(sequences.control_input) + len(sequences.state)


def torch_types_exist(model: Model) -> Iterator[Diagnostic]:
    """TP839: TorchScript has no unsigned integers but uint8, and takes strings in one dimension only."""
    for kind in ("input", "output") if model.backend == "pytorch" and not model.config.runtime else ():
        for index, tensor in enumerate(getattr(model.config, kind)):
            name = data_type(tensor.data_type)
            if name in _NOT_OF_TORCH:
                message = (
                    f"{kind} '{tensor.name}' of '{model.name}' is {name}, which the backend pytorch lacks"
                )
                hint = "use a signed type, and convert in the model"
                yield model.error("TP839", message, kind, index, "data_type", hint=hint)
            dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
            if name == "TYPE_STRING" and len(dims) + (model.config.max_batch_size > 0) > 1:
                message = f"{kind} '{tensor.name}' of '{model.name}' holds strings in more than one dimension"
                hint = "use reshape { shape: [] } on dims: [1]; without max_batch_size one dimension"
                yield model.error("TP839", message, kind, index, "dims", hint=hint)


def bfloat16_is_known(model: Model) -> Iterator[Diagnostic]:
    """TP839: only some backends have bfloat16."""
    for kind in ("input", "output") if model.backend in _WITHOUT_BFLOAT16 else ():
        for index, tensor in enumerate(getattr(model.config, kind)):
            if tensor.data_type == messages().TYPE_BF16:
                message = (
                    f"{kind} '{tensor.name}' of '{model.name}' is TYPE_BF16, which {model.backend} lacks"
                )
                hint = "keep inputs and outputs TYPE_FP32 or TYPE_FP16, whatever is computed inside"
                yield model.error("TP839", message, kind, index, "data_type", hint=hint)


def ragged_items_have_ends(model: Model) -> Iterator[Diagnostic]:
    """TP825: a native backend strings items of all sizes together; a batch_input says where they end."""
    if model.backend not in (backends.ONNX, backends.TENSORRT, "pytorch", "tensorflow"):
        return
    sources = {name for value in model.config.batch_input for name in value.source_input}
    for index, tensor in enumerate(model.config.input):
        if tensor.allow_ragged_batch and tensor.name not in sources:
            message = (
                f"items of input '{tensor.name}' of '{model.name}' reach the model as one vector, "
                "and nothing tells it where they end"
            )
            hint = "add a batch_input that is made from it, or remove allow_ragged_batch"
            yield model.warning("TP825", message, "input", index, "allow_ragged_batch", hint=hint)


def profiles_share_memory(model: Model) -> Iterator[Diagnostic]:
    """TP869: with several profiles, each context takes the memory of the largest unless it is told not to."""
    name = "execution_context_allocation_strategy"
    if model.backend != backends.TENSORRT or name in model.config.parameters:
        return
    for index, group in enumerate(model.config.instance_group):
        if len(group.profile) > 1:
            message = (
                f"each of the {len(group.profile)} profiles of '{model.name}' has memory for the largest"
            )
            hint = f'add parameters {{ key: "{name}" value {{ string_value: "ON_PROFILE_CHANGE" }} }}'
            yield model.warning("TP869", message, "instance_group", index, "profile", hint=hint)


def gpu_files_fit_a_gpu(model: Model) -> Iterator[Diagnostic]:
    """TP809: cc_model_filenames: keys are such as "9.0", and the files are there."""
    if model.is_ensemble:
        return
    for capability, file in sorted(model.config.cc_model_filenames.items()):
        path = ("cc_model_filenames", Key(capability))
        if not re.fullmatch(r"\d+\.\d+", capability):
            message = f"'{capability}' of '{model.name}' is no compute capability, so no GPU takes '{file}'"
            yield model.warning("TP809", message, *path, "key", hint='write it as in "9.0"')
            continue
        for version in model.loaded:
            if not model.path_of(f"{version.number}/{file}").exists():
                message = (
                    f"version {version.number} of '{model.name}' has no {file}, "
                    f"the file for GPUs of capability {capability}"
                )
                yield model.error("TP809", message, *path, "value", hint="put it there, or remove the entry")
