"""Stands between tpgen and a program, mostly tritonserver, and sees to it that it never outlives its owner.

Run as a script, ``supervisor.py OWNER_PID GRACE_SECONDS SHM_PREFIX SCRATCH -- COMMAND…``, with nothing but
the standard library. It ends the program when it is told to (SIGTERM, SIGINT, SIGHUP) or when its owner is
gone, however that died; it then removes what tritonserver leaves behind: stub processes, shared-memory files
whose names begin with the prefix, and, if nobody is left to read it, the scratch directory. It exits with the
program's own status (128 + signal number if a signal ended it).

A process of its own, rather than ``PR_SET_PDEATHSIG`` in the caller: that signal is tied to the *thread*
which started the child, so a server started from a worker thread would die with the worker; and after
``kill -9`` of the caller nobody would remove the shared memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SHARED_MEMORY = Path("/dev/shm")
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_POLL_SECONDS = 0.5
# tritonserver 24.10 puts a whole JSON request on its thread's stack, and crashes where that is too small:
# with the usual 8 MiB at a request of about 5 MB. Room that is not used costs nothing.
_STACK_BYTES = 256 << 20


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _before_exec() -> None:
    """In the server's process: ends with the supervisor, takes signals again, has room on its stacks."""
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    size = _STACK_BYTES if most == resource.RLIM_INFINITY else min(_STACK_BYTES, most)
    resource.setrlimit(resource.RLIMIT_STACK, (size, most))
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _run(command: list[str], owner: int, grace: float) -> int:
    # Nothing else runs in this process, so code between fork and exec is safe.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_before_exec)  # noqa: PLW1509
    try:
        while server.poll() is None:
            caught = signal.sigtimedwait({*_STOP_SIGNALS, signal.SIGCHLD}, _POLL_SECONDS)
            told = caught is not None and caught.si_signo in _STOP_SIGNALS
            if told or os.getppid() != owner:
                server.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(grace)
                break
    finally:
        server.kill()
        status = server.wait()
        _end_descendants()
    return status if status >= 0 else 128 - status


def _end_descendants(patience: float = 5.0) -> None:
    """Kills what the server left running, in whatever process group, and waits until it is gone.

    The supervisor is the subreaper of its descendants: an orphaned stub, or anything that a model started,
    is its child by now.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            reaped, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not reaped:
            time.sleep(0.02)


def _children() -> list[int]:
    """Process ids whose parent is this process."""
    own = str(os.getpid())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The command's name is in parentheses and may hold anything; what follows it is regular.
            if (entry / "stat").read_text().rpartition(")")[2].split()[1] == own:
                found.append(int(entry.name))
    return found


def _remove_leftovers(prefix: str, scratch: Path, *, ownerless: bool) -> None:
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)
    if ownerless:
        shutil.rmtree(scratch, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Runs and ends the program; see above for the arguments. Returns the exit status."""
    owner, grace, prefix, scratch = int(arguments[0]), float(arguments[1]), arguments[2], Path(arguments[3])
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGCHLD})
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        return _run(arguments[5:], owner, grace)
    finally:
        _remove_leftovers(prefix, scratch, ownerless=os.getppid() != owner)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
