"""`build`, `check`, `run` and `explain` on a system without what only Linux, or only Unix, has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import examples

# What Windows' Python lacks of the standard library, as far as it can be taken away from one on Linux.
MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "pytriton", "tritonserver")
NAMES = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NONBLOCK", "chown", "copy_file_range", "fchmod", "getuid", "geteuid"),
    *("listxattr", "sched_getaffinity", "sysconf", "killpg", "setsid"),
)
PRELUDE = f"""
import ctypes, os, signal, sys
for name in {MODULES!r}:
    sys.modules[name] = None
import tempfile, shutil, subprocess, onnxruntime, cv2, google.protobuf
for name in {NAMES!r}:
    delattr(os, name)
del signal.SIGHUP
class NoLibrary:
    def __init__(self, *arguments, **options): pass
ctypes.CDLL = NoLibrary
from tpgen.cli import run_command
sys.exit(run_command(sys.argv[1:]))
"""


def elsewhere(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of tpgen on such a system."""
    command = [sys.executable, "-c", PRELUDE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "hello.toml"
    path.write_text(examples.pipeline("hello").read_text())
    return path


def test_build_again_and_over_an_older_one(pipeline: Path, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    first = elsewhere("build", pipeline, "-o", repository, "--cores", "2")
    assert first.returncode == 0, first.stderr
    here = {
        path.relative_to(repository): path.read_bytes() for path in repository.rglob("*") if path.is_file()
    }
    assert Path("tpgen.json") in here
    again = elsewhere("build", pipeline, "-o", repository, "--cores", "2")
    assert "nothing changed" in again.stdout, again.stderr
    pipeline.write_text(pipeline.read_text() + "\n# changed\n")
    changed = elsewhere("build", pipeline, "-o", repository, "--cores", "2")
    assert changed.returncode == 0, changed.stderr
    assert (repository / "tpgen.json").read_bytes() != here[Path("tpgen.json")]
    assert elsewhere("check", repository).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello.toml", "model_repository"]


def test_a_build_there_is_the_one_of_here(pipeline: Path, tmp_path: Path) -> None:
    from tpgen import BuildOptions, build

    assert elsewhere("build", pipeline, "-o", tmp_path / "there", "--cores", "2").returncode == 0
    build(pipeline, tmp_path / "here", BuildOptions(cores=2))
    files = {
        place: {
            path.relative_to(tmp_path / place): path.read_bytes()
            for path in (tmp_path / place).rglob("*")
            if path.is_file()
        }
        for place in ("there", "here")
    }
    assert files["there"] == files["here"]


def test_check_run_and_explain(pipeline: Path) -> None:
    for command in (["check", pipeline], ["run", pipeline, "--input", "data=hi"], ["explain", pipeline]):
        done = elsewhere(*command)
        assert done.returncode == 0, done.stderr


def test_images_and_models_run(tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    made = examples.script("detect_classify", "pages").make_page(3)
    page.write_bytes(made.image)
    done = elsewhere("run", examples.pipeline("detect_classify"), "--input", f"data=@{page}")
    assert done.returncode == 0, done.stderr
    assert made.text.splitlines()[0] in done.stdout


def test_docker_and_ci_write_their_files(pipeline: Path, tmp_path: Path) -> None:
    assert elsewhere("docker", pipeline, "-o", tmp_path / "docker").returncode == 0
    done = elsewhere("ci", "github", pipeline, "-o", tmp_path / "ci.yml", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_serve_says_what_is_missing(pipeline: Path) -> None:
    done = elsewhere("serve", pipeline)
    assert done.returncode == 3, done.stderr
    assert "--docker" in done.stderr
