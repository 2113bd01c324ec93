"""Fixtures of the command line's tests."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cli_commands import RESIZE, Result, Tpgen
from tpgen.cli import run_command


@pytest.fixture
def tpgen(capsys: pytest.CaptureFixture[str]) -> Tpgen:
    """Runs a command in this process."""

    def call(*arguments: str | Path) -> Result:
        out = io.StringIO()
        capsys.readouterr()
        status = run_command([str(argument) for argument in arguments], out)
        return Result(status, out.getvalue(), capsys.readouterr().err)

    return call


@pytest.fixture
def resize(tmp_path: Path) -> Path:
    """A pipeline from a JPEG to uint8 [8,12,3]."""
    path = tmp_path / "resize.toml"
    path.write_text(RESIZE)
    return path
