"""The figures of all rounds as a table, as ratios with their goals, and as a section of RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import Measurement
from variants import GOALS, Goal, Loop, Served

Rounds = Mapping[str, Sequence[Measurement]]
_END = "<!-- end of figures -->\n"


def table(variants: Sequence[Served | Loop], rounds: Rounds) -> str:
    """A Markdown table of all variants, and one of the goals."""
    lines = [
        "| variant | inferences/s | lowest to highest | p50 ms | p99 ms | CPU ms each | batch |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(variant, rounds[variant.name]) for variant in variants),
        "",
        "| ratio | median of the rounds | lowest to highest | goal | |",
        "| --- | ---: | ---: | ---: | --- |",
        *(_goal(goal, rounds) for goal in GOALS if goal.variant in rounds and goal.baseline in rounds),
    ]
    return "\n".join(lines) + "\n"


def ratios(goal: Goal, rounds: Rounds) -> list[float]:
    """The ratio in each round: what disturbs the machine for long disturbs both sides of it."""
    return [
        mine.throughput / other.throughput
        for mine, other in zip(rounds[goal.variant], rounds[goal.baseline], strict=True)
    ]


def is_met(goal: Goal, rounds: Rounds) -> bool:
    return statistics.median(ratios(goal, rounds)) >= goal.factor


def update(file: Path, heading: str, figures: str, program: str = "benchmarks/run.py") -> None:
    """Replaces the section of a program's figures in a file."""
    begin = f"<!-- figures: written by `{program} --update` -->\n"
    before, _, rest = file.read_text().partition(begin)
    _, _, after = rest.partition(_END)
    file.write_text(f"{before}{begin}\n{heading}\n\n{figures}\n{_END}{after}")


def _row(variant: Served | Loop, measured: Sequence[Measurement]) -> str:
    throughput = [one.throughput for one in measured]
    batches = [one.batch for one in measured if one.batch is not None]
    cells = (
        f"`{variant.name}`: {variant.what}",
        f"{statistics.median(throughput):.0f}",
        f"{min(throughput):.0f} to {max(throughput):.0f}",
        f"{statistics.median(one.p50_ms for one in measured):.1f}",
        f"{statistics.median(one.p99_ms for one in measured):.1f}",
        f"{statistics.median(one.cpu_ms for one in measured):.2f}",
        f"{statistics.median(batches):.1f}" if batches else "",
    )
    return f"| {' | '.join(cells)} |"


def _goal(goal: Goal, rounds: Rounds) -> str:
    found = ratios(goal, rounds)
    cells = (
        f"`{goal.variant}` / `{goal.baseline}`",
        f"**{statistics.median(found):.2f}**",
        f"{min(found):.2f} to {max(found):.2f}",
        f"{goal.factor:g}",
        "met" if is_met(goal, rounds) else "missed",
    )
    return f"| {' | '.join(cells)} |"
