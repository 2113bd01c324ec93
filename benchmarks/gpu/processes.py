"""What a process of its own on a GPU costs: memory of its context, and turns with another one."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

_WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """`worker.py` in a process, ready to begin."""

    def __init__(self, device: str, side: int) -> None:
        command = [sys.executable, str(_WORKER), device, str(side)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        if self._line() != "ready":
            raise SystemExit(f"{' '.join(command)} does not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def resident(self) -> int:
        """Bytes of main memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return 1024 * int(line.split()[1])

    def begin(self) -> None:
        self._say()

    def end(self) -> float:
        """Products a second."""
        self._say()
        return float(self._line())

    def _say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def memory_of_a_context(device: str) -> dict[str, float]:
    """MiB that a process with torch takes for one small tensor: of the GPU (on one), and of the host."""
    before = _used(device)
    with Worker(device, 64) as worker:
        return {"GPU, MiB": _used(device) - before, "host, MiB": worker.resident / (1 << 20)}


def _used(device: str) -> float:
    """MiB of the GPU's memory that all processes take together; 0 on the CPU."""
    if not device.startswith("cuda"):
        return 0.0
    query = [
        "nvidia-smi",
        "--query-gpu=memory.used",
        "--format=csv,noheader,nounits",
        "-i",
        device[5:] or "0",
    ]
    return float(subprocess.run(query, check=True, capture_output=True, text=True).stdout)


def turns(device: str, side: int, seconds: float, count: int = 2) -> tuple[float, float]:
    """Products a second of one process alone, and of ``count`` at the same time, together."""
    return _rate(device, side, seconds, 1), _rate(device, side, seconds, count)


def _rate(device: str, side: int, seconds: float, count: int) -> float:
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(device, side)) for _ in range(count)]
        for worker in workers:
            worker.begin()
        time.sleep(seconds)
        return sum(worker.end() for worker in workers)
