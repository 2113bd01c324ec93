"""Measures served builds of the example pipeline against the frozen baselines, all in one run.

    python benchmarks/run.py                     5 rounds of 6 s for each variant; about 6 minutes
    python benchmarks/run.py --quick             a look, not a result
    python benchmarks/run.py --update            also write the figures into RESULTS.md

Every variant must give the same answers first. Then the variants take turns, in another order each round,
one server at a time, under the same load: 10 clients over gRPC that send the same 16 JPEGs. Ratios are taken
within each round. A measurement that other programs disturbed is repeated: their load says nothing about the
variant.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import report
from measure import CLIENTS, Measurement, await_quiet, logits, measure
from variants import CORES, HERE, IMAGES, Loop, Served, check_frozen, make_images, make_variants

_RESULTS = HERE / "results"
_TOLERANCE = 1e-4  # of the largest logit
_QUIET = 0.1  # cores that other programs may take during a measurement
_ATTEMPTS = 4
_PATIENCE_SECONDS = 60.0


def main() -> int:
    options = _options()
    if changed := check_frozen():
        print(f"the baselines are frozen, but not as in peers/FROZEN: {', '.join(changed)}", file=sys.stderr)
        return 1
    _warn_about_cores()
    with tempfile.TemporaryDirectory(prefix="tpgen-bench-") as scratch:
        images = make_images(Path(scratch) / "images")
        variants = _chosen(make_variants(Path(scratch)), options.variants)
        if not _agree(variants, images):
            return 1
        rounds = _measure_rounds(variants, images, options)
    figures = report.table(variants, rounds)
    print(f"\n{figures}")
    _save(rounds)
    if options.update:
        report.update(HERE / "RESULTS.md", _heading(options, rounds), figures)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="per variant and round")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 3 seconds, disturbed or not")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="measure only these")
    parser.add_argument("--update", action="store_true", help="write the figures into RESULTS.md")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 3.0
    return options


def _warn_about_cores() -> None:
    usable = len(os.sched_getaffinity(0))
    if usable != CORES:
        print(
            f"note: the goals are for {CORES} cores, {usable} are usable: taskset -c 0-{CORES - 1} …",
            file=sys.stderr,
        )


def _chosen(variants: list[Served | Loop], names: Sequence[str] | None) -> list[Served | Loop]:
    known = [variant.name for variant in variants]
    if unknown := set(names or ()) - set(known):
        raise SystemExit(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [variant for variant in variants if not names or variant.name in names]


def _agree(variants: Sequence[Served | Loop], images: Path) -> bool:
    """True if all variants give the answers of the first one; a fast wrong answer is no result."""
    reference = logits(variants[0], images)
    allowed = _TOLERANCE * max(1.0, float(np.abs(reference).max()))
    agree = True
    for variant in variants[1:]:
        difference = float(np.abs(logits(variant, images) - reference).max())
        verdict = "same answers" if difference <= allowed else "OTHER ANSWERS"
        print(
            f"{variant.name}: {verdict} as {variants[0].name} (largest difference {difference:.1e})",
            flush=True,
        )
        agree = agree and difference <= allowed
    return agree


def _measure_rounds(
    variants: Sequence[Served | Loop], images: Path, options: argparse.Namespace
) -> dict[str, list[Measurement]]:
    rounds: dict[str, list[Measurement]] = {variant.name: [] for variant in variants}
    for number in range(options.rounds):
        first = number % len(variants)
        for variant in (*variants[first:], *variants[:first]):
            found = _undisturbed(variant, images, options.seconds, 1 if options.quick else _ATTEMPTS)
            rounds[variant.name].append(found)
            disturbed = f", others took {found.foreign:.1f} cores" if found.foreign > _QUIET else ""
            print(
                f"round {number + 1}/{options.rounds} {variant.name}: {found.throughput:.0f}/s{disturbed}",
                flush=True,
            )
    return rounds


def _undisturbed(variant: Served | Loop, images: Path, seconds: float, attempts: int) -> Measurement:
    """The first measurement that nothing disturbed, else the least disturbed one."""
    tried = []
    for _ in range(attempts):
        await_quiet(_PATIENCE_SECONDS if attempts > 1 else 0.0)
        tried.append(measure(variant, images, seconds))
        if tried[-1].foreign <= _QUIET:
            break
    return min(tried, key=lambda one: one.foreign)


def _heading(options: argparse.Namespace, rounds: report.Rounds) -> str:
    foreign = max(one.foreign for measured in rounds.values() for one in measured)
    return (
        f"{len(os.sched_getaffinity(0))} cores, Triton 24.10, perf_analyzer with {CLIENTS} clients over gRPC,"
        f" {IMAGES} JPEGs of 640 × 444, a ResNet-18 of a quarter of the width; {options.rounds} rounds of"
        f" {options.seconds:g} s for each variant. Other programs took {foreign:.2f} cores at most."
    )


def _save(rounds: report.Rounds) -> None:
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / ".gitignore").write_text("*\n")
    document = {name: [asdict(one) for one in measured] for name, measured in rounds.items()}
    number = 1 + max((int(file.stem) for file in _RESULTS.glob("*.json") if file.stem.isdigit()), default=0)
    (_RESULTS / f"{number:03}.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
