"""The write in one call: the prepared directory and the old one change places."""

from __future__ import annotations

import errno
import os
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


def swap(change: Change, staging: Sibling) -> bool:
    """Completes the staged tree with what stays and puts it in the place of the repository.

    The old directory then lies in the staging. False, with the repository untouched, if this system or this
    directory doesn't allow it.
    """
    root, tree = staging.root, staging.tree
    if not _is_wise(change, root):
        return False
    for path in change.keeps:
        target = tree / path
        make_dirs(target.parent, tree)
        steps.link(root / path, target)
    staging.sync()
    try:
        if root.is_dir():
            steps.adopt(tree, root)
        if change.listing.root:
            steps.exchange(tree, root)
        else:
            steps.rename(tree, root)  # onto nothing or onto an empty directory, which must still be empty
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


def _is_wise(change: Change, root: Path) -> bool:
    """Exchanging makes a new directory of the repository, so nobody may depend on more than its name."""
    return change.only_ours and change.touches_models and not _is_in(root) and not _has_access_list(root)


def _is_in(root: Path) -> bool:
    try:
        return Path(os.path.realpath(os.getcwd())).is_relative_to(root)
    except FileNotFoundError:
        return False


def _has_access_list(root: Path) -> bool:
    try:
        return bool(_ACCESS_LISTS.intersection(os.listxattr(root)))
    except OSError:  # no such directory yet, or a file system without attributes
        return False
