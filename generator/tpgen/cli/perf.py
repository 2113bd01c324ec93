"""`tpgen perf`: a served model under load."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .inputs import read_samples
from .options import input_option, isolated_option, json_option, tritonserver_option
from .report import Report
from .targets import no_server_is_an_error, repository_of


def _levels(_ctx: click.Context, _param: click.Parameter, text: str) -> list[int]:
    from ..services.perf import parse_concurrency

    try:
        return parse_concurrency(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


@click.command("perf")
@click.argument("target", metavar="DIR|PIPELINE.toml|URL")
@click.option("--model", metavar="NAME", help="The model [default: the only entry].")
@input_option
@click.option(
    "--concurrency",
    default="1:16",
    show_default=True,
    callback=_levels,
    help="Requests under way: 4, 1,3,8, 1:16 (doubling) or 1:16:5 (steps of 5).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="perf",
    show_default=True,
    help="The folder for perf.csv, perf.json and perf.svg.",
)
@tritonserver_option
@isolated_option
@json_option
@click.pass_obj
def command(
    report: Report,
    target: str,
    model: str | None,
    inputs: tuple[tuple[str, str], ...],
    concurrency: list[int],
    output: Path,
    tritonserver: str | None,
    isolated: bool,
) -> None:
    """Measure a served model with perf_analyzer: throughput, latency, batches, time queued and computed."""
    from ..services.perf import perf

    if not inputs:
        raise click.UsageError("there is no sample to send; give one with --input, as in data=@image.jpg")
    samples = read_samples(inputs)
    with ExitStack() as stack, no_server_is_an_error():
        place = target if _is_url(target) else _served(stack, Path(target), report, tritonserver, isolated)
        measured = perf(place, model, samples, concurrency, progress=report.progress)
    saved = measured.save(output)
    report.put(**measured.to_json(), files=[str(path) for path in saved])
    report.say(measured.table())
    report.say(f"\nsaved {', '.join(str(path) for path in saved)}")


def _is_url(target: str) -> bool:
    """A URL with a scheme, or host:port where no file is named so."""
    if "://" in target:
        return True
    return bool(re.fullmatch(r"[\w.-]+:\d+", target)) and not Path(target).exists()


def _served(stack: ExitStack, target: Path, report: Report, tritonserver: str | None, isolated: bool) -> Any:
    from ..services.server import TritonServer

    repository = stack.enter_context(repository_of(target, report))
    report.progress("starting tritonserver")
    return stack.enter_context(TritonServer(repository, tritonserver=tritonserver, isolated=isolated))
