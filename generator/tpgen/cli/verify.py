"""`tpgen verify`: served answers against the reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import Diagnostic, Severity
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
    code, message = "TP724", "the served answers differ from the reference"
    if result.all_fail:
        code, message = "TP723", "every input fails, in the reference too: give others with --input"
    elif not result.differs:
        code, message = "TP729", "requests were refused by a queue, and their answers could not be compared"
    report.failure(Diagnostic(code, Severity.ERROR, message), f"error[{code}]: {message}")
    return 1
