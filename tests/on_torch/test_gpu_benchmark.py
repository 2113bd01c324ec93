"""The measurements of stages on a GPU: the script runs, with sizes that show nothing; on a GPU, all of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tritonclient

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "run.py"
pytestmark = [pytest.mark.torch, pytest.mark.triton]


def run(*options: str) -> str:
    # perf_analyzer lies beside the Python of the environment that tritonclient was installed in.
    programs = Path(tritonclient.__file__).parents[4] / "bin"
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--quick", "--seconds", "1", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without the heads."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in found if re.match(r"-?\d", row[1])]


@pytest.mark.slow
def test_hops_and_processes_are_measured() -> None:
    assert len(rows(run("--device", "cpu", "--only", "hop", "context", "turns"))) == 3


@pytest.mark.slow
def test_the_pipelines_are_served_and_compared() -> None:
    found = rows(run("--device", "cpu", "--only", "pipelines"))
    assert [row[0] for row in found] == ["classify, batch 2", "crops, batch 2"]
    assert all(float(cell) > 0 for row in found for cell in row[1:4])
    assert all(float(row[-1].rstrip("%")) >= 95 for row in found)  # one grey level may change a class


def test_without_a_gpu_it_says_so() -> None:
    torch = pytest.importorskip("torch", reason="no torch: make torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no NVIDIA GPU" in done.stderr


@pytest.mark.gpu
def test_all_parts_on_a_gpu() -> None:
    assert len(rows(run("--device", "cuda:0"))) >= 6
