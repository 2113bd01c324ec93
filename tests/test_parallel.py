"""Branches at the same time mean what they mean one after the other: random graphs, all branches so."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from all_ways import compare, lay_out
from random_graphs import make_graph, write_status_code
from random_pipelines import read_pipeline, write_files
from tpgen.emit.tracks import Tracks
from tpgen.runner.interpreter import ItemError

COUNT = int(os.environ.get("TPGEN_EQUIVALENCE_PARALLEL", "25"))
BRANCHES = """
[pipeline]
inputs = {data = "float32[3,8,8]"}
[begin]
backend = "Identity"
next = "left, right"
[left]
backend = "TensorrtTensor"
model = "small.onnx"
max = 4
[right]
backend = "TensorrtTensor"
model = "any.onnx"
max = 4
"""
# The branch that runs a sub-graph has to know at once of elements that end in it, while the other one runs.
SUBGRAPH = """
[pipeline]
inputs = {data = "float32[N,5]"}
[begin]
backend = "Identity"
next = "left, right"
[left]
backend = "Sequential[Python[ends:slow],Python[ends:slow]]"
[right]
backend = "Python[ends:counted]"
next = "each"
[each]
backend = "MapReduce"
split = "data"
drop_absent = true
jump = "sub"
[sub]
backend = "Python[ends:plus]"
next = "last"
[last]
filter = "Python[ends:by_size]"
backend = "Python[ends:plus]"
"""
ENDS = """
import time

import numpy as np
from tpgen_runtime import Tensor, op

NUMBER = Tensor("int64", [])


@op(outputs={"result": NUMBER})
def slow(data):
    time.sleep(0.02)
    return np.int64(1)


@op(outputs={"result": [NUMBER]})
def counted(data):
    return [np.int64(number) for number in range(len(data) % 8)]


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def plus(data):
    if data == 5:
        raise KeyError("five")
    return data + 1


def by_size(data):
    return "SerialSkip" if data == 3 else "Break" if data % 2 else "Run"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("parallel")
    write_files(made)
    write_status_code(made)
    return made


@pytest.mark.parametrize("seed", range(2001, 2001 + COUNT))
def test_random_graphs_with_all_branches_in_parallel(
    seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tracks, "_infers", lambda _self, _name: True)
    monkeypatch.setattr(Tracks, "_wait_for_others", lambda _self, _due: True)
    rng = random.Random(-seed)
    compare(make_graph(rng, folder, f"graph{seed}", more=True), folder, f"graph{seed}", rng)


def test_branches_with_models_run_in_parallel(folder: Path) -> None:
    made = read_pipeline(BRANCHES, folder, "branches")
    compare(made, folder, "branches", random.Random(1))
    lay_out(made.compiled, folder / "shown")
    code = (folder / "shown" / "branches" / "1" / "stage.py").read_text()
    assert "left_items, right_items = in_parallel(left_items, right_items, where=len(items) == 1)" in code


def test_elements_that_end_in_a_branch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tracks, "_infers", lambda _self, _name: True)
    monkeypatch.setattr(Tracks, "_wait_for_others", lambda _self, _due: True)
    (folder / "ends.py").write_text(ENDS)
    made = read_pipeline(SUBGRAPH, folder, "elements")
    outcomes = compare(made, folder, "elements", random.Random(2))
    assert {type(outcome) for outcome in outcomes} == {dict, ItemError}


OBJECTS = """
[pipeline]
inputs = {data = "float32[3,8,8]"}
outputs = ["left.result", "right.result"]
[begin]
backend = "Python[objects:Opens]"
next = "left, right"
[left]
backend = "Sequential[Python[objects:Counts],Python[objects:typed],TensorrtTensor]"
model = "small.onnx"
map = "begin[result:data,shared:shared]"
[right]
backend = "Sequential[Python[objects:Counts],Python[objects:typed],TensorrtTensor]"
model = "any.onnx"
map = "begin[result:data,shared:shared]"
"""
OBJECTS_CODE = """
from tpgen_runtime import Tensor, op

IMAGE = Tensor("float32", [3, 8, 8])


@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def typed(data):
    return data


class Opens:
    def init(self, params):
        pass

    def forward(self, items):
        for item in items:
            item["result"] = item["data"]
            item["shared"] = {"count": 0}


class Counts:
    def init(self, params):
        pass

    def forward(self, items):
        for item in items:
            item["shared"]["count"] += 1
            item["result"] = item["data"]
"""


def test_branches_that_share_objects_take_turns(folder: Path) -> None:
    (folder / "objects.py").write_text(OBJECTS_CODE)
    made = read_pipeline(OBJECTS, folder, "objects_shared")
    lay_out(made.compiled, folder / "turns")
    code = (folder / "turns" / "objects_shared" / "1" / "stage.py").read_text()
    assert "in_parallel" not in code
