"""What goes wrong in the original, and in hand-written BLS code, and must not here.

Generated code on a stand-in for the server, in which all requests of a call form one dynamic batch; in one
stage, and with one model per node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import fake_triton
from engines.onnx_build import model, node, save, tensor
from fake_triton import Server, TritonError
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check
from tpgen.services.wire import decode, encode

pytestmark = pytest.mark.parametrize("fuse", ["auto", "none"])

OPS = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

NUMBER = Tensor("int64", [])
TEXT = Tensor("string", [])


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def same(data):
    return data


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def even(data):
    return data if data % 2 == 0 else None


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def plus(data):
    return data + 1


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def plus_hundred(data):
    return data + 100


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def no_thirteen(data):
    if data == 13:
        raise ValueError("thirteen")
    return data


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER}, batch=True)
def no_thirteen_together(data):
    if 13 in data:
        raise ValueError("thirteen")
    return list(data)


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER, "filter": TEXT, "hue": TEXT})
def decide(data):
    return {"result": data, "filter": "Break" if data % 2 else "Run", "hue": f"hue {data}"}


@op(inputs={"data": NUMBER}, outputs={"filter": TEXT})
def look(data):
    return "Break" if data % 2 else "Run"


@op(inputs={"data": NUMBER}, outputs={"result": Tensor("float32", [2])})
def pair(data):
    return np.full(2, data, np.float32)


@op(inputs={"data": NUMBER, "hue": TEXT}, outputs={"result": TEXT})
def tell(data, hue):
    return f"{data} {hue}"


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER, "boxes": [Tensor("float32", [2])]})
def cut(data):
    return {"result": data, "boxes": [np.full(2, 100 * data + i, np.float32) for i in range(data)]}


@op(inputs={"data": NUMBER}, outputs={"result": [NUMBER]})
def count_up(data):
    return [np.int64(i) for i in range(data)]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ops.py").write_text(OPS)
    shape = ["N", 2]
    save(
        model([node("Add", "x x", "y")], [tensor("x", shape)], [tensor("y", shape)]), tmp_path / "twice.onnx"
    )
    return tmp_path


@contextmanager
def served(folder: Path, fuse: str, text: str) -> Iterator[Callable[[Sequence[int]], list[Any]]]:
    """A function that sends numbers, a request each, in one dynamic batch; gives answers and messages."""
    (folder / "made.toml").write_text(text)
    build(folder / "made.toml", folder / "repository", BuildOptions(fuse=fuse, cores=2))
    with Server(folder / "repository") as server:
        spec = server.models["made"].spec

        def ask(numbers: Sequence[int]) -> list[Any]:
            requests = [encode(spec, {"data": np.int64(number)})[1][0].tensors for number in numbers]
            return [
                answer.message() if isinstance(answer, TritonError) else decode(spec, answer, 1)[0]
                for answer in server.infer("made", requests)
            ]

        yield ask


@pytest.fixture
def engine_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of each call of a model, in order."""
    calls: list[int] = []
    run = onnxruntime.InferenceSession.run

    def counted(self: Any, outputs: Any, feed: Any, *rest: Any) -> Any:
        calls.append(len(next(iter(feed.values()))))
        return run(self, outputs, feed, *rest)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", counted)
    return calls


PAGES = """
[pages]
backend = "Python[ops:cut]"
next = "read"
[read]
backend = "MapReduce"
jump = "crop"
split = "boxes"
[crop]
backend = "Sequential[Copy[boxes:data],Onnx(model=twice.onnx)]"
max = 16
"""


def test_break_in_a_sequence_ends_one_item_and_not_those_behind_it(folder: Path, fuse: str) -> None:
    text = """
        [first]
        backend = "Sequential[Python[ops:even],Python[ops:plus],(swap)Python[ops:plus]]"
        """
    with served(folder, fuse, text) as ask:
        found = [answer["result"] for answer in ask([2, 3, 4, 5, 6, 7, 8])]
    assert found == [4, None, 6, None, 8, None, 10]


def test_break_by_the_items_own_status_in_a_sequence(folder: Path, fuse: str) -> None:
    text = """
        [pipeline]
        outputs = ["result"]
        [first]
        backend = "Sequential[Python[ops:decide],(filter)Python[ops:plus_hundred],Python[ops:plus]]"
        """
    with served(folder, fuse, text) as ask:
        found = [answer["result"] for answer in ask([1, 2, 3, 4])]
    assert found == [1, 103, 3, 105]


@pytest.mark.parametrize("operator", ["no_thirteen", "no_thirteen_together"])
def test_an_exception_in_a_branch_fails_its_request_alone(folder: Path, fuse: str, operator: str) -> None:
    text = f"""
        [first]
        backend = "Python[ops:same]"
        next = "a, b"
        [a]
        backend = "Python[ops:{operator}]"
        next = "end"
        [b]
        backend = "Python[ops:plus]"
        next = "end"
        [end]
        map = "a[result:data],b[result:more]"
        backend = "Copy[more:result]"
        """
    with served(folder, fuse, text) as ask:
        before, failed, behind = ask([12, 13, 14])
    assert before["result"] == 13 and behind["result"] == 15
    assert "[a] item 0" in failed and "thirteen" in failed


def test_a_branch_that_failed_fails_the_other_leafs_answer_too(folder: Path, fuse: str) -> None:
    text = """
        [first]
        backend = "Python[ops:same]"
        next = "a, b"
        [a]
        backend = "Python[ops:no_thirteen]"
        [b]
        backend = "Python[ops:plus]"
        """
    with served(folder, fuse, text) as ask:
        before, failed, behind = ask([12, 13, 14])
    assert (before["a.result"], before["b.result"], behind["b.result"]) == (12, 13, 15)
    assert "[a] item 0" in failed and "thirteen" in failed


def test_a_branch_keeps_the_keys_of_its_item(folder: Path, fuse: str) -> None:
    text = """
        [first]
        backend = "Python[ops:decide]"
        next = "a, b"
        [a]
        backend = "Python[ops:tell]"
        [b]
        backend = "Python[ops:plus]"
        next = "b2"
        [b2]
        backend = "Python[ops:tell]"
        """
    with served(folder, fuse, text) as ask:
        found = ask([4, 5])
    assert [answer["a.result"] for answer in found] == [b"4 hue 4", b"5 hue 5"]
    assert [answer["b2.result"] for answer in found] == [b"5 hue 4", b"6 hue 5"]


def test_what_one_branch_writes_the_other_does_not_see(folder: Path, fuse: str) -> None:
    text = """
        [first]
        backend = "Python[ops:decide]"
        next = "a, b"
        [a]
        backend = "Sequential[Add[hue:changed],Python[ops:tell]]"
        [b]
        backend = "Python[ops:tell]"
        """
    with served(folder, fuse, text) as ask:
        (found,) = ask([4])
    assert (found["a.result"], found["b.result"]) == (b"4 changed", b"4 hue 4")


def test_two_roots_that_join_are_refused_and_do_not_hang(folder: Path, fuse: str) -> None:
    (folder / "made.toml").write_text("""
        [a]
        backend = "Python[ops:plus]"
        next = "end"
        [b]
        backend = "Python[ops:plus]"
        next = "end"
        [end]
        map = "a[result:data],b[result:more]"
        backend = "Identity"
        """)
    with pytest.raises(PipelineError) as caught:
        build(folder / "made.toml", folder / "repository", BuildOptions(fuse=fuse))
    assert "TP203" in [problem.code for problem in caught.value.diagnostics]
    assert not (folder / "repository").exists()


def test_crops_of_all_pages_of_a_dynamic_batch_share_engine_calls(
    folder: Path, fuse: str, engine_calls: list[int]
) -> None:
    with served(folder, fuse, PAGES) as ask:
        engine_calls.clear()  # a model may be run once when it is loaded
        answers = ask([5] * 8)
    assert sorted(engine_calls) == [8, 16, 16]  # models that are called run at the same time
    for answer in answers:
        assert np.array_equal(answer["result"], [[2 * (500 + i)] * 2 for i in range(5)])


def test_each_page_gets_its_own_crops_in_their_order(
    folder: Path, fuse: str, engine_calls: list[int]
) -> None:
    pages = [3, 0, 40, 1, 7, 0]
    with served(folder, fuse, PAGES) as ask:
        engine_calls.clear()
        answers = ask(pages)
    assert sum(engine_calls) == sum(pages) and max(engine_calls) <= 16
    for page, answer in zip(pages, answers, strict=True):
        assert [list(row) for row in answer["result"]] == [[2 * (100 * page + i)] * 2 for i in range(page)]


def test_an_empty_list_makes_no_engine_call(folder: Path, fuse: str, engine_calls: list[int]) -> None:
    with served(folder, fuse, PAGES) as ask:
        engine_calls.clear()
        answers = ask([0, 0])
    assert engine_calls == []
    assert [len(answer["result"]) for answer in answers] == [0, 0]


@pytest.fixture
def calls_before(monkeypatch: pytest.MonkeyPatch, engine_calls: list[int]) -> list[int]:
    """For each answer that was sent early, how many engine calls there had been."""
    found: list[int] = []
    send = fake_triton.ResponseSender.send

    def noted(self: Any, response: Any, flags: int = 0) -> None:
        found.append(len(engine_calls))
        send(self, response, flags)

    monkeypatch.setattr(fake_triton.ResponseSender, "send", noted)
    return found


def test_pages_without_crops_do_not_wait_for_the_others(
    folder: Path, fuse: str, engine_calls: list[int], calls_before: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = onnxruntime.InferenceSession.run

    def slow(*arguments: Any) -> Any:
        time.sleep(0.05)  # so that it is worth while to answer early
        return run(*arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", slow)
    with served(folder, fuse, PAGES) as ask:
        ask([20, 0, 3, 0])  # a stage finds out how long others wait
        engine_calls.clear()
        calls_before.clear()
        answers = ask([20, 0, 3, 0])
    assert [len(answer["result"]) for answer in answers] == [20, 0, 3, 0]
    assert calls_before.count(0) == 2


def test_an_item_that_breaks_does_not_wait_for_the_others(
    folder: Path, fuse: str, engine_calls: list[int], calls_before: list[int]
) -> None:
    text = """
        [pipeline]
        outputs = ["result"]
        [first]
        backend = "Python[ops:look]"
        next = "second"
        [second]
        filter = "filter"
        backend = "Sequential[Python[ops:pair],Onnx(model=twice.onnx)]"
        max = 16
        """
    with served(folder, fuse, text) as ask:
        engine_calls.clear()
        answers = ask([2, 3, 4, 5, 7])
    assert [answer["result"] is None for answer in answers] == [False, True, False, True, True]
    assert calls_before.count(0) == 3


@pytest.mark.parametrize("largest", [1, 4, 16])
@pytest.mark.parametrize("operator", ["no_thirteen", "no_thirteen_together"])
def test_chunks_do_not_change_which_element_fails(
    folder: Path, fuse: str, operator: str, largest: int
) -> None:
    text = f"""
        [pages]
        backend = "Python[ops:count_up]"
        next = "read"
        [read]
        backend = "MapReduce"
        jump = "one"
        drop_absent = true
        [one]
        backend = "Python[ops:{operator}]"
        max = {largest}
        """
    with served(folder, fuse, text) as ask:
        few, many, other = ask([5, 20, 13])
    assert list(few["result"]) == [*range(5)] and list(other["result"]) == [*range(13)]
    assert "item 0, [read] element 13: " in many and "thirteen" in many, many


def test_a_filter_on_a_root_is_refused(folder: Path, fuse: str) -> None:
    (folder / "made.toml").write_text('[a]\nfilter = "Break"\nbackend = "Python[ops:plus]"\n')
    with pytest.raises(PipelineError) as caught:
        check(folder / "made.toml", BuildOptions(fuse=fuse))
    assert [problem.code for problem in caught.value.diagnostics] == ["TP214"]


LOGICAL = """
[first]
backend = "Python[ops:pair]"
next = "net, {second}"
[net]
backend = "Onnx(model=twice.onnx)"
max = 16
next = "end"
[{second}]
{keys}
next = "end"
[end]
map = "net[result:data],{second}[result:more]"
backend = "Identity"
"""


@pytest.mark.parametrize(
    ("second", "keys"), [("net.2", "max = 16"), ("other", 'borrow_from = "net"')], ids=["logical", "borrowed"]
)
def test_a_node_at_two_places_loads_its_model_once(
    folder: Path, fuse: str, second: str, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    begin = onnxruntime.InferenceSession.__init__

    def counted(self: Any, *arguments: Any, **options: Any) -> None:
        loaded.append(arguments)
        begin(self, *arguments, **options)

    text = LOGICAL.format(second=second, keys=keys)
    (folder / "made.toml").write_text(text)
    build(folder / "made.toml", folder / "repository", BuildOptions(fuse=fuse, cores=2))
    monkeypatch.setattr(onnxruntime.InferenceSession, "__init__", counted)
    with served(folder, fuse, text) as ask:
        assert len(loaded) == 1
        answers = ask([1, 2, 3])
    for number, answer in enumerate(answers, 1):
        assert answer["result"].tolist() == answer["more"].tolist() == [2 * number] * 2
    models = {path.name for path in (folder / "repository").iterdir() if path.is_dir()}
    assert models == ({"made"} if fuse == "auto" else {"made", "made__net"})


def test_lists_of_lists_and_jumps_inside_them(folder: Path, fuse: str, engine_calls: list[int]) -> None:
    text = """
        [pages]
        backend = "Python[ops:count_up]"
        next = "outer"
        [outer]
        backend = "MapReduce"
        jump = "page"
        drop_absent = true
        [page]
        backend = "Python[ops:cut]"
        next = "inner"
        [inner]
        backend = "MapReduce"
        jump = "crop"
        split = "boxes"
        [crop]
        backend = "Copy[boxes:data]"
        next = "net"
        [net]
        backend = "Jump"
        jump = "twice"
        filter = "Run"
        [twice]
        backend = "Onnx(model=twice.onnx)"
        max = 16
        """
    with served(folder, fuse, text) as ask:
        engine_calls.clear()
        answers = ask([4, 0, 1, 3])
    for count, answer in zip([4, 0, 1, 3], answers, strict=True):
        found = [[row.tolist() for row in page] for page in answer["result"]]
        assert found == [[[2.0 * (100 * page + i)] * 2 for i in range(page)] for page in range(count)]
    assert sum(engine_calls) == 6 + 3 and len(engine_calls) <= 2
