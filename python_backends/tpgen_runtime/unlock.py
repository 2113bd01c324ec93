"""A model repository with its encrypted models decrypted in memory, for a server that cannot do that itself.

    python3 -m tpgen_runtime.unlock REPOSITORY [PID]

prints the folder to serve: links to what the repository holds, and in the place of each encrypted model of
Triton's own backends the model. It goes when the process PID (else the one that started this) is gone. The
key comes from the environment, as `encrypted` says. Models of Python stages stay encrypted: the stages
decrypt them for themselves.
"""

import errno
import os
import re
import secrets
import sys

from .encrypted import SUFFIX, EncryptedError, read
from .memory import MEMORY, make_folder, remove_folder

_MODEL = re.compile(r"model\.[A-Za-z0-9]+" + re.escape(SUFFIX))
# Variables that have ONNX Runtime keep engines, timings of layers or parts of the graph, decrypted.
_WRITES = re.compile(r"ORT_(TENSORRT_)?\w*(DUMP|CACHE_ENABLE|BUILD_LOG)\w*")
_OFF = ("", "0", "false")


def find_locked(repository):
    """The encrypted files that a backend of Triton cannot read, as (model, version, file)."""
    found = []
    for model in _folders(repository):
        for version in _folders(os.path.join(repository, model)):
            files = os.listdir(os.path.join(repository, model, version))
            if "stage.py" not in files:
                found += [(model, version, file) for file in sorted(files) if _MODEL.fullmatch(file)]
    return found


def unlock(repository, owner=None):
    """The name (in memory) of a folder to serve instead of a repository.

    ``owner`` is the process that it goes with, this one by default. Raises EncryptedError.
    """
    _check_environment()
    repository = os.path.abspath(repository)
    name = f"tpgen-models-{secrets.token_hex(8)}"
    try:
        folder = make_folder(name, owner)
        _fill(folder, repository, find_locked(repository))
    except BaseException as problem:
        remove_folder(name)
        if isinstance(problem, OSError):
            raise _no_room(problem) from None
        raise
    return name


def _check_environment():
    on = [name for name, value in os.environ.items() if value.strip().lower() not in _OFF]
    writes = sorted(filter(_WRITES.fullmatch, on))
    if writes:
        message = f"with {', '.join(writes)} the server would write of encrypted models to a disk, decrypted"
        raise EncryptedError(message, f"unset {'it' if len(writes) == 1 else 'them'}")


def _fill(folder, repository, locked):
    models = {}
    for model, version, file in locked:
        models.setdefault(model, {}).setdefault(version, []).append(file)
    _link(repository, folder, models)
    for model, versions in models.items():
        _link(os.path.join(repository, model), os.path.join(folder, model), versions)
        for version, files in versions.items():
            inside = os.path.join(repository, model, version)
            _link(inside, os.path.join(folder, model, version), files)
            for file in files:
                path = os.path.join(folder, model, version, file[: -len(SUFFIX)])
                with open(path, "xb", opener=_private) as plain:
                    plain.write(read(os.path.join(inside, file)))


def _link(source, target, left_out):
    """Links to all that lies in a folder, but for what is put there otherwise."""
    os.makedirs(target, mode=0o700, exist_ok=True)
    for name in os.listdir(source):
        if name not in left_out:
            os.symlink(os.path.join(source, name), os.path.join(target, name))


def _private(path, flags):
    return os.open(path, flags, 0o600)


def _folders(path):
    return sorted(name for name in os.listdir(path) if os.path.isdir(os.path.join(path, name)))


def _no_room(problem):
    if problem.errno == errno.ENOSPC:
        message = f"no room in {MEMORY} for the decrypted models"
        return EncryptedError(message, "give it more: docker run --shm-size, mount -o remount,size=")
    message = f"the models can't be decrypted into {MEMORY}: {problem.strerror}: {problem.filename}"
    return EncryptedError(message, "a folder in memory is needed, so that none lies on a disk")


if __name__ == "__main__":
    try:
        unlocked = unlock(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else os.getppid())
    except EncryptedError as wrong:
        sys.exit(f"error: {wrong}")
    sys.stdout.write(f"{os.path.join(MEMORY, unlocked)}\n")
