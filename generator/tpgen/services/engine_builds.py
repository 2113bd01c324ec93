"""Building the engines of a repository where TensorRT and the GPU are, each as soon as it can be kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from ..diagnostics import Diagnostic, Severity, ToolMissing
from ..emit.config_pbtxt import ConfigSyntaxError
from ..emit.lock import locked
from ..emit.manifest import NAME, read_manifest
from ..emit.plans import CONFIG, config_with, engine_files
from ..engines.build import BuildFailed, build_engine, find_tensorrt, version_of, with_weights
from ..engines.engine_cache import EngineCache, write_whole
from ..engines.plan_files import (
    BUILT,
    MODEL,
    REQUEST,
    built_beside,
    changes,
    leftovers,
    place,
    plans_of,
    why_stale,
)
from ..engines.requests import BadRequest, EngineRequest, Gpu, read_request
from .cache import cache_root
from .engines import Engine, Place

WAIT_S = 60.0  # for a `tpgen build` of the same repository
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one engine: ``how`` is ``built``, ``cached`` or ``failed``."""

    engine: Engine
    how: str


def default_cache() -> Path:
    """The folder that engines are kept in."""
    return cache_root() / "engines"


def this_gpu(name: str | None = None, compute_capability: str | None = None) -> Gpu:
    """The GPU that engines are built for: the one that is named, else the first that can be used here.

    Raises:
        ToolMissing: there is none, and it isn't named.
    """
    if name and compute_capability:
        return Gpu(name, compute_capability)
    program = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if program is None:
        raise ToolMissing(_NO_GPU)
    command = [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    command += [f"--id={visible}"] if visible else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first, comma, capability = done.stdout.strip().partition("\n")[0].rpartition(",")
    if done.returncode or not comma:
        raise ToolMissing(f"{_NO_GPU}; nvidia-smi says: {(done.stdout or done.stderr).strip()}")
    return Gpu(name or first.strip(), compute_capability or capability.strip())


_NO_GPU = (
    "engines are built on the GPU that they run on, and none is found here"
    " (--gpu-name with --compute-capability names it where nvidia-smi can't)"
)


def known_place() -> Place:
    """What is known here of where engines run, without asking for anything."""
    found = Place()
    try:
        found = Place(tensorrt=version_of(find_tensorrt()))
        return Place(this_gpu(), found.tensorrt)
    except ToolMissing:
        return found


def build_engines(
    repository: Path, engines: Sequence[Engine], trt: ModuleType, cache: EngineCache, say: Say
) -> tuple[list[Outcome], list[Diagnostic]]:
    """Build what is missing or stale, and put each plan into the repository as soon as it is there.

    The requests must name GPU and TensorRT. An engine that fails doesn't keep the others from being built.
    """
    outcomes: list[Outcome] = []
    found: list[Diagnostic] = []
    for number, engine in enumerate(engines, 1):
        say(f"[{number}/{len(engines)}] {engine.model}: {'; '.join(engine.why) or engine.state}")
        try:
            plan, how = _plan(engine, trt, cache, say, found)
            if engine.request.flags.strip:
                plan = with_weights(trt, plan, (engine.folder / MODEL).read_bytes())
            _put(repository, engine, plan)
        except (BuildFailed, OSError) as problem:
            message = f"the engine of '{engine.model}' was not built: {_said(problem)}"
            hint = _way_out(problem, cache)
            found.append(Diagnostic("TP414", Severity.ERROR, message, hint=hint, model=engine.model))
            outcomes.append(Outcome(engine, "failed"))
            continue
        outcomes.append(Outcome(engine, how))
        say(f"[{number}/{len(engines)}] {engine.model}: {how}, {len(plan) >> 10} KiB")
    return outcomes, found


def _said(problem: BuildFailed | OSError) -> str:
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"'{problem.filename}': {problem.strerror}"
    return str(problem)


def _way_out(problem: BuildFailed | OSError, cache: EngineCache) -> str | None:
    if not isinstance(problem, OSError):
        return None
    if str(problem.filename).endswith(MODEL):
        return "build the repository again: tpgen build PIPELINE.toml --target gpu"
    if str(problem.filename).startswith(str(cache.folder)):
        return "--cache FOLDER keeps engines in another place"
    return None


def _plan(
    engine: Engine, trt: ModuleType, cache: EngineCache, say: Say, found: list[Diagnostic]
) -> tuple[bytes, str]:
    """The plan, from `model::cache`, from the folder of engines, or built."""
    kept, is_ours = _kept(engine, found)
    if kept is not None:
        return kept, "cached"
    how = "cached"

    def build(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        nonlocal how
        how = "built"
        say(f"building {engine.model} in {request.precision}, which can take minutes")
        return build_engine(trt, request, (engine.folder / MODEL).read_bytes(), timings)

    plan = cache.get(engine.request, build).read_bytes()
    if engine.cache is not None and is_ours:
        try:
            engine.cache.parent.mkdir(parents=True, exist_ok=True)
            place(engine.cache, plan, engine.request)
        except OSError as problem:
            message = f"'{engine.cache}' (model::cache): the engine can't be kept there: {problem.strerror}"
            found.append(Diagnostic("TP908", Severity.WARNING, message, model=engine.model))
    return plan, how


def _kept(engine: Engine, found: list[Diagnostic]) -> tuple[bytes | None, bool]:
    """The plan in the file of `model::cache`, if it is the wanted one; and if that file may be replaced."""
    file = engine.cache
    if file is None or not file.is_file():
        return None, True
    built = built_beside(file)
    if built is None:
        message = (
            f"'{file}' (model::cache) is not used: it has no {file.name}{BUILT}, so nothing says what it is"
        )
        hint = "move it away, and the engine that is built is kept there"
        found.append(Diagnostic("TP908", Severity.WARNING, message, hint=hint, model=engine.model))
        return None, False
    why = changes(engine.request, built.request) or why_stale(file, engine.request)
    if not why:
        return file.read_bytes(), True
    message = f"'{file}' (model::cache) is stale and replaced: {'; '.join(why)}"
    found.append(Diagnostic("TP908", Severity.NOTE, message, model=engine.model))
    return None, True


def _put(repository: Path, engine: Engine, plan: bytes) -> None:
    """Put a plan into the repository, unless another build wants another one there by now."""
    with locked(repository.resolve(), WAIT_S, None):
        try:
            wanted = read_request((engine.folder / REQUEST).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, BadRequest) as problem:
            raise BuildFailed(f"the repository was changed meanwhile: {problem}") from None
        if why := changes(wanted, engine.request):
            raise BuildFailed(f"the repository was built anew meanwhile: {'; '.join(why)}")
        for path in leftovers(engine.folder):  # of a write that was interrupted: nobody else writes now
            path.unlink(missing_ok=True)
        place(engine.plan, plan, engine.request)
        _name_for_gpus(repository, engine)


def remove_leftovers(repository: Path) -> list[str]:
    """Remove what interrupted writes of engines left in a repository; the names of the files."""
    with locked(repository.resolve(), WAIT_S, None):
        found = [
            path for asked in sorted(repository.glob(f"*/*/{REQUEST}")) for path in leftovers(asked.parent)
        ]
        for path in found:
            path.unlink(missing_ok=True)
    return [path.name for path in found]


def _name_for_gpus(repository: Path, engine: Engine) -> None:
    """Say in the configuration which engine is for which GPU, once there are several."""
    file = engine.folder.parent / CONFIG
    try:
        before = file.read_bytes()
        plans = [plan for plan in plans_of(engine.folder) if not why_stale(plan, _anywhere(engine.request))]
        after = config_with(before.decode(), engine_files(plans)).encode()
    except (OSError, UnicodeDecodeError, ConfigSyntaxError) as problem:
        raise BuildFailed(f"its configuration cannot be read: {problem}") from None
    if after != before:
        write_whole(file, after)
        _record(repository, engine.model, before, after)


def _record(repository: Path, model: str, before: bytes, after: bytes) -> None:
    """Record the changed configuration; one that somebody had edited stays known as edited."""
    manifest = read_manifest(repository)
    name = manifest.owner_of(model) if manifest is not None else None
    if manifest is None or name is None:
        return
    entry = manifest.pipelines[name]
    files = dict(entry.models[model])
    if files.get(CONFIG) == hashlib.sha256(before).hexdigest():
        files[CONFIG] = hashlib.sha256(after).hexdigest()
        entry = replace(entry, models={**entry.models, model: files})
        changed = replace(manifest, pipelines={**manifest.pipelines, name: entry})
        write_whole(repository / NAME, changed.to_text().encode())


def _anywhere(request: EngineRequest) -> EngineRequest:
    return replace(request, gpu=None, tensorrt=None)
