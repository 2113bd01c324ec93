"""Measures a served model under load: throughput, latency, batches formed, time queued and computed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity
from .client import Client, RequestError
from .counters import Counters, Stage
from .given import file_hint
from .load import Figures, LoadFailed, LoadGenerator, Settings
from .offered import choose_model
from .perf_report import PerfReport, Row
from .runtime import find_perf_analyzer
from .server import TritonServer
from .wire import Request, encode

__all__ = ["PerfReport", "Settings", "parse_concurrency", "perf"]


def perf(
    target: str | TritonServer,
    model: str | None,
    samples: Sequence[Mapping[str, Any]],
    concurrency: str | int | Sequence[int] = "1:16",
    *,
    settings: Settings | None = None,
    perf_analyzer: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> PerfReport:
    """Loads a model with perf_analyzer, one level of concurrency after the other.

    Args:
        target: a running server, or the URL of any; its scheme decides the protocol (gRPC for a server).
        model: the model's name; None for the only one that is not part of another.
        samples: the items to send in turn, each input name -> value, as `Client.infer` takes them.
        concurrency: see `parse_concurrency`.
        settings: how long and how exactly to measure.
        perf_analyzer: the program; by default one on the PATH, else that of tritonclient.
        progress: called with a line of text before and after each level.

    Raises:
        ValueError: the concurrency or the URL is malformed, or there is no sample.
        PipelineError: the model can't be chosen, a sample fails, or no level gave figures.
        RequestError: no server answers.
        ToolMissing: perf_analyzer is not installed.
    """
    levels = parse_concurrency(concurrency)
    if not samples:
        raise ValueError("there is no sample to send")
    tell = progress or _say_nothing
    tool = find_perf_analyzer(perf_analyzer)
    chosen = settings or Settings()
    with Client(target.grpc_url if isinstance(target, TritonServer) else target) as client:
        if client.scheme not in ("http", "grpc"):
            raise ValueError(f"load is sent over http or grpc, not {client.scheme}: '{client.url}'")
        name = choose_model(client, model)
        requests = _checked_samples(client, name, samples)
        counters = Counters(client, name)
        report = PerfReport(name, client.address, client.scheme, len(samples), chosen)
        with LoadGenerator(tool, client.spec(name), client.address, client.scheme, chosen) as load:
            load.write_samples(requests)
            for level in levels:
                tell(f"concurrency {level}: measuring")
                report.add(*_measure(load, counters, level))
                tell(f"concurrency {level}: {report.measured[-1].summary()}")
    if all(row.throughput is None for row in report.measured):
        raise _error("TP707", f"no figures for model '{name}': {report.measured[0].note}", model=name)
    return report


def parse_concurrency(text: str | int | Sequence[int]) -> list[int]:
    """The levels of concurrency that a text asks for.

    ``"4"``: one. ``"1,3,8"``: these. ``"1:16"``: 1, 2, 4, 8, 16 (doubled; the end is always one of them).
    ``"1:16:5"``: 1, 6, 11, 16. Numbers and lists of them are taken as they are.

    Raises:
        ValueError: none of these, or a level below 1.
    """
    if isinstance(text, int):
        levels = [text]
    elif not isinstance(text, str):
        levels = list(text)
    elif re.fullmatch(r"\d+(,\d+)*", text):
        levels = [int(part) for part in text.split(",")]
    elif match := re.fullmatch(r"(\d+):(\d+)(?::(\d+))?", text):
        levels = _range(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)
    else:
        levels = []
    if not levels or min(levels) < 1:
        raise ValueError(f"concurrency '{text}' is not like 4, 1,3,8, 1:16 (doubling) or 1:16:5 (steps of 5)")
    return levels


def _say_nothing(_line: str) -> None:
    pass


def _range(first: int, last: int, step: int | None) -> list[int]:
    if first < 1 or last < first or step == 0:
        return []
    if step is not None:
        return list(range(first, last + 1, step))
    levels = []
    while first < last:
        levels.append(first)
        first *= 2
    return [*levels, last]


def _checked_samples(client: Client, model: str, samples: Sequence[Mapping[str, Any]]) -> list[Request]:
    """Sends each sample once: perf_analyzer ends at the first failing request and does not say which."""
    requests = []
    for number, sample in enumerate(samples, start=1):
        try:
            is_batch, made = encode(client.spec(model), sample)
            if is_batch:
                raise _error("TP708", f"sample {number} is a batch; a sample is one item", model=model)
            client.infer(model, sample)
        except RequestError as error:
            if error.status is None:
                raise
            hints = (file_hint(key, value) for key, value in sample.items())
            raise _error(
                "TP708",
                f"sample {number} of {len(samples)} fails: {error.message}",
                hint=next(filter(None, hints), None),
                model=model,
            ) from error
        requests += made
    return requests


def _measure(load: LoadGenerator, counters: Counters, level: int) -> tuple[Row, list[Stage]]:
    before = counters.read()
    figures: Figures | None = None
    failures = 0
    try:
        figures = load.measure(level)
        note = figures.note
    except LoadFailed as error:
        note, failures = str(error), error.failures
    after = counters.read()
    entry = counters.entry(before, after)
    row = Row(
        level,
        figures.throughput if figures else None,
        figures.p50_ms if figures else None,
        figures.p90_ms if figures else None,
        figures.p99_ms if figures else None,
        entry.batch,
        entry.queue_ms,
        entry.compute_ms,
        max(entry.failures, failures),  # the server does not count what a queue refused
        note,
        figures.stable if figures else True,
    )
    return row, counters.stages(before, after)


def _error(code: str, message: str, *, hint: str | None = None, model: str | None = None) -> PipelineError:
    return PipelineError([Diagnostic(code, Severity.ERROR, message, hint=hint, model=model)])
