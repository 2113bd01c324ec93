"""What a write has to do: the difference between the plans and a directory. Reads the disk, changes nothing.

The directory holds three kinds of things. *Ours*: what tpgen.json lists. *Foreign*: every other entry of the
root, never touched. *Extras*: files that somebody put into a model directory of ours; they stay. A file of
ours whose content is no longer what tpgen.json says was edited by hand; it is replaced, and a copy of it is
kept outside the repository.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import Diagnostic, InternalError
from ..engines.plan_files import is_plan
from .findings import failure, note, warning
from .listing import Digests, Listing, list_repository
from .manifest import NAME, REQUIREMENTS, Manifest, PipelineEntry, requirements_text
from .plans import look_at_plans, with_gpu_files
from .repo_plan import Content, ModelPlan, RepoPlan, is_safe_path


@dataclass(frozen=True)
class Put:
    """Write this file (a path inside the repository), replacing one of that name."""

    path: str
    content: Content


@dataclass(frozen=True)
class Drop:
    """Delete this file."""

    path: str


@dataclass(frozen=True)
class Prune:
    """Delete this directory if nothing is left in it."""

    path: str


Operation = Put | Drop | Prune

_USUAL_SOURCE = "pipeline.toml"


@dataclass(frozen=True)
class Change:
    """An ordered way from the listed state to the new one: internal models, then entries, tpgen.json last."""

    operations: tuple[Operation, ...]
    keeps: tuple[str, ...]  # files that stay as they are, in models of ours and the root
    rescued: Mapping[str, str]  # files with somebody's work that are replaced or deleted -> whose they are
    unchanged: tuple[str, ...]  # planned files that already lie there
    listing: Listing
    only_ours: bool  # the root holds nothing foreign
    diagnostics: tuple[Diagnostic, ...]

    @property
    def puts(self) -> tuple[Put, ...]:
        """The files to write."""
        return tuple(operation for operation in self.operations if isinstance(operation, Put))

    @property
    def drops(self) -> tuple[Drop, ...]:
        """The files to delete."""
        return tuple(operation for operation in self.operations if isinstance(operation, Drop))

    @property
    def touches_models(self) -> bool:
        """False if only files of the root change."""
        return any(operation.path not in (NAME, REQUIREMENTS) for operation in self.operations)


def check_plans(plans: Sequence[RepoPlan]) -> None:
    """Refuses malformed plans (InternalError) and plans that collide (PipelineError TP606)."""
    owners: dict[str, str] = {}
    if len({plan.pipeline for plan in plans}) != len(plans):
        names = sorted(plan.pipeline for plan in plans)
        twice = next(name for name in names if names.count(name) > 1)
        raise failure(
            "TP606",
            f"two of the given files describe a pipeline named '{twice}'",
            hint='give one of them another name: [pipeline] name = "…"',
        )
    for plan in plans:
        for model in plan.models:
            _check_model(model)
            other = owners.setdefault(model.name, plan.pipeline)
            if other != plan.pipeline:
                raise _model_taken(model.name, plan.pipeline, other)
        if len({model.name for model in plan.models}) != len(plan.models):
            raise InternalError(f"pipeline '{plan.pipeline}' plans a model twice")


def _check_model(model: ModelPlan) -> None:
    paths = (model.name, *model.files)
    if "/" in model.name or not all(is_safe_path(path) for path in paths):
        raise InternalError(f"model '{model.name}' plans a path that leaves its directory")
    if not any(path.split("/")[0].isdigit() and "/" in path for path in model.files):
        raise InternalError(f"model '{model.name}' has no version directory")


def _model_taken(model: str, pipeline: str, other: str) -> Exception:
    return failure(
        "TP606",
        f"model '{model}' of pipeline '{pipeline}' is already a model of pipeline '{other}'",
        hint='rename one of the pipelines ([pipeline] name = "…") or build them into two directories with -o',
        model=model,
    )


def next_manifest(plans: Sequence[RepoPlan], old: Manifest | None, listing: Listing, root: Path) -> Manifest:
    """What tpgen.json will say. Pipelines whose model directories were all deleted by hand are forgotten."""
    known = old.pipelines if old else {}
    pipelines = {name: entry for name, entry in known.items() if any(map(listing.is_dir, entry.models))}
    for plan in plans:
        hashes = {
            model.name: {path: _digest(content) for path, content in model.files.items()}
            for model in plan.models
        }
        pipelines[plan.pipeline] = PipelineEntry.of(plan, hashes, root)
    text = requirements_text(pipelines.values()).encode()
    return Manifest(pipelines, {REQUIREMENTS: hashlib.sha256(text).hexdigest()})


def _digest(content: Content) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256


def compare(plans: Sequence[RepoPlan], old: Manifest | None, root: Path, digests: Digests) -> Change:
    """Compares checked plans with the directory. PipelineError TP605 or TP606 where a name is taken."""
    plans = with_gpu_files(plans, root)
    ours = old.models() if old else set()
    listing = list_repository(root, sorted(ours), (NAME, REQUIREMENTS))
    new = next_manifest(plans, old, listing, root)
    _check_names(plans, old, new, listing, root)
    return _Comparison(plans, old, new, listing, digests, root).change()


def _check_names(
    plans: Sequence[RepoPlan], old: Manifest | None, new: Manifest, listing: Listing, root: Path
) -> None:
    for plan in plans:
        for model in plan.models:
            for name, entry in new.pipelines.items():
                if name != plan.pipeline and model.name in entry.models:
                    raise _model_taken(model.name, plan.pipeline, name)
            known = old is not None and old.owner_of(model.name) is not None
            reserved = model.name in (NAME, REQUIREMENTS)
            if reserved or (model.name in listing.root and not (known and listing.is_dir(model.name))):
                raise failure(
                    "TP605",
                    f"model '{model.name}' of pipeline '{plan.pipeline}' would replace "
                    f"'{root / model.name}', which tpgen did not write",
                    hint='rename the pipeline ([pipeline] name = "…") or the node, move that entry away, '
                    "or build into another directory with -o",
                    file=root / model.name,
                    model=model.name,
                )
    if REQUIREMENTS in listing.root and (old is None or listing.is_dir(REQUIREMENTS)):
        raise failure(
            "TP605",
            f"'{root / REQUIREMENTS}' was not written by tpgen, and a repository has its own such file",
            hint="build into a directory of its own with -o, or move that file away",
            file=root / REQUIREMENTS,
        )


class _Comparison:
    """One comparison; a class because the parts share the same six things."""

    def __init__(
        self,
        plans: Sequence[RepoPlan],
        old: Manifest | None,
        new: Manifest,
        listing: Listing,
        digests: Digests,
        root: Path,
    ) -> None:
        self.plans, self.old, self.new, self.listing, self.digests = plans, old, new, listing, digests
        self.root = root
        self.listed = {**old.files(), **old.root_files} if old else {}
        self.rescued: dict[str, str] = {}
        self.unchanged: list[str] = []
        self.notes: list[Diagnostic] = []

    def change(self) -> Change:
        self._note_pipelines()
        self._note_other_names()
        operations = [operation for model in self._models_in_order() for operation in self._model(model)]
        for name in self._vanished():
            operations += self._vanish(name)
        operations += self._root_files()
        touched = {operation.path for operation in operations if not isinstance(operation, Prune)}
        keeps = tuple(path for path in sorted(self.listing.files) if path not in touched)
        foreign = set(self.listing.root) - self.new.models() - set(self._vanished()) - {NAME, REQUIREMENTS}
        return Change(
            tuple(operations),
            keeps,
            self.rescued,
            tuple(self.unchanged),
            self.listing,
            (self.old is not None and not foreign) or not self.listing.root,
            tuple(self.notes),
        )

    def _note_pipelines(self) -> None:
        for name, entry in (self.old.pipelines if self.old else {}).items():
            after = self.new.pipelines.get(name)
            if after is None:
                message = (
                    f"pipeline '{name}' is no longer recorded: all its model directories had been deleted"
                )
                self.notes.append(note("TP613", message))
            elif after.source != entry.source:
                message = (
                    f"pipeline '{name}' was built from '{entry.source}' and is replaced by '{after.source}'"
                )
                hint = 'give one of them another name ([pipeline] name = "…") if both are wanted'
                self.notes.append(warning("TP612", message, hint=hint))

    def _note_other_names(self) -> None:
        """What a file of this name was built into before, under another name, is served on."""
        before = self.old.pipelines if self.old else {}
        built = {plan.pipeline: self.new.pipelines[plan.pipeline].source for plan in self.plans}
        for name, source in built.items():
            for other in (o for o in before if o not in built and o in self.new.pipelines):
                if name in before or before[other].source != source or source == _USUAL_SOURCE:
                    continue
                models = sorted(model for model in before[other].models if self.listing.is_dir(model))
                message = f"pipeline '{other}', also built from a '{source}', is still there: {_some(models)}"
                command = shlex.join(["rm", "-r", *(str(self.root / model) for model in models)])
                hint = f"if '{name}' is its new name, remove it: {command}"
                self.notes.append(warning("TP614", message, hint=hint))

    def _models_in_order(self) -> Iterator[ModelPlan]:
        models = [(m.name in plan.entries, m.name, m) for plan in self.plans for m in plan.models]
        return (model for _, _, model in sorted(models, key=lambda item: item[:2]))

    def _model(self, model: ModelPlan) -> Iterator[Operation]:
        planned = {f"{model.name}/{path}": content for path, content in model.files.items()}
        puts = [
            Put(path, planned[path])
            for path in sorted(planned, key=_config_last)
            if self._differs(path, planned)
        ]
        present = self.listing.below(model.name)
        plans = look_at_plans(self.root, present, planned)
        self._note_plans(model.name, plans.dropped)
        drops = [path for path in present if path in self.listed and path not in planned]
        drops += plans.dropped
        self._check_places(puts, set(drops))
        self._rescue_edits([*(path for path in drops if path not in plans.ours), *(put.path for put in puts)])
        known = {*self.listed, *planned, *plans.kept, *plans.dropped}
        extras = [path for path in present if path not in known]
        if extras:
            message = f"kept {_some(extras)}, which tpgen did not write"
            self.notes.append(note("TP610", message, model=model.name))
        yield from map(Drop, drops)
        yield from self._emptied(drops, {*present, *planned} - set(drops))
        yield from puts

    def _note_plans(self, model: str, dropped: Mapping[str, Sequence[str]]) -> None:
        """Name what changed since an engine was built: building it anew takes long."""
        for path, why in dropped.items():
            if is_plan(path.rpartition("/")[2]):
                message = f"'{path}' is removed, as it was built for something else: {'; '.join(why)}"
                hint = f"tpgen engines build {shlex.quote(str(self.root))}"
                self.notes.append(note("TP908", message, hint=hint, model=model))

    def _differs(self, path: str, planned: Mapping[str, Content]) -> bool:
        same = self.digests.of(path, self.listing.files.get(path)) == _digest(planned[path])
        if same:
            self.unchanged.append(path)
        return not same

    def _check_places(self, puts: Sequence[Put], dropped: set[str]) -> None:
        for put in puts:
            blockers = [path for path in self.listing.below(put.path) if path not in dropped]
            parts = put.path.split("/")
            above = ["/".join(parts[:count]) for count in range(1, len(parts))]
            blockers += [path for path in above if path in self.listing.files and path not in dropped]
            inside = [path for path in self.listing.dirs if f"{path}/".startswith(f"{put.path}/")]
            blockers += [path for path in inside if not self.listing.below(path)]  # empty: nothing of ours
            if blockers:
                blocker = blockers[0]
                message = f"'{put.path}' can't be written: '{blocker}', in its place, is not tpgen's"
                raise failure("TP605", message, hint="move it away", file=blocker, model=parts[0])

    def _rescue_edits(self, paths: Sequence[str]) -> None:
        for path in paths:
            stamp = self.listing.files.get(path)
            if stamp is not None and self.digests.of(path, stamp) != self.listed.get(path):
                self.rescued[path] = "had been edited" if path in self.listed else "was not written by tpgen"

    def _emptied(self, drops: Sequence[str], left: set[str]) -> Iterator[Prune]:
        above = {
            "/".join(path.split("/")[:count]) for path in drops for count in range(2, path.count("/") + 1)
        }
        for directory in sorted(above, key=lambda path: (-path.count("/"), path)):
            if not any(path.startswith(directory + "/") for path in left):
                yield Prune(directory)

    def _vanished(self) -> list[str]:
        before = self.old.models() if self.old else set()
        return sorted(name for name in before - self.new.models() if self.listing.is_dir(name))

    def _vanish(self, model: str) -> list[Operation]:
        present = self.listing.below(model)
        plans = look_at_plans(self.root, present, {})
        self._rescue_edits([path for path in present if path not in plans.ours])
        deepest_first = sorted(
            (path for path in self.listing.dirs if f"{path}/".startswith(f"{model}/")),
            key=lambda path: (-path.count("/"), path),
        )
        return [*map(Drop, present), *map(Prune, deepest_first)]

    def _root_files(self) -> Iterator[Operation]:
        texts = {REQUIREMENTS: requirements_text(self.new.pipelines.values()), NAME: self.new.to_text()}
        planned: dict[str, Content] = {name: text.encode() for name, text in texts.items()}
        if self._differs(REQUIREMENTS, planned):
            self._rescue_edits([REQUIREMENTS])
            yield Put(REQUIREMENTS, planned[REQUIREMENTS])
        if self._differs(NAME, planned):
            yield Put(NAME, planned[NAME])


def _config_last(path: str) -> tuple[bool, str]:
    return path.endswith("/config.pbtxt"), path


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(f"'{path}'" for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
