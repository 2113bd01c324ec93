"""The table of codes and the code that reports them agree."""

import re
from pathlib import Path

import tpgen
from tpgen.codes import CODES


def test_every_code_is_registered_and_used() -> None:
    package = Path(tpgen.__file__).parent
    used: set[str] = set()
    for path in package.rglob("*.py"):
        if path.name != "codes.py":
            used.update(re.findall(r"""["'](TP\d{3})["']""", path.read_text()))
    assert used - set(CODES) == set(), "reported, but not registered in codes.py"
    assert set(CODES) - used == set(), "registered in codes.py, but never reported"
