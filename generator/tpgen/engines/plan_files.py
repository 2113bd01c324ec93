"""The files of an engine in a version directory, and whether its plan is the one that is asked for.

``engine.json`` says what is wanted, ``model.plan`` is the engine, and ``model.plan.json`` says what it was
built as: the request with GPU and TensorRT, and the hash of the plan. An engine for GPUs of another compute
capability, such as 8.9, lies beside it as ``model.sm89.plan``, with such a file of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .requests import BadRequest, EngineRequest, Gpu, differences, read_request

REQUEST = "engine.json"
MODEL = "model.onnx"
PLAN = "model.plan"
BUILT = ".json"  # behind the name of a plan
_PLANS = re.compile(r"model(\.sm\d+)?\.plan")


@dataclass(frozen=True)
class Built:
    """What a plan was built as; ``sha256`` is of the plan."""

    request: EngineRequest
    sha256: str


def read_built(text: str) -> Built:
    """What stands beside a plan.

    Raises:
        BadRequest: nothing that tpgen wrote.
    """
    request = read_request(text)
    found = json.loads(text).get("plan_sha256")
    if request.pending or not isinstance(found, str):
        raise BadRequest("it does not say what the plan was built for")
    return Built(request, found)


def built_beside(plan: Path) -> Built | None:
    """What a plan was built as, if tpgen put it there."""
    try:
        return read_built(Path(f"{plan}{BUILT}").read_text(encoding="utf-8"))
    except (OSError, ValueError, BadRequest):
        return None


def is_plan(name: str) -> bool:
    """True for the name of a file that holds an engine of ours."""
    return _PLANS.fullmatch(name) is not None


def plans_of(folder: Path) -> list[Path]:
    """The engines in a version directory, that of the default name first."""
    return sorted((path for path in folder.glob("model*.plan") if is_plan(path.name)), key=_default_first)


def _default_first(path: Path) -> tuple[bool, str]:
    return path.name != PLAN, path.name


def plan_for(folder: Path, gpu: Gpu | None) -> Path:
    """Where the engine for a GPU lies, or is to be put: engines of GPUs of other capabilities stay."""
    default = folder / PLAN
    if gpu is None:
        return default
    for plan in plans_of(folder):
        built = built_beside(plan)
        if built is None and plan == default:
            return default  # built by hand: nothing says for what
        if built is not None and _is_for(built, gpu):
            return plan
    is_free = not default.is_file()
    return default if is_free else folder / f"model.sm{gpu.compute_capability.replace('.', '')}.plan"


def plans_by_capability(plans: Iterator[tuple[str, Built]]) -> dict[str, str]:
    """The file of each compute capability, if they are several; of one GPU, the default name is enough."""
    found = {_capability(built): name for name, built in plans}
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _is_for(built: Built, gpu: Gpu) -> bool:
    """True if the server is to give a GPU this engine: of its capability, or made for all since Ampere."""
    is_wide = built.request.flags.hardware_compatibility == "ampere_plus"
    origin = built.request.gpu
    assert origin is not None, "a plan is built for a GPU"
    is_same = origin.compute_capability == gpu.compute_capability
    return is_same or (is_wide and origin.is_since_ampere and gpu.is_since_ampere)


def _capability(built: Built) -> str:
    assert built.request.gpu is not None, "a plan is built for a GPU"
    return built.request.gpu.compute_capability


def leftovers(folder: Path) -> list[Path]:
    """What interrupted writes of engines left in a version directory."""
    return sorted(path for path in folder.glob(".model*.plan*") if path.is_file())


def changes(wanted: EngineRequest, built: EngineRequest) -> list[str]:
    """What differs between a plan and what is wanted, a line each.

    Where it is not known yet for what GPU or TensorRT it is wanted, any is right.
    """
    known = replace(
        wanted,
        gpu=wanted.gpu if wanted.gpu is not None else built.gpu,
        tensorrt=wanted.tensorrt if wanted.tensorrt is not None else built.tensorrt,
    )
    return differences(built, known)


def why_stale(plan: Path, wanted: EngineRequest, *, read: bool = True) -> list[str]:
    """Why a plan that lies there is not the wanted one; nothing where it is.

    A plan that was built by hand is taken for the wanted one: nothing says what it is. ``read``: look at the
    plan itself, too, which takes a while for large ones.
    """
    built = built_beside(plan)
    if built is None:
        return []
    found = changes(wanted, built.request)
    if not found and read and hashlib.sha256(plan.read_bytes()).hexdigest() != built.sha256:
        return [f"{plan.name} is not the one that {plan.name}{BUILT} describes"]
    return found


def place(plan: Path, content: bytes, request: EngineRequest) -> None:
    """Put a plan and what it was built as in place.

    The plan comes first: after a stop between the two, its hash shows that they don't belong together.
    """
    from .engine_cache import write_whole  # which only Linux has all of

    write_whole(plan, content)
    about = {"plan_sha256": hashlib.sha256(content).hexdigest()}
    write_whole(Path(f"{plan}{BUILT}"), request.text(about=about).encode())
