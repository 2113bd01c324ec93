"""`tpgen verify`: served answers against the reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import Diagnostic, Severity, render
from .inputs import read_samples
from .options import (
    TARGET,
    checked_url,
    compile_options,
    entry_option,
    input_option,
    isolated_option,
    json_option,
    tritonserver_option,
)
from .report import Report
from .targets import no_server_is_an_error

if TYPE_CHECKING:
    from ..driver import BuildOptions
    from ..services.verify import VerifyReport


@click.command("verify")
@click.argument("path", type=TARGET, metavar="DIR|PIPELINE.toml")
@compile_options()
@input_option
@entry_option
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    help="The difference that is allowed in float outputs [default: 1e-4 of the reference's largest value].",
)
@click.option(
    "--url",
    callback=lambda _ctx, _param, url: url if url is None else checked_url(url),
    help="Check a server that runs already.",
)
@tritonserver_option
@isolated_option
@json_option
@click.pass_obj
def command(
    report: Report,
    path: Path,
    options: BuildOptions,
    inputs: tuple[tuple[str, str], ...],
    entry_name: str | None,
    tolerance: float | None,
    url: str | None,
    tritonserver: str | None,
    isolated: bool,
) -> int:
    """Check the served answers against the reference.

    The pipeline is served, and compared output by output. At least 16 distinct inputs are made from the given
    ones, or from the types of the inputs. They are sent alone, concurrently and in batches.
    """
    from ..services.verify import verify

    samples = read_samples(inputs)
    with no_server_is_an_error():
        result = verify(
            path,
            samples,
            entry=entry_name,
            tolerance=tolerance,
            url=url,
            tritonserver=tritonserver,
            isolated=isolated,
            options=options,
            progress=report.progress,
        )
    report.put(**result.to_json())
    report.say(result.table())
    if result.ok:
        return 0
    finding = _finding(result)
    report.failure(finding, render(finding))
    return 1


def _finding(result: VerifyReport) -> Diagnostic:
    """Why the answers are not known to be the reference's."""
    if result.all_fail:
        message = "every input fails, in the reference too"
        return Diagnostic("TP723", Severity.ERROR, message, hint="give others with --input")
    if result.differs:
        message = "the served answers differ from the reference"
        return Diagnostic("TP724", Severity.ERROR, message, hint=result.advice)
    message = "requests were refused by a queue, and their answers could not be compared"
    hint = "build with a longer timeout_ms and max_queue_size; 'tpgen explain TP729' shows how"
    return Diagnostic("TP729", Severity.ERROR, message, hint=hint)
