"""`tpgen.pipe`: the generated stage as a function of dictionaries."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import examples
import tpgen
from tpgen.driver import pipe, reference

OPS = """
import numpy as np
from tpgen_runtime import Tensor, op
from constant import VALUE

@op(inputs={"data": Tensor("int32", [])}, outputs={"result": Tensor("int32", [])})
def add(data):
    if data == 13:
        raise RuntimeError("thirteen")
    if data < 0:
        return None
    return np.int32(data + VALUE)
"""

IN_PLACE = """
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("float32", [3])}, outputs={"result": Tensor("float32", [3])})
def double(data):
    data *= 2
    return data
"""


@pytest.fixture
def two_pipelines(tmp_path: Path) -> list[Path]:
    """Two folders, each with its own ``ops.py`` and ``constant.py``."""
    found = []
    for name, value in (("ones", 1), ("tens", 10)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ops.py").write_text(OPS)
        (folder / "constant.py").write_text(f"VALUE = {value}\n")
        (folder / "pipeline.toml").write_text('[add]\nbackend = "Python[ops:add]"\n')
        found.append(folder / "pipeline.toml")
    return found


def test_two_pipelines_with_modules_of_one_name_stay_apart(two_pipelines: list[Path]) -> None:
    with pipe(two_pipelines[0]) as ones, pipe(two_pipelines[1]) as tens:
        for _ in range(3):
            first, second = {"data": np.int32(5)}, {"data": np.int32(5)}
            ones(first)
            tens(second)
            assert (first["result"], second["result"]) == (6, 15)


def test_a_dictionary_is_updated_with_the_outputs_only(two_pipelines: list[Path]) -> None:
    with tpgen.pipe(two_pipelines[0]) as run:
        item = {"data": np.int32(1), "mine": "kept", "result": "old"}
        assert run(item) is None
        assert item == {"data": 1, "mine": "kept", "result": 2}
        absent = {"data": np.int32(-1), "result": "old"}
        run(absent)
        assert absent == {"data": -1}


def test_a_failed_item_leaves_its_dictionary_and_the_others_are_answered(two_pipelines: list[Path]) -> None:
    with tpgen.pipe(two_pipelines[0]) as run:
        items = [{"data": np.int32(value)} for value in (1, 13, 3)]
        with pytest.raises(tpgen.ItemError, match=r"pipeline.toml:2 \[add\] item 0: RuntimeError: thirteen"):
            run(items)
        assert [item.get("result") for item in items] == [2, None, 4]
        assert items[1] == {"data": 13}
        missing: dict[str, object] = {}
        with pytest.raises(tpgen.ItemError, match="input 'data' is missing"):
            run(missing)


def test_user_code_cannot_change_the_callers_arrays(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(IN_PLACE)
    (tmp_path / "double.toml").write_text('[double]\nbackend = "Python[ops:double]"\n')
    item = {"data": np.ones(3, np.float32)}
    with pipe(tmp_path / "double.toml") as run, pytest.raises(tpgen.ItemError, match=r"data\.copy\(\)"):
        run(item)
    compiled, interpreter = reference(tmp_path / "double.toml")
    (outcome,) = interpreter.run(compiled.reference.entries[0], [item])
    assert "data.copy()" in str(outcome)
    assert item["data"].tolist() == [1, 1, 1]


def test_many_threads_get_each_its_own_answer() -> None:
    with tpgen.pipe(examples.pipeline("digits")) as run, ThreadPoolExecutor(16) as pool:
        held_out = examples.script("digits", "train").held_out_jpegs()[:96]

        def read(jpeg: bytes) -> np.ndarray:
            item: dict[str, object] = {"data": jpeg}
            run(item)
            return item["scores"]

        alone = [read(jpeg) for jpeg, _ in held_out]
        together = list(pool.map(lambda pair: read(pair[0]), held_out))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_forgotten_pipe_ends_its_threads(two_pipelines: list[Path]) -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    run = tpgen.pipe(two_pipelines[0])
    run({"data": np.int32(1)})
    own = set(threading.enumerate()) - before
    assert own
    del run
    gc.collect()
    for thread in own:
        thread.join(2)
    assert not any(thread.is_alive() for thread in own)


def test_a_closed_pipe_says_so_and_several_entries_are_named(
    tmp_path: Path, two_pipelines: list[Path]
) -> None:
    run = tpgen.pipe(two_pipelines[0])
    run.close()
    run.close()
    with pytest.raises(RuntimeError, match="closed"):
        run({"data": np.int32(1)})
    (tmp_path / "pair.toml").write_text('[a]\nbackend = "Identity"\n[b]\nbackend = "Identity"\n')
    with pytest.raises(tpgen.PipelineError, match=r"pair\.a, pair\.b"):
        tpgen.pipe(tmp_path / "pair.toml")
    with pipe(tmp_path / "pair.toml", entry="pair.b") as chosen:
        item = {"data": b"x"}
        chosen(item)
        assert item["result"] == b"x"
