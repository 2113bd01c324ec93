"""A pipeline means the same however it is compiled: interpreted, in one stage, one model per node, as a pipe.

Random pipelines and items, some of them corrupt. TPGEN_EQUIVALENCE is how many straight pipelines (60),
TPGEN_EQUIVALENCE_GRAPHS how many with branches (60), TPGEN_SEED the seed of the first: pipeline k of a run
with seed s is the first of a run with seed s + k. With -s, pytest shows how often each construct occurred.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from all_ways import compare
from constructs import EXPECTED
from equivalence import interpreted
from many import Report, compare_many
from random_graphs import write_status_code
from random_pipelines import read_pipeline, write_files
from tpgen.runner.interpreter import ItemError

COUNT = int(os.environ.get("TPGEN_EQUIVALENCE", "60"))
GRAPHS = int(os.environ.get("TPGEN_EQUIVALENCE_GRAPHS", "60"))
SEED = int(os.environ.get("TPGEN_SEED", "1"))
ENOUGH = 1000  # graphs, for what occurs in one of a hundred of them to be seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("random")
    write_files(made)
    write_status_code(made)
    (made / "changing.py").write_text(CHANGING, encoding="utf-8")
    (made / "refusing.py").write_text(REFUSING, encoding="utf-8")
    return made


def test_all_ways_agree_on_graphs() -> None:
    found = check_many("graph", GRAPHS)
    if found.compared >= ENOUGH:
        rare = {name for name in EXPECTED if found.occurred[name] * 100 < found.compared}
        assert not rare, f"these are in less than 1 % of the graphs: {sorted(rare)}"


def test_all_ways_agree_on_straight_pipelines() -> None:
    check_many("straight", COUNT)


def check_many(kind: str, count: int) -> Report:
    seeds = range(SEED, SEED + count)
    print(f"{kind}: the seeds {seeds.start} to {seeds.stop - 1}")
    found = compare_many(kind, seeds)
    print(found.table())
    if found.failures:
        pytest.fail(found.failed(), pytrace=False)
    return found


# Pipelines on which the ways once differed, each with what was wrong.
ONCE_WRONG = {
    "data is overwritten beside the result that becomes data": """
        [a]
        backend = "Sequential[Add[note:x],Copy[data:result,note:data],DecodeMat]"
        """,
    "a result is made up for, and declined later": """
        [a]
        backend = "Sequential[DecodeMat,(Run)Python[mine:maybe]]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        """,
    "a key comes from a node before the one where items end": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Add[note:early]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        next = "c"
        [c]
        backend = "FloatTensor"
        next = "d"
        [d]
        backend = "Add[note:late]"
        """,
    "a key is taken away, and written again": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Add[note:early]"
        next = "b"
        [b]
        backend = "Sequential[Python[mine:maybe],Remove[note]]"
        next = "c"
        [c]
        backend = "Sequential[Python[mine:maybe],Identity]"
        next = "d"
        [d]
        backend = "Add[note:late]"
        """,
    "a client's key is read in the second node": """
        [pipeline.inputs]
        data = {type = "bytes", wire = "uint8"}
        more = "float32[N,4]"
        [a]
        backend = "DecodeMat"
        next = "b"
        [b]
        backend = "Copy[more:kept]"
        """,
    "an operator fails whose keys another one wrote before": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Sequential[Add[note:early],Python[mine:fussy],(Run)Identity]"
        """,
    "items that failed go on in another node": """
        [a]
        backend = "Sequential[DecodeMat,Python[mine:fussy]]"
        next = "b"
        [b]
        backend = "Sequential[(Run)Identity,Python[mine:maybe]]"
        """,
    "a kernel on lists ends items between two others": """
        [a]
        backend = "S[Python[mine:fussy],Python[mine:together],(Run)Python[mine:maybe],Python[mine:Lists]]"
        """,
    "an operator declines beside a result from before, which a filter left there": """
        [pipeline]
        outputs = ["result"]
        [pipeline.inputs]
        data = "float32[N,8]"
        [a]
        backend = "Python[mine:fussy]"
        next = "b"
        [b]
        backend = "Sequential[ArgMax,Keep(keep=[result]),Python[mine:maybe],Python[mine:together]]"
        filter = "Run"
        """,
    "a key was lost with a result that is made up for": """
        [pipeline]
        outputs = ["result", "key"]
        [a]
        backend = "Sequential[Python[mine:fussy],Result2Key]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        filter = "Run"
        """,
    "operators behind one that breaks inside a sequence": """
        [a]
        backend = "Sequential[Python[mine:maybe],Python[mine:together],(or)Python[mine:fussy],Copy[data:x]]"
        next = "b"
        [b]
        backend = "Sequential[Python[mine:together],Python[mine:fussy]]"
        filter = "or"
        next = "c"
        [c]
        backend = "Python[mine:fussy]"
        """,
    "only an operator that is left out reads the input": """
        [a]
        backend = "Sequential[Identity,CreateTensor(shape=[2,3],type=float)]"
        next = "b"
        [b]
        backend = "Copy[other:kept]"
        """,
    "the names of two keys are those of a key and its size": """
        [pipeline]
        outputs = ["result"]
        [a]
        backend = "Sequential[Python[mine:maybe],Copy[data:size],Result2Key(key=beta),AddInt[beta_count:3]]"
        next = "b"
        [b]
        backend = "FloatTensor"
        next = "c"
        [c]
        backend = "Sequential[Copy[beta:x],Copy[beta_count:result]]"
        """,
    "user code changes its input, which another key shares": """
        [pipeline]
        outputs = ["kept", "result"]
        [a]
        backend = "Sequential[DecodeMat,Copy[data:kept]]"
        next = "b"
        [b]
        backend = "Python[changing:doubled]"
        """,
    "user code answers with an array that it writes to again": """
        [a]
        backend = "Python[changing:Buffer]"
        """,
    "two leaves have no result, for reasons of their own": """
        [a]
        backend = "Python[mine:fussy]"
        next = "b,c,d"
        [b]
        backend = "Identity"
        next = "e"
        [c]
        backend = "Python[mine:fussy]"
        filter = "or"
        [d]
        backend = "Identity"
        filter = "or"
        next = "e"
        [e]
        backend = "Identity"
        map = "d[data:data]"
        """,
    "a client's list of images, whose layout varies further on": """
        [pipeline.inputs]
        data = "[uint8[H,W,3] bgr]"
        [a]
        backend = "Sequential[SyncTensor,(Python[mine:Older])Mat2CpuTensor]"
        next = "b"
        [b]
        backend = "MapReduce"
        jump = "c"
        [c]
        backend = "TopLeftResizeMat(resize_h=6,resize_w=9)"
        """,
    "an item that failed comes to a filter that asks for its status": """
        [a]
        backend = "Python[refusing:asked]"
        next = "b"
        [b]
        backend = "Identity"
        filter = "filter"
        """,
    "the same in one of two branches": """
        [a]
        backend = "Python[refusing:asked]"
        next = "b,c"
        [b]
        backend = "Identity"
        filter = "if"
        [c]
        backend = "Identity"
        filter = "or"
        """,
    "no item gets behind the last node": """
        [a]
        backend = "Python[mine:maybe]"
        next = "b"
        [b]
        backend = "Identity"
        filter = "Break"
        next = "c"
        [c]
        backend = "Identity"
        """,
    "no item gets to the end of one of two branches": """
        [pipeline]
        outputs = ["z.note", "z.result", "w.result"]
        [a]
        backend = "Add[note:early]"
        next = "v,w"
        [v]
        backend = "Identity"
        filter = "Break"
        next = "z"
        [w]
        backend = "Identity"
        [z]
        backend = "Identity"
        """,
    "only items that an operator failed on go on behind a node": """
        [begin]
        backend = "Python[mine:Lists]"
        next = "node"
        [node]
        backend = "Sequential[Python[mine:fussy],(Error)Python[mine:fussy]]"
        on_error = "skip"
        next = "behind"
        [behind]
        backend = "Python[mine:fussy]"
        filter = "Run"
        """,
    "user code answers with its input": """
        [pipeline]
        outputs = ["kept", "result"]
        [a]
        backend = "Sequential[DecodeMat,Copy[data:kept]]"
        next = "b"
        [b]
        backend = "Python[changing:same]"
        """,
}

CHANGING = """
import numpy as np
from tpgen_runtime import Tensor, op

IMAGE = Tensor("uint8", ["H", "W", 3], color="bgr")

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def doubled(data):
    data *= 2
    return data

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def same(data):
    return data

@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("int64", [2])})
class Buffer:
    def __init__(self):
        self.kept = np.zeros(2, np.int64)

    def __call__(self, data):
        self.kept[:] = len(data), sum(data)
        return self.kept
"""

REASONS = {
    0: "asks.toml:3 [a] item 0: really bad",
    6: "asks.toml:6 [b] item 0: refused by filter 'filter'",
    7: "asks.toml:6 [b] item 0: 'Rn' is no status; known: Run, Skip, SerialSkip, SubGraphSkip, Break, Error",
}
REFUSING = """
from tpgen_runtime import ItemError, Tensor, op

STATUSES = (None, "Run", "Skip", "SerialSkip", "SubGraphSkip", "Break", "Error", "Rn")
TEXT = Tensor("string", [])

@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("bytes", []), "filter": TEXT})
def asked(data):
    status = STATUSES[sum(data) % len(STATUSES)]
    if status is None:
        raise ItemError("really bad")
    return {"result": data, "filter": status}
"""


@pytest.mark.parametrize("what", ONCE_WRONG)
def test_what_once_differed(what: str, folder: Path) -> None:
    name = f"once{[*ONCE_WRONG].index(what)}"
    made = read_pipeline(ONCE_WRONG[what], folder, name)
    for seed in range(3):
        compare(made, folder, name, random.Random(seed))


def test_the_first_reason_is_kept(folder: Path) -> None:
    made = read_pipeline(
        ONCE_WRONG["an item that failed comes to a filter that asks for its status"], folder, "asks"
    )
    (entry,) = made.compiled.graph.entries
    for ending, said in REASONS.items():
        (found,) = interpreted(made, entry, [{"data": bytes([ending])}])
        assert isinstance(found, ItemError)
        assert found.is_input
        assert str(found) == said
