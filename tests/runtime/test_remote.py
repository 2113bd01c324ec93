"""Calls of other models: how often the model is asked where it has no time, and how long rows wait for it."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import fake_triton
from fake_triton import InferenceRequest, InferenceResponse, Tensor, TritonError
from tpgen_runtime import native

FULL = "Exceeds maximum queue size"


class Model:
    """Doubles numbers. Its queue is full for the first ``busy`` requests; it breaks on what ``breaks`` lists.

    A number in ``overrun`` finds the queue full, whenever it comes.
    """

    def __init__(self, busy: int = 0, breaks: Sequence[int] = (), overrun: Sequence[int] = ()) -> None:
        self.busy, self.breaks, self.overrun = busy, set(breaks), set(overrun)
        self.asked: list[list[int]] = []
        self._lock = threading.Lock()

    def called(self, _: str, tensors: Mapping[str, np.ndarray], __: Sequence[str]) -> InferenceResponse:
        numbers = tensors["x"].ravel().tolist()
        with self._lock:
            self.asked.append(numbers)
            is_full = len(self.asked) <= self.busy
        if self.breaks.intersection(numbers):
            return InferenceResponse(error=TritonError("it broke"))
        if is_full or self.overrun.intersection(numbers):
            return InferenceResponse(error=TritonError(FULL))
        return InferenceResponse([Tensor("y", tensors["x"] * 2)])


Call = Callable[..., list[Any]]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Sends numbers to a model, two a request."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake_triton.backend_utils())
    monkeypatch.delitem(sys.modules, "tpgen_runtime.remote", raising=False)
    remote = importlib.import_module("tpgen_runtime.remote")

    def send(model: Model, numbers: Sequence[int], retry: int) -> list[Any]:
        monkeypatch.setattr(InferenceRequest, "server", model)
        ports = {"inputs": [native.Tensor("x", "int64")], "outputs": [native.Tensor("y", "int64")]}
        settings = {"names": ["y"], "max_batch": 2, "retry": retry}
        kernel = remote.RemoteModel("m", where="p.toml:1 [m]", **ports, **settings)
        answers = kernel([np.array([number]) for number in numbers])
        return [str(one) if isinstance(one, Exception) else int(one[0]) for one in answers]

    yield send
    sys.modules.pop("tpgen_runtime.remote", None)


def test_a_full_queue_is_asked_again(call: Call, pauses: list[float]) -> None:
    model = Model(busy=3)
    assert call(model, [1, 2], retry=3) == [2, 4]
    assert (model.asked, pauses) == ([[1, 2]] * 4, [0.01, 0.02, 0.04])


def test_without_attempts_left_all_rows_hear_of_it(call: Call, pauses: list[float]) -> None:
    model = Model(busy=9)
    assert call(model, [1, 2], retry=2) == [f"model 'm': {FULL}"] * 2
    assert (len(model.asked), pauses) == (3, [0.01, 0.02])


def test_rows_alone_share_the_attempts_that_are_left(call: Call, pauses: list[float]) -> None:
    """One row breaks the request; the other, alone then, finds the queue full again and again."""
    model = Model(busy=1, breaks=[1], overrun=[2])
    assert call(model, [1, 2], retry=3) == ["model 'm': it broke", f"model 'm': {FULL}"]
    assert model.asked == [[1, 2], [1], [2], [2], [2], [2]]
    assert pauses == [0.01, 0.02, 0.04]


def test_requests_of_a_call_wait_together(call: Call, pauses: list[float]) -> None:
    model = Model(overrun=range(100))
    answers = call(model, range(20), retry=4)
    assert answers == [f"model 'm': {FULL}"] * 20
    assert (len(model.asked), len(pauses)) == (10 * 5, 4)


def test_only_those_without_an_answer_are_asked_again(call: Call, pauses: list[float]) -> None:
    model = Model(overrun=[4])
    assert call(model, range(6), retry=1) == [0, 2, 4, 6, *[f"model 'm': {FULL}"] * 2]
    assert sorted(model.asked) == [[0, 1], [2, 3], [4, 5], [4, 5]]
    assert pauses == [0.01]


def test_pauses_do_not_grow_for_ever(call: Call, pauses: list[float]) -> None:
    call(Model(overrun=[1]), [1], retry=100)
    assert (len(pauses), max(pauses)) == (100, 2.0)
