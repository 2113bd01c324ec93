"""TensorRT plans among the files of a repository: nobody plans them, yet a build must not lose or keep them.

A plan takes long to build, so it stays as long as it is what `engine.json` asks for; it is removed with the
first build that asks for another, or the server would go on with the old model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engines.plan_files import BUILT, PLAN, REQUEST, built_beside, changes
from ..engines.requests import BadRequest, EngineRequest, read_request
from .repo_plan import Content


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
    for plan in (path for path in present if path.endswith(f"/{PLAN}") and path not in planned):
        built = built_beside(root / plan)
        files = [plan] if built is None else [plan, f"{plan}{BUILT}"]
        ours.update(files if built is not None else ())
        asked = f"{plan.removesuffix(PLAN)}{REQUEST}"
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


def _request(content: Content | None) -> EngineRequest | None:
    return read_request(content.decode()) if isinstance(content, bytes) else None


def _on_disk(path: Path) -> EngineRequest | None:
    try:
        return read_request(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, BadRequest):
        return None
