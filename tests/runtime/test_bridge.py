"""The bridge between Triton's Python backend and a stage: each request is answered, whatever happens."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fake_triton
from fake_triton import Logger, MetricFamily, ResponseSender, Server, TritonError
from tpgen.driver import BuildOptions, build

PIPELINE = """
[decode]
backend = "DecodeMat"
next = "prepare"

[prepare]
backend = "Sequential[ResizeMat,Mat2Tensor]"
resize_h = 4
resize_w = 5
next = "count"

[count]
backend = "Python[mine:count]"
"""
USER_CODE = """
import sys
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

seen = []


@op(outputs={"result": Tensor("float32", [2]), "boxes": Tensor("int32", ["N", 4])})
def count(data):
    seen.append("count")
    total = int(data[0, 0, 0])
    if total == 1:
        return None
    if total == 2:
        raise ItemError("two")
    if total == 3:
        raise ZeroDivisionError("three")
    if total == 4:
        sys.exit("four")
    return {"result": np.full(2, total, np.float32), "boxes": np.zeros((total % 3, 4), np.int32)}
"""


def image(value: int) -> bytes:
    """A PNG of one grey level."""
    return cv2.imencode(".png", np.full((6, 6, 3), value, np.uint8))[1].tobytes()


def request(*images: bytes) -> dict[str, np.ndarray]:
    data = np.empty((len(images), 1), object)
    data[:, 0] = images
    return {"data": data}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bridge")
    (folder / "bridge.toml").write_text(PIPELINE)
    (folder / "mine.py").write_text(USER_CODE)
    build(folder / "bridge.toml", folder / "repository", BuildOptions(cores=2))
    return folder / "repository"


@pytest.fixture
def server(repository: Path) -> Iterator[Server]:
    Logger.lines.clear()
    MetricFamily.made.clear()
    with Server(repository) as running:
        yield running


def stage_of(server: Server) -> Any:
    return server.models["bridge"].python._stage


def globals_of(server: Server) -> dict[str, Any]:
    """The module of the generated stage."""
    return type(stage_of(server)).run.__globals__


def infer(server: Server, *requests: dict[str, np.ndarray]) -> list[Any]:
    return server.infer("bridge", requests)


def failure(answer: Any) -> tuple[str, int]:
    assert isinstance(answer, TritonError), answer
    return answer.message(), answer.code()


def test_each_request_of_a_batch_gets_its_own_answer(server: Server) -> None:
    answers = infer(
        server,
        request(image(10)),
        request(b"no image"),
        request(image(11), image(12)),
        request(image(13), b"", image(14)),
        request(image(1), image(15)),
        request(image(16), image(2)),
        request(image(3)),
        request(image(4)),
        request(image(17)),
    )
    assert server.models["bridge"].calls == [9]
    for index, values in ((0, [10]), (2, [11, 12]), (8, [17])):
        assert answers[index]["result"].tolist() == [[value, value] for value in values]
        assert answers[index]["result_valid"].all()
        assert answers[index]["boxes_count"].reshape(-1).tolist() == [value % 3 for value in values]
    bad = "not a decodable image"
    invalid, internal = TritonError.INVALID_ARG, TritonError.INTERNAL
    assert failure(answers[1])[0].startswith(f"bridge.toml:3 [decode] item 0: {bad}")
    assert failure(answers[3])[0].startswith("bridge.toml:3 [decode] item 1: ")
    assert answers[4]["result_valid"].reshape(-1).tolist() == [False, True]
    assert answers[4]["result"].tolist() == [[0, 0], [15, 15]]
    assert failure(answers[5]) == ("bridge.toml:13 [count] item 1: two", invalid)
    assert failure(answers[6]) == ("bridge.toml:13 [count] item 0: ZeroDivisionError: three", internal)
    assert failure(answers[7]) == ("bridge.toml:13 [count] item 0: SystemExit: four", internal)


def test_an_answer_does_not_wait_for_other_requests(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    send = ResponseSender.send
    monkeypatch.setattr(ResponseSender, "send", lambda *a, **k: (order.append("answer"), send(*a, **k)))
    geometry = globals_of(server)["geometry"]
    resize = geometry.resize_mat
    monkeypatch.setattr(geometry, "resize_mat", lambda *a, **k: (order.append("resize"), resize(*a, **k))[1])
    infer(server, request(b"no image"), request(image(10)))
    assert order == ["answer", "resize"]


def test_slow_items_are_answered_one_by_one(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    send = ResponseSender.send
    monkeypatch.setattr(ResponseSender, "send", lambda *a, **k: (order.append("answer"), send(*a, **k)))
    geometry = globals_of(server)["geometry"]
    resize = geometry.resize_mat

    def slow(*arguments: Any, **options: Any) -> Any:
        order.append("resize")
        time.sleep(0.02)
        return resize(*arguments, **options)

    monkeypatch.setattr(geometry, "resize_mat", slow)
    infer(server, request(image(10)), request(image(11)))  # how slow they are is not known before
    assert order == ["resize", "resize"]
    order.clear()
    answers = infer(server, request(image(10)), request(image(11)), request(image(12), image(13)))
    assert order == ["resize", "answer", "resize", "answer", "resize", "resize"]
    assert [len(answer["result"]) for answer in answers] == [1, 1, 2]


def test_where_user_code_broke_is_in_the_log(server: Server) -> None:
    infer(server, request(image(3)), request(b"no image"))
    (logged,) = [line for line in Logger.lines if "ZeroDivisionError" in line]
    assert "[count] item 0: ZeroDivisionError: three\n" in logged
    assert 'mine.py", line ' in logged
    assert "raise ZeroDivisionError" in logged


def test_requests_are_let_go_when_they_are_answered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle would keep their tensors until the next garbage collection, and Triton's shared memory full."""
    requests: list[weakref.ref[Any]] = []
    make = fake_triton.InferenceRequest

    def made(**keywords: Any) -> Any:
        request = make(**keywords)
        requests.append(weakref.ref(request))
        return request

    monkeypatch.setattr(fake_triton, "InferenceRequest", made)
    gc.disable()
    try:
        infer(server, request(image(10)), request(b"no image"), request(image(3)))
        assert [one() for one in requests] == [None, None, None]
    finally:
        gc.enable()


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "dtype": (lambda made: made.astype(np.float64), "'result' is float64, float32 is declared"),
    "shape": (lambda made: made[:1], "'result' has shape [1], [2] is declared"),
    "rank": (lambda made: made[None], "'result' has shape [1, 2], [2] is declared"),
    "kind": (lambda _: "text", "'result' is "),
    "nothing": (lambda _: {}, "'result' is "),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_output_fails_its_request_and_names_the_key(
    kind: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, message = WRONG[kind]
    stage = stage_of(server)

    run = stage.run

    def spoiled(items: list[Any]) -> Iterator[Any]:
        for item in run(items):
            if item["result"][0] == 11:
                item["result"] = spoil(item["result"])
            yield item

    monkeypatch.setattr(stage, "run", spoiled)
    answers = infer(server, request(image(10)), request(image(10), image(11)), request(image(12)))
    text, code = failure(answers[1])
    assert (text.startswith(f"bridge: {message}"), code) == (True, TritonError.INTERNAL), text
    assert answers[0]["result"].tolist() == [[10, 10]]
    assert answers[2]["result"].tolist() == [[12, 12]]


def test_a_kernel_that_answers_another_shape_is_found_out(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        globals_of(server)["geometry"], "resize_mat", lambda *_, **__: np.zeros((4, 5), np.uint8)
    )
    ((message, code),) = map(failure, infer(server, request(image(10))))
    assert code == TritonError.INTERNAL
    assert "[prepare] item 0: " in message


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), KeyboardInterrupt()])
def test_a_stage_that_breaks_answers_everybody(
    error: BaseException, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: Any) -> None:
        raise error

    monkeypatch.setattr(stage_of(server), "run", run)
    answers = infer(server, request(image(10)), request(image(11)))
    assert {failure(a) for a in answers} == {
        ("bridge: the stage did not finish this request", TritonError.INTERNAL)
    }
    assert any(type(error).__name__ in line for line in Logger.lines)


def test_a_client_that_is_gone_does_not_harm_the_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders: list[ResponseSender] = []
    send = ResponseSender.send

    def refuse_first(self: ResponseSender, response: Any, flags: int = 0) -> None:
        senders.append(self)
        send(self, response, flags)
        if len(senders) == 1:
            raise RuntimeError("the client is gone")

    monkeypatch.setattr(ResponseSender, "send", refuse_first)
    answers = infer(server, request(b"no image"), request(image(10)))
    assert answers[1]["result"].tolist() == [[10, 10]]
    assert any("could not be sent" in line for line in Logger.lines)


def test_only_what_was_asked_for_is_answered(server: Server) -> None:
    model = server.models["bridge"]
    answers = server._execute(
        model, [(request(image(10)), ["boxes"]), (request(image(11)), ["result_valid"])]
    )
    assert [sorted(answer) for answer in answers] == [["boxes"], ["result_valid"]]


def test_figures_of_nodes(server: Server) -> None:
    infer(server, request(image(10)), request(b"no image"), request(image(1), image(2), image(3)))
    infer(server, request(image(11)))
    server.close()
    figures = {
        (family.name, metric.labels["node"]): metric.value
        for family in MetricFamily.made
        for metric in family.metrics
        if metric.labels["pipeline"] == "bridge"
    }
    items, batches, errors, skipped = (
        tuple(figures[f"tpgen_node_{name}_total", node] for node in ("decode", "prepare", "count"))
        for name in ("items", "batches", "errors", "skipped")
    )
    assert (items, batches) == ((6, 5, 5), (2, 2, 2))
    assert (errors, skipped) == ((1, 0, 2), (0, 1, 0))
    assert all(figures["tpgen_node_seconds_total", node] > 0 for node in ("decode", "prepare", "count"))


def test_a_server_without_metrics_is_served(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("metrics are not enabled")

    monkeypatch.setattr(fake_triton.MetricFamily, "__init__", refuse)
    with Server(repository) as running:
        assert infer(running, request(image(10)))[0]["result"].tolist() == [[10, 10]]


# --- tensors that are not acceptable ------------------------------------------------------------------------

SIZES = """
[pipeline.inputs]
data = "uint8[H,W,3] bgr"
boxes = "float32[N,4]"
names = "[string]"

[first]
backend = "Sequential[FloatMat,KeyA2KeyB,KeyA2KeyB(key_a=names,key_b=kept_names)]"
key_a = "boxes"
key_b = "kept"
"""


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "sizes.toml").write_text(SIZES)
    build(folder / "sizes.toml", folder / "repository", BuildOptions(cores=2))
    with Server(folder / "repository") as running:
        yield running


def complete() -> dict[str, np.ndarray]:
    names = np.empty((2, 3), object)
    names[:] = b"x"
    return {
        "data": np.zeros((2, 4, 5, 3), np.uint8),
        "data_shape": np.array([[4, 5, 3], [2, 1, 3]], np.int32),
        "boxes": np.zeros((2, 6, 4), np.float32),
        "boxes_count": np.array([[6], [0]], np.int32),
        "names": names,
        "names_count": np.array([[3], [1]], np.int32),
    }


def test_sizes_that_fit(sizes: Server) -> None:
    (answer,) = sizes.infer("sizes", [complete()])
    assert answer["result_shape"].tolist() == [[4, 5, 3], [2, 1, 3]]  # type: ignore[index]


def test_without_companions_the_tensors_say_their_sizes(sizes: Server) -> None:
    given = {name: tensor for name, tensor in complete().items() if name in ("data", "boxes", "names")}
    (answer,) = sizes.infer("sizes", [given])
    assert answer["result_shape"].tolist() == [[4, 5, 3], [4, 5, 3]]  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data_shape", [[4, 5, 3], [5, 5, 3]], "'data'"),
        ("data_shape", [[4, 5, 3], [-1, 5, 3]], "'data'"),
        ("data_shape", [[4, 5, 3], [4, 5, 2]], "'data'"),
        ("boxes_count", [[6], [7]], "'boxes'"),
        ("boxes_count", [[6], [-1]], "'boxes'"),
        ("boxes_count", [[6], [2**31 - 1]], "'boxes'"),
        ("names_count", [[3], [4]], "'names'"),
        ("names_count", [[3], [-1]], "'names'"),
    ],
)
def test_sizes_that_do_not_fit(sizes: Server, name: str, value: Any, message: str) -> None:
    bad = complete()
    bad[name] = np.array(value, np.int32)
    good, refused = sizes.infer("sizes", [complete(), bad])
    assert not isinstance(good, TritonError)
    text, code = failure(refused)
    assert code == TritonError.INVALID_ARG
    assert text.startswith("sizes: item 1: ")
    assert message in text


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "text.toml").write_text('[pipeline.inputs]\ndata = "string"\n[a]\nbackend = "Identity"\n')
    build(tmp_path / "text.toml", tmp_path / "repository", BuildOptions(cores=2))
    with Server(tmp_path / "repository") as running:
        good, bad = running.infer("text", [request("é".encode()), request(b"\xff")])
    assert good["result"].tolist() == [["é".encode()]]  # type: ignore[index]
    assert failure(bad)[1] == TritonError.INVALID_ARG
    assert "'data' is not UTF-8 text" in failure(bad)[0]
