"""What a load test found, as a table, CSV, JSON and a chart."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..text_table import aligned
from .chart import Mark, Panel, Series, svg
from .counters import Stage
from .load import Settings


@dataclass(frozen=True)
class Row:
    """One level of concurrency. None: there was nothing to take the figure from (``note`` says why)."""

    concurrency: int
    throughput: float | None  # inferences per second
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    batch: float | None  # mean inferences per execution
    queue_ms: float | None  # mean per request
    compute_ms: float | None
    errors: int
    note: str | None = None
    stable: bool = True

    def summary(self) -> str:
        """The level in a few words."""
        if self.throughput is None:
            return f"no figures: {self.note}"
        return f"{self.throughput:.1f} inferences/s, p99 {_number(self.p99_ms, 2)} ms"

    @property
    def mark(self) -> Mark:
        """How the level is marked in a chart."""
        if self.throughput is None:
            return Mark.FAILED
        return Mark.SOUND if self.stable else Mark.UNSTABLE

    def figures(self) -> dict[str, int | float | None]:
        """The row without what was noted about it, rounded to what is meaningful."""
        return {
            column.name: round(value, 4) if isinstance(value := getattr(self, column.name), float) else value
            for column in fields(self)
            if column.name not in ("note", "stable")
        }


_HEADINGS = (
    "concurrency",
    "inferences/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "batch",
    "queue ms",
    "compute ms",
    "errors",
)
_DIGITS = (0, 1, 2, 2, 2, 2, 2, 2, 0)


@dataclass
class PerfReport:
    """The rows of a load test, and what they were measured on and how."""

    model: str
    address: str
    protocol: str
    samples: int
    settings: Settings
    measured: list[Row] = field(default_factory=list)
    stages: dict[int, list[Stage]] = field(default_factory=dict)

    def add(self, row: Row, stages: list[Stage]) -> None:
        """Adds a level of concurrency and what each model of the server did at it."""
        self.measured.append(row)
        self.stages[row.concurrency] = stages

    @property
    def rows(self) -> list[dict[str, int | float | str | None]]:
        """One record per level.

        Its keys: concurrency, throughput (inferences/s), p50_ms, p90_ms, p99_ms, batch (mean achieved),
        queue_ms and compute_ms (means per request), errors (failed requests; a level ends at the first), note
        (what to know about the level, else None).
        """
        return [{**row.figures(), "note": row.note} for row in self.measured]

    @property
    def notes(self) -> list[str]:
        """What to know about single levels: not stable, failing."""
        return [f"concurrency {row.concurrency}: {row.note}" for row in self.measured if row.note]

    def table(self) -> str:
        """The report for a terminal: the levels, at the highest one each model's share, and the notes."""
        body = [
            [_number(value, digits) for value, digits in zip(row.figures().values(), _DIGITS, strict=True)]
            for row in self.measured
        ]
        parts = [aligned([list(_HEADINGS), *body])]
        last = self.measured[-1].concurrency if self.measured else 0
        stages = self.stages.get(last, [])
        if len(stages) > 1:
            heading = [f"model (at concurrency {last})", "requests", "batch", "queue ms", "compute ms"]
            lines = [
                [s.model, str(s.requests), *(_number(v, 2) for v in (s.batch, s.queue_ms, s.compute_ms))]
                for s in stages
            ]
            parts.append(aligned([heading, *lines], left=1))
        if self.notes:
            parts.append("\n".join(f"note: {note}" for note in self.notes))
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "model": self.model,
            "address": self.address,
            "protocol": self.protocol,
            "samples": self.samples,
            "settings": asdict(self.settings),
            "rows": self.rows,
            "stages": {str(level): [asdict(s) for s in stages] for level, stages in self.stages.items()},
            "notes": self.notes,
        }

    def svg(self) -> str:
        """A chart: throughput, and beside it latency, against concurrency."""
        levels = [str(row.concurrency) for row in self.measured]
        marks = [row.mark for row in self.measured]
        rate = Panel(
            "Throughput",
            "inferences/s",
            levels,
            [Series("", [row.throughput for row in self.measured], "#1f6fb4")],
            marks,
        )
        latency = Panel(
            "Latency",
            "ms",
            levels,
            [
                Series("p99", [row.p99_ms for row in self.measured], "#c2410c"),
                Series("p50", [row.p50_ms for row in self.measured], "#1f6fb4"),
            ],
            marks,
        )
        many = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        return svg(self.model, f"{self.protocol} · {many}", "concurrent requests", [rate, latency])

    def save(self, folder: Path) -> list[Path]:
        """Writes ``perf.csv``, ``perf.json`` and ``perf.svg`` into a folder; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in ("perf.csv", "perf.json", "perf.svg")]
        with open(paths[0], "w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        paths[1].write_text(json.dumps(self.to_json(), indent=2) + "\n")
        paths[2].write_text(self.svg())
        return paths


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
