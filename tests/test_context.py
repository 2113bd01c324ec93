"""`context`: the one key that all branches of an item share by reference, through maps as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.driver import BuildOptions, Compiled, check, load_interpreter, pipe

CODE = """
from tpgen_runtime import Tensor, op

class Begin:
    def init(self, params):
        pass

    def forward(self, items):
        for item in items:
            item["context"] = {"seen": []}
            item["result"] = item["data"]

class Note:
    def init(self, params):
        self.word = params["word"]

    def forward(self, items):
        for item in items:
            item["context"]["seen"].append(self.word)
            item["result"] = item["data"]

@op(outputs={"result": Tensor("string", [])})
def end(context):
    return ",".join(context["seen"])
"""
PIPELINE = """
[start]
backend = "Python[mine:Begin]"
next = "left,right"
[left]
backend = "Python[mine:Note]"
word = "left"
next = "end"
[right]
backend = "Python[mine:Note]"
word = "right"
next = "end"
[end]
backend = "Python[mine:end]"
map = "left[result:data]"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "p.toml").write_text(PIPELINE)
    return tmp_path / "p.toml"


def test_all_branches_write_to_one_context(toml: Path) -> None:
    with pipe(toml) as run:
        items = [{"data": b"a"}, {"data": b"b"}]
        run(items)
    assert [item["result"] for item in items] == ["left,right", "left,right"]


def test_the_reference_does_the_same(toml: Path) -> None:
    (compiled,) = check(toml, BuildOptions(cores=1)).compiled
    assert isinstance(compiled, Compiled)
    (entry,) = compiled.graph.entries
    (found,) = load_interpreter(compiled).run(entry, [{"data": b"a"}])
    assert found == {"result": "left,right"}


def test_its_users_share_a_stage(toml: Path) -> None:
    (compiled,) = check(toml, BuildOptions(cores=1, fuse="none")).compiled
    assert [stage.nodes for stage in compiled.graph.stages] == [("start", "left", "right", "end")]
