"""`tpgen serve --docker`: the commands that docker gets. A script that notes them stands in for docker."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import examples
from image import instructions
from tpgen import BuildOptions, build, check
from tpgen.cli import run_command
from tpgen.driver.deploy import server_needs
from tpgen.services import runtime

DOCKER = """#!/bin/sh
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
    assert "are not beside it" in capsys.readouterr().err


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
