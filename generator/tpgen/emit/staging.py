"""Where a write prepares its files, and how it gets rid of them.

The normal place is a sibling of the repository, `.<name>.tpgen-staging`: a folder inside would stop a
tritonserver that starts meanwhile. Where a sibling is of no use (the repository is a mount point, the parent
is read-only), the files lie flat in the repository's root under names that start with `.tpgen-`; Triton
ignores files there.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from . import steps

_STAGED = ".tpgen-staging-"
_JOURNAL = ".tpgen-journal.json"
_BACKUP = ".tpgen-backup-"
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV, errno.EBUSY, errno.ENOTSUP}


def sibling(root: Path, purpose: str) -> Path:
    """The path beside the repository that serves a purpose: `staging`, `lock` or `backup`."""
    return root.parent / f".{root.name}.tpgen-{purpose}"


@dataclass(frozen=True)
class Staging(ABC):
    """A place for files that are not in the repository `root` yet."""

    root: Path

    @property
    @abstractmethod
    def journal(self) -> Path:
        """Where the journal lies while it is valid."""

    @property
    @abstractmethod
    def draft(self) -> Path:
        """Where the journal is written before it becomes valid."""

    @abstractmethod
    def name_of(self, path: str) -> str:
        """How the journal names the prepared file for a path of the repository."""

    @abstractmethod
    def locate(self, name: str) -> Path:
        """The prepared file that the journal names so."""

    @abstractmethod
    def exists(self) -> bool:
        """True if something of an earlier or a running write lies here."""

    @abstractmethod
    def discard(self) -> None:
        """Removes all of it, the journal first: what is left after a kill must not look like a valid one."""

    @abstractmethod
    def sync(self) -> None:
        """Flushes the directories that lead to the prepared files; the files were flushed before."""

    @abstractmethod
    def backup_of(self, path: str) -> Path:
        """Where the copy of a file goes that holds somebody's work."""

    def path_of(self, path: str) -> Path:
        """Where the new file for a path of the repository is prepared."""
        return self.locate(self.name_of(path))


class Sibling(Staging):
    """Staging beside the repository; `tree` has the repository's layout, so that the two can be exchanged."""

    @property
    def home(self) -> Path:
        """The staging directory itself."""
        return sibling(self.root, "staging")

    @property
    def tree(self) -> Path:
        """The new repository."""
        return self.home / "tree"

    @property
    def journal(self) -> Path:
        return self.home / "journal.json"

    @property
    def draft(self) -> Path:
        return self.home / "journal.draft"

    def name_of(self, path: str) -> str:
        return path

    def locate(self, name: str) -> Path:
        return self.tree / name

    def exists(self) -> bool:
        return self.root.name != "" and os.path.lexists(self.home)

    def discard(self) -> None:
        if self.home.is_dir():
            steps.unlink(self.journal)
        steps.remove_tree(self.home)

    def sync(self) -> None:
        inner = (path for path in self.home.rglob("*") if path.is_dir() and not path.is_symlink())
        for directory in (*sorted(inner, reverse=True), self.home, self.home.parent):
            steps.sync_dir(directory)

    def backup_of(self, path: str) -> Path:
        return sibling(self.root, "backup") / path


class Inside(Staging):
    """Staging as plain files in the repository's root."""

    @property
    def journal(self) -> Path:
        return self.root / _JOURNAL

    @property
    def draft(self) -> Path:
        return self.root / f"{_STAGED}journal"

    def name_of(self, path: str) -> str:
        """A hash, because the name must be flat and may not grow too long."""
        return _STAGED + hashlib.sha256(path.encode()).hexdigest()[:24]

    def locate(self, name: str) -> Path:
        return self.root / name

    def exists(self) -> bool:
        return self.journal.exists() or bool(self._leftovers())

    def discard(self) -> None:
        steps.unlink(self.journal)
        for path in self._leftovers():
            steps.unlink(path)

    def sync(self) -> None:
        steps.sync_dir(self.root)

    def backup_of(self, path: str) -> Path:
        return self.root / (_BACKUP + path.replace("/", "-"))

    def _leftovers(self) -> list[Path]:
        return sorted(self.root.glob(f"{_STAGED}*")) if self.root.is_dir() else []


def is_scratch(name: str) -> bool:
    """True for an entry of a repository's root that a write makes for itself."""
    return name.startswith(".tpgen-")


def open_staging(root: Path) -> Staging:
    """Makes a place for a write: beside the repository if files can be renamed from there, else inside."""
    beside = Sibling(root)
    if not root.name:
        return Inside(root)
    try:
        steps.make_dir(beside.home)
    except OSError as error:
        if error.errno in _REFUSED and root.is_dir():
            return Inside(root)
        raise
    try:
        steps.make_dir(beside.tree)
        if root.is_dir():
            _try_rename(beside, root)
        return beside
    except OSError as error:
        beside.discard()
        if error.errno in _REFUSED:
            return Inside(root)
        raise


def _try_rename(beside: Sibling, root: Path) -> None:
    """A mount point looks like any directory until a rename into it fails: so try one."""
    probe, target = beside.home / "probe", root / f"{_STAGED}probe"
    steps.write_file(probe, b"")
    steps.rename(probe, target)
    steps.unlink(target)


def save_copy(staging: Staging, path: str) -> Path:
    """Copies a file of the repository to the backup place and returns where.

    Equal copies are not repeated.
    """
    source, wanted = staging.root / path, staging.backup_of(path)
    target, count = wanted, 1
    while os.path.lexists(target) and not _same(source, target):
        count += 1
        target = wanted.with_name(f"{wanted.name}~{count}")
    if os.path.lexists(target):
        return target
    steps.make_parents(target)
    if source.is_symlink():
        steps.symlink(source.readlink(), target)
    else:
        draft = target.with_name(f"{target.name}~")
        steps.unlink(draft)
        with source.open("rb") as origin:
            steps.copy_file(origin, draft)
        steps.rename(draft, target)
    return target


def _same(first: Path, second: Path) -> bool:
    if first.is_symlink() or second.is_symlink():
        return first.is_symlink() and second.is_symlink() and first.readlink() == second.readlink()
    return filecmp.cmp(first, second, shallow=False)
