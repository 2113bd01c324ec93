"""Every call that changes the disk, one small function each, behind one hook.

The hook is how tests stop the writer at any instant (`os._exit` in the hook) or make a call fail (an OSError
from it): it sees the name of each step and its path just before the step happens.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..system import READ_DIRECTORY

FILE_MODE = 0o644
DIR_MODE = 0o755

_NO_SHARING = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.EIO}

hook: Callable[[str, Path], None] | None = None


def _step(name: str, path: Path) -> None:
    if hook is not None:
        hook(name, path)


def make_dir(path: Path) -> None:
    """Creates one directory, readable by all whatever the umask is."""
    _step("mkdir", path)
    path.mkdir()
    path.chmod(DIR_MODE)


def make_parents(path: Path) -> list[Path]:
    """Creates the missing directories above `path` and returns them, the outermost first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        _step("mkdir", parent)
        parent.mkdir(exist_ok=True)  # another build may have been quicker
    return missing[::-1]


def remove_dir(path: Path) -> None:
    """Removes one empty directory."""
    _step("rmdir", path)
    path.rmdir()


def unlink(path: Path) -> None:
    """Removes a file; one that is gone already is fine, since steps may be replayed."""
    _step("unlink", path)
    path.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Moves `source` onto `target`, atomically."""
    _step("rename", target)
    source.rename(target)


def link(source: Path, target: Path) -> None:
    """Gives a file of the repository a second name; where that is refused, copies it with mode and times."""
    _step("link", target)
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def symlink(content: Path, path: Path) -> None:
    """Creates a symbolic link with this content."""
    _step("symlink", path)
    path.symlink_to(content)


def write_file(path: Path, data: bytes) -> None:
    """Writes a new file and flushes it to the disk."""
    _step("open", path)
    with path.open("xb") as file:
        half = len(data) // 2
        file.write(data[:half])
        file.flush()
        _step("write", path)
        file.write(data[half:])
        _settle(file.fileno(), path)


def copy_file(origin: BinaryIO, path: Path) -> None:
    """Copies an open file into a new one and flushes it; file systems that can share the blocks do."""
    _step("open", path)
    with path.open("xb") as file:
        _step("write", path)
        try:
            while hasattr(os, "copy_file_range") and os.copy_file_range(
                origin.fileno(), file.fileno(), 1 << 30
            ):
                pass
        except OSError as error:
            if error.errno not in _NO_SHARING:
                raise
        if (
            os.fstat(file.fileno()).st_size != os.fstat(origin.fileno()).st_size
        ):  # some file systems copy nothing
            origin.seek(0)
            file.seek(0)
            file.truncate()
            shutil.copyfileobj(origin, file, 1 << 20)
            file.flush()
        _settle(file.fileno(), path)


def _settle(descriptor: int, path: Path) -> None:
    path.chmod(FILE_MODE)
    _step("fsync", path)
    os.fsync(descriptor)


def sync_dir(path: Path) -> None:
    """Flushes the names in a directory; some network file systems cannot, and have no need to."""
    _step("fsync", path)
    if READ_DIRECTORY is None:
        return
    descriptor = os.open(path, READ_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def adopt(path: Path, model: Path) -> None:
    """Gives the directory `path` the owner and the mode of `model`. OSError when this user may not."""
    wanted = model.stat()
    _step("chown", path)
    if hasattr(os, "chown") and (wanted.st_uid, wanted.st_gid) != (path.stat().st_uid, path.stat().st_gid):
        os.chown(path, wanted.st_uid, wanted.st_gid)
    path.chmod(stat.S_IMODE(wanted.st_mode))


def remove_tree(path: Path) -> None:
    """Removes a directory with all it holds, or a single file; symbolic links are removed, never followed."""
    if path.is_symlink() or not path.is_dir():
        unlink(path)
        return
    for child in sorted(path.iterdir()):
        remove_tree(child)
    remove_dir(path)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(first: Path, second: Path) -> None:
    """Swaps two paths in one atomic call. OSError (ENOSYS, EINVAL, EBUSY, EXDEV…) where the system can't."""
    _step("exchange", second)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None
    call = getattr(libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, "renameat2 is not in this C library", str(second))
    arguments = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    if call(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(second))
