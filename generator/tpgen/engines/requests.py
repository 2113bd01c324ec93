"""What is asked of the engine builder, as data: one request per engine, with a key for the cache.

Nothing here needs TensorRT. A request is written beside the model as ``engine.json`` where there is no
TensorRT to build it with; the machine that has one reads it back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ..ir.signature import ModelSignature, TensorInfo
from .profiles import InputRange, Profile, ProfilePlan

FORMAT = 1  # of engine.json; part of every key

Hardware = Literal["none", "ampere_plus", "same_compute_capability"]


@dataclass(frozen=True)
class Tensor:
    """An input or output of the engine; None: the size varies."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Gpu:
    """The GPU that an engine is for; ``compute_capability`` as in ``"9.0"``."""

    name: str
    compute_capability: str

    @property
    def is_since_ampere(self) -> bool:
        """True for the GPUs that an engine for all since Ampere can be built on, and runs on."""
        major = self.compute_capability.partition(".")[0]
        return major.isdecimal() and int(major) >= 8


@dataclass(frozen=True)
class Flags:
    """How an engine is built.

    Attributes:
        tf32: products of float32 may round factors to 10 bits: TensorRT's default, but not polygraphy's.
        version_compatible: runs in later versions of TensorRT too, at some cost.
        exclude_lean_runtime: without the runtime that such a plan carries.
        hardware_compatibility: which other GPUs it runs on, at some cost.
        refit: weights can be replaced.
        strip: the plan holds no weights; they are put in from the ONNX file at load.
        weight_streaming: weights may stay in host memory.
        optimization_level: 0 to 5; None: TensorRT's default.
    """

    tf32: bool = True
    version_compatible: bool = False
    exclude_lean_runtime: bool = False
    hardware_compatibility: Hardware = "none"
    refit: bool = False
    strip: bool = False
    weight_streaming: bool = False
    optimization_level: int | None = None


@dataclass(frozen=True)
class EngineRequest:
    """One engine.

    Attributes:
        model_sha256: of the ONNX file that it is built from, precision already in it.
        inputs: as the ONNX file has them.
        outputs: likewise.
        profiles: min, opt and max of every input; none where all shapes are fixed.
        precision: what the file was converted to; for people.
        flags: how it is built.
        workspace_mib: the most memory that a layer may use while it computes; None: all there is.
        gpu: None where none is known yet.
        tensorrt: the version, ``"10.13.2"``; None where none is known yet.
    """

    model_sha256: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...] = ()
    precision: str = "fp32"
    flags: Flags = Flags()
    workspace_mib: int | None = None
    gpu: Gpu | None = None
    tensorrt: str | None = None

    @property
    def pending(self) -> bool:
        """True if it is not known yet where the engine will run."""
        return self.gpu is None or self.tensorrt is None

    def on(self, gpu: Gpu, tensorrt: str) -> EngineRequest:
        """The same engine, for this GPU and this version of TensorRT."""
        return replace(self, gpu=gpu, tensorrt=tensorrt)

    def key(self) -> str:
        """What tells this engine from all others: 64 hexadecimal digits.

        Of all that changes the plan and of nothing else: no time, no path, and no timing cache, which only
        makes the build faster. Of the GPU what the plan depends on: see `_device`.
        """
        content = {**self._described(), "gpu": _device(self), "format": FORMAT}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def text(
        self, commands: Mapping[str, Sequence[str]] | None = None, about: Mapping[str, Any] | None = None
    ) -> str:
        """``engine.json``; ``commands`` are the equal command lines by tool, for whoever reads it.

        ``about`` is added as it is: what else is known of the engine, and no part of the request.
        """
        content: dict[str, Any] = {
            "format": FORMAT,
            "key": None if self.pending else self.key(),
            **self._described(),
            "gpu": asdict(self.gpu) if self.gpu else None,
        }
        if commands:
            content["commands"] = {tool: list(line) for tool, line in commands.items()}
        content.update(about or {})
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def _described(self) -> dict[str, Any]:
        return {
            "model_sha256": self.model_sha256,
            "inputs": [asdict(one) for one in self.inputs],
            "outputs": [asdict(one) for one in self.outputs],
            "profiles": [[asdict(one) for one in profile] for profile in self.profiles],
            "precision": self.precision,
            "flags": asdict(self.flags),
            "workspace_mib": self.workspace_mib,
            "tensorrt": self.tensorrt,
        }


def _device(request: EngineRequest) -> dict[str, str] | str | None:
    """The part of the GPU that a plan is tied to."""
    if request.gpu is None:
        return None
    level = request.flags.hardware_compatibility
    if level == "ampere_plus" and request.gpu.is_since_ampere:
        return level
    if level == "same_compute_capability":
        return request.gpu.compute_capability
    return asdict(request.gpu)


def model_hash(model: bytes) -> str:
    """The SHA-256 of an ONNX file, as a request names it."""
    return hashlib.sha256(model).hexdigest()


def request_for(
    model: bytes,
    signature: ModelSignature,
    plan: ProfilePlan,
    *,
    precision: str = "fp32",
    flags: Flags | None = None,
    workspace_mib: int | None = None,
) -> EngineRequest:
    """The request for an engine of a model (as converted: `Converted.model`), for no GPU yet."""
    return EngineRequest(
        model_sha256=model_hash(model),
        inputs=tuple(map(_as_tensor, signature.inputs)),
        outputs=tuple(map(_as_tensor, signature.outputs)),
        profiles=plan.profiles,
        precision=precision,
        flags=flags or Flags(),
        workspace_mib=workspace_mib,
    )


def _as_tensor(info: TensorInfo) -> Tensor:
    return Tensor(info.name, info.dtype.value, tuple(s if isinstance(s, int) else None for s in info.shape))


class BadRequest(Exception):
    """A text that is no ``engine.json`` of this version; the message says why."""


def read_request(text: str) -> EngineRequest:
    """The request in an ``engine.json``.

    Raises:
        BadRequest: it is none.
    """
    try:
        found = json.loads(text)
        if found["format"] != FORMAT:
            raise BadRequest(f"engine.json has the format {found['format']!r}; this version reads {FORMAT}")
        return EngineRequest(
            model_sha256=str(found["model_sha256"]),
            inputs=tuple(_tensor(one) for one in found["inputs"]),
            outputs=tuple(_tensor(one) for one in found["outputs"]),
            profiles=tuple(tuple(_range(one) for one in profile) for profile in found["profiles"]),
            precision=str(found["precision"]),
            flags=Flags(**found["flags"]),
            workspace_mib=found["workspace_mib"],
            gpu=Gpu(**found["gpu"]) if found["gpu"] else None,
            tensorrt=found["tensorrt"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"this is no engine.json: {type(error).__name__} {error}") from None


def differences(one: EngineRequest, other: EngineRequest) -> list[str]:
    """What differs between two requests, a line each: why an engine that lies there can't be used."""
    lines = []
    if one.model_sha256 != other.model_sha256:
        lines.append(f"the model changed ({one.model_sha256[:12]} → {other.model_sha256[:12]})")
    pairs: list[tuple[str, Any, Any]] = [
        ("inputs", _names(one.inputs), _names(other.inputs)),
        ("outputs", _names(one.outputs), _names(other.outputs)),
        ("profiles", _sizes(one.profiles), _sizes(other.profiles)),
        ("precision", one.precision, other.precision),
        *((name, value, asdict(other.flags)[name]) for name, value in asdict(one.flags).items()),
        ("workspace_mib", one.workspace_mib, other.workspace_mib),
        ("gpu", _device(one), _device(other)),
        ("TensorRT", one.tensorrt, other.tensorrt),
    ]
    return lines + [f"{what}: {before} → {after}" for what, before, after in pairs if before != after]


def _tensor(found: Mapping[str, Any]) -> Tensor:
    return Tensor(str(found["name"]), str(found["dtype"]), tuple(found["shape"]))


def _range(found: Mapping[str, Any]) -> InputRange:
    low, opt, high = (tuple(int(size) for size in found[key]) for key in ("low", "opt", "high"))
    return InputRange(str(found["name"]), low, opt, high)


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in tensors)


def _sizes(profiles: Sequence[Profile]) -> str:
    return "; ".join(
        ", ".join(f"{r.name} {'x'.join(map(str, r.low))} to {'x'.join(map(str, r.high))}" for r in profile)
        for profile in profiles
    )
