"""The files of a container deployment, from what is known of a repository: pure, nothing is written here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..resources import docker_dir
from .dashboard import ServedEntry, dashboard
from .features import Features
from .findings import failure
from .manifest import NAME as MANIFEST
from .owned_files import refuse_foreign
from .render import render_text
from .versions import DEFAULT_TARGET, parse_release

IMAGE_FILES = ("Dockerfile", "Dockerfile.cpu", "install", "entrypoint", "healthcheck")
_GENERATED = (
    "compose.yaml",
    "prometheus.yml",
    "grafana/provisioning/datasources/prometheus.yaml",
    "grafana/provisioning/dashboards/pipelines.yaml",
    "grafana/dashboards/pipelines.json",
)
PROGRAMS = frozenset({"install", "entrypoint", "healthcheck"})
NGC, CPU = "Dockerfile", "Dockerfile.cpu"
_MIB = 1 << 20


@dataclass(frozen=True)
class Deployment:
    """What a repository needs of the machine and shows on its dashboard.

    ``repository`` is the path from the deployment's folder to the model repository, with ``/``. ``memory``
    and ``pool`` (of one process, in the shared memory) are bytes, ``shm_size`` MiB. ``release``: of Triton.
    ``encrypted``: the server needs a key. ``cuda_pool`` are bytes of each GPU, for what stages hand on.
    ``features``: what its models ask of the server.
    """

    pipelines: tuple[str, ...]
    entries: tuple[ServedEntry, ...]
    repository: str
    target: str
    release: str
    processes: int
    memory: int
    shm_size: int
    pool: int
    assumes: str
    features: Features
    encrypted: bool = False
    cuda_pool: int = 0

    @property
    def project(self) -> str:
        """A name for the compose project: lower case, as Docker wants it."""
        return re.sub(r"[^a-z0-9_-]+", "-", "-".join(self.pipelines).lower()).strip("-_")[:60] or "pipelines"

    @property
    def pool_flag(self) -> str:
        """The flag of tritonserver for what each process keeps in the shared memory."""
        return pool_flag(self.pool)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of tritonserver."""
        cuda = [cuda_pool_flag(self.cuda_pool)] if self.cuda_pool else []
        return (self.pool_flag, *cuda, *image_flags(self.dockerfile, self.features))

    @property
    def dockerfile(self) -> str:
        """The smallest image that runs it."""
        return image_for(self.target, self.release)


def image_for(target: str, release: str) -> str:
    """The smallest image: the wheel's server has Python models only, and one release."""
    newer = parse_release(release) > parse_release(DEFAULT_TARGET)
    return NGC if target == "gpu" or newer else CPU


def image_flags(dockerfile: str, features: Features) -> list[str]:
    """The flags of tritonserver for what models ask of it; only NVIDIA's image has a cache."""
    return replace(features, cache=features.cache and dockerfile == NGC).flags


def pool_flag(size: int) -> str:
    """The flag of tritonserver for what each process keeps in the shared memory, bytes."""
    return f"--backend-config=python,shm-default-byte-size={size}"


def cuda_pool_flag(size: int) -> str:
    """The flag of tritonserver for its pool on a GPU: on the first one, as one server serves one GPU."""
    return f"--cuda-memory-pool-byte-size=0:{size}"


def deployment_files(deployment: Deployment) -> dict[str, bytes]:
    """All files, by path in the folder; a function of the deployment alone."""
    shown = dashboard(", ".join(deployment.pipelines), deployment.entries)
    texts = (
        _compose(deployment),
        render_text("docker/prometheus.yml.j2"),
        render_text("docker/datasource.yaml.j2"),
        render_text("docker/dashboards.yaml.j2"),
        json.dumps(shown, indent=2) + "\n",
    )
    return _image_files() | {name: text.encode() for name, text in zip(_GENERATED, texts, strict=True)}


def check_folder(folder: Path, *, force: bool = False) -> None:
    """See that the files of a deployment may be written into a folder, before anything is built for them.

    Raises:
        PipelineError: TP617, a server's repository would hold them; TP615, without ``force``, a file that
            tpgen did not write is in the way.
    """
    path = folder.resolve()
    for above in (path, *path.parents):
        if (above / MANIFEST).is_file():
            message = f"the files of a container can't lie in the model repository '{above}'"
            hint = "tritonserver takes every folder there for a model: name a folder beside it with -o"
            raise failure("TP617", message, hint=hint, file=folder)
    if not force:
        refuse_foreign(folder, {**dict.fromkeys(_GENERATED), **_image_files()})


def _image_files() -> dict[str, bytes]:
    return {name: (docker_dir() / name).read_bytes() for name in IMAGE_FILES}


def _compose(deployment: Deployment) -> str:
    return render_text(
        "docker/compose.yaml.j2",
        title=", ".join(deployment.pipelines),
        project=deployment.project,
        dockerfile=deployment.dockerfile,
        release=deployment.release,
        repository=deployment.repository.replace("$", "$$"),  # compose fills in variables
        pool_flag=deployment.pool_flag,
        feature_flags=deployment.flags[1:],
        shm_size=f"{deployment.shm_size}m",
        assumes=deployment.assumes,
        mem_reservation=-(-deployment.memory // _MIB) + deployment.shm_size,
        gpu=deployment.target == "gpu",
        encrypted=deployment.encrypted,
        processes=deployment.processes,
    )
