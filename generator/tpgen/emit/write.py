"""Puts plans into a repository directory so that the old or the new set of models is there, never a mixture.

All new files are prepared and flushed elsewhere (staging.py). Then the whole directory is exchanged in one
call, where nothing but ours lies in it and the system can (exchange.py); or a journal is written and its
renames are carried out (journal.py). A write that is killed before that moment leaves the old state and some
litter; after it, the new state is certain. `recover` removes the litter or finishes the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

from ..diagnostics import Diagnostic, PipelineError
from . import exchange, journal, steps
from .change import Change, Put, check_plans, compare
from .findings import disk_errors, failure, warning
from .listing import Digests, list_repository, sha256_of
from .lock import locked, sweep
from .manifest import NAME, REQUIREMENTS, read_manifest
from .repo_plan import CopyFrom, RepoPlan
from .staging import Inside, Sibling, Staging, is_scratch, open_staging, save_copy

__all__ = ["WriteResult", "read_manifest", "recover", "up_to_date", "write"]

WAIT_S = 60.0
OnWait = Callable[[str], None]


@dataclass(frozen=True)
class WriteResult:
    """What a write did; paths are relative to the repository. `diagnostics` are warnings and notes only."""

    changed: bool
    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


def write(
    plans: Sequence[RepoPlan], directory: Path, *, wait_s: float = WAIT_S, on_wait: OnWait | None = None
) -> WriteResult:
    """Makes `directory` hold these pipelines, beside the other pipelines and the foreign things in it.

    A pipeline of the same name is replaced, and models that it no longer has are removed. Nothing is written
    if every file is as planned. Another process that is writing is waited for (`wait_s` seconds; `on_wait` is
    told). PipelineError TP601 to TP609; the repository is then as it was, except for TP609.
    """
    check_plans(plans)
    root = _resolve(directory)
    if _holds_already(plans, root):
        sweep(root)
        return WriteResult(False, (), (), _planned(plans))
    with disk_errors(directory), _parents_of(root), locked(root, wait_s, on_wait):
        _recover(root)
        digests = Digests(root)
        change = compare(plans, read_manifest(root), root, digests)
        if not change.operations:  # another process has just done it
            return WriteResult(False, (), (), change.unchanged)
        saved = _carry_out(change, root)
    return WriteResult(
        True,
        tuple(put.path for put in change.puts),
        tuple(drop.path for drop in change.drops),
        change.unchanged,
        (*change.diagnostics, *saved),
    )


def up_to_date(fingerprints: Mapping[str, str], directory: Path) -> bool:
    """True if the directory holds these pipelines (name -> fingerprint) and each of their files is intact."""
    root = _resolve(directory)
    manifest = read_manifest(root)
    if manifest is None or _pending(root):
        return False
    for name, fingerprint in fingerprints.items():
        entry = manifest.pipelines.get(name)
        if entry is None or entry.fingerprint != fingerprint:
            return False
    listed = {**manifest.files(fingerprints), **manifest.root_files}
    with disk_errors(directory):
        return all(sha256_of(root / path) == digest for path, digest in listed.items())


def recover(directory: Path, *, wait_s: float = WAIT_S, on_wait: OnWait | None = None) -> bool:
    """Finishes or undoes a write that was interrupted; True if there was one.

    Safe at any time, also on a read-only directory, and while another process writes (it is waited for).
    """
    root = _resolve(directory)
    with disk_errors(directory):
        if not _pending(root):
            return False
        with locked(root, wait_s, on_wait):
            return _recover(root)


def _resolve(directory: Path) -> Path:
    """The real directory: a symbolic link on the way stays, and what it points to is written."""
    root = Path(realpath(directory))
    if root.exists() and not root.is_dir():
        message = f"'{directory}' is a file, and a model repository is a directory"
        raise failure("TP601", message, hint="name another place with -o", file=directory)
    return root


def _pending(root: Path) -> bool:
    return Sibling(root).exists() or Inside(root).exists()


def _recover(root: Path) -> bool:
    places: tuple[Staging, ...] = (Sibling(root), Inside(root))
    found = [staging for staging in places if staging.exists()]
    for staging in found:
        if staging.journal.exists():
            _finish(staging)
        else:
            staging.discard()
    return bool(found)


def _holds_already(plans: Sequence[RepoPlan], root: Path) -> bool:
    """A look without the lock, so that an unchanged build needs no right to write. In doubt, False."""
    with suppress(OSError, PipelineError):
        return not _pending(root) and not compare(plans, read_manifest(root), root, Digests(root)).operations
    return False


def _planned(plans: Sequence[RepoPlan]) -> tuple[str, ...]:
    files = (f"{model.name}/{path}" for plan in plans for model in plan.models for path in model.files)
    return (*sorted(files), REQUIREMENTS, NAME)


@contextmanager
def _parents_of(root: Path) -> Iterator[None]:
    """Creates the directories above the repository, and removes them again if the block fails."""
    made = steps.make_parents(root)
    try:
        yield
    except BaseException:
        for parent in reversed(made):
            with suppress(OSError):
                steps.remove_dir(parent)
        raise


def _carry_out(change: Change, root: Path) -> list[Diagnostic]:
    staging = open_staging(root)
    try:
        saved = [_save(path, origin, staging) for path, origin in change.rescued.items()]
        for put in change.puts:
            _stage(put, staging)
        whole = staging if isinstance(staging, Sibling) and exchange.is_wise(change, root) else None
        if whole is not None:
            exchange.complete(change, whole)
        _check_still(change, root)
        if whole is None or not exchange.swap(whole):
            journal.commit(change, staging)
    except BaseException:
        if staging.journal.exists():
            _finish(staging)
        else:
            with suppress(OSError):
                staging.discard()
        raise
    if staging.journal.exists():
        _finish(staging)
    else:
        with suppress(
            OSError
        ):  # the new set is in place; what is left of the old one waits for the next build
            staging.discard()
    return saved


def _finish(staging: Staging) -> None:
    try:
        try:
            journal.replay(staging)
        except KeyboardInterrupt:  # half a set of models is worse than a moment's delay
            journal.replay(staging)
            raise
    except OSError as error:
        message = f"'{staging.root}' is only partly written: {error.strerror or error} ('{error.filename}')"
        hint = "remove the cause; the next build or serve of this directory finishes the write"
        raise failure("TP609", message, hint=hint, file=staging.root) from error


def _save(path: str, origin: str, staging: Staging) -> Diagnostic:
    target = save_copy(staging, path)
    message = (
        f"'{path}' {origin} and is replaced or removed by this build; that version is kept in '{target}'"
    )
    return warning("TP611", message, model=path.split("/")[0] if "/" in path else None)


def _stage(put: Put, staging: Staging) -> None:
    target = staging.path_of(put.path)
    if isinstance(staging, Sibling):
        exchange.make_dirs(target.parent, staging.tree)
    if not isinstance(put.content, CopyFrom):
        steps.write_file(target, put.content)
        return
    source = put.content.path
    try:
        origin = source.open("rb")
    except OSError as error:
        raise failure("TP608", f"'{source}' can't be read any more: {error.strerror}", file=source) from error
    with origin:
        steps.copy_file(origin, target)
    if sha256_of(target) != put.content.sha256:
        raise failure("TP608", f"'{source}' changed during the build", hint="build again", file=source)


def _check_still(change: Change, root: Path) -> None:
    """Preparing big models takes time, and somebody may have saved a file of the repository meanwhile."""
    models = sorted(name for name in change.listing.root if name in change.listing.dirs)
    now = list_repository(root, models, (NAME, REQUIREMENTS))
    names = {name: kind for name, kind in now.root.items() if not is_scratch(name)}
    before = {name: kind for name, kind in change.listing.root.items() if not is_scratch(name)}
    if now.files != change.listing.files or names != before:
        message = f"'{root}' was changed by somebody else during the build; nothing was written"
        raise failure("TP608", message, hint="build again", file=root)
