"""Graphs on a real server: random ones against the reference, examples, elements of lists."""

from __future__ import annotations

import random
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import examples
from equivalence import Outcome, as_sent, check_values, interpreted, received
from random_graphs import make_graph, write_status_code
from random_pipelines import Pipeline, make_item, write_files
from tpgen.driver import BuildOptions, build
from tpgen.ir.graph import Entry
from tpgen.runner.interpreter import ItemError
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer
from tpgen.services.wire import decode, encode

pytestmark = pytest.mark.triton

GRAPHS = 25
ITEMS = 8
SEED = 7000
SERVED = ("two_heads", "early_exit", "logical", "legacy_python")
# A page is a colour and a number of crops, which must come back with that colour, in their order.
PAGES_CODE = """
import numpy as np
from tpgen_runtime import Tensor, op

PAGE = Tensor("int32", [2])


@op(inputs={"data": PAGE}, outputs={"result": PAGE, "crops": [Tensor("float32", ["N", 3])]})
def cut(data):
    color, count = data
    crops = [np.full((i % 4 + 1, 3), 1000 * color + i, np.float32) for i in range(count)]
    return {"result": data, "crops": crops}


@op(
    inputs={"crops": Tensor("float32", ["N", 3])},
    outputs={"result": Tensor("float32", []), "size": Tensor("int64", [])},
)
def look(crops):
    if crops[0, 0] == 13013:
        raise RuntimeError("thirteen")
    return {"result": crops.mean(dtype=np.float32), "size": np.int64(len(crops))}
"""
PAGES = """
[cut]
backend = "Python[pages:cut]"
next = "read"

[read]
backend = "MapReduce"
jump = "crop"
split = "crops"
merge = "result, size"
drop_absent = true

[crop]
backend = "Python[pages:look]"
max = 4

[pipeline]
entries = ["crop"]
max_batch = 8
outputs = ["result", "size"]
"""

ROUNDS = """
entrypoint = "Restart[DagDispatcher]"

[step]
backend = "Python[rounds:half]"
next = "again"

[again]
backend = "Add[restart:step]"
filter = "Python[rounds:large]"

[pipeline]
max_restarts = 6
"""
ROUNDS_CODE = """
import numpy as np
from tpgen_runtime import Tensor, op


@op(inputs={"data": Tensor("int64", [])}, outputs={"result": Tensor("int64", [])})
def half(data):
    return data // 2


def large(result):
    return "Swap" if result >= 10 else "Skip"
"""


@dataclass
class Case:
    """A random graph, with items and what the reference makes of them."""

    made: Pipeline
    items: list[dict[str, Any]]
    expected: list[Outcome]

    @property
    def entry(self) -> Entry:
        (entry,) = self.made.compiled.graph.entries
        return entry


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("graphs")
    write_files(folder)
    write_status_code(folder)
    found = []
    for seed in range(SEED, SEED + GRAPHS):
        rng = random.Random(seed)
        made = make_graph(rng, folder, f"g{seed}")
        (entry,) = made.compiled.graph.entries
        items = [make_item(rng, entry) for _ in range(ITEMS)]
        found.append(Case(made, items, interpreted(made, entry, items)))
    return found


@pytest.fixture(scope="module")
def graph_server(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The random graphs and the examples in one repository."""
    folder = tmp_path_factory.mktemp("served graphs")
    (folder / "pages.toml").write_text(PAGES)
    (folder / "pages.py").write_text(PAGES_CODE)
    pipelines = [Path(case.made.compiled.source.path) for case in cases]
    pipelines += [examples.pipeline(name) for name in SERVED]
    (folder / "rounds.toml").write_text(ROUNDS)
    (folder / "rounds.py").write_text(ROUNDS_CODE)
    pipelines += [folder / "pages.toml", folder / "rounds.toml"]
    build(pipelines, folder / "repository", BuildOptions(cores=1))
    with TritonServer(folder / "repository") as running:
        yield running


@pytest.fixture(scope="module")
def http(graph_server: TritonServer) -> Iterator[Client]:
    with Client(graph_server.http_url) as connected:
        yield connected


# --- random graphs ---


def test_random_graphs_answer_as_the_reference_does(graph_server: TritonServer, cases: list[Case]) -> None:
    """All items of all graphs at once, each a request of its own, in random order."""
    work = [(case, index) for case in cases for index in range(ITEMS)]
    random.Random(SEED).shuffle(work)
    with Client(graph_server.grpc_url) as client, ThreadPoolExecutor(24) as pool:
        problems = [problem for problem in pool.map(lambda one: _compare(client, *one), work) if problem]
    assert not problems, f"{len(problems)} of {len(work)}:\n" + "\n".join(problems[:3])


def test_the_random_items_run_fail_and_end_without_a_value(cases: list[Case]) -> None:
    outcomes = [(case, outcome) for case in cases for outcome in case.expected]
    failed = sum(isinstance(outcome, ItemError) for _, outcome in outcomes)
    partial = sum(
        isinstance(outcome, dict) and len(outcome) < len(case.entry.outputs) for case, outcome in outcomes
    )
    whole = len(outcomes) - failed - partial
    assert min(failed, partial, whole) >= 10, (failed, partial, whole)
    text = "".join(case.made.text for case in cases)
    for word in ("map = ", "MapReduce", "filter = ", 'next = "'):
        assert word in text, word


def _compare(client: Client, case: Case, index: int) -> str | None:
    """What differs for one item, if anything."""
    entry, wanted = case.entry, case.expected[index]
    try:
        spec = client.spec(entry.name)
        request = encode(spec, as_sent(entry, case.items[index]))[1][0]
        (found,) = decode(spec, client.send(entry.name, request.tensors), 1)
    except RequestError as problem:
        if isinstance(wanted, ItemError) and str(wanted) in problem.message:
            return None
        return f"{entry.name} item {index}: {problem.message}, not {wanted}\n{case.made.text}"
    if isinstance(wanted, ItemError):
        return f"{entry.name} item {index}: {found}, not {wanted}\n{case.made.text}"
    try:
        check_values(entry, wanted, received(entry, found))
    except AssertionError as problem:
        return f"{entry.name} item {index}: {problem}\n{case.made.text}"
    return None


# --- the examples ---


def test_two_heads_answers_for_both_leaves(http: Client) -> None:
    held_out = examples.script("digits", "train").held_out_jpegs()[:40]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: http("two_heads", data=one[0]), held_out))
    right = 0
    for (jpeg, label), answer in zip(held_out, answers, strict=True):
        assert sorted(answer) == ["digit.result", "digit.scores", "thumbnail.result"]
        small = cv2.resize(_decoded(jpeg), (16, 16))
        assert np.array_equal(answer["thumbnail.result"], small[..., ::-1])
        right += int(answer["digit.result"] == label)
    assert right >= 36


def test_an_undecodable_picture_fails_once_with_node_and_item(http: Client) -> None:
    good = examples.script("digits", "train").held_out_jpegs()[0][0]
    with pytest.raises(RequestError) as caught:
        http("two_heads", data=[good, b"junk"])
    assert caught.value.status == 400
    assert "[decode] item 1: not a decodable image" in caught.value.message


def test_early_exit_answers_blank_forms_without_a_digit(http: Client) -> None:
    held_out = examples.script("digits", "train").held_out_jpegs()[:20]
    pictures = [picture for jpeg, _ in held_out for picture in (jpeg, _blank(jpeg))]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda picture: http("early_exit", data=picture), pictures))
    written, blank = answers[::2], answers[1::2]
    right = sum(answer["result"] == label for answer, (_, label) in zip(written, held_out, strict=True))
    assert right >= 18
    assert all(answer["result"] is None and answer["ink"] < 0.01 for answer in blank)
    assert all(answer["ink"] >= 0.01 for answer in written)
    tensors = http.send("early_exit", {"data": np.array([[pictures[0]], [pictures[1]]], object)})
    assert tensors["result_valid"].reshape(-1).tolist() == [True, False]
    assert tensors["ink"].shape[0] == 2


def test_logical_reads_both_halves_with_one_reader(http: Client) -> None:
    held_out = examples.script("digits", "train").held_out_jpegs()
    pairs = list(zip(held_out[:60:2], held_out[1:60:2], strict=True))
    numbers = http("logical", data=[_beside(left, right) for (left, _), (right, _) in pairs])["result"]
    expected = [10 * tens + ones for (_, tens), (_, ones) in pairs]
    right = sum(int(number) == wanted for number, wanted in zip(numbers, expected, strict=True))
    assert right >= 27, (numbers, expected)


def test_legacy_python_measures_as_the_class_itself(http: Client) -> None:
    for seed in range(6):
        photo = examples.photo(seed, 80 + seed, 60)
        items = [{"data": _decoded(photo)}]
        operator = examples.script("legacy_python", "sharpness").Sharpness()
        operator.init({"border": "2"})
        operator.forward(items)
        answer = http("legacy_python", data=photo)
        assert answer["sharpness"] == pytest.approx(items[0]["result"])
        assert answer["strongest"] == pytest.approx(np.abs(items[0]["edges"]).max())
        assert answer["result"].decode() == ("blurred" if items[0]["result"] < 100 else "sharp")
        thumbnail = cv2.resize(_decoded(photo), (48, 32))[..., ::-1]
        assert np.array_equal(answer["thumbnail"], thumbnail)


def _decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def _blank(jpeg: bytes) -> bytes:
    """A form of the same size with nothing red on it."""
    return cv2.imencode(".png", np.full_like(_decoded(jpeg), (214, 200, 205)))[1].tobytes()


def _beside(left: bytes, right: bytes) -> bytes:
    one, other = _decoded(left), _decoded(right)
    size = (one.shape[1], one.shape[0])
    return cv2.imencode(".png", np.hstack([one, cv2.resize(other, size)]))[1].tobytes()


# --- elements of lists ---


def _ask_page(client: Client, color: int, crops: int) -> Mapping[str, Any]:
    return client("pages", data=np.array([color, crops], np.int32))


def _check_page(answer: Mapping[str, Any], color: int, crops: int) -> None:
    assert [float(value) for value in answer["result"]] == [1000 * color + i for i in range(crops)]
    assert [int(size) for size in answer["size"]] == [i % 4 + 1 for i in range(crops)]


def test_each_page_gets_its_own_crops(http: Client) -> None:
    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda color: _ask_page(http, color, 5), range(8)))
        for color, answer in enumerate(answers):
            _check_page(answer, color, 5)


def test_pages_of_all_sizes_at_once(http: Client) -> None:
    pages = [(color, count) for color, count in enumerate((0, 40, 0, 3, 1, 0, 17, 40, 2, 0, 5, 11))]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda page: _ask_page(http, *page), pages))
    for page, answer in zip(pages, answers, strict=True):
        _check_page(answer, *page)


def test_pages_of_one_request(http: Client) -> None:
    pages = [(1, 0), (2, 6), (3, 2), (4, 0)]
    found = http("pages", data=np.array(pages, np.int32).reshape(4, 2).tolist())
    for index, page in enumerate(pages):
        _check_page({key: values[index] for key, values in found.items()}, *page)


def test_a_page_without_crops_answers_with_empty_lists(http: Client) -> None:
    answer = _ask_page(http, 1, 0)
    assert len(answer["result"]) == 0 and len(answer["size"]) == 0


def test_a_crop_that_fails_fails_its_page_alone(http: Client) -> None:
    def ask(color: int) -> Mapping[str, Any] | RequestError:
        try:
            return _ask_page(http, color, 20)
        except RequestError as problem:
            return problem

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8, 16)))
    for color, answer in enumerate(answers, 8):
        if color == 13:
            assert isinstance(answer, RequestError)
            assert re.search(r"item 0, \[read\] element 13: .*thirteen", answer.message), answer.message
        else:
            assert not isinstance(answer, RequestError), answer
            _check_page(answer, color, 20)


def test_metrics_count_items_and_elements_per_node(graph_server: TritonServer, http: Client) -> None:
    def items() -> dict[str, float]:
        with urllib.request.urlopen(graph_server.metrics_url) as reply:
            text = reply.read().decode()
        pattern = r'tpgen_node_items_total\{node="(\w+)",pipeline="pages"\} (\S+)'
        return {node: float(value) for node, value in re.findall(pattern, text)}

    def since(before: dict[str, float]) -> dict[str, float]:
        return {node: value - before.get(node, 0) for node, value in items().items()}

    before: dict[str, float] = {}
    while before != items():  # figures of earlier requests may still be on their way: once a second they go
        before = items()
        time.sleep(1.5)
    for count in (0, 3, 7):
        _ask_page(http, 1, count)
    expected = {"cut": 3, "read": 3, "crop": 10}
    for _ in range(50):
        if since(before) == expected:
            break
        time.sleep(0.2)
    assert since(before) == expected


def test_a_crop_is_looked_at_without_its_page(http: Client) -> None:
    crops = [np.full((rows, 3), 1000 * rows, np.float32) for rows in (1, 4, 2)]
    answer = http("pages.crop", crops=crops)
    assert [float(one) for one in answer["result"]] == [1000, 4000, 2000]
    assert [int(one) for one in answer["size"]] == [1, 4, 2]
    with pytest.raises(RequestError, match=r"pages\.toml:\d+ \[crop\] item 0: RuntimeError: thirteen"):
        http("pages.crop", crops=np.full((1, 3), 13013, np.float32))


def test_a_companion_does_not_stand_in_for_its_input(http: Client) -> None:
    with pytest.raises(RequestError, match=r"pages\.crop: input 'crops' is missing") as caught:
        http.send("pages.crop", {"crops_count": np.ones((1, 1), np.int32)})
    assert caught.value.status == 400


# --- loops ---


def test_items_loop_beside_others_until_they_are_done(graph_server: TritonServer, http: Client) -> None:
    numbers = [int(number) for number in np.random.default_rng(3).integers(0, 1200, 60)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: http("rounds", data=np.int64(number)), numbers))
    for number, answer in zip(numbers, answers, strict=True):
        while (number := number // 2) >= 10:
            pass
        assert int(answer["result"]) == number
    with pytest.raises(RequestError) as caught:
        http("rounds", data=[np.int64(4), np.int64(100_000)])
    assert caught.value.status == 400
    assert (
        "[restart] item 1: 'restart' is 'step' once more than max_restarts = 6 allows" in caught.value.message
    )
    with urllib.request.urlopen(graph_server.metrics_url) as reply:
        shown = reply.read().decode()
    assert shown.count('tpgen_node_items_total{node="step"') == 1
