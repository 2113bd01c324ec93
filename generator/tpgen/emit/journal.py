"""The journal of a write that can't be done in one call: once it is on the disk, the new state is certain.

It lists small steps. Each can be repeated: a file that is no longer staged has been put in place already.
Whoever finds a journal replays it from the start, so it does not matter where the write was stopped.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import steps
from .change import Change, Drop, Put
from .findings import failure
from .listing import CACHE_DIR
from .repo_plan import is_safe_path
from .staging import Staging

_FORMAT = 1


def commit(change: Change, staging: Staging) -> None:
    """Writes the journal; from the moment it has its name, the change will be carried out, now or later."""
    document = {"format": _FORMAT, "steps": [_step_of(operation, staging) for operation in change.operations]}
    staging.sync()
    steps.write_file(staging.draft, json.dumps(document).encode())
    steps.rename(staging.draft, staging.journal)
    steps.sync_dir(staging.journal.parent)


def _step_of(operation: Any, staging: Staging) -> list[str]:
    if isinstance(operation, Put):
        return ["put", staging.name_of(operation.path), operation.path]
    return ["drop" if isinstance(operation, Drop) else "prune", operation.path]


def replay(staging: Staging) -> None:
    """Carries out a journal that was committed and removes it together with what is left of the staging."""
    if staging.root.is_dir():  # else the repository was deleted meanwhile, and there is nothing to finish
        found = _read(staging.journal)
        for step in found:
            _carry_out(step, staging)
        _sync(staging.root, [step[-1] for step in found])
    staging.discard()


def _carry_out(step: Sequence[str], staging: Staging) -> None:
    target = staging.root / step[-1]
    if step[0] == "put":
        source = staging.locate(step[1])
        if source.exists():
            _make_dirs(target.parent)
            _move(source, target)
    elif step[0] == "prune":
        _prune(target)
    elif target.parent.is_dir() and not (target.is_dir() and not target.is_symlink()):
        steps.unlink(target)  # a directory in this place is the work of a later step, before an interruption


def _move(source: Path, target: Path) -> None:
    try:
        steps.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = target.with_name(f"{target.name}.tpgen-new")  # a volume is mounted on a directory of the model
        steps.unlink(near)
        with source.open("rb") as origin:
            steps.copy_file(origin, near)
        steps.rename(near, target)
        steps.unlink(source)


def _sync(root: Path, paths: Sequence[str]) -> None:
    """Flushes the names on the way to all paths, also those that an earlier attempt had put there."""
    above = {directory for path in paths for directory in (root / path).parents}
    for directory in sorted(above, reverse=True):
        if directory.is_relative_to(root) and directory.is_dir():
            steps.sync_dir(directory)


def _make_dirs(directory: Path) -> None:
    for path in (*reversed(directory.parents), directory):
        if not path.exists():
            steps.make_dir(path)


def _prune(directory: Path) -> None:
    if not directory.is_dir() or directory.is_symlink():
        return
    if {entry.name for entry in directory.iterdir()} <= {CACHE_DIR} and not os.path.ismount(directory):
        steps.remove_tree(directory)


def _read(path: Path) -> list[list[str]]:
    try:
        document = json.loads(path.read_bytes())
        found = [[str(part) for part in step] for step in document["steps"]]
        sound = document["format"] == _FORMAT and all(_is_sound(step) for step in found)
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        raise failure(
            "TP609",
            f"an interrupted build left '{path}', which this version of tpgen can't read",
            hint="delete it, then build again",
            file=path,
        )
    return found


def _is_sound(step: list[str]) -> bool:
    lengths = {"put": 3, "drop": 2, "prune": 2}
    return bool(step) and lengths.get(step[0]) == len(step) and all(is_safe_path(part) for part in step[1:])
