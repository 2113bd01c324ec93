"""Building a TensorRT engine from a request, where TensorRT is installed: 10.x and 11.x."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ..diagnostics import ToolMissing
from .commands import needs_native_instance_norm
from .requests import EngineRequest, Tensor, model_hash
from .tensorrt_api import DTYPES

_INSTALL = "pip install 'tpgen[trt]'"
_MAJORS = (10, 11)


class BuildFailed(Exception):
    """TensorRT did not build the engine; the message says why."""


def find_tensorrt() -> ModuleType:
    """TensorRT's Python module.

    Raises:
        ToolMissing: it is not installed, or is of a version that tpgen doesn't know.
    """
    try:
        import tensorrt
    except ImportError:
        raise ToolMissing("TensorRT is not installed, so engines can't be built here", _INSTALL) from None
    module: ModuleType = tensorrt
    if _major(module) not in _MAJORS:
        message = f"TensorRT {version_of(module)} is installed; engines are built with 10.x or 11.x"
        raise ToolMissing(message, _INSTALL)
    return module


def version_of(trt: ModuleType) -> str:
    """The version as a request names it: three numbers."""
    return ".".join(str(trt.__version__).split(".")[:3])


def build_engine(
    trt: ModuleType, request: EngineRequest, model: bytes, timing_cache: bytes = b""
) -> tuple[bytes, bytes]:
    """The plan that a request asks for, and the timing cache with what was learnt.

    ``trt`` comes from `find_tensorrt`; ``timing_cache`` is from an earlier build with the same version on the
    same GPU (another one is left aside).

    Raises:
        BuildFailed: the model or TensorRT's version is another than the request says; the parser refuses
            the model; the engine's inputs or outputs would differ from the request's; no engine comes out.
    """
    _check(trt, request, model)
    logger = trt.Logger(trt.Logger.WARNING)
    trt.init_libnvinfer_plugins(logger, "")
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if needs_native_instance_norm(request):
        parser.set_flag(trt.OnnxParserFlag.NATIVE_INSTANCENORM)
    if not parser.parse(model):
        raise BuildFailed(f"TensorRT can't read the model: {'; '.join(_errors(parser))}")
    _check_interface(trt, request, network)
    config = builder.create_builder_config()
    _set_flags(trt, request, config)
    _add_profiles(builder, request, config)
    cache = config.create_timing_cache(timing_cache)
    if cache is None or not config.set_timing_cache(cache, False):  # damaged, or of another machine
        config.set_timing_cache(config.create_timing_cache(b""), False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildFailed("TensorRT built no engine; its messages above say why")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def with_weights(trt: ModuleType, plan: bytes, model: bytes) -> bytes:
    """A plan that was built without weights, with those of its ONNX file: what a server can load.

    Raises:
        BuildFailed: the plan can't be read here, or the model's weights don't fit it.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    trt.init_libnvinfer_plugins(logger, "")
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    if engine is None:
        raise BuildFailed("TensorRT can't read the plan without weights; its messages above say why")
    refitter = trt.Refitter(engine, logger)
    parser = trt.OnnxParserRefitter(refitter, logger)
    if not parser.refit_from_bytes(model):
        raise BuildFailed(f"the weights don't fit the plan: {'; '.join(_errors(parser))}")
    if not refitter.refit_cuda_engine():
        raise BuildFailed("TensorRT did not take the weights; its messages above say why")
    config = engine.create_serialization_config()
    config.clear_flag(trt.SerializationFlag.EXCLUDE_WEIGHTS)
    whole = engine.serialize_with_config(config)
    if whole is None:
        raise BuildFailed("TensorRT wrote no plan with weights; its messages above say why")
    return bytes(whole)


def _check(trt: ModuleType, request: EngineRequest, model: bytes) -> None:
    if model_hash(model) != request.model_sha256:
        hashes = f"{model_hash(model)[:12]}, not {request.model_sha256[:12]}"
        raise BuildFailed(f"the model is another than the request's ({hashes})")
    if request.tensorrt is not None and request.tensorrt != version_of(trt):
        raise BuildFailed(
            f"the engine is for TensorRT {request.tensorrt}, but {version_of(trt)} is installed"
        )


def _major(trt: ModuleType) -> int:
    return int(str(trt.__version__).split(".")[0])


def _network_flags(trt: ModuleType) -> int:
    """11 knows only networks whose types the model decides; 10 has to be told."""
    if _major(trt) >= 11:
        return 0
    return int(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))


def _errors(parser: Any) -> Iterator[str]:
    for index in range(parser.num_errors):
        yield str(parser.get_error(index).desc())


def _set_flags(trt: ModuleType, request: EngineRequest, config: Any) -> None:
    flags = request.flags
    named = {
        "TF32": flags.tf32,
        "VERSION_COMPATIBLE": flags.version_compatible,
        "EXCLUDE_LEAN_RUNTIME": flags.exclude_lean_runtime,
        "REFIT": flags.refit,
        "STRIP_PLAN": flags.strip,
        "REFIT_IDENTICAL": flags.strip and not flags.refit,
        "WEIGHT_STREAMING": flags.weight_streaming,
    }
    for name, wanted in named.items():
        if wanted:
            config.set_flag(_member(trt, "BuilderFlag", name))
        else:
            config.clear_flag(_member(trt, "BuilderFlag", name))
    if flags.hardware_compatibility != "none":
        level = flags.hardware_compatibility.upper()
        config.hardware_compatibility_level = _member(trt, "HardwareCompatibilityLevel", level)
    if flags.optimization_level is not None:
        config.builder_optimization_level = flags.optimization_level
    if request.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_mib << 20)


def _member(trt: ModuleType, enumeration: str, name: str) -> Any:
    """A value of one of TensorRT's enumerations, which grow from release to release."""
    try:
        return getattr(getattr(trt, enumeration), name)
    except AttributeError:
        raise BuildFailed(f"TensorRT {version_of(trt)} has no {enumeration}.{name}") from None


def _add_profiles(builder: Any, request: EngineRequest, config: Any) -> None:
    for ranges in request.profiles:
        profile = builder.create_optimization_profile()
        for one in ranges:
            profile.set_shape(one.name, one.low, one.opt, one.high)
        if config.add_optimization_profile(profile) < 0:
            raise BuildFailed(f"TensorRT refuses the profile {', '.join(map(str, ranges))}")


def _check_interface(trt: ModuleType, request: EngineRequest, network: Any) -> None:
    """Names, types and shapes are those of the Triton configuration, or every request would fail."""
    for what, wanted, found in (
        ("inputs", request.inputs, [network.get_input(i) for i in range(network.num_inputs)]),
        ("outputs", request.outputs, [network.get_output(i) for i in range(network.num_outputs)]),
    ):
        seen = {str(tensor.name): _tensor(trt, tensor) for tensor in found}
        for one in wanted:
            if one.name not in seen:
                raise BuildFailed(
                    f"the engine's {what} are {', '.join(seen) or 'none'}; '{one.name}' is missing"
                )
            if not _fits(one, seen[one.name]):
                raise BuildFailed(f"the engine's '{one.name}' is {_text(seen[one.name])}, not {_text(one)}")
        if len(seen) != len(wanted):
            extra = ", ".join(name for name in seen if name not in {one.name for one in wanted})
            raise BuildFailed(f"the engine has {what} that the configuration has not: {extra}")


def _tensor(trt: ModuleType, tensor: Any) -> Tensor:
    names = {getattr(trt.DataType, name): dtype for name, dtype in DTYPES.items()}
    shape = tuple(None if size < 0 else int(size) for size in tensor.shape)
    return Tensor(str(tensor.name), names.get(tensor.dtype, str(tensor.dtype)), shape)


def _fits(wanted: Tensor, found: Tensor) -> bool:
    return (
        wanted.dtype == found.dtype
        and len(wanted.shape) == len(found.shape)
        and all(None in pair or pair[0] == pair[1] for pair in zip(wanted.shape, found.shape, strict=True))
    )


def _text(tensor: Tensor) -> str:
    sizes = ",".join("?" if size is None else str(size) for size in tensor.shape)
    return f"{tensor.dtype}[{sizes}]"
