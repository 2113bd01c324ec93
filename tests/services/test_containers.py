"""What docker is given to serve a repository, and what it has to be able to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.diagnostics import ToolMissing
from tpgen.services.containers import ContainerPlan, serve_in_container

PLAN = ContainerPlan(("docker", "build", "--tag", "one"), ("docker", "run", "one"), "")


@pytest.mark.parametrize("known", ["--tag", None], ids=["an old docker", "no docker"])
def test_a_docker_that_cannot_do_it_is_missed_before_anything_is_built(
    known: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    if known:
        program.write_text(f'#!/bin/sh\necho "  {known}"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    with pytest.raises(ToolMissing, match="docker run one") as caught:
        serve_in_container(PLAN, said.append)
    assert ("--build-context" in caught.value.message) is bool(known)
    assert said == []
