"""The generated pages say what the declarations say."""

import re
import subprocess
import sys
from pathlib import Path

from tpgen.driver import check
from tpgen.driver.reference_graphs import GRAPHS

ROOT = Path(__file__).resolve().parents[1]


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_graphs_of_the_reference_compile(tmp_path: Path) -> None:
    found = re.findall(r"```toml\n(.*?)```", GRAPHS, re.DOTALL)
    assert len(found) >= 3
    for number, text in enumerate(found):
        path = tmp_path / f"graph{number}.toml"
        path.write_text(text)
        assert check(path).diagnostics == ()
