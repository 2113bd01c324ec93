"""The decision on what moves into a model's graph names the operators that the code declares, no others."""

from __future__ import annotations

from pathlib import Path

import tpgen.ops  # noqa: F401 - fills the registry
from tpgen.ir.op import REGISTRY, Trait

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0027-lowering-table.md"
PLACES = {
    "in front": {Trait.TO_FLOAT, Trait.NORMALIZES, Trait.TO_CHW, Trait.SETS_COLOR},
    "behind": {Trait.REDUCES},
}


def test_the_decision_says_what_the_code_declares() -> None:
    said: dict[str, set[str]] = {place: set() for place in PLACES}
    section = DECISION.read_text().split("## Inside the ONNX graph")[1].split("## DALI")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1] in PLACES:
            said[cells[1]] |= {name.strip() for name in cells[0].split(",")}
    classes = set(REGISTRY.values())
    for place, traits in PLACES.items():
        assert said[place] == {cls.names[0] for cls in classes if cls.traits & traits}, place
