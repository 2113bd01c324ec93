"""Random pipelines by the thousand: on all cores, with a report of what failed and of what occurred.

Each seed makes one pipeline, whatever the others do, so that any of them can be looked at alone.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from all_ways import compare
from constructs import occurring
from random_graphs import make_graph, write_status_code
from random_pipelines import Pipeline, make_pipeline, write_files
from tpgen.driver.options import usable_cores

CHUNK = 10  # seeds that a process takes at once
SHOWN = 5


@dataclass
class Report:
    """What came of many pipelines: the failures in words, and in how many of them each construct occurred."""

    compared: int = 0
    failures: list[str] = field(default_factory=list)
    occurred: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        self.compared += other.compared
        self.failures += other.failures
        self.occurred += other.occurred

    def table(self) -> str:
        """How many pipelines hold each construct, the rarest first."""
        rows = sorted(self.occurred.items(), key=lambda row: row[1])
        return "\n".join(f"{count:6} {100 * count / self.compared:5.1f} %  {name}" for name, count in rows)

    def failed(self) -> str:
        """The first failures, in words."""
        more = f"\n\n... and {len(self.failures) - SHOWN} more" if len(self.failures) > SHOWN else ""
        found = f"{len(self.failures)} of {self.compared} pipelines differ\n\n"
        return found + "\n\n".join(self.failures[:SHOWN]) + more


def compare_many(kind: str, seeds: Sequence[int]) -> Report:
    """Compares the pipelines of these seeds: ``graph``, with branches, or ``straight``."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    report = Report()
    workers = min(usable_cores(), len(chunks))
    if workers < 2:
        for chunk in chunks:
            report.add(_compare_some(kind, chunk))
        return report
    # Spawned: a fork would inherit locks that the threads of this process hold at that moment.
    with ProcessPoolExecutor(workers, get_context("spawn"), warnings.simplefilter, ("error",)) as pool:
        for part in pool.map(_compare_some, [kind] * len(chunks), chunks):
            report.add(part)
    return report


def _compare_some(kind: str, seeds: Iterable[int]) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="tpgen-random-"))
    report = Report()
    try:
        write_files(folder)
        write_status_code(folder)
        for seed in seeds:
            _compare_one(kind, seed, folder, report)
    finally:
        shutil.rmtree(folder)
    return report


def _compare_one(kind: str, seed: int, folder: Path, report: Report) -> None:
    made: Pipeline | None = None
    report.compared += 1
    try:
        rng = random.Random(-seed if kind == "graph" else seed)
        name = f"{kind}{seed}"
        if kind == "graph":
            made = make_graph(rng, folder, name, more=True)
        else:
            made = make_pipeline(rng, folder, name)
        outcomes = compare(made, folder, name, rng)
        report.occurred.update(occurring(made, outcomes))
    except Exception:  # noqa: BLE001 (reported, with all that is needed to see it again)
        text = made.text if made is not None else "(it was not made)"
        variable = "TPGEN_EQUIVALENCE_GRAPHS" if kind == "graph" else "TPGEN_EQUIVALENCE"
        command = f"TPGEN_SEED={seed} {variable}=1 python -m pytest tests/test_equivalence.py -k {kind}"
        report.failures.append(f"--- seed {seed}: {command}\n{text}\n{traceback.format_exc()}")
