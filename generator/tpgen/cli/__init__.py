"""The `tpgen` command: options and printing. What it does is in `driver` and `services`.

Exit status: 0 done; 1 the pipeline or the data is wrong; 2 usage; 3 something is missing in the environment;
70 a bug in tpgen; 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from .. import __version__
from ..diagnostics import did_you_mean
from .exits import USAGE, status_of
from .report import Report

_COMMANDS = (
    "build",
    "check",
    "run",
    "serve",
    "verify",
    "perf",
    "explain",
    "engines",
    "docker",
    "ci",
    "encrypt",
    "demo",
)


class _LazyGroup(click.Group):
    """Commands by name; the module of each is imported when it is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = did_you_mean(args[0], _COMMANDS)
        if near and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command '{args[0]}'; did you mean '{near}'?")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="'tpgen COMMAND --help' explains a command, 'tpgen explain CODE' an error code.",
)
@click.version_option(__version__, message="tpgen %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Compile TOML pipelines into Triton model repositories; serve, check and measure them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(USAGE)


def run_command(arguments: Sequence[str], out: TextIO | None = None) -> int:
    """Runs one command; everything that it can raise becomes an exit status, and is reported.

    Args:
        arguments: the command line without the program's name.
        out: where results go; by default stdout.
    """
    report = Report(out or sys.stdout, as_json=_wants_json(arguments))
    try:
        status = cli.main(list(arguments), prog_name="tpgen", standalone_mode=False, obj=report) or 0
    except BaseException as problem:  # noqa: BLE001  (each kind has its exit status)
        status = status_of(problem, report, arguments)
    report.publish(status)
    return int(status)


def main() -> None:
    """The program. With --json, whatever else writes to stdout (user code, libraries) is led to stderr."""
    arguments = sys.argv[1:]
    out = sys.stdout
    if _wants_json(arguments):
        out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
    try:
        status = run_command(arguments, out)
        out.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `tpgen explain TP102 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        status = 141
    sys.exit(status)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Looked up before click parses, as a command line that it refuses is reported in JSON, too."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options
