"""A process that keeps a device busy, for `processes.py`: prints products of matrices a second.

    python benchmarks/gpu/worker.py DEVICE SIDE

It waits for a line on its input before it begins, and for a second one before it ends.
"""

from __future__ import annotations

import sys
import threading
import time

import torch


def main() -> None:
    device, side = torch.device(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    matrix = torch.ones(side, side, device=device)
    _wait(device)
    print("ready", flush=True)
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    started, products = time.perf_counter(), 0
    while not ended.is_set():
        matrix @ matrix
        _wait(device)
        products += 1
    print(products / (time.perf_counter() - started), flush=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
