"""The table of codes and the code that reports them agree."""

import re
from pathlib import Path

import tpgen
from tpgen.codes import CODES


def test_every_code_is_registered_and_used() -> None:
    package = Path(tpgen.__file__).parent
    used: set[str] = set()
    for path in package.rglob("*.py"):
        used.update(re.findall(r"""["'](TP\d{3})["']""", path.read_text()))
    assert used - set(CODES) == set(), "reported, but without a page in codes/"
    assert set(CODES) - used == set(), "a page in codes/, but never reported"
