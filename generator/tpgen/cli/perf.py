"""`tpgen perf`: a served model under load."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .inputs import read_samples
from .options import checked_url, input_option, isolated_option, json_option, tritonserver_option
from .report import Report
from .targets import no_server_is_an_error, repository_of

_SAMPLES = 16


def _levels(_ctx: click.Context, _param: click.Parameter, text: str) -> list[int]:
    from ..services.perf import parse_concurrency

    try:
        return parse_concurrency(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


@click.command("perf")
@click.argument(
    "target",
    metavar="DIR|PIPELINE.toml|URL",
    callback=lambda _ctx, _param, target: checked_url(target) if _is_url(target) else target,
)
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
@click.option(
    "--window",
    type=click.IntRange(50, 120_000),
    default=2000,
    show_default=True,
    metavar="MS",
    help="The length of a measuring window, in milliseconds; at least three are taken at each level.",
)
@click.option(
    "--stability",
    type=click.FloatRange(0, 1000, min_open=True),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="A level is done when its last three windows differ by less than this.",
)
@click.option(
    "--max-windows",
    type=click.IntRange(3, 1000),
    default=8,
    show_default=True,
    metavar="N",
    help="Windows after which figures are taken although they still vary.",
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
    window: int,
    stability: float,
    max_windows: int,
    tritonserver: str | None,
    isolated: bool,
) -> None:
    """Measure a served model under load with perf_analyzer.

    The table shows throughput, latency, the batches formed, and the time queued and computed. Without
    --input, samples are made from the types that the pipeline declares; a URL does not tell these.
    """
    from ..services.perf import Settings, perf

    settings = Settings(window, stability, max_windows)
    samples = read_samples(inputs) if inputs else _made(target, model, report)
    with ExitStack() as stack, no_server_is_an_error():
        place = target if _is_url(target) else _served(stack, Path(target), report, tritonserver, isolated)
        measured = perf(place, model, samples, concurrency, settings=settings, progress=report.progress)
    saved = measured.save(output)
    report.put(**measured.to_json(), files=[str(path) for path in saved])
    report.say(measured.table())
    report.say(f"\nsaved {', '.join(str(path) for path in saved)}")


def _made(target: str, model: str | None, report: Report) -> list[dict[str, Any]]:
    """Samples from the declared types of what is to be served."""
    if _is_url(target):
        raise click.UsageError(
            "a URL does not tell what to send; give a sample with --input, as in data=@image.jpg"
        )
    from ..services.sources import declared_samples
    from ..types import Bytes

    entry, samples = declared_samples(Path(target), model, _SAMPLES)
    types = ", ".join(f"{port.key}: {port.type}" for port in entry.inputs)
    jpegs = "; bytes are small JPEGs" if any(isinstance(port.type, Bytes) for port in entry.inputs) else ""
    report.progress(f"no --input: sending {_SAMPLES} samples made for {entry.name}({types}){jpegs}")
    return samples


def _is_url(target: str) -> bool:
    """A URL with a scheme, or host:port where no file is named so."""
    if "://" in target:
        return True
    return bool(re.fullmatch(r"[\w.-]+:\d+", target)) and not Path(target).exists()


def _served(stack: ExitStack, target: Path, report: Report, tritonserver: str | None, isolated: bool) -> Any:
    from ..services.server import TritonServer

    repository = stack.enter_context(repository_of(target, report))
    report.progress("starting tritonserver")
    pipeline = None if target.is_dir() else target
    return stack.enter_context(
        TritonServer(repository, tritonserver=tritonserver, isolated=isolated, pipeline=pipeline)
    )
