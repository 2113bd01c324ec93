"""A repository served in a container: the commands of docker, and running them."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity, ToolMissing
from ..driver import Compiled
from ..driver.deploy import server_needs
from ..emit.deployment import CPU, image_flags, image_for, pool_flag
from ..emit.features import features_of
from ..emit.manifest import read_manifest
from ..emit.versions import DEFAULT_TARGET, parse_release
from ..resources import docker_dir
from ..runner.encryption import needs_key
from .deployment import compiled_of
from .network import free_ports
from .pool import pool_flags

_INSIDE = (8000, 8001, 8002)
# Where the pipelines are not known: the server's processes grow into it.
_USUAL_SHM = "1g"
_INSTALL = "https://docs.docker.com/engine/install/"
_BUILDX = "https://github.com/docker/buildx#installing"


@dataclass(frozen=True)
class ContainerPlan:
    """Two command lines, and what they could not be computed from."""

    build: tuple[str, ...]
    run: tuple[str, ...]
    note: str

    def text(self) -> str:
        """Both as lines of a shell."""
        return f"{shlex.join(self.build)}\n{shlex.join(self.run)}"


def container_plan(
    repository: Path, compiled: Sequence[Compiled], host: str, ports: Sequence[int]
) -> ContainerPlan:
    """How docker builds an image of a repository and runs it until it is stopped.

    Args:
        repository: its folder.
        compiled: its pipelines, for how much shared memory they need; none if they are not known.
        host: the address of this machine to listen on.
        ports: of HTTP, gRPC and metrics; 0 takes a free one.
    """
    repository = repository.resolve()
    target, release = _built_for(repository)
    dockerfile = image_for(target, release)
    devices = ["--gpus", "all"] if target == "gpu" else []
    key = _key_options() if needs_key(repository) else []
    flags = [*pool_flags(repository), *image_flags(dockerfile, features_of(repository))]
    shm, note = _USUAL_SHM, ""
    if compiled:
        needs = server_needs(compiled)
        shm, flags = f"{needs.shm_size}m", [pool_flag(needs.pool), *flags]
    else:
        unknown = f"the pipelines of '{repository}' are not found as they were built"
        note = f"{unknown}, so their shared memory is a guess: {shm}"
    tag = _tag(repository)
    files = docker_dir()
    build = ["docker", "build", "--file", str(files / dockerfile), "--tag", tag]
    build += ["--build-arg", f"TRITON_RELEASE={release}"] * (dockerfile != CPU)
    build += ["--build-context", f"repository={repository}", str(files)]
    address = f"[{host}]" if ":" in host else host
    published = [
        word
        for outside, inside in zip(free_ports(host, ports), _INSIDE, strict=True)
        for word in ("--publish", f"{address}:{outside}:{inside}")
    ]
    run = ["docker", "run", "--rm", "--init", f"--shm-size={shm}", *devices, *key, *published, tag, *flags]
    return ContainerPlan(tuple(build), tuple(run), note)


def _built_for(repository: Path) -> tuple[str, str]:
    """Target and release of Triton, as a repository's builds wrote them down; the usual ones without."""
    manifest = read_manifest(repository)
    records: list[Any] = [one.record for one in manifest.pipelines.values()] if manifest is not None else []
    targets = {record["options"]["target"] for record in records}
    releases = [record.get("target_triton", DEFAULT_TARGET) for record in records]
    return "gpu" if "gpu" in targets else "cpu", max(releases, key=parse_release, default=DEFAULT_TARGET)


def _key_options() -> list[str]:
    """How the key of encrypted models gets into a container: as this process has it."""
    file = os.environ.get("TPGEN_MODEL_KEY_FILE")
    if os.environ.get("TPGEN_MODEL_KEY") or not file:
        return ["--env", "TPGEN_MODEL_KEY"]
    inside = "/run/secrets/tpgen_model_key"
    return ["--volume", f"{os.path.abspath(file)}:{inside}:ro", "--env", f"TPGEN_MODEL_KEY_FILE={inside}"]


def known_pipelines(repository: Path) -> tuple[Compiled, ...]:
    """The pipelines that a repository was built from; none where their files are not found."""
    try:
        return compiled_of(repository)
    except PipelineError as problem:
        if {found.code for found in problem.diagnostics} == {"TP711"}:
            return ()
        raise


def serve_in_container(plan: ContainerPlan, progress: Callable[[str], None]) -> None:
    """Builds the image, and runs it until it is stopped.

    Raises:
        ToolMissing: there is no docker, or it knows no build contexts; with the commands for it.
        PipelineError: TP727, a command of docker failed.
    """
    commands = plan.text().replace("\n", "\n  ")
    if shutil.which("docker") is None:
        raise ToolMissing(f"docker is not installed; it would be given\n  {commands}", _INSTALL)
    options = subprocess.run(
        ("docker", "build", "--help"), capture_output=True, text=True, check=False
    ).stdout
    if "--build-context" not in options:
        old = "this docker has no --build-context, which needs Docker 23 or the package docker-buildx"
        raise ToolMissing(f"{old}; it would be given\n  {commands}", _BUILDX)
    for command in (plan.build, plan.run):
        progress(shlex.join(command))
        status = subprocess.run(command, check=False).returncode
        if status:
            words = f"docker {command[1]} ended with status {status}; its own words are above"
            raise PipelineError([Diagnostic("TP727", Severity.ERROR, words)])


def _tag(repository: Path) -> str:
    """A name for the image: the folder's, told apart from others of that name."""
    name = re.sub(r"[^a-z0-9]+", "-", repository.name.lower()).strip("-") or "repository"
    return f"tpgen-{name}:{hashlib.sha256(str(repository).encode()).hexdigest()[:8]}"
