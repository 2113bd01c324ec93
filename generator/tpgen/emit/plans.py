"""TensorRT plans among the files of a repository: nobody plans them, yet a build must not lose or keep them.

A plan takes long to build, so it stays as long as it is what `engine.json` asks for; it is removed with the
first build that asks for another, or the server would go on with the old model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..engines.plan_files import BUILT, REQUEST, built_beside, changes, is_plan, plans_by_capability
from ..engines.requests import BadRequest, EngineRequest, read_request
from .config_pbtxt import parse, render
from .repo_plan import Content, ModelPlan, RepoPlan

CONFIG = "config.pbtxt"


@dataclass(frozen=True)
class Plans:
    """The plans of one model, as paths inside the repository.

    Attributes:
        kept: files that stay, and that tpgen knows.
        dropped: files to remove, each with what changed.
        ours: those of both that can be built again from what is recorded, so that no copy is needed.
    """

    kept: frozenset[str]
    dropped: Mapping[str, tuple[str, ...]]
    ours: frozenset[str]


def look_at_plans(root: Path, present: Sequence[str], planned: Mapping[str, Content]) -> Plans:
    """What becomes of the plans that lie in a model's directory; ``planned`` are the files to come."""
    kept: set[str] = set()
    ours: set[str] = set()
    dropped: dict[str, tuple[str, ...]] = {}
    for plan in (path for path in present if is_plan(path.rpartition("/")[2]) and path not in planned):
        built = built_beside(root / plan)
        files = [plan] if built is None else [plan, f"{plan}{BUILT}"]
        ours.update(files if built is not None else ())
        asked = f"{plan.rpartition('/')[0]}/{REQUEST}"
        wanted = _request(planned.get(asked))
        before = built.request if built is not None else _on_disk(root / asked)
        if wanted is None and built is None:
            continue  # somebody's own
        if wanted is None:
            why = ["the model is no TensorRT engine any more"]
        else:
            why = changes(wanted, before) if before is not None else []
        if why:
            dropped.update(dict.fromkeys(files, tuple(why)))
        else:
            kept.update(files)
    return Plans(frozenset(kept), dropped, frozenset(ours))


def with_gpu_files(plans: Sequence[RepoPlan], root: Path) -> list[RepoPlan]:
    """The plans, with the engines that stay in the configurations: which file is for which GPU."""
    return [replace(one, models=tuple(_with_gpu_files(model, root) for model in one.models)) for one in plans]


def _with_gpu_files(model: ModelPlan, root: Path) -> ModelPlan:
    config = model.files.get(CONFIG)
    if not isinstance(config, bytes) or not any(path.endswith(f"/{REQUEST}") for path in model.files):
        return model
    folder = root / model.name
    present = [path.relative_to(root).as_posix() for path in sorted(folder.glob("*/model*.plan"))]
    planned = {f"{model.name}/{path}": content for path, content in model.files.items()}
    kept = look_at_plans(root, present, planned).kept
    files = engine_files([root / path for path in present if path in kept])
    return replace(model, files={**model.files, CONFIG: config_with(config.decode(), files).encode()})


def engine_files(plans: Sequence[Path]) -> dict[str, str]:
    """The file of each compute capability that a model's engines were built for, if they are several."""
    found = ((plan.name, built) for plan in plans if (built := built_beside(plan)) is not None)
    return plans_by_capability(found)


def config_with(text: str, files: Mapping[str, str]) -> str:
    """A configuration's text with these files by compute capability; somebody's own entries stay."""
    config = parse(text)
    ours = {name for name in config.cc_model_filenames.values() if is_plan(name)}
    if dict(config.cc_model_filenames) == dict(files) or ours != set(config.cc_model_filenames.values()):
        return text
    config.ClearField("cc_model_filenames")
    config.cc_model_filenames.update(files)
    header = "\n".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return render(config, header)


def _request(content: Content | None) -> EngineRequest | None:
    return read_request(content.decode()) if isinstance(content, bytes) else None


def _on_disk(path: Path) -> EngineRequest | None:
    try:
        return read_request(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, BadRequest):
        return None
