"""Python stages of several pipelines on one GPU: each has at most one, and knows nothing of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from ..diagnostics import Bag
from ..emit.config_pbtxt import ConfigSyntaxError, messages, parse
from ..emit.manifest import read_manifest
from ..emit.repo_plan import RepoPlan

_CONFIG = "config.pbtxt"
_WAY_OUT = 'preprocess = "opencv" in all pipelines but one; or GPUs of their own: gpus = [0], gpus = [1]'


def note_turns(plans: Sequence[RepoPlan], directory: Path | None, bag: Bag) -> None:
    """Warn of stages that share a GPU: of these pipelines, and of all others in the repository.

    Args:
        plans: the pipelines; those in the repository are as they say.
        directory: the repository; None if none is written.
        bag: gets the warning.
    """
    stages = [
        (model.name, content.decode())
        for plan in plans
        for model in plan.models
        if isinstance(content := model.files.get(_CONFIG), bytes)
    ]
    if directory is not None:
        stages += _others(directory, {plan.pipeline for plan in plans})
    on_gpu = {name: gpus for name, text in stages if (gpus := _gpus_of(text)) is not None}
    for (one, own), (other, others) in combinations(sorted(on_gpu.items()), 2):
        if not own or not others or own & others:  # none named: on all
            bag.warning(
                "TP917",
                f"the stages '{one}' and '{other}' are on one GPU, where their processes take turns",
                hint=_WAY_OUT,
                file=str(directory) if directory is not None else None,
            )
            return


def _others(directory: Path, planned: Iterable[str]) -> Iterator[tuple[str, str]]:
    manifest = read_manifest(directory)
    for pipeline, entry in manifest.pipelines.items() if manifest is not None else ():
        for model in entry.models if pipeline not in planned else ():
            try:
                yield model, (directory / model / _CONFIG).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue  # what is missing or was edited is said otherwise


def _gpus_of(text: str) -> frozenset[int] | None:
    """The GPUs of a Python model, no one for all; None for a model that is none, or on no GPU."""
    try:
        config = parse(text)
    except ConfigSyntaxError:
        return None
    kind = messages().ModelInstanceGroup.KIND_GPU
    groups = [group for group in config.instance_group if group.kind == kind]
    if config.backend != "python" or not groups:
        return None
    return frozenset(gpu for group in groups for gpu in group.gpus)
