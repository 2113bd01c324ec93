"""What each pass makes of small pipelines: ``PASS/NAME.toml``, and ``NAME.ir``, the graph before and after.

A first line ``#: {...}`` holds options of the build as JSON.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest

import small_models
from golden import Golden
from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, compile_pipeline
from tpgen.ir.graph import Graph
from tpgen.ir.printer import print_graph
from tpgen.passes import ANALYSIS, OPTIMIZE

HERE = Path(__file__).parent
PASSES = [step.name for step in (*ANALYSIS, *OPTIMIZE)]
CASES = sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in HERE.glob("*/*.toml"))
USER_CODE = """
from tpgen_runtime import Tensor, op

@op(outputs={"result": Tensor("float32", ["N", 4]), "scores": Tensor("float32", ["N"])})
def boxes(data):
    raise NotImplementedError

@op(inputs={"data": Tensor("uint8", ["H", "W", 3]), "crops": [Tensor("uint8", ["h", "w", 3])]},
    outputs={"result": [Tensor("float32", [4])]})
def pairs(data, crops):
    raise NotImplementedError

def untyped(data):
    raise NotImplementedError
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("passes")
    small_models.write_models(made)
    (made / "mine.py").write_text(USER_CODE)
    return made


def test_every_pass_has_goldens() -> None:
    assert {case.partition("/")[0] for case in CASES} == set(PASSES)


@pytest.mark.parametrize("case", CASES)
def test_what_a_pass_makes(case: str, folder: Path, golden: Golden, tmp_path: Path) -> None:
    text = (HERE / f"{case}.toml").read_text()
    path = folder / f"{Path(case).name}.toml"
    path.write_text(text)
    first = text.partition("\n")[0]
    options = (
        BuildOptions(cores=2, **json.loads(first[2:])) if first.startswith("#:") else BuildOptions(cores=2)
    )
    bag = Bag()
    printed: dict[str, str] = {}

    def keep(name: str, graph: Graph) -> None:
        printed[name] = print_graph(graph)

    compile_pipeline(path, options, bag, tmp_path, keep)
    bag.raise_if_errors()
    wanted = case.partition("/")[0]
    position = PASSES.index(wanted)
    after = printed[wanted]
    if position == 0:
        golden.file(HERE / f"{case}.ir", after)
        return
    before = printed[PASSES[position - 1]]
    difference = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    lines = [line.rstrip() for line in difference if not line.startswith("?")]
    golden.file(HERE / f"{case}.ir", "\n".join(lines) + "\n")


def test_printing_is_stable(folder: Path, tmp_path: Path) -> None:
    for case in CASES:
        path = folder / f"{Path(case).name}.toml"
        path.write_text((HERE / f"{case}.toml").read_text())
        texts = []
        for _ in range(2):
            compiled = compile_pipeline(path, BuildOptions(cores=2), Bag(), tmp_path)
            assert compiled is not None
            texts.append(print_graph(compiled.graph))
        assert texts[0] == texts[1]
