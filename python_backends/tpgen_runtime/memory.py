"""Folders that lie in memory, for what no disk may see, and go with the process they were made for."""

import errno
import os
import shutil
import subprocess
import sys

MEMORY = "/dev/shm"
MOUNTS = "/proc/self/mounts"

# It is nobody's child: the owner need not wait for it, and may be killed.
_WATCH = """
import os, shutil, sys, time
folder, owner = sys.argv[1], int(sys.argv[2])
if os.fork():
    os._exit(0)
while os.path.isdir(folder):
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        shutil.rmtree(folder, ignore_errors=True)
    except PermissionError:
        pass  # it is there, as another user
    time.sleep(0.5)
"""


def make_folder(name, owner=None):
    """The path of a new folder that only this user can look into; one that is there already is used on.

    ``owner``: the process that it goes with, this one by default, however that ends. Raises OSError, also
    where the place is a folder on a disk.
    """
    if not _is_memory():
        raise OSError(errno.ENODEV, "no file system in memory is mounted there", MEMORY)
    folder = os.path.join(MEMORY, name)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if found.st_uid != os.getuid() or found.st_mode & 0o777 != 0o700 or os.path.islink(folder):
            raise
        return folder
    try:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _WATCH, folder, str(owner or os.getpid())],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except BaseException:
        os.rmdir(folder)
        raise
    return folder


def _is_memory():
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split()[1:3] for line in file]
    place = os.path.realpath(MEMORY)
    within = [(len(path), kind) for path, kind in mounts if os.path.commonpath([path, place]) == path]
    # Of mounts on one place the last counts.
    return max(reversed(within), key=lambda one: one[0], default=(0, ""))[1] in ("tmpfs", "ramfs")


def remove_folder(name):
    """Remove a folder, if there is one."""
    shutil.rmtree(os.path.join(MEMORY, name), ignore_errors=True)
