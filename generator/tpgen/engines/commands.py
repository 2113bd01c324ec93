"""The command lines of trtexec and polygraphy that build what a request asks for."""

from __future__ import annotations

from .profiles import InputRange, Profile, Shape
from .requests import EngineRequest

_TRTEXEC_HARDWARE = {"ampere_plus": "ampere+", "same_compute_capability": "sameComputeCapability"}


def trtexec(
    request: EngineRequest, model: str, plan: str, timing_cache: str | None = None
) -> tuple[str, ...]:
    """The arguments for TensorRT's own tool; the TF32 default is the one that it has itself."""
    flags = request.flags
    line = ["trtexec", f"--onnx={model}", f"--saveEngine={plan}", "--skipInference"]
    if not (request.tensorrt or "").startswith("11."):
        line.append("--stronglyTyped")  # 11 knows nothing else
    for number, profile in enumerate(request.profiles):
        if len(request.profiles) > 1:
            line.append(f"--profile={number}")
        for option, key in (("minShapes", "low"), ("optShapes", "opt"), ("maxShapes", "high")):
            shapes = ",".join(f"{_quoted(one.name)}:{_by_x(getattr(one, key))}" for one in profile)
            line.append(f"--{option}={shapes}")
    line += ["--noTF32"] if not flags.tf32 else []
    line += ["--versionCompatible"] if flags.version_compatible else []
    line += ["--excludeLeanRuntime"] if flags.exclude_lean_runtime else []
    if flags.hardware_compatibility != "none":
        line.append(f"--hardwareCompatibilityLevel={_TRTEXEC_HARDWARE[flags.hardware_compatibility]}")
    line += ["--refit"] if flags.refit else []
    line += ["--stripWeights"] if flags.strip else []
    line += ["--allowWeightStreaming"] if flags.weight_streaming else []
    if flags.optimization_level is not None:
        line.append(f"--builderOptimizationLevel={flags.optimization_level}")
    if request.workspace_mib is not None:
        line.append(f"--memPoolSize=workspace:{request.workspace_mib}M")
    line += [f"--timingCacheFile={timing_cache}"] if timing_cache else []
    return tuple(line)


def polygraphy(
    request: EngineRequest, model: str, plan: str, timing_cache: str | None = None
) -> tuple[str, ...]:
    """The arguments for ``polygraphy convert`` (0.53 or newer), which is an equal of `trtexec`."""
    flags = request.flags
    line = ["polygraphy", "convert", model, "--convert-to", "trt", "-o", plan]
    if not (request.tensorrt or "").startswith("11."):
        line.append("--strongly-typed")
    for profile in request.profiles:
        line += _polygraphy_shapes(profile)
    line += ["--tf32"] if flags.tf32 else []
    line += ["--version-compatible"] if flags.version_compatible else []
    line += ["--exclude-lean-runtime"] if flags.exclude_lean_runtime else []
    if needs_native_instance_norm(request):
        line += ["--onnx-flags", "NATIVE_INSTANCENORM"]
    if flags.hardware_compatibility != "none":
        line += ["--hardware-compatibility-level", flags.hardware_compatibility]
    line += ["--refittable"] if flags.refit else []
    line += ["--strip-plan"] if flags.strip else []
    line += ["--weight-streaming"] if flags.weight_streaming else []
    if flags.optimization_level is not None:
        line += ["--builder-optimization-level", str(flags.optimization_level)]
    if request.workspace_mib is not None:
        line += ["--pool-limit", f"workspace:{request.workspace_mib}M"]
    if timing_cache:
        line += ["--load-timing-cache", timing_cache, "--save-timing-cache", timing_cache]
    return tuple(line)


def needs_native_instance_norm(request: EngineRequest) -> bool:
    """True where a plugin can't do InstanceNormalization: it is in no portable plan."""
    return request.flags.version_compatible or request.flags.hardware_compatibility != "none"


def _polygraphy_shapes(profile: Profile) -> list[str]:
    line: list[str] = []
    for option, shapes in (
        ("--trt-min-shapes", [(one, one.low) for one in profile]),
        ("--trt-opt-shapes", [(one, one.opt) for one in profile]),
        ("--trt-max-shapes", [(one, one.high) for one in profile]),
    ):
        line += [option, *(_polygraphy_shape(one, shape) for one, shape in shapes)]
    return line


def _polygraphy_shape(one: InputRange, shape: Shape) -> str:
    return f"{one.name}:[{','.join(map(str, shape))}]"


def _quoted(name: str) -> str:
    """A name as trtexec takes it: one with its own separators in quotes."""
    return f"'{name}'" if any(mark in name for mark in ":,") else name


def _by_x(shape: Shape) -> str:
    return "x".join(map(str, shape))
