"""Workflows that build and check pipelines where changes are pushed: pure, nothing is written here."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from .render import render_text

SYSTEMS = {"github": ".github/workflows/tpgen.yml", "gitlab": ".gitlab-ci.yml"}
REPOSITORY = "model_repository"
# The newest for which everything that the packaged server needs is there as a wheel.
_PYTHON = "3.11"


@dataclass(frozen=True)
class Checked:
    """A pipeline of the workflow: its path from the root of the checkout, with ``/``, and its entries."""

    path: str
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """Commands of the shell, run from the root of the checkout; the first that fails ends the job."""

    title: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Steps on a machine of their own; what they leave at ``artifact`` is kept."""

    name: str
    python: str
    steps: tuple[Step, ...]
    artifact: str


def workflow(system: str, requirement: str, pipelines: Sequence[Checked], options: Sequence[str]) -> str:
    """The text of a workflow.

    Args:
        system: a key of `SYSTEMS`.
        requirement: what pip installs to get tpgen and a server.
        pipelines: what is built into one repository.
        options: of the build, as words of a command line.
    """
    jobs = [_cpu_job(pipelines, options)]
    # A hash, as a requirement has characters that keys may not have.
    key = f"tpgen-pip-{hashlib.sha256(requirement.encode()).hexdigest()[:12]}"
    return render_text(f"ci/{system}.yml.j2", requirement=requirement, jobs=jobs, cache_key=key)


def _cpu_job(pipelines: Sequence[Checked], options: Sequence[str]) -> Job:
    """All that needs no GPU: build, lint, and the served answers against the reference."""
    paths = [pipeline.path for pipeline in pipelines]
    verify = []
    for pipeline in pipelines:
        for entry in pipeline.entries:
            named = ["--entry", entry] if len(pipeline.entries) > 1 else []
            verify.append(shlex.join(["tpgen", "verify", pipeline.path, *named, *options, "--isolated"]))
    steps = (
        Step("Install tpgen", ('python -m pip install "$TPGEN"',)),
        Step("Build the repository", (shlex.join(["tpgen", "build", *paths, "-o", REPOSITORY, *options]),)),
        Step("Check the repository", (f"tpgen check {REPOSITORY}",)),
        Step("Compare served answers with the reference", tuple(verify)),
    )
    return Job("cpu", _PYTHON, steps, REPOSITORY)
