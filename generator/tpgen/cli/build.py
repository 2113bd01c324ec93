"""`tpgen build`: pipelines into a model repository."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .graphs import GraphPrinter, graph_options
from .options import PIPELINE, compile_options, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions, BuildResult


@click.command("build")
@click.argument("pipelines", nargs=-1, required=True, type=PIPELINE, metavar="PIPELINE.toml...")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    default="model_repository",
    show_default=True,
    help="The model repository. Other pipelines and foreign models in it stay.",
)
@compile_options()
@graph_options
@json_option
@click.pass_obj
def command(
    report: Report,
    pipelines: tuple[Path, ...],
    directory: Path,
    options: BuildOptions,
    print_after: tuple[str, ...],
    print_graph: bool,
) -> None:
    """Compile pipelines into a Triton model repository."""
    from ..driver import build

    printer = GraphPrinter(report, print_after, print_graph=print_graph)
    result = build(pipelines, directory, options, after=printer)
    report.findings(result.diagnostics)
    _put(report, result, directory)
    if not result.changed:
        report.say(f"nothing changed: {directory} is up to date")
        return
    report.say(_summary(result, directory))
    report.say(f"serve it with: tpgen serve {shlex.quote(str(directory))}")


def _put(report: Report, result: BuildResult, directory: Path) -> None:
    assert result.written is not None, "a build writes"
    report.put(
        directory=str(directory),
        pipelines=list(result.pipelines),
        changed=result.changed,
        written=list(result.written.written),
        removed=list(result.written.removed),
        unchanged=list(result.written.unchanged),
    )


def _summary(result: BuildResult, directory: Path) -> str:
    assert result.written is not None, "a build writes"
    counts = [(len(result.written.written), "written"), (len(result.written.removed), "removed")]
    counts.append((len(result.written.unchanged), "unchanged"))
    done = ", ".join(f"{count} {word}" for count, word in counts if count)
    lines = [f"{directory}: {done}"]
    for compiled in result.compiled:
        for entry in compiled.graph.entries:
            takes = ", ".join(f"{port.key}: {port.type}" for port in entry.inputs)
            gives = ", ".join(f"{port.key}: {port.type}" for port in entry.outputs)
            lines.append(f"  {entry.name}({takes}) -> {gives}; up to {entry.max_batch} items a request")
    return "\n".join(lines)
