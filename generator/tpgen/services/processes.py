"""Starts a program that ends with the process that started it, whatever becomes of either."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("supervisor.py")


def spawn_supervised(
    command: Sequence[str],
    *,
    token: str,
    grace: float,
    scratch: Path,
    log: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Starts a program under `supervisor`, in a session of its own, with its output in a file.

    The session keeps Ctrl-C in the terminal from reaching the program: it is ended in order, by `end`, or by
    the supervisor when this process is gone.

    Args:
        command: the program and its arguments.
        token: a unique word; shared-memory files whose names begin with it are removed at the end.
        grace: seconds between SIGTERM and SIGKILL.
        scratch: a folder that is removed if this process dies first.
        log: the file for what the program writes.
        environment: its environment variables.
    """
    supervisor = [
        sys.executable,
        "-I",
        "-S",
        str(_SUPERVISOR),
        str(os.getpid()),
        str(grace),
        token,
        str(scratch),
    ]
    with open(log, "wb") as output:
        return subprocess.Popen(
            [*supervisor, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ends a supervised program and waits until it and all that it started is gone."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
