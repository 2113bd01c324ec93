"""A Python model with large weights and several instances: each of them is a process with its own copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from lint_repositories import python, write_files
from tpgen.emit.lint import lint_repository


@pytest.mark.parametrize(("count", "mebibytes", "found"), [(4, 300, ["TP860"]), (1, 300, []), (4, 100, [])])
def test_copies_of_weights(count: int, mebibytes: int, found: list[str], tmp_path: Path) -> None:
    write_files(
        tmp_path / "m", "m", python(instances=f"instance_group [{{ kind: KIND_CPU count: {count} }}]")
    )
    with (tmp_path / "m" / "1" / "weights.bin").open("wb") as file:
        file.truncate(mebibytes << 20)  # a hole: nothing is written
    assert [finding.code for finding in lint_repository(tmp_path)] == found
