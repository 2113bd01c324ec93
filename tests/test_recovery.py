"""What makes up for failures: `on_error`, `retry`, `max_items`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tpgen
from fake_triton import Server, TritonError
from tpgen.driver import BuildOptions, build
from tpgen.runner.interpreter import ItemError
from tpgen.services.wire import decode, encode

CODE = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

@op(inputs={"data": Tensor("int64", [])}, outputs={"result": Tensor("int64", [])})
class Shaky:
    "Loses its connection the first times that it sees a number."

    def __init__(self, *, times: int = 0):
        self.times, self.seen = times, {}

    def __call__(self, data):
        number = int(data)
        self.seen[number] = self.seen.get(number, 0) + 1
        if self.seen[number] <= self.times:
            raise ConnectionError(f"{number} was lost")
        if number == 13:
            raise ItemError("thirteen")
        if number == 14:
            raise KeyError(f"attempt {self.seen[number]}")
        return np.int64(number * 10)

@op(inputs={"data": Tensor("int64", [])}, outputs={"result": [Tensor("int64", [])]})
def count(data):
    return [np.int64(i) for i in range(int(data))]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


def answers(folder: Path, text: str, values: list[int]) -> list[Any]:
    """What each value gives as a request of its own, all in one batch: a number, None, or an error text."""
    (folder / "p.toml").write_text(text)
    build(folder / "p.toml", folder / "repository", BuildOptions(cores=1))
    with Server(folder / "repository") as server:
        spec = server.models["p"].spec
        requests = [encode(spec, {"data": value})[1][0].tensors for value in values]
        return [
            str(found) if isinstance(found, TritonError) else decode(spec, found, 1)[0]["result"]
            for found in server.infer("p", requests)
        ]


def pipeline(keys: str) -> str:
    return (
        '[pipeline.inputs]\ndata = "int64[]"\n[a]\nbackend = "Python[mine:Shaky]"\n'
        f'{keys}\nnext = "b"\n[b]\nfilter = "or"\n'
    )


def test_without_it_an_item_fails(folder: Path) -> None:
    text = pipeline("")
    found = answers(folder, text, [1, 14])
    assert found[0] == 10
    assert "[a] item 0: KeyError" in found[1]


@pytest.mark.parametrize("number", [13, 14])
def test_a_default_is_the_result(folder: Path, number: int) -> None:
    assert answers(folder, pipeline("on_error = -1"), [1, number, 2]) == [10, -1, 20]


@pytest.mark.parametrize("number", [13, 14])
def test_what_is_skipped_goes_on_as_it_came(folder: Path, number: int) -> None:
    """Node b runs for items without a result, and hands their data on."""
    assert answers(folder, pipeline('on_error = "skip"'), [1, number, 2]) == [10, number, 20]


@pytest.mark.parametrize("retry", [0, 1, 2, 3])
def test_attempts_are_counted(folder: Path, retry: int) -> None:
    (found,) = answers(folder, pipeline(f"times = 2\nretry = {retry}"), [5])
    assert found == 50 if retry >= 2 else "[a] item 0: ConnectionError: 5 was lost" in found


def test_an_error_that_does_not_pass_is_not_tried_again(folder: Path) -> None:
    (found,) = answers(folder, pipeline("retry = 5"), [14])
    assert "KeyError: 'attempt 1'" in found


def test_a_list_that_is_too_long_fails_alone(folder: Path) -> None:
    text = """
    [pipeline.inputs]
    data = "int64[]"
    [a]
    backend = "Python[mine:count]"
    next = "b"
    [b]
    backend = "MapReduce"
    jump = "c"
    max_items = 3
    drop_absent = true
    [c]
    backend = "Python[mine:Shaky]"
    """
    found = answers(folder, text, [3, 4, 2])
    assert (list(found[0]), list(found[2])) == ([0, 10, 20], [0, 10])
    assert "[b] item 0: 4 elements are more than max_items = 3" in found[1]


def test_the_reference_does_the_same(folder: Path) -> None:
    (folder / "p.toml").write_text(pipeline("on_error = -1"))
    with tpgen.pipe(folder / "p.toml") as pipe:
        for number, wanted in ((1, 10), (13, -1), (14, -1)):
            item: dict[str, Any] = {"data": number}
            pipe(item)
            assert int(item["result"]) == wanted
    (folder / "p.toml").write_text(pipeline(""))
    with tpgen.pipe(folder / "p.toml") as pipe, pytest.raises(ItemError):
        pipe({"data": 14})
