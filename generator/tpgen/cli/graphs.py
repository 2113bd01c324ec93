"""`--print-graph` and `--print-after`: the graph between passes, in its text form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..diagnostics import did_you_mean
from .report import Report

if TYPE_CHECKING:
    from ..ir.graph import Graph

_Command = TypeVar("_Command", bound=Callable[..., Any])


def graph_options(command: _Command) -> _Command:
    """Adds both options; the command gets ``print_after`` (names of passes) and ``print_graph``."""
    command = click.option("--print-graph", is_flag=True, help="Print the graph behind the last pass.")(
        command
    )
    return click.option(
        "--print-after",
        multiple=True,
        metavar="PASS",
        callback=lambda _ctx, _param, names: tuple(_checked(name) for name in names),
        help="Print the graph behind a pass, or behind each of them (all).",
    )(command)


def _checked(name: str) -> str:
    from ..passes import ANALYSIS, OPTIMIZE

    known = [step.name for step in (*ANALYSIS, *OPTIMIZE)]
    if name not in (*known, "all"):
        near = did_you_mean(name, known)
        hint = f"did you mean '{near}'?" if near else f"passes: {', '.join(known)}"
        raise click.BadParameter(f"there is no pass '{name}'; {hint}")
    return name


class GraphPrinter:
    """Prints graphs while passes run. An instance is what `driver.build` takes as ``after``."""

    def __init__(self, report: Report, print_after: tuple[str, ...], *, print_graph: bool) -> None:
        self._report = report
        self._wanted = print_after
        self._last = print_graph
        self._graphs: list[dict[str, str]] = []

    def __call__(self, name: str, graph: Graph) -> None:
        from ..ir.printer import print_graph
        from ..passes import OPTIMIZE

        wanted = name in self._wanted or "all" in self._wanted
        if wanted or (self._last and name == OPTIMIZE[-1].name):
            text = print_graph(graph)
            self._report.say(f"# after {name}\n{text}")
            self._graphs.append({"after": name, "pipeline": graph.name, "graph": text})
            self._report.put(graphs=self._graphs)
