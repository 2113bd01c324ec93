"""`tpgen serve --docker`: the commands that docker gets. A script that notes them stands in for docker."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import examples
from image import instructions
from small_models import write_models
from tpgen import BuildOptions, build, check
from tpgen.cli import run_command
from tpgen.driver.deploy import server_needs
from tpgen.driver.needs import CUDA_POOL_STEP
from tpgen.services import runtime

DOCKER = """#!/bin/sh
if [ "$2" = --help ]; then echo "  --build-context strings"; exit 0; fi
for word in "$@"; do printf '%s\\n' "$word"; done >> "$NOTES"
echo >> "$NOTES"
[ "$1" != "$FAILS" ]
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The words of every call of docker: a line each, an empty line behind each call."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    return tmp_path / "notes"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with its TOML beside it."""
    shutil.copy(examples.pipeline("hello"), tmp_path / "hello.toml")
    build(tmp_path / "hello.toml", tmp_path / "My repository", BuildOptions(cores=2))
    return tmp_path / "My repository"


def calls(notes: Path) -> list[list[str]]:
    """The calls of docker that were noted."""
    return [call.split("\n") for call in notes.read_text().strip().split("\n\n")]


def test_docker_builds_and_runs_what_the_repository_needs(notes: Path, repository: Path) -> None:
    arguments = ["serve", str(repository), "--docker", "--http-port", "18000", "--host", "127.0.0.1"]
    assert run_command(arguments) == 0
    build_, run = calls(notes)
    assert build_[:2] == ["build", "--file"]
    dockerfile, folder = Path(build_[2]), Path(build_[-1])
    assert dockerfile.name == "Dockerfile.cpu"
    assert all(
        (folder / word).exists()
        for keyword, rest in instructions(dockerfile)
        if keyword == "COPY" and "--from" not in rest
        for word in rest.split()[1:-1]
    )
    assert build_[build_.index("--build-context") + 1] == f"repository={repository.resolve()}"
    needs = server_needs(check(repository.parent / "hello.toml", BuildOptions(cores=2)).compiled)
    assert f"--shm-size={needs.shm_size}m" in run
    published = [run[place + 1] for place, word in enumerate(run) if word == "--publish"]
    assert published == ["127.0.0.1:18000:8000", "127.0.0.1:8001:8001", "127.0.0.1:8002:8002"]
    assert run[-1] == f"--backend-config=python,shm-default-byte-size={needs.pool}"
    assert run[-2] == build_[build_.index("--tag") + 1]


def test_a_repository_without_its_toml_gets_plenty(
    notes: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.parent / "hello.toml").unlink()
    assert run_command(["serve", str(repository), "--docker"]) == 0
    assert "--shm-size=1g" in calls(notes)[1]
    assert "are not found as they were built" in capsys.readouterr().err


TWO_MODELS = """
[pipeline]
target_triton = "25.03"
preprocess = "gpu"
inputs = {data = "uint8[8,8,3] rgb"}
[to]
backend = "Mat2Tensor"
next = "net"
[net]
backend = "OnnxTensor"
model = "convolution.onnx"
response_cache = true
rate_limiter = {resources = [{name = "R"}]}
"""


def without_its_toml(folder: Path, text: str, options: BuildOptions) -> Path:
    """A repository that was taken away from where it was built."""
    (folder / "p.toml").write_text(text)
    build(folder / "p.toml", folder / "repository", options)
    (folder / "p.toml").unlink()
    return folder / "repository"


def test_what_a_repository_needs_stands_in_it(notes: Path, tmp_path: Path) -> None:
    """GPUs, the image, and the flags of what its models ask for are no matter of the TOML."""
    write_models(tmp_path)
    options = BuildOptions(target="gpu", runtime="onnxruntime", cores=2)
    repository = without_its_toml(tmp_path, TWO_MODELS, options)
    assert run_command(["serve", str(repository), "--docker"]) == 0
    build_, run = calls(notes)
    assert Path(build_[2]).name == "Dockerfile"
    assert build_[build_.index("--build-arg") + 1] == "TRITON_RELEASE=25.03"
    assert run[run.index("--gpus") + 1] == "all"
    assert run[run.index(build_[build_.index("--tag") + 1]) + 1 :] == [
        f"--cuda-memory-pool-byte-size=0:{CUDA_POOL_STEP}",
        "--cache-config=local,size=67108864",
        "--rate-limit=execution_count",
    ]
    assert "TPGEN_MODEL_KEY" not in " ".join(run)


def test_a_cache_is_for_an_image_that_has_one(notes: Path, tmp_path: Path) -> None:
    write_models(tmp_path)
    text = TWO_MODELS.replace('target_triton = "25.03"\n', "")
    repository = without_its_toml(tmp_path, text, BuildOptions(fuse="none", cores=2))
    assert run_command(["serve", str(repository), "--docker"]) == 0
    build_, run = calls(notes)
    assert Path(build_[2]).name == "Dockerfile.cpu"
    assert run[-1] == "--rate-limit=execution_count"
    assert not any(word.startswith(("--cache", "--gpus")) for word in run)


@pytest.mark.parametrize("options", [{}, {"target": "gpu", "runtime": "onnxruntime"}])
def test_the_key_of_encrypted_models_is_handed_on(
    options: dict[str, str], notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a Python stage decrypts its model or a start does, in memory."""
    write_models(tmp_path)
    key = tmp_path / "key"
    monkeypatch.setenv("TPGEN_MODEL_KEY_FILE", str(key))
    monkeypatch.delenv("TPGEN_MODEL_KEY", raising=False)
    assert run_command(["encrypt", "--new-key", str(key)]) == 0
    assert run_command(["encrypt", str(tmp_path / "convolution.onnx")]) == 0
    text = '[pipeline]\ninputs = {data = "float32[3,8,8]"}\n[net]\nbackend = "OnnxTensor"\n'
    text += 'model = "convolution.onnx.encrypted"\n'
    repository = without_its_toml(tmp_path, text, BuildOptions(cores=2, **options))  # type: ignore[arg-type]
    assert run_command(["serve", str(repository), "--docker"]) == 0
    run = calls(notes)[1]
    assert f"{key}:/run/secrets/tpgen_model_key:ro" in run
    assert "TPGEN_MODEL_KEY_FILE=/run/secrets/tpgen_model_key" in run


def test_a_pipeline_is_built_first(notes: Path) -> None:
    assert run_command(["serve", str(examples.pipeline("hello")), "--docker"]) == 0
    assert [call[0] for call in calls(notes)] == ["build", "run"]


def test_a_failure_of_docker_is_reported(
    notes: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILS", "build")
    assert run_command(["serve", str(repository), "--docker"]) == 1
    assert "error[TP727]: docker build ended with status 1" in capsys.readouterr().err
    assert [call[0] for call in calls(notes)] == ["build"]


def test_without_docker_the_commands_and_where_to_get_it_are_said(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run_command(["serve", str(repository), "--docker"]) == 3
    said = capsys.readouterr().err
    assert "docker is not installed" in said
    assert f"'repository={repository.resolve()}'" in said
    assert "https://docs.docker.com" in said


@pytest.mark.parametrize("option", [["--isolated"], ["--tritonserver", "x"]])
def test_options_of_a_server_here_are_refused(option: list[str], repository: Path) -> None:
    assert run_command(["serve", str(repository), "--docker", *option]) == 2


@pytest.mark.parametrize(
    ("system", "machine", "library"),
    [("darwin", "arm64", ("", "")), ("linux", "x86_64", ("glibc", "2.31")), ("linux", "x86_64", ("", ""))],
)
def test_where_the_packaged_server_does_not_run_docker_is_offered(
    system: str, machine: str, library: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.sys, "platform", system)
    monkeypatch.setattr(runtime.platform, "machine", lambda: machine)
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: library)
    monkeypatch.setattr(runtime, "_wheel", lambda: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(runtime.ToolMissing, match="tpgen serve --docker") as missing:
        runtime.find_tritonserver()
    assert missing.value.command is None


def test_commands_are_in_the_document(
    notes: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["serve", str(repository), "--docker", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [command[:2] for command in document["docker"]] == [["docker", "build"], ["docker", "run"]]
