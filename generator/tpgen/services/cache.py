"""Where tpgen keeps what it makes once and uses often, and how two processes share it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..system import lock

# tritonserver 24.10 starts its Python stubs through a shell line that it does not quote: a path with a space
# (or worse) in it makes the server wait for ever.
_SHELL_SAFE = re.compile(r"[A-Za-z0-9_./+@%:,=-]+")


def is_shell_safe(path: Path) -> bool:
    """True if tritonserver can be given this path; see the comment above."""
    return bool(_SHELL_SAFE.fullmatch(str(path)))


def cache_root() -> Path:
    """The user's cache folder, made if needed.

    ``$XDG_CACHE_HOME/tpgen``, else ``~/.cache/tpgen``; where that cannot be written or named to tritonserver,
    a private folder under the system's temporary one.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    root = Path(base) / "tpgen"
    if root.is_absolute() and is_shell_safe(root) and _writable(root):
        return root
    return _private_temporary()


def scratch_parent() -> str | None:
    """A temporary folder whose name tritonserver can be given; None: the system's default one."""
    return None if is_shell_safe(Path(tempfile.gettempdir())) else "/tmp"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _private_temporary() -> Path:
    folder = Path(scratch_parent() or tempfile.gettempdir()) / f"tpgen-cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        # Somebody else made a folder of this name in a shared place: what it holds would run as us.
        return Path(tempfile.mkdtemp(prefix="tpgen-cache-", dir=scratch_parent()))
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on the file ``path`` (made if needed) against other processes and threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        lock(handle.fileno(), wait=True)
        yield
