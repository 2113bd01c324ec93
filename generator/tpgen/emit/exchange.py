"""The write in one call: the prepared directory and the old one change places."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from . import steps
from .change import Change
from .staging import Sibling

_UNSUPPORTED = {
    errno.EBUSY,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EXDEV,
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.ENOTEMPTY,
}
_ACCESS_LISTS = {"system.posix_acl_access", "system.posix_acl_default"}


def is_wise(change: Change, root: Path) -> bool:
    """Exchanging makes a new directory of the repository, so nothing may depend on more than its name."""
    return (
        change.only_ours
        and change.touches_models
        and not _holds_us(root)
        and not _has_access_list(root)
        and not _has_mounts(root)
    )


def complete(change: Change, staging: Sibling) -> None:
    """Adds to the staged tree what stays of the repository."""
    for path in change.keeps:
        target = staging.tree / path
        make_dirs(target.parent, staging.tree)
        steps.link(staging.root / path, target)
    staging.sync()


def swap(staging: Sibling) -> bool:
    """Puts the completed tree in the place of the repository; the old directory then lies in the staging.

    False, with the repository untouched, if this system or this directory doesn't allow it.
    """
    root, tree = staging.root, staging.tree
    try:
        if root.is_dir():
            steps.adopt(tree, root)
        if root.is_dir() and any(root.iterdir()):
            steps.exchange(tree, root)
        else:
            steps.rename(tree, root)  # onto nothing or onto a directory that must still be empty
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    steps.sync_dir(root.parent)
    return True


def make_dirs(directory: Path, top: Path) -> None:
    """Creates `directory` and what is missing between it and `top`."""
    if directory != top and not directory.is_dir():
        make_dirs(directory.parent, top)
        steps.make_dir(directory)


def _holds_us(root: Path) -> bool:
    """True if the current directory, ours and the shell's, is the repository or below."""
    try:
        return Path(os.path.realpath(os.getcwd())).is_relative_to(root)
    except FileNotFoundError:
        return False


def _has_access_list(root: Path) -> bool:
    if not hasattr(os, "listxattr"):
        return False
    try:
        return bool(_ACCESS_LISTS.intersection(os.listxattr(root)))
    except OSError:  # no such directory yet, or a file system without attributes
        return False


def _has_mounts(root: Path) -> bool:
    """True if something is mounted below: it would move away with the old directory, and be emptied there."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    points = (re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4]) for line in lines)
    return any(point.startswith(f"{root}/") for point in points)
