"""Every operator means what its oracle says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from compare import REGISTRY, all_oracles, compare

WITHOUT_ORACLE = {
    "inference",
    "user",
    "control",
}  # their meaning is the model's, the user's, the interpreter's


@pytest.mark.parametrize("name", sorted(all_oracles()))
def test_kernel_agrees_with_oracle(name: str) -> None:
    problem = compare(name)
    assert problem is None, problem


def test_every_operator_has_an_oracle() -> None:
    declared = {cls.names[0] for cls in REGISTRY.values()}
    needed = {cls.names[0] for cls in REGISTRY.values() if cls.group not in WITHOUT_ORACLE}
    assert not needed - set(all_oracles()), "operators without an oracle"
    assert not set(all_oracles()) - declared, "oracles of operators that do not exist"


def test_oracles_have_enough_cases() -> None:
    assert all(entry.count >= 200 for entry in all_oracles().values())


def test_oracles_import_nothing_of_ours() -> None:
    for path in (Path(__file__).parents[1] / "oracles").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [n for n in names if n.split(".")[0].startswith("tpgen")], path.name
