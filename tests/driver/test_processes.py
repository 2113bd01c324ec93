"""How many processes a repository makes, and what is said when they are many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.driver.build import check
from tpgen.driver.options import BuildOptions


def pipeline(folder: Path, nodes: int, head: str = "", more: str = "") -> Path:
    """A chain of nodes that each do some work."""
    text = head
    for number in range(nodes):
        following = f'next = "n{number + 1}"\n' if number + 1 < nodes else ""
        backend = 'cvtColorMat"\ncolor = "rgb' if number else "DecodeMat"
        text += f'[n{number}]\nbackend = "{backend}"\n{more}{following}'
    (folder / "chain.toml").write_text(text)
    return folder / "chain.toml"


@pytest.mark.parametrize(
    ("nodes", "cores", "fuse", "said"),
    [(4, 2, "none", False), (5, 2, "none", True), (5, 1, "none", True), (12, 2, "auto", False)],
)
def test_many_processes_are_said(nodes: int, cores: int, fuse: str, said: bool, tmp_path: Path) -> None:
    found = check(pipeline(tmp_path, nodes), BuildOptions(cores=cores, fuse=fuse)).diagnostics
    assert [(d.code, d.severity.value) for d in found] == [("TP903", "note")] * said
    for diagnostic in found:
        assert f"5 models make {5 * cores} processes for {cores} core" in diagnostic.message
        assert "as-written" in str(diagnostic.hint) and "--fuse auto" in str(diagnostic.hint)


def test_the_way_out_is_one(tmp_path: Path) -> None:
    as_written = '[pipeline]\ninstances = "as-written"\n'
    options = BuildOptions(cores=2, fuse="none")
    assert check(pipeline(tmp_path, 8, as_written), options).diagnostics == ()
    (found,) = check(pipeline(tmp_path, 3, as_written, "instance_num = 3\n"), options).diagnostics
    assert "9 processes" in found.message and "less instance_num" in str(found.hint)
