"""What lies in a repository directory now: names, stamps and hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..system import READ

CACHE_DIR = "__pycache__"  # Python writes these while the server runs; nobody misses them


@dataclass(frozen=True)
class Stamp:
    """Tells two states of a file apart without reading it."""

    kind: int
    inode: int
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Listing:
    """The entries of the root with their type bits, and all that lies below the directories we looked into.

    `files` holds every entry that is not a directory, symbolic links too (never followed), by path inside the
    repository.
    """

    root: dict[str, int] = field(default_factory=dict)
    files: dict[str, Stamp] = field(default_factory=dict)
    dirs: set[str] = field(default_factory=set)

    def is_dir(self, name: str) -> bool:
        """True if the root has a real directory of that name."""
        return stat.S_ISDIR(self.root.get(name, 0))

    def below(self, directory: str) -> list[str]:
        """The files below a directory, sorted."""
        return sorted(path for path in self.files if path.startswith(directory + "/"))


def list_repository(root: Path, models: Iterable[str], root_files: Iterable[str]) -> Listing:
    """Lists `root`, looking into the named model directories and files only; the others are only named."""
    listing = Listing()
    if not root.is_dir():
        return listing
    for entry in os.scandir(root):
        listing.root[entry.name] = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    for name in root_files:
        if name in listing.root and not listing.is_dir(name):
            listing.files[name] = _stamp((root / name).lstat())
    for model in models:
        if listing.is_dir(model):
            _walk(root / model, model, listing)
    return listing


def _walk(directory: Path, prefix: str, listing: Listing) -> None:
    listing.dirs.add(prefix)
    for entry in os.scandir(directory):
        path = f"{prefix}/{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            listing.files[path] = _stamp(entry.stat(follow_symlinks=False))
        elif entry.name != CACHE_DIR:
            _walk(directory / entry.name, path, listing)


def _stamp(info: os.stat_result) -> Stamp:
    return Stamp(stat.S_IFMT(info.st_mode), info.st_ino, info.st_size, info.st_mtime_ns)


def sha256_of(path: Path) -> str | None:
    """The hash of a file's content, through a symbolic link too; None if there is no such regular file."""
    try:
        with open(os.open(path, READ), "rb") as file:  # a pipe must not hold us up
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


class Digests:
    """Hashes of files below a root, each read once per state: big models are not read twice in one build."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[tuple[str, Stamp], str | None] = {}

    def of(self, path: str, stamp: Stamp | None) -> str | None:
        """The sha256 of a listed file, None if it is not there or not a regular file."""
        if stamp is None or not (stat.S_ISREG(stamp.kind) or stat.S_ISLNK(stamp.kind)):
            return None
        if stat.S_ISLNK(stamp.kind):  # the stamp is the link's, so it says nothing about the content
            return sha256_of(self._root / path)
        key = (path, stamp)
        if key not in self._known:
            self._known[key] = sha256_of(self._root / path)
        return self._known[key]
