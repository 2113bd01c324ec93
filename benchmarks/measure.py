"""One measurement of one variant: a served repository under perf_analyzer's load, or the plain loop.

The machine may be busy with other things. How many cores other programs took meanwhile is measured too, so
that a disturbed measurement can be told from a slow variant; and the CPU time per inference, which they
hardly change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from variants import LOOP, Loop, Served

from tpgen.services.client import Client
from tpgen.services.perf import Settings, perf
from tpgen.services.server import TritonServer

CLIENTS = 10
_WARM_UP_SECONDS = 1.5
_WINDOWS = 3  # perf_analyzer's figures are those of three windows
_ANY_VARIATION = 1e6  # and are always taken after three: the spread over rounds shows how stable they are
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measurement:
    """What one measurement gave.

    Attributes:
        throughput: inferences per second.
        p50_ms: latency as the client sees it; also ``p99_ms``.
        cpu_ms: CPU time per inference, of the server with all its processes and of the load generator.
        batch: the mean batch of the entry; None for the loop.
        foreign: the mean number of cores that other programs took.
    """

    throughput: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    batch: float | None
    foreign: float


def measure(variant: Served | Loop, images: Path, seconds: float) -> Measurement:
    """Warms the variant up and loads it for that long."""
    if isinstance(variant, Loop):
        return _measure_loop(variant, images, seconds)
    return _measure_served(variant, images, seconds)


def logits(variant: Served | Loop, images: Path) -> np.ndarray:
    """The answers to all images, float32 ``[images, classes]``; a served variant gets them over gRPC."""
    if isinstance(variant, Loop):
        file = images / "logits.npy"
        _run_loop(variant, images, "--logits", str(file))
        return np.load(file)
    with TritonServer(variant.repository) as server, Client(server.grpc_url) as client:
        answers = [client.infer(variant.model, sample) for sample in _samples(variant, images)]
    return np.stack([next(iter(answer.values())) for answer in answers])


def await_quiet(limit: float) -> bool:
    """Waits until other programs take less than a tenth of a core, or for ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while True:
        with _Usage() as usage:
            time.sleep(1.0)
        if usage.foreign < 0.1:
            return True
        if time.monotonic() > deadline:
            return False


def _measure_loop(loop: Loop, images: Path, seconds: float) -> Measurement:
    with _Usage() as usage:
        found = json.loads(_run_loop(loop, images, "--seconds", str(seconds)))
    return Measurement(**found, batch=None, foreign=usage.foreign)


def _run_loop(loop: Loop, images: Path, *options: str) -> str:
    command = [sys.executable, str(LOOP), str(loop.network), str(images), "--threads", str(loop.threads)]
    return subprocess.run([*command, *options], check=True, text=True, stdout=subprocess.PIPE).stdout


def _measure_served(variant: Served, images: Path, seconds: float) -> Measurement:
    samples = _samples(variant, images)
    with TritonServer(variant.repository) as server:
        perf(server, variant.model, samples, CLIENTS, settings=_settings(_WARM_UP_SECONDS))
        with _Usage() as usage:
            report = perf(server, variant.model, samples, CLIENTS, settings=_settings(seconds))
    row = report.measured[0]
    if row.throughput is None or row.p50_ms is None or row.p99_ms is None:
        raise SystemExit(f"{variant.name}: {row.note}")
    inferences = max(stage.requests for stage in report.stages[CLIENTS])
    cpu_ms = usage.own * 1000 / inferences
    return Measurement(row.throughput, row.p50_ms, row.p99_ms, cpu_ms, row.batch, usage.foreign)


def _settings(seconds: float) -> Settings:
    return Settings(round(seconds * 1000 / _WINDOWS), _ANY_VARIATION, _WINDOWS)


def _samples(variant: Served, images: Path) -> list[dict[str, bytes]]:
    return [{variant.input: path.read_bytes()} for path in sorted(images.glob("*.jpg"))]


class _Usage:
    """CPU time spent within a block: ``own`` seconds here, and the ``foreign`` number of cores elsewhere."""

    own = 0.0
    foreign = 0.0

    def __enter__(self) -> Self:
        self._start = time.monotonic(), _busy_seconds(), _own_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        started, busy, own = self._start
        self.own = _own_seconds() - own
        elapsed = time.monotonic() - started
        self.foreign = max(0.0, (_busy_seconds() - busy - self.own) / elapsed)


def _busy_seconds() -> float:
    """CPU time of the whole machine since it started."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(number) for number in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS  # without idle and waiting for disks


def _own_seconds() -> float:
    """CPU time of this process, of all that it has started, and of the ended ones of these."""
    processes = dict(_processes())
    children: dict[int, list[int]] = {}
    for process, (parent, _) in processes.items():
        children.setdefault(parent, []).append(process)
    total, pending = 0.0, [os.getpid()]
    while pending:
        process = pending.pop()
        total += processes[process][1]
        pending += children.get(process, [])
    return total


def _processes() -> Iterator[tuple[int, tuple[int, float]]]:
    """Each process: its parent, and CPU seconds of its own and of its ended children."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            fields = text[text.rindex(")") + 2 :].split()
            yield int(entry.name), (int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)
