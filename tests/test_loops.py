"""Loops: items that end with the key ``restart`` go on at the node that it names."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import small_models
from all_ways import compare, write
from fake_triton import Server, TritonError
from random_graphs import write_status_code
from random_pipelines import read_pipeline, write_files
from tpgen.cli import run_command
from tpgen.driver import BuildOptions, build, check, pipe, reference
from tpgen.runner.interpreter import ItemError
from tpgen.services.wire import decode, encode

OPS = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

NUMBER = Tensor("int64", [])


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def half(data):
    if data == 13:
        raise ItemError("thirteen")
    return data // 2


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER}, batch=True)
class Counted:
    batches = []

    def __call__(self, data):
        self.batches.append(len(data))
        return [np.int64(len(data)) for _ in data]


def large(result):
    return "Swap" if result >= 10 else "Skip"


@op(
    inputs={"data": NUMBER},
    outputs={"result": NUMBER, "restart": Tensor("string", [])},
)
def chosen(data):
    return {"result": data - 1, "restart": {0: "nowhere", 1: "other"}.get(int(data) % 10, "step")}


class Countdown:
    def init(self, params):
        pass

    def forward(self, items):
        for item in items:
            item["result"] = item["data"] - 1
            if item["result"] > 0:
                item["restart"] = "count"
"""
HALVES = """
entrypoint = "Restart[DagDispatcher]"
[pipeline]
max_restarts = 3
[first]
backend = "Python[ops:half]"
next = "step"
[step]
backend = "Python[ops:half]"
next = "again"
[again]
backend = "Add[restart:step]"
filter = "Python[ops:large]"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ops.py").write_text(OPS)
    return tmp_path


def answers(path: Path, *numbers: int, entry: str | None = None) -> list[int | str | None]:
    """What becomes of numbers, in one batch: the reference, which the generated code must agree with."""
    compiled, interpreter = reference(path, BuildOptions(cores=1))
    chosen = next(one for one in compiled.reference.entries if entry in (None, one.name))
    outcomes = interpreter.run(chosen, [{"data": np.int64(number)} for number in numbers])
    wanted = [str(one) if isinstance(one, ItemError) else _number(one) for one in outcomes]
    found: list[int | str | None] = []
    with pipe(path, BuildOptions(cores=1), entry=entry) as run:
        for index, number in enumerate(numbers):
            item: dict[str, Any] = {"data": np.int64(number)}
            try:
                run(item)
            except ItemError as problem:
                found.append(str(problem).replace("item 0", f"item {index}"))
            else:
                found.append(_number(item))
    assert found == wanted
    return found


def _number(item: Mapping[str, Any]) -> int | None:
    return int(item["result"]) if "result" in item else None


# --- what items do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "engine", ['entrypoint = "Restart[DagDispatcher]"', '"Interpreter::backend" = "Ring"']
)
def test_items_loop_as_often_as_they_ask(folder: Path, engine: str) -> None:
    path = write(folder, HALVES.replace('entrypoint = "Restart[DagDispatcher]"', engine))
    assert answers(path, 8, 48, 100, 310) == [2, 6, 6, 9]


def test_one_loop_too_many_fails_its_item(folder: Path) -> None:
    found = answers(write(folder, HALVES), 8, 10_000, 48)
    assert found[::2] == [2, 6]
    assert found[1] == "p.toml:2 [restart] item 1: 'restart' is 'step' once more than max_restarts = 3 allows"


def test_an_item_that_fails_on_the_way_says_where(folder: Path) -> None:
    assert answers(write(folder, HALVES), 13, 52, 16) == [
        "p.toml:6 [first] item 0: thirteen",
        "p.toml:9 [step] item 1: thirteen",
        4,
    ]


def test_an_unknown_name_fails_its_item(folder: Path) -> None:
    text = """
    entrypoint = "Restart[DagDispatcher]"
    [pipeline]
    restarts = ["step", "other"]
    [step]
    backend = "Python[ops:half]"
    next = "choose"
    [choose]
    backend = "Python[ops:chosen]"
    [other]
    backend = "Python[ops:half]"
    """
    found = answers(write(folder, text), 22, 0, entry="p.step")
    assert found == [
        10 // 2,
        "p.toml:2 [restart] item 1: 'restart' is 'nowhere', which is none of: step, other",
    ]


def test_torchpipes_own_style(folder: Path) -> None:
    """What a class leaves out is no key, and what it writes has no type: the target is the root."""
    text = """
    entrypoint = "Restart[DagDispatcher]"
    [pipeline]
    outputs = ["result"]
    [pipeline.inputs]
    data = "int64[]"
    [count]
    backend = "Python[ops:Countdown]"
    next = "whole"
    [whole]
    backend = "Python[ops:half]"
    """
    assert answers(write(folder, text), 5, 1, 3) == [0, 0, 0]
    bounded = write(folder, text.replace("[pipeline]\n", "[pipeline]\n    max_restarts = 3\n", 1))
    found = answers(bounded, 5, 4, 1)
    assert found[1:] == [0, 0]
    assert "[restart] item 0: 'restart' is 'count' once more than max_restarts = 3" in str(found[0])


def test_items_loop_together_and_others_do_not_wait(folder: Path) -> None:
    """Items of a round are one batch; those that are done are answered before the next one begins."""
    text = HALVES.replace(
        '"Python[ops:half]"\nnext = "again"', '"S[Python[ops:half],Identity]"\nnext = "again"'
    )
    build(write(folder, text), folder / "repository", BuildOptions(cores=1))
    with Server(folder / "repository") as server:
        model = server.models["p"]
        requests = [encode(model.spec, {"data": np.int64(n)})[1][0].tensors for n in (100, 8, 310, 4)]
        found = server.infer("p", requests)
    values = [decode(model.spec, answer, 1)[0]["result"] for answer in found]
    assert [int(one) for one in values] == [6, 2, 9, 1]


# --- types -------------------------------------------------------------------------------------------------


def test_keys_of_later_rounds_join_the_first(tmp_path: Path) -> None:
    """A size that changes from round to round varies in the loop, and only there."""
    write_files(tmp_path)
    write_status_code(tmp_path)
    text = """
    entrypoint = "Restart[DagDispatcher]"
    [pipeline]
    max_restarts = 2
    [pipeline.inputs]
    data = "uint8[8,8,3] bgr"
    [small]
    backend = "ResizeMat(resize_h=4,resize_w=4)"
    next = "again"
    [again]
    backend = "Add[restart:small]"
    filter = "Python[mine:starts_again]"
    """
    made = read_pipeline(dedent(text), tmp_path, "sizes")
    types = made.compiled.reference.types
    assert types is not None
    assert str(types.before["small.ResizeMat"]["data"]) == "uint8[8,8,3] HWC bgr"
    assert str(types.before["small__again__small.ResizeMat"]["data"]) == "uint8[4,4,3] HWC bgr"
    compare(made, tmp_path, "sizes", random.Random(1))


def test_data_is_read_by_the_next_round(tmp_path: Path) -> None:
    """The packing of normalisation must not take away what a loop still reads."""
    small_models.write_models(tmp_path)
    write_files(tmp_path)
    write_status_code(tmp_path)
    text = """
    entrypoint = "Restart[DagDispatcher]"
    [pipeline]
    max_restarts = 2
    outputs = ["result", "seen"]
    [pipeline.inputs]
    data = "uint8[8,8,3] rgb"
    seen = "int64[]"
    [model]
    backend = "S[Mat2Tensor,Onnx(model=convolution.onnx,mean=[100,100,100],std=[50,50,50])]"
    next = "again"
    [again]
    backend = "S[FloatTensor,Add[restart:late]]"
    filter = "Python[mine:starts_again]"
    [late]
    backend = "FloatTensor"
    """
    made = read_pipeline(
        dedent(text).replace('"result", "seen"', '"result"').replace('seen = "int64[]"\n', ""),
        tmp_path,
        "late",
    )
    compare(made, tmp_path, "late", random.Random(2))


# --- what is compiled --------------------------------------------------------------------------------------


def test_models_of_a_loop_are_called_and_shared(tmp_path: Path) -> None:
    small_models.write_models(tmp_path)
    (tmp_path / "ops.py").write_text(
        OPS + "\n\ndef never(data):\n    return 'Run' if data.size > 1000 else 'Skip'\n"
    )
    text = """
    entrypoint = "Restart[DagDispatcher]"
    [pipeline.inputs]
    data = "float32[3,8,8] rgb"
    [a]
    backend = "S[Result2Key(key=image),Onnx(model=convolution.onnx),Copy[image:data]]"
    next = "b"
    [b]
    backend = "Add[restart:a]"
    filter = "Python[ops:never]"
    """
    done = build(write(tmp_path, text), tmp_path / "repository", BuildOptions(fuse="none", cores=1))
    (compiled,) = done.compiled
    assert [stage.runs for stage in compiled.graph.stages if stage.runs] == [
        ("a.TensorrtTensor", "a__again__a.TensorrtTensor")
    ]


def test_explain_says_where_items_go_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert run_command(["explain", str(write(folder, HALVES))], out) == 0
    text = out.getvalue()
    assert "items of p that end with 'restart' go on at: step; at most 3 times" in text
    assert "step  (p.toml:9) -> again  behind 'restart' in entry p" in text
    assert "__again__" not in text
    assert "entrypoint" not in text


def test_without_an_engine_restart_is_a_key_like_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        folder, HALVES.replace('entrypoint = "Restart[DagDispatcher]"', 'entrypoint = "DagDispatcher"')
    )
    (compiled,) = check(path).compiled
    assert [port.key for port in compiled.graph.entries[0].outputs] == ["result", "restart"]
    out = io.StringIO()
    assert run_command(["explain", str(path)], out) == 0
    assert "entrypoint: Triton is the interpreter" in out.getvalue()
    assert "max_restarts: items go on at another node only with a loop engine" in out.getvalue()


def test_an_added_entry_loops_by_itself(folder: Path) -> None:
    path = write(folder, HALVES.replace("[pipeline]", '[pipeline]\nentries = ["step"]'))
    assert answers(path, 48, entry="p.step") == [6]
    assert answers(path, 48) == [6]


def test_nodes_of_both_rounds_share_their_figures(folder: Path) -> None:
    build(write(folder, HALVES), folder / "repository", BuildOptions(cores=1))
    code = (folder / "repository" / "p" / "1" / "stage.py").read_text()
    assert code.count('Node("step", "p.toml:9")') == 2
    assert "step_half = user.UserCode" in code
    assert code.count("user.UserCode(") == 2  # of first and step; the second round runs the same


def test_an_unsettled_request_is_told(folder: Path) -> None:
    build(write(folder, HALVES), folder / "repository", BuildOptions(cores=1))
    with Server(folder / "repository") as server:
        spec = server.models["p"].spec
        request = encode(spec, {"data": [np.int64(8), np.int64(10_000)]})[1][0].tensors
        (found,) = server.infer("p", [request])
    assert isinstance(found, TritonError)
    assert "[restart] item 1" in found.message()
