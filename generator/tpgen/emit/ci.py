"""Workflows that build and check pipelines where changes are pushed: pure, nothing is written here."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .render import render_text

SYSTEMS = {"github": ".github/workflows/tpgen.yml", "gitlab": ".gitlab-ci.yml"}
REPOSITORY = "model_repository"
GPU_REPOSITORY = "gpu_repository"
ENGINES = ".engines"
# The newest for which everything that the packaged server needs is there as a wheel.
_PYTHON = "3.11"


@dataclass(frozen=True)
class Checked:
    """A pipeline of the workflow: its path from the root of the checkout, with ``/``, and its entries.

    ``on_gpu``: it is compiled for the gpu target; ``has_engines``: there it runs TensorRT engines;
    ``is_encrypted``: it has an encrypted model, so all jobs need the key. ``inputs``: words of a command line
    with what the answers of an entry are compared for; of the others it is made.
    """

    path: str
    entries: tuple[str, ...]
    on_gpu: bool = False
    has_engines: bool = False
    is_encrypted: bool = False
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gpus:
    """The types of GPUs to build engines for: labels of runners, and the release of Triton that serves."""

    labels: tuple[str, ...]
    release: str


@dataclass(frozen=True)
class Step:
    """Commands of the shell, run from the root of the checkout; the first that fails ends the job."""

    title: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Steps on a machine of their own; what they leave at ``artifacts`` is kept.

    With ``gpus`` it runs once for each, in a container; it gets the first artifact from the job before, and
    keeps the folder ``engines`` from run to run.
    """

    name: str
    python: str
    steps: tuple[Step, ...]
    artifacts: tuple[str, ...]
    gpus: tuple[str, ...] = ()
    release: str = ""
    engines: str = ENGINES

    @property
    def image(self) -> str:
        """The container whose TensorRT builds, and whose server serves."""
        return f"nvcr.io/nvidia/tritonserver:{self.release}-py3"


def workflow(
    system: str, requirement: str, pipelines: Sequence[Checked], options: Sequence[str], gpus: Gpus
) -> str:
    """The text of a workflow.

    Args:
        system: a key of `SYSTEMS`.
        requirement: what pip installs to get tpgen and a server.
        pipelines: what is built into one repository.
        options: of the build, as words of a command line.
        gpus: without labels, no job runs on GPUs.
    """
    jobs = [_cpu_job(pipelines, options, is_for_gpus=bool(gpus.labels))]
    if gpus.labels:
        jobs.append(_gpu_job(pipelines, options, gpus))
    # A hash, as a requirement has characters that keys may not have.
    key = f"tpgen-pip-{hashlib.sha256(requirement.encode()).hexdigest()[:12]}"
    return render_text(
        f"ci/{system}.yml.j2",
        requirement=requirement,
        jobs=jobs,
        cache_key=key,
        encrypted=any(one.is_encrypted for one in pipelines),
    )


def _cpu_job(pipelines: Sequence[Checked], options: Sequence[str], *, is_for_gpus: bool) -> Job:
    """All that needs no GPU: build, lint, and the served answers against the reference.

    What is for GPUs is built with its engines pending, and served on the CPU to compare the answers.
    """
    here = _for_target("cpu", options) if any(one.on_gpu for one in pipelines) else list(options)
    steps = [
        Step("Install tpgen", ('python -m pip install "$TPGEN"',)),
        Step("Build the repository", (_build(pipelines, REPOSITORY, here),)),
        Step("Check the repository", (f"tpgen check {REPOSITORY}",)),
        Step("Compare served answers with the reference", tuple(_verify(pipelines, [*here, "--isolated"]))),
    ]
    artifacts = [REPOSITORY]
    if is_for_gpus or any(one.on_gpu for one in pipelines):
        commands = [
            _build(pipelines, GPU_REPOSITORY, _for_target("gpu", options)),
            f"tpgen check {GPU_REPOSITORY}",
        ]
        if any(one.has_engines for one in pipelines):
            commands.append(f"tpgen engines plan {GPU_REPOSITORY}")
        steps.append(Step("Build for GPUs, with the engines pending", tuple(commands)))
        artifacts.append(GPU_REPOSITORY)
    return Job("cpu", _PYTHON, tuple(steps), tuple(artifacts))


_SYSTEM_PIP = "PIP_BREAK_SYSTEM_PACKAGES=1 /usr/bin/python3 -m pip"  # of the Python that the models run in
# The version of the container's TensorRT, which alone reads its engines; CUDA_VERSION is set there, too.
_TENSORRT = r"$(basename /usr/lib/*-linux-gnu/libnvinfer.so.*.*.* | sed 's/^libnvinfer\.so\.//')"


def _gpu_job(pipelines: Sequence[Checked], options: Sequence[str], gpus: Gpus) -> Job:
    """Engines for one type of GPU, and the answers of the server that they run in."""
    install = ['python -m pip install "$TPGEN"']
    steps = []
    if any(one.has_engines for one in pipelines):
        package = 'python -m pip install "tensorrt-cu${cuda%%.*}==$tensorrt"'
        install += [f"tensorrt={_TENSORRT}", "cuda=${CUDA_VERSION:-12}", package]
        build = f"tpgen engines build {GPU_REPOSITORY} --cache {ENGINES}"
        steps.append(Step("Build the engines that are missing", (build,)))
    serve = [
        f"tpgen serve {GPU_REPOSITORY} & server=$!",
        "trap 'kill \"$server\"' EXIT",
        'until curl -fs http://127.0.0.1:8000/v2/health/ready; do kill -0 "$server"; sleep 1; done',
        *_verify(pipelines, [*_for_target("gpu", options), "--url", "grpc://127.0.0.1:8001"]),
    ]
    steps = [
        Step("Install tpgen, and TensorRT's Python module of the container's version", tuple(install)),
        Step(
            "Install what the models need",
            (f"{_SYSTEM_PIP} install -r {GPU_REPOSITORY}/requirements.txt",),
        ),
        *steps,
        Step("Check the repository", (f"tpgen check {GPU_REPOSITORY}",)),
        Step("Compare served answers with the reference", tuple(serve)),
    ]
    return Job("gpu", _PYTHON, tuple(steps), (GPU_REPOSITORY,), gpus.labels, gpus.release)


def _build(pipelines: Sequence[Checked], directory: str, options: Sequence[str]) -> str:
    paths = [pipeline.path for pipeline in pipelines]
    return shlex.join(["tpgen", "build", *paths, "-o", directory, *options])


def _verify(pipelines: Sequence[Checked], options: Sequence[str]) -> Iterator[str]:
    for pipeline in pipelines:
        for entry in pipeline.entries:
            named = ["--entry", entry] if len(pipeline.entries) > 1 else []
            inputs = pipeline.inputs.get(entry, ())
            yield shlex.join(["tpgen", "verify", pipeline.path, *named, *inputs, *options])


def _for_target(target: str, options: Sequence[str]) -> list[str]:
    """The options for a target. A runtime is one of the gpu target's, unless it is the only target."""
    dropped = {"--target"} if target == "gpu" else {"--target", "--runtime"}
    found, words = [], iter(options)
    for word in words:
        if word in dropped:
            next(words)
        else:
            found.append(word)
    return [*found, "--target", target]
