"""Clients that leave: their items are dropped, nobody else notices, and the server is hardly ever asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fake_triton
from fake_triton import Logger, Server, TritonError
from small_models import write_models
from tpgen.driver import BuildOptions, build

CODE = """
import numpy as np
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("int64", [])}, outputs={"result": [Tensor("int64", [])]})
def cut(data):
    return [np.int64(n) for n in range(int(data))]


@op(inputs={"data": Tensor("int64", [])}, outputs={"result": Tensor("int64", [])})
def look(data):
    return data


@op(inputs={"data": [Tensor("int64", [])]}, outputs={"result": Tensor("int64", [])})
def count(data):
    return np.int64(len(data))
"""
PIPELINE = """
[cut]
backend = "Python[mine:cut]"
next = "each"

[each]
backend = "MapReduce"
jump = "look"
drop_absent = true
{keys}
next = "count"

[look]
backend = "Python[mine:look]"

[count]
backend = "Python[mine:count]"
"""
BRANCHES = """
[cut]
backend = "Python[mine:cut]"
next = "each, alone"

[each]
backend = "MapReduce"
jump = "look"
drop_absent = true

[alone]
backend = "Python[mine:count]"

[look]
backend = "Python[mine:look]"
"""
MODELS = """
[pipeline]
inputs = {data = "float32[3,224,224]"}

[begin]
backend = "Identity"
next = "left, right"

[left]
backend = "TensorrtTensor"
model = "rgb.onnx"
max = 1

[right]
backend = "TensorrtTensor"
model = "any.onnx"
max = 1
"""


@dataclass
class Clock:
    """Moves when it is looked at, by a millisecond, and when the server is asked something."""

    now: float = 0.0
    question: float = 0.0
    asked: list[int] = field(default_factory=list)  # requests, by their first number

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The client of `LEAVES` has left, whenever the server is asked."""
    made = Clock()
    ask = fake_triton.InferenceRequest.is_cancelled

    def is_cancelled(self: Any) -> bool:
        ask(self)
        made.asked.append(int(self._tensors[0].as_numpy()[0, 0]))
        made.now += made.question
        return made.asked[-1] == LEAVES

    monkeypatch.setattr(fake_triton.InferenceRequest, "is_cancelled", is_cancelled)
    return made


@pytest.fixture
def served(tmp_path: Path, clock: Clock) -> Callable[[str], Server]:
    (tmp_path / "mine.py").write_text(CODE)
    Logger.lines.clear()

    def serve(text: str) -> Server:
        (tmp_path / "p.toml").write_text(text)
        build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(cores=1))
        server = Server(tmp_path / "repository")
        bridge = type(server.models["p"].python).__mro__[1]
        bridge.execute.__globals__["callers"]._now = clock  # type: ignore[attr-defined]
        return server

    return serve


def request(*numbers: int) -> dict[str, np.ndarray]:
    return {"data": np.array(numbers, np.int64).reshape(-1, 1)}


LEAVES = 300  # elements of the request whose client leaves


@pytest.mark.parametrize("keys", ["", 'on_error = "skip"'])
def test_whoever_left_is_dropped_and_others_are_answered(
    served: Callable[[str], Server], clock: Clock, keys: str
) -> None:
    with served(PIPELINE.format(keys=keys)) as server:
        gone, stays, small = server.infer("p", [request(LEAVES), request(100), request(3, 4)])
        assert isinstance(gone, TritonError)
        assert (gone.message(), gone.code()) == ("p: cancelled by the client", TritonError.CANCELLED)
        assert stays["result"].tolist() == [[100]]  # type: ignore[index]
        assert small["result"].tolist() == [[3], [4]]  # type: ignore[index]
        looks = sum(node.items for node in server.models["p"].python._stage.nodes if node.name == "look")
    assert 107 <= looks < 107 + LEAVES
    assert not [line for line in Logger.lines if "cancelled" in line]
    assert clock.asked.count(LEAVES) == 1  # and never after its answer


def test_a_branch_is_dropped_with_the_others(served: Callable[[str], Server], clock: Clock) -> None:
    with served(BRANCHES) as server:
        gone, stays = server.infer("p", [request(LEAVES), request(40)])
        assert isinstance(gone, TritonError)
        assert gone.code() == TritonError.CANCELLED
        assert len(stays["each.result"][0]) == 40  # type: ignore[index]


def test_nobody_is_asked_about_short_work(served: Callable[[str], Server], clock: Clock) -> None:
    with served(PIPELINE.format(keys="")) as server:
        for _ in range(5):
            server.infer("p", [request(1), request(2)])
    assert clock.asked == []


def test_questions_take_a_small_share_of_the_time(served: Callable[[str], Server], clock: Clock) -> None:
    clock.question = 0.01
    with served(PIPELINE.format(keys="")) as server:
        server.infer("p", [request(9000)])
    assert 5 <= len(clock.asked) <= 1 + clock.now


def test_branches_that_run_at_the_same_time_know_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_models(tmp_path)
    (tmp_path / "p.toml").write_text(MODELS)
    build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(cores=1, fuse="none"))
    calls: list[tuple[str, int, str]] = []
    called = fake_triton.InferenceRequest.exec

    def number(request: Any) -> int:
        return int(request.inputs()[0].as_numpy().flat[0])

    def exec_(self: Any) -> Any:
        calls.append((self._model, number(self), self.request_id()))
        return called(self)

    def request_id(self: Any) -> str:
        return self._id if self._model else f"client {number(self)}"

    monkeypatch.setattr(fake_triton.InferenceRequest, "exec", exec_)
    monkeypatch.setattr(fake_triton.InferenceRequest, "request_id", request_id)
    with Server(tmp_path / "repository") as server:
        server.infer("p", [{"data": np.full((1, 3, 224, 224), n, np.float32)} for n in (1, 2, 3)])
    models = ("p__left", "p__right")
    assert sorted(calls) == [(model, n, f"client {n}") for model in models for n in (1, 2, 3)]
    code = (tmp_path / "repository" / "p" / "1" / "stage.py").read_text()
    assert "in_parallel(left_items, right_items)" in code
