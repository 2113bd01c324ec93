"""`tpgen docker`: container images of a repository, with Prometheus and Grafana."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import TARGET, compile_options, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions


@click.command("docker")
@click.argument("path", type=TARGET, metavar="DIR|PIPELINE.toml")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default="docker",
    show_default=True,
    help="The folder for the files.",
)
@click.option("--force", is_flag=True, help="Replace files that tpgen did not write, or that were edited.")
@compile_options()
@json_option
@click.pass_obj
def command(report: Report, path: Path, folder: Path, options: BuildOptions, *, force: bool) -> None:
    """Write what runs a repository in containers.

    Two Dockerfiles, a compose file with Prometheus and Grafana, and a dashboard of the pipeline's nodes. The
    sizes of memory and shared memory are computed from the pipelines. A pipeline is built into
    FOLDER/model_repository.
    """
    from ..services.deployment import write_deployment

    deployment, written, found = write_deployment(path, folder, options, force=force)
    report.findings(found)
    report.put(
        directory=str(folder),
        written=list(written),
        dockerfile=deployment.dockerfile,
        shm_size=f"{deployment.shm_size}m",
        pool=deployment.pool,
        processes=deployment.processes,
        memory=deployment.memory,
    )
    if not written:
        report.say(f"nothing changed: {folder} is up to date")
        return
    report.say(f"{folder}: {len(written)} files written; image {deployment.dockerfile}")
    size = f"about {deployment.memory >> 20} MiB, --shm-size={deployment.shm_size}m"
    report.say(f"{deployment.processes} processes, {size}")
    report.say(f"start it with: docker compose --project-directory {shlex.quote(str(folder))} up --build")
