"""`tpgen run`: a pipeline in this process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import Diagnostic, Severity
from . import show
from .inputs import read_samples
from .options import PIPELINE, compile_options, entry_option, input_option, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions
    from ..ir.graph import Entry, Node
    from ..runner.interpreter import ItemError

    Outcome = Mapping[str, Any] | ItemError

# What a stage writes before the reason; here each item is a sample of its own.
_LOCATED = re.compile(r"(?P<place>[^:\n]+:\d+) \[(?P<node>[^\]]+)\] item \d+: (?P<reason>.+)", re.DOTALL)

_ABOUT_ENGINES = ("TP906", "TP907", "TP909")  # which run nowhere here: models run as ONNX files


@click.command("run")
@click.argument("pipeline", type=PIPELINE, metavar="PIPELINE.toml")
@input_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Save the outputs as a .npz file; of several samples under <number>/<key>.",
)
@click.option(
    "--reference",
    is_flag=True,
    help="Run what the TOML says operator by operator, in place of the code that is generated from it.",
)
@entry_option
@compile_options(stages=False)
@json_option
@click.pass_obj
def command(
    report: Report,
    pipeline: Path,
    inputs: tuple[tuple[str, str], ...],
    output: Path | None,
    entry_name: str | None,
    reference: bool,
    options: BuildOptions,
) -> int:
    """Run a pipeline on samples, in this process and without a server."""
    from ..driver import check
    from ..driver.entries import choose_entry
    from ..driver.values import item_for
    from ..services.given import refuse_file_names

    checked = check(pipeline, options)
    report.findings(one for one in checked.diagnostics if one.code not in _ABOUT_ENGINES)
    entry = choose_entry(checked.compiled[0].graph.entries, entry_name, pipeline)
    samples = read_samples(inputs) or [{}]
    refuse_file_names(entry, samples)
    items = [item_for(entry, sample) for sample in samples]
    outcomes = (
        _run_reference(pipeline, options, entry, items)
        if reference
        else _run(pipeline, options, entry, items)
    )
    failed = _report(report, entry, outcomes, checked.compiled[0].reference.nodes.values())
    if output is not None:
        _save(output, outcomes)
        report.say(f"saved {output}")
    return 1 if failed else 0


def _run(
    pipeline: Path, options: BuildOptions, entry: Entry, items: Sequence[dict[str, Any]]
) -> list[Outcome]:
    from ..driver import pipe
    from ..runner.interpreter import ItemError

    outcomes: list[Outcome] = []
    with pipe(pipeline, options, entry=entry.name) as loaded:
        for item in items:
            given = dict(item)
            try:
                loaded(given)
            except ItemError as problem:
                outcomes.append(problem)
            else:
                outcomes.append({key: given[key] for key in entry.answered if key in given})
    return outcomes


def _run_reference(
    pipeline: Path, options: BuildOptions, entry: Entry, items: Sequence[dict[str, Any]]
) -> list[Outcome]:
    from ..driver import reference
    from ..driver.entries import choose_entry

    compiled, interpreter = reference(pipeline, options)
    entry = choose_entry(compiled.reference.entries, entry.name, pipeline)
    return [interpreter.run(entry, [item])[0] for item in items]


def _report(report: Report, entry: Entry, outcomes: Sequence[Outcome], nodes: Iterable[Node]) -> int:
    """Prints the outputs of each sample, or why it failed; returns how many failed."""
    documents: list[dict[str, Any]] = []
    problems = []
    for number, outcome in enumerate(outcomes, start=1):
        place = f"sample {number}" if len(outcomes) > 1 else ""
        if isinstance(outcome, Exception):
            raised_at = outcome.place
            documents.append(
                {"error": str(outcome), "outputs": None, **({"raised_at": raised_at} if raised_at else {})}
            )
            problems.append(_failure(str(outcome), place, raised_at, nodes))
            continue
        outputs = {key: outcome.get(key) for key in entry.answered}
        documents.append({"error": None, "outputs": {k: show.to_json(v) for k, v in outputs.items()}})
        if place:
            report.say(place)
        report.say(show.describe(outputs))
    report.put(entry=entry.name, samples=documents)
    report.findings(problems)
    return len(problems)


def _failure(text: str, sample: str, raised_at: str, nodes: Iterable[Node]) -> Diagnostic:
    """The finding of a sample that failed: at the place of its node, where the text names one."""
    below = f"\n  {raised_at}" if raised_at else ""
    prefix = f"{sample}: " if sample else ""
    match = _LOCATED.match(text)
    node = next((node for node in nodes if match and node.title == match["node"]), None)
    if match is None or node is None or node.location != match["place"]:
        return Diagnostic("TP723", Severity.ERROR, f"{prefix}{text}{below}")
    message = f"{prefix}[{node.title}] {match['reason']}{below}"
    span = node.spans.get("backend", node.span)
    return Diagnostic("TP723", Severity.ERROR, message, span, node=node.title)


def _save(path: Path, outcomes: Sequence[Outcome]) -> None:
    import numpy as np

    arrays: dict[str, Any] = {}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Exception):
            continue
        for key, value in outcome.items():
            name = f"{number}/{key}" if len(outcomes) > 1 else key
            arrays.update(show.to_arrays(name, value))
    with open(path, "wb") as file:
        np.savez(file, **arrays)
