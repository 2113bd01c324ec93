"""TensorRT engines of a repository: which there are, which are missing or stale."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..diagnostics import Diagnostic, PipelineError, Severity, ToolMissing
from ..emit.manifest import read_manifest
from ..engines.plan_files import MODEL, PLAN, REQUEST, built_beside, plan_for, plans_of, why_stale
from ..engines.requests import BadRequest, EngineRequest, Gpu, read_request
from .sources import source_file

State = Literal["built", "pending", "stale"]


@dataclass(frozen=True)
class Place:
    """Where engines are to run, as far as that is known here."""

    gpu: Gpu | None = None
    tensorrt: str | None = None


@dataclass(frozen=True)
class PlanFile:
    """An engine that lies there: its file, the GPU and TensorRT that it is for, and why it is stale."""

    file: str
    compute_capability: str
    gpu: str
    tensorrt: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class Engine:
    """An engine of a repository.

    Attributes:
        model: the Triton model.
        folder: the version directory, with ``engine.json`` and ``model.onnx``.
        request: what is wanted, for the place that is known.
        state: what lies there.
        why: what changed since it was built, where it is stale.
        notes: what differs from what the TOML says.
        report: what became of the model's layers.
        commands: command lines that build it by hand, by tool.
        cache: the file of ``model::cache``, None without one or where the TOML is not found.
        plans: what lies there for the GPUs of each compute capability.
    """

    model: str
    folder: Path
    request: EngineRequest
    state: State
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] | None = None
    cache: Path | None = None
    plans: tuple[PlanFile, ...] = ()

    @property
    def plan(self) -> Path:
        """Where the engine for the GPU that is known lies, or is to be put."""
        return plan_for(self.folder, self.request.gpu)

    @property
    def key(self) -> str:
        """The key of what lies there, else of what is wanted."""
        built = built_beside(self.plan) if self.state == "built" else None
        return (built.request if built else self.request).key()

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        described = json.loads(self.request.text())
        return {
            "model": self.model,
            "state": self.state,
            "why": list(self.why),
            "key": self.key,
            "precision": self.request.precision,
            **{
                name: described[name]
                for name in ("inputs", "outputs", "profiles", "flags", "gpu", "tensorrt")
            },
            "notes": list(self.notes),
            "report": list(self.report),
            "plans": [asdict(one) for one in self.plans],
            "commands": {tool: list(line) for tool, line in (self.commands or {}).items()},
        }


def find_engines(repository: Path, place: Place | None = None, *, read: bool = True) -> list[Engine]:
    """The engines that a repository needs, by model.

    Args:
        repository: a folder that tpgen built for TensorRT.
        place: where they are to run; what is not known of it is not compared.
        read: look into plans, too, which takes a while for large ones.

    Raises:
        PipelineError: TP415, an ``engine.json`` can't be read.
    """
    bases = _bases(repository)
    return [
        _engine(path, place or Place(), bases.get(path.parent.parent.name), read=read)
        for path in sorted(repository.glob(f"*/*/{REQUEST}"))
    ]


def _bases(repository: Path) -> dict[str, Path]:
    """The folder of the TOML behind each model, where it is found."""
    manifest = read_manifest(repository)
    found = {}
    for pipeline in manifest.pipelines.values() if manifest else ():
        source = source_file(repository, pipeline)
        if source is not None:
            found.update(dict.fromkeys(pipeline.models, source.parent))
    return found


def _engine(path: Path, place: Place, base: Path | None, *, read: bool) -> Engine:
    try:
        text = path.read_text(encoding="utf-8")
        wanted = read_request(text)
    except (OSError, UnicodeDecodeError, BadRequest) as problem:
        raise PipelineError(
            [Diagnostic("TP415", Severity.ERROR, str(problem), hint="build it again", file=str(path))]
        ) from None
    wanted = replace(wanted, gpu=place.gpu or wanted.gpu, tensorrt=place.tensorrt or wanted.tensorrt)
    found = json.loads(text)
    folder = path.parent
    state, why = _state(folder, wanted, read=read)
    cache = str(found.get("cache", ""))
    return Engine(
        folder.parent.name,
        folder,
        wanted,
        state,
        tuple(why),
        tuple(map(str, found.get("notes", ()))),
        tuple(map(str, found.get("report", ()))),
        {str(tool): tuple(map(str, line)) for tool, line in found.get("commands", {}).items()},
        base / cache if base is not None and cache else None,
        tuple(_plan_files(folder, read_request(text), read=read)),
    )


def _plan_files(folder: Path, wanted: EngineRequest, *, read: bool) -> Iterator[PlanFile]:
    """The engines of which it is known what they are; for which GPU each is right is its own affair."""
    for plan in plans_of(folder):
        built = built_beside(plan)
        if built is not None and built.request.gpu is not None:
            gpu = built.request.gpu
            why = tuple(why_stale(plan, wanted, read=read))
            version = built.request.tensorrt or ""
            yield PlanFile(plan.name, gpu.compute_capability, gpu.name, version, why)


def _state(folder: Path, wanted: EngineRequest, *, read: bool) -> tuple[State, list[str]]:
    plan = plan_for(folder, wanted.gpu)
    if wanted.gpu is None and len(plans_of(folder)) > 1:  # the server takes the one for its GPU
        stale = [why_stale(one, wanted, read=read) for one in plans_of(folder)]
        return ("stale" if all(stale) else "built"), stale[0] if all(stale) else []
    if not plan.is_file() and plan.name != PLAN:
        return "pending", []
    if not plan.is_file():
        # `cc_model_filenames` can name one for each GPU, which somebody built by hand
        return ("built" if any(folder.glob("*.plan")) else "pending"), []
    why = why_stale(plan, wanted, read=read)
    return ("stale" if why else "built"), why


def command_of(engine: Engine, tool: str = "trtexec") -> str:
    """What builds an engine by hand, in its folder, as a shell takes it."""
    line = (engine.commands or {}).get(tool, ("trtexec", f"--onnx={MODEL}", f"--saveEngine={PLAN}"))
    return shlex.join(line)


def require_engines(repository: Path, pipeline: Path | None = None) -> None:
    """See that every engine is built: the server would refuse the models without, or answer as the old one.

    With ``pipeline`` the repository is a temporary one that was built from that file: no place for engines.

    Raises:
        ToolMissing: some are not; with the command for the first of them.
    """
    missing = [engine for engine in find_engines(repository, read=False) if engine.state != "built"]
    if not missing:
        return
    stale = [f"{engine.model} ({'; '.join(engine.why)})" for engine in missing if engine.state == "stale"]
    pending = [engine.model for engine in missing if engine.state == "pending"]
    said = [f"no TensorRT engine yet for {', '.join(pending)}"] if pending else []
    said += [f"the TensorRT engine is stale of {', '.join(stale)}"] if stale else []
    if pipeline is None:
        first = missing[0]
        build = shlex.join(["tpgen", "engines", "build", str(repository)])
        way = f"build where the GPU is: {build}; or by hand, in {first.folder}: {command_of(first)}"
    else:
        build = shlex.join(["tpgen", "build", str(pipeline), "--target", "gpu", "-o", "DIR"])
        way = f"{build}, then where the GPU is: tpgen engines build DIR, then tpgen serve DIR or the like"
    raise ToolMissing(f"{', and '.join(said)}; {way}")
