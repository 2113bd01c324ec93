"""What a real server does with the keys of Triton models: warm-up, cache, queues, priorities, rate limits."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from small_models import write_models
from standins import stand_in
from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer

pytestmark = pytest.mark.triton

CODE = """
import os, sys, time
from pathlib import Path
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

FOLDER = Path(__FOLDER__)
CALLS = 0

@op(inputs={"data": Tensor("float32", [4])}, outputs={"result": Tensor("int32", [])})
def count(data):
    global CALLS
    CALLS += 1
    return np.int32(CALLS)

@op(outputs={"result": Tensor("int32", [2])})
def size(data):
    with (FOLDER / "warm").open("a") as file:
        file.write(f"{data.shape[0]}x{data.shape[1]}\\n")
    return np.array(data.shape[:2], np.int32)

@op(outputs={"result": Tensor("float32", [])})
def dark(data, *, what):
    if data.shape[0] == 64 and what == "refuse":
        raise ItemError("too dark")
    if data.shape[0] == 64 and what == "break":
        1 / 0
    if data.shape[0] == 64 and what == "leave":
        sys.exit(3)
    return np.array("x") if data.shape[0] == 64 else np.float32(data.shape[1])

@op(inputs={"data": Tensor("float32", [])}, outputs={"result": Tensor("float32", [])})
def ordered(data):
    if data == 0:
        (FOLDER / "begun").touch()
    while data == 0 and not (FOLDER / "go").exists():
        time.sleep(0.01)
    with (FOLDER / "order").open("a") as file:
        file.write(f"{int(data)} ")
    return data

@op(inputs={"data": Tensor("float32", [])}, outputs={"result": Tensor("bool", [])})
def met_another(data, *, room):
    mine = FOLDER / "rooms" / f"{room}.{os.getpid()}"
    mine.touch()
    end = time.monotonic() + 0.5
    while (met := len(list(mine.parent.glob(f"{room}.*"))) > 1) is False and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    mine.unlink()
    return np.bool_(met)
"""
PIPELINES = {
    "counted": """
        [a]
        backend = "Python[mine:count]"
        warmup = true
        """,
    "decoded": """
        [decode]
        backend = "DecodeMat"
        next = "size"
        [size]
        backend = "Python[mine:size]"
        warmup = true
        """,
    "from_file": """
        [decode]
        backend = "DecodeMat"
        warmup = {data = "small.png"}
        next = "size"
        [size]
        backend = "Python[mine:size]"
        """,
    "queue": """
        [pipeline]
        max_batch = 1
        [a]
        backend = "Python[mine:ordered]"
        priority_levels = 2
        max_queue_size = 3
        """,
    "limited": """
        [pipeline]
        max_batch = 1
        [a]
        backend = "Python[mine:met_another]"
        room = "limited"
        rate_limiter = {resources = [{name = "room", count = 1}]}
        """,
    "unlimited": """
        [pipeline]
        max_batch = 1
        [a]
        backend = "Python[mine:met_another]"
        room = "unlimited"
        """,
}
FAILING = """
    [decode]
    backend = "DecodeMat"
    next = "dark"
    [dark]
    backend = "Python[mine:dark]"
    what = "{what}"
    warmup = true
    """
WAYS = {"refusing": "refuse", "breaking": "break", "leaving": "leave", "lying": "lie"}
PIPELINES |= {name: FAILING.format(what=what) for name, what in WAYS.items()}
CACHED = """
    [pipeline]
    inputs = {data = "float32[3,8,8]"}
    [net]
    backend = "TensorrtTensor"
    model = "convolution.onnx"
    max = 4
    response_cache = true
    warmup = true
    """


@dataclass
class Served:
    """A server, and the folder that its operators write into."""

    server: TritonServer
    folder: Path

    def metric(self, name: str, model: str) -> float:
        lines = urllib.request.urlopen(self.server.metrics_url).read().decode().splitlines()
        found = [line for line in lines if line.startswith(f"{name}{{") and f'model="{model}"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serving")
    write_models(folder)
    (folder / "mine.py").write_text(CODE.replace("__FOLDER__", repr(str(folder))))
    (folder / "rooms").mkdir()
    (folder / "small.png").write_bytes(_png(5, 9))
    repository = folder / "repository"
    for name, text in PIPELINES.items():
        (folder / f"{name}.toml").write_text(text)
        cores = 2 if "limited" in name else 1
        build(folder / f"{name}.toml", repository, BuildOptions(target="cpu", cores=cores))
    (folder / "cached.toml").write_text(CACHED)
    build(folder / "cached.toml", repository, BuildOptions(target="gpu", runtime="onnxruntime", cores=1))
    assert stand_in(repository) == ["cached__net"]
    flags = ["--disable-auto-complete-config", "--log-verbose=1"]
    with TritonServer(repository, extra_args=flags) as server:
        yield Served(server, folder)


def _png(height: int, width: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1])


def _metrics(served: Served) -> str:
    return urllib.request.urlopen(served.server.metrics_url).read().decode()


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_model_has_run_before_the_first_request(served: Served) -> None:
    answer = Client(served.server.grpc_url).infer("counted", {"data": np.zeros(4, np.float32)})
    assert answer["result"] == 1 + 1 + 8  # a batch of one item, the largest, and this request
    text = 'tpgen_node_items_total{node="a",pipeline="counted"} '
    _until(lambda: f"{text}1\n" in _metrics(served) and f"{text}10\n" not in _metrics(served))


def test_images_are_warmed_up_with_an_image(served: Served) -> None:
    seen = (served.folder / "warm").read_text().split()
    assert seen.count("64x64") == 9
    assert seen.count("5x9") == 9


def test_all_models_with_a_sample_ran_it(served: Served) -> None:
    log = served.server.log
    assert "'cached__net' instance cached__net_0_0 is running warmup" in log
    assert log.count("is running warmup sample") == 2  # stages run theirs themselves


def test_an_equal_request_gets_the_answer_of_the_first(served: Served) -> None:
    client = Client(served.server.grpc_url)
    item = np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)
    first = client.infer("cached", {"data": item})["result"]
    hits = served.metric("nv_cache_num_hits_per_model", "cached__net")
    again = client.infer("cached", {"data": item})["result"]
    assert np.array_equal(first, again)
    assert served.metric("nv_cache_num_hits_per_model", "cached__net") == hits + 1


def test_a_prior_request_overtakes(served: Served) -> None:
    for name in ("go", "begun", "order"):
        (served.folder / name).unlink(missing_ok=True)
    url = served.server.grpc_url.removeprefix("grpc://")

    def ask(value: float, priority: int) -> Any:
        item = triton.InferInput("data", [1, 1], "FP32")
        item.set_data_from_numpy(np.full((1, 1), value, np.float32))
        with triton.InferenceServerClient(url) as client:
            return client.infer("queue", [item], priority=priority)

    def waiting() -> float:
        return served.metric("nv_inference_pending_request_count", "queue")

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, 0, 0)]  # holds the instance
        _until((served.folder / "begun").exists)
        for number, (value, priority) in enumerate(((1, 0), (2, 2), (3, 1)), 1):
            asked.append(pool.submit(ask, value, priority))
            _until(lambda number=number: waiting() >= number)
        (served.folder / "go").touch()
        for one in asked:
            one.result()
    # who names no level waits with the last
    assert (served.folder / "order").read_text().split() == ["0", "3", "1", "2"]


def test_a_rate_limit_keeps_instances_apart(served: Served) -> None:
    def met(model: str) -> set[bool]:
        with ThreadPoolExecutor(4) as pool:
            item = {"data": np.float32(1)}
            client = Client(served.server.grpc_url)
            answers = pool.map(lambda _: client.infer(model, item)["result"], range(4))
            return {bool(answer) for answer in answers}

    assert True in met("unlimited")
    assert met("limited") == {False}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("refusing", "item 0: too dark"),
        ("breaking", "item 0: ZeroDivisionError: division by zero"),
        ("leaving", "item 0: SystemExit: 3"),
        ("lying", "TypeError: "),
    ],
)
def test_a_sample_that_a_stage_fails_on_is_a_warning(served: Served, model: str, reason: str) -> None:
    told = [line for line in served.server.log.splitlines() if f"stage {model}: warm-up" in line]
    assert len(told) == 2  # a batch of one item, and the largest
    assert all(reason in line for line in told)
    assert "[dark]" in told[0]
    fine = _png(5, 9)
    assert Client(served.server.grpc_url).infer(model, {"data": fine})["result"] == 9


def test_a_request_beyond_the_queue_is_refused(served: Served) -> None:
    (served.folder / "go").unlink(missing_ok=True)
    client = Client(served.server.grpc_url)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(client.infer, "queue", {"data": np.float32(0)}) for _ in range(10)]
        _until(lambda: sum(one.done() for one in asked) >= 4)
        (served.folder / "go").touch()
        problems = [one.exception() for one in asked]
    refused = [problem for problem in problems if problem is not None]
    assert refused and all(isinstance(problem, RequestError) for problem in refused)
    assert all("queue size" in str(problem) for problem in refused)
