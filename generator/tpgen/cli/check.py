"""`tpgen check`: all that build checks, writing nothing; on a directory, a lint of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import PipelineError, Severity
from .graphs import GraphPrinter, graph_options
from .options import TARGET, compile_options, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions


@click.command("check")
@click.argument("path", type=TARGET, metavar="PIPELINE.toml|DIR")
@compile_options()
@graph_options
@json_option
@click.pass_obj
def command(
    report: Report,
    path: Path,
    options: BuildOptions,
    print_after: tuple[str, ...],
    print_graph: bool,
) -> None:
    """Check a pipeline, or lint a model repository.

    All that build checks is checked, and nothing is written.
    """
    if path.is_dir():
        _check_directory(report, path)
        return
    from ..driver import check

    result = check(path, options, after=GraphPrinter(report, print_after, print_graph=print_graph))
    report.findings(result.diagnostics)
    report.put(pipelines=list(result.pipelines))
    report.say(f"{path}: no errors")


def _check_directory(report: Report, directory: Path) -> None:
    from .. import driver

    lint = getattr(driver, "check_repository", None)
    if lint is None:
        raise click.UsageError(f"'{directory}' is a directory; this version checks pipelines only")
    diagnostics = lint(directory).diagnostics
    if any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics):
        raise PipelineError(diagnostics)
    report.findings(diagnostics)
    report.say(f"{directory}: no errors")
