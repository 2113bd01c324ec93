"""The table of lowerings: every entry is an operator, has a case on DALI, and stands in the decision."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tpgen.ops  # noqa: F401 - fills the registry
from tpgen.emit.dali import LIMIT, TABLE
from tpgen.ir.op import REGISTRY, Trait

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0027-lowering-table.md"


def test_every_entry_is_an_operator_that_reads_the_image_alone() -> None:
    classes = {cls.__name__: cls for cls in REGISTRY.values()}
    for name in TABLE:
        assert classes[name].reads == ("data",)
        assert not {Trait.USER_CODE, Trait.INFERENCE, Trait.CALLS} & classes[name].traits


def test_every_entry_runs_on_dali() -> None:
    tree = ast.parse((Path(__file__).parent / "test_dali_parity.py").read_text())
    (cases,) = (one.value for one in tree.body if isinstance(one, ast.AnnAssign))
    assert isinstance(cases, ast.Dict)
    assert {key.value for key in cases.keys if isinstance(key, ast.Constant)} == set(TABLE)


def test_the_decision_says_what_the_code_declares() -> None:
    said: dict[str, float] = {}
    for line in DECISION.read_text().split("## DALI")[1].split("## Which")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and (number := re.match(r"[\d.]+", cells[2])):
            said |= {name.strip(): float(number[0]) for name in cells[0].split(",")}
            assert ("refused" in cells[2]) == (float(number[0]) > LIMIT)
    names = {cls.__name__: cls.names[0] for cls in REGISTRY.values()}
    declared = {names[name]: entry.tolerance for name, entry in TABLE.items()}
    assert said == declared
