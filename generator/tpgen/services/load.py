"""Runs perf_analyzer for one level of concurrency and reads its figures."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
import secrets
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from .input_values import Array
from .model_spec import ModelSpec
from .processes import end, spawn_supervised
from .runtime import Runtime
from .wire import Request

# perf_analyzer's exit status if throughput or latency still varied after the last window.
_UNSTABLE = 2
# It reports the last three windows, and calls them stable if they differ by less than its -s.
WINDOWS = 3
_START_SECONDS = 60.0
_ANY_VARIATION = 1_000_000.0
LONGEST_WINDOW_MS = 120_000
_NO_ID = re.compile(r"\[request id: <id_unknown>\] *")
_QUEUE_FULL = "Exceeds maximum queue size"


@dataclass(frozen=True)
class Figures:
    """What one level gave. Latencies in milliseconds, of whole requests, as the client sees them."""

    throughput: float  # inferences per second
    p50_ms: float
    p90_ms: float
    p99_ms: float
    note: str | None = None
    stable: bool = True


class LoadFailed(Exception):
    """perf_analyzer gave no figures; the text says why.

    Attributes:
        failures: requests that failed as far as it said, before it ended.
    """

    def __init__(self, reason: str, failures: int = 0) -> None:
        super().__init__(reason)
        self.failures = failures


@dataclass(frozen=True)
class Settings:
    """How long and how exactly to measure.

    Attributes:
        measurement_ms: the length of one window; made longer for a model that answers slower than that.
        stability: percent by which the last three windows may differ.
        max_trials: windows until figures are taken although they still vary; at least three.
    """

    measurement_ms: int = 2000
    stability: float = 10.0
    max_trials: int = 8


class LoadGenerator:
    """Sends the samples in turn, over and over. A context manager: its input file is temporary.

    Args:
        tool: perf_analyzer and its environment.
        model: the model's name.
        address: ``host:port``.
        protocol: "grpc" or "http".
        settings: see `Settings`.
    """

    def __init__(
        self, tool: Runtime, model: ModelSpec, address: str, protocol: str, settings: Settings
    ) -> None:
        self._tool = tool
        self._model = model
        self._address = address
        self._protocol = protocol
        self._settings = settings
        self._scratch = Path(tempfile.mkdtemp(prefix="tpgen-perf-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def write_samples(self, samples: Iterable[Request]) -> None:
        """Writes the input file: one request of one item per sample."""
        steps = [
            {name: _json_tensor(self._without_batch(tensor)) for name, tensor in sample.tensors.items()}
            for sample in samples
        ]
        self._input_file.write_text(json.dumps({"data": steps}))

    def measure(self, concurrency: int) -> Figures:
        """Keeps that many requests under way and returns the figures of the last three windows.

        Raises:
            LoadFailed: a request failed, or no figures could be had; with perf_analyzer's words.
        """
        settings = self._settings
        window = settings.measurement_ms
        while True:
            status, output = self._run(concurrency, window, settings.stability, settings.max_trials)
            if "No valid requests recorded" not in output or window >= LONGEST_WINDOW_MS:
                break
            window *= 4
        if status == 0:
            note = (
                None
                if window == settings.measurement_ms
                else f"windows of {window} ms, as answers take longer"
            )
            return self._read(note)
        if status != _UNSTABLE:
            raise _failed(output)
        # Unstable levels get no report at all, so the windows are measured again with any variation allowed.
        status, output = self._run(concurrency, window, _ANY_VARIATION, WINDOWS)
        if status:
            raise _failed(output)
        trials = f"{settings.max_trials} windows of {window} ms"
        varied = f"not stable: still varied by more than {settings.stability:g} % after {trials}"
        return replace(self._read(varied), stable=False)

    @property
    def _input_file(self) -> Path:
        return self._scratch / "samples.json"

    @property
    def _report(self) -> Path:
        return self._scratch / "report.csv"

    def _without_batch(self, tensor: Array) -> Array:
        return tensor[0] if self._model.is_batching else tensor

    def _run(self, concurrency: int, window_ms: int, stability: float, trials: int) -> tuple[int, str]:
        self._report.unlink(missing_ok=True)
        log = self._scratch / "output"
        command = [
            *(str(self._tool.program), "-m", self._model.name, "-u", self._address, "-i", self._protocol),
            *("--input-data", str(self._input_file), "--concurrency-range", str(concurrency)),
            *("-p", str(window_ms), "-s", f"{stability:g}", "-r", str(trials)),
            *("-f", str(self._report), "--verbose-csv"),
        ]
        process = spawn_supervised(
            command,
            token=f"tpgen-perf-{secrets.token_hex(6)}",
            grace=5.0,
            scratch=self._scratch,
            log=log,
            environment=self._tool.environment,
        )
        seconds = _START_SECONDS + (trials + 2) * window_ms / 1000
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise LoadFailed(f"perf_analyzer did not end within {math.ceil(seconds)} s") from error
        finally:
            end(process, 15.0)
        return status, log.read_text(errors="replace")

    def _read(self, note: str | None) -> Figures:
        with open(self._report, newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise LoadFailed("perf_analyzer's report is empty")
        row = rows[-1]

        def milliseconds(column: str) -> float:
            return float(row[column]) / 1000

        return Figures(
            float(row["Inferences/Second"]),
            milliseconds("p50 latency"),
            milliseconds("p90 latency"),
            milliseconds("p99 latency"),
            note,
        )


def _json_tensor(array: Array) -> dict[str, Any]:
    """A tensor as perf_analyzer reads it: raw bytes in base64, each string after its length in four bytes."""
    if array.dtype == np.object_:
        raw = b"".join(struct.pack("<I", len(element)) + element for element in array.reshape(-1))
    else:
        raw = np.ascontiguousarray(array).tobytes()
    return {"b64": base64.b64encode(raw).decode(), "shape": list(array.shape)}


def _failed(output: str) -> LoadFailed:
    """What went wrong, from perf_analyzer's output: it ends at the first request that fails."""
    errors = [_NO_ID.sub("", one).strip() for one in re.findall(r"Thread \[\d+\] had error: (.*)", output)]
    if errors:
        full = "requests were refused, as a queue was full: " * (_QUEUE_FULL in errors[0])
        return LoadFailed(f"{full}{errors[0]}", len(errors))
    if found := re.search(r"^error: (.*)", output, re.MULTILINE):
        return LoadFailed(found[1].strip())
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return LoadFailed(" / ".join(lines[-3:]) or "perf_analyzer ended without a word")
