"""`tpgen ci`: a workflow that builds and checks pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import read_samples
from .options import PIPELINE, compile_options, input_option, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions

_SYSTEMS = ("github", "gitlab")


@click.command("ci")
@click.argument("system", type=click.Choice(_SYSTEMS))
@click.argument("pipelines", nargs=-1, required=True, type=PIPELINE, metavar="PIPELINE.toml...")
@click.option(
    "-o",
    "--output",
    "output",
    type=click.Path(path_type=Path),
    help="The file [default: .github/workflows/tpgen.yml or .gitlab-ci.yml of the checkout].",
)
@click.option(
    "--install",
    "requirement",
    metavar="SPEC",
    help="What pip installs, where this release is not in your package index [default: this release].",
)
@click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="LABEL",
    callback=lambda _ctx, _param, labels: _checked_labels(labels),
    help="A runner with a GPU, by its label: engines are built and checked there. One for each type of GPU.",
)
@input_option
@click.option("--force", is_flag=True, help="Replace a file that tpgen did not write, or that was edited.")
@compile_options()
@json_option
@click.pass_obj
def command(
    report: Report,
    system: str,
    pipelines: tuple[Path, ...],
    output: Path | None,
    requirement: str | None,
    gpus: tuple[str, ...],
    inputs: tuple[tuple[str, str], ...],
    options: BuildOptions,
    *,
    force: bool,
) -> None:
    """Write a CI workflow for pipelines.

    It builds them into one repository, checks that, compares the served answers with the reference, and keeps
    the repository. An entry that has the keys of the given inputs (whose files are in the checkout) is
    compared for these, else for made ones. With --gpu it does so on each type of GPU, too, in the container
    of the release that serves, with TensorRT engines that are kept from run to run.
    """
    from ..emit.ci import SYSTEMS
    from ..emit.owned_files import write_marked
    from ..services.workflow import checkout_of, workflow_text

    samples = read_samples(inputs)
    text = workflow_text(system, pipelines, options, _words(), requirement, gpus, inputs, samples)
    path = output or checkout_of(pipelines[0]) / SYSTEMS[system]
    written = write_marked(path, text, "tpgen ci", force=force)
    report.put(file=str(path), changed=written)
    report.say(f"{path} {'written' if written else 'is up to date'}")


def _checked_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    for label in labels:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", label):
            raise click.BadParameter(f"{label!r} is no label of a runner: letters, digits, '.', '_' and '-'")
    return tuple(dict.fromkeys(labels))


def _words() -> list[str]:
    """The options of compilation as they were given, for the command line of the workflow."""
    from .options import given_words

    return given_words(click.get_current_context())
