"""Stages that call models of their own (BLS), on a real server: what goes along, what fails, what is dropped.

The called models are replaced by a hand-written probe, which writes down every request that it gets, and does
what the numbers tell it to: see `PROBE`.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from engines.onnx_build import model, node, save, tensor
from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer
from tpgen.services.wire import decode, encode

pytestmark = pytest.mark.triton

MOST = 4  # rows of one call
SLOW = 1000  # 1000 to 9999: the probe sleeps for what is more, in ms
POISON, DEADLY = 666, 999  # the probe refuses the request; its process dies
INTERRUPT, DECLINED = 77777, 88888  # the stage itself is interrupted; does not take the item

CODE = """
import time
import numpy as np
from tpgen_runtime import ItemError, Tensor, op


@op(inputs={"data": Tensor("int32", ["N"])}, outputs={"result": [Tensor("float32", [1])]})
def cut(data):
    "A list of its numbers. A negative one in front: sleep so many ms before."
    numbers = data.tolist()
    if numbers and numbers[0] < 0:
        time.sleep(-numbers.pop(0) / 1000)
    if 77777 in numbers:
        raise KeyboardInterrupt
    if 88888 in numbers:
        raise ItemError("not this one")
    return [np.array([number], np.float32) for number in numbers]


@op(
    inputs={"data": Tensor("int32", [1])},
    outputs={"result": Tensor("float32", [1]), "note": Tensor("int32", [])},
)
def one(data):
    return {"result": data.astype(np.float32), "note": data[0]}


@op(
    inputs={"data": Tensor("float32", [1]), "more": Tensor("float32", [1])},
    outputs={"result": Tensor("float32", [1])},
)
def last(data, more):
    return data + more


@op(inputs={"data": Tensor("int32", ["N"])}, outputs={"result": Tensor("int32", [])})
def total(data):
    time.sleep(float(data[0]) / 1000)
    return np.int32(data.sum())
"""
PROBE = """
import json
import os
import time

import numpy as np
import triton_python_backend_utils as pb_utils

LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "log")


class TritonPythonModel:
    "Twice its numbers; whoever sends the magic ones gets something else."

    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "data").as_numpy() for request in requests]
        with open(LOG, "a") as file:
            for request, numbers in zip(requests, tensors):
                line = {
                    "together": len(requests),
                    "id": request.request_id(),
                    "parameters": json.loads(request.parameters() or "{}"),
                    "timeout": request.timeout(),
                    "numbers": numbers.reshape(-1).tolist() if numbers.size <= 64 else numbers.size,
                }
                file.write(json.dumps(line) + "\\n")
        some = [number for numbers in tensors for number in numbers.reshape(-1)[:64].tolist()]
        naps = [number - 1000 for number in some if 1000 < number < 10000]
        time.sleep(sum(naps) / 1000)
        if any((numbers == 999).any() for numbers in tensors):
            os._exit(1)
        return [self.answer(numbers) for numbers in tensors]

    def answer(self, numbers):
        if (numbers == 666).any():
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("not with me"))
        found = [pb_utils.Tensor("result", numbers * 2)]
        found.append(pb_utils.Tensor("result_valid", np.ones((len(numbers), 1), bool)))
        return pb_utils.InferenceResponse(found)
"""
PIPELINE = """
[cut]
backend = "Python[mine:cut]"
next = "each"

[each]
backend = "MapReduce"
jump = "m"

[m]
backend = "TensorrtTensor"
model = "double.onnx"
max = 4
{keys}
"""
STRAIGHT = """
[one]
backend = "Python[mine:one]"
next = "m"

[m]
backend = "TensorrtTensor"
model = "double.onnx"
next = "last"

[last]
backend = "Python[mine:last]"

[pipeline]
outputs = ["result", "note"]
"""
TOTAL = '[total]\nbackend = "Python[mine:total]"\ntimeout_ms = 200\n'
WIDE = """
[pipeline.inputs]
data = "[float32[262144]]"
[each]
backend = "MapReduce"
jump = "m"
[m]
backend = "TensorrtTensor"
model = "wide.onnx"
max = 4
"""
PIPELINES = {
    "calls": PIPELINE.format(keys=""),
    "narrow": PIPELINE.format(keys=""),  # the queue of its model takes one request
    "patient": PIPELINE.format(keys="retry = 8"),  # so does this one's
    "hasty": PIPELINE.format(keys="timeout_ms = 150"),
    "straight": STRAIGHT,  # an ensemble
    "total": TOTAL,
    "wide": WIDE,
}
NESTED = """
[cut]
backend = "Python[mine:cut]"
next = "each"

[each]
backend = "MapReduce"
jump = "inner"

[inner]
backend = "Jump"
jump = "m"

[m]
backend = "TensorrtTensor"
model = "double.onnx"
max = 4
next = "n"

[n]
backend = "TensorrtTensor"
model = "double.onnx"
max = 2
"""


@dataclass
class Probe:
    """What a probe has written down."""

    log: Path

    def seen(self) -> list[dict[str, Any]]:
        """Its requests so far, in their order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def forget(self) -> None:
        self.log.unlink(missing_ok=True)

    def await_number(self, number: int) -> None:
        """Wait until a request with this number has come."""
        wait_for(lambda: any(number in line["numbers"] for line in self.seen()))


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("this never came")


class Caller:
    """A gRPC client of one pipeline that sends what else a request can have."""

    def __init__(self, server: TritonServer) -> None:
        self._server = server
        self.client = grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://"))

    def inputs(self, name: str, numbers: Sequence[int]) -> list[grpc.InferInput]:
        with Client(self._server.grpc_url) as client:
            spec = client.spec(name)
        return as_inputs(encode(spec, {"data": np.array(numbers, np.int32)})[1][0].tensors)

    def __call__(self, name: str, numbers: Sequence[int], **keywords: Any) -> list[float]:
        """The numbers that come back."""
        answer = self.client.infer(name, self.inputs(name, numbers), **keywords)
        with Client(self._server.grpc_url) as client:
            spec = client.spec(name)
        tensors = {output: answer.as_numpy(output) for output in spec.outputs}
        return [float(value[0]) for value in decode(spec, tensors, 1)[0]["result"]]

    def start(self, name: str, numbers: Sequence[int], **keywords: Any) -> Any:
        """A request that can be cancelled; nobody looks at its answer."""
        return self.client.async_infer(name, self.inputs(name, numbers), lambda **_: None, **keywords)

    def occupy(self, name: str, milliseconds: int) -> Any:
        """Keep a probe busy; returns once it is."""
        rows = np.array([[SLOW + milliseconds]], np.float32)
        return self.client.async_infer(name, as_inputs({"data": rows}), lambda **_: None)


def as_inputs(tensors: dict[str, np.ndarray]) -> list[grpc.InferInput]:
    found = []
    for name, array in tensors.items():
        found.append(grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        found[-1].set_data_from_numpy(array)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bls")
    (made / "mine.py").write_text(CODE)
    for name, size in (("double", 1), ("wide", 262144)):
        both = [node("Add", "x x", "y")]
        built = model(both, [tensor("x", ["N", size])], [tensor("y", ["N", size])])
        save(built, made / f"{name}.onnx")
    for name, text in PIPELINES.items():
        (made / f"{name}.toml").write_text(text)
    build(
        [made / f"{name}.toml" for name in PIPELINES],
        made / "repository",
        BuildOptions(cores=1, fuse="none"),
    )
    for called in made.glob("repository/*__m"):
        (called / "1" / "model.py").write_text(PROBE)
    for name in ("narrow", "patient"):
        change(made / "repository" / f"{name}__m", r"max_queue_size: \d+", "max_queue_size: 1")
    # Requests that wait together come to the probe together: so it sees how many are in flight.
    change(made / "repository" / "calls__m", r"max_batch_size: \d+", "max_batch_size: 64")
    return made


def change(model_folder: Path, pattern: str, text: str) -> None:
    config = model_folder / "config.pbtxt"
    changed, count = re.subn(pattern, text, config.read_text())
    assert count == 1
    config.write_text(changed)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TritonServer]:
    flags = ["--model-control-mode=explicit", "--load-model=*"]
    trace = ["mode=triton", "rate=1", "level=TIMESTAMPS", f"triton,file={folder}/trace.json"]
    flags += [f"--trace-config={setting}" for setting in [*trace, "triton,log-frequency=1"]]
    with TritonServer(folder / "repository", extra_args=flags) as running:
        yield running


@pytest.fixture(scope="module")
def caller(server: TritonServer) -> Iterator[Caller]:
    made = Caller(server)
    yield made
    made.client.close()


@pytest.fixture(autouse=True)
def probes(folder: Path) -> dict[str, Probe]:
    found = {name: Probe(folder / "repository" / f"{name}__m" / "1" / "log") for name in PIPELINES}
    for probe in found.values():
        probe.forget()
    return found


def doubled(numbers: Sequence[int]) -> list[float]:
    return [2.0 * number for number in numbers]


# --- what goes along ----------------------------------------------------------------------------------------


def test_what_a_client_sends_beside_its_tensors_goes_along(caller: Caller, probes: dict[str, Probe]) -> None:
    given = {"text": "x", "count": 3, "yes": True}
    keywords = {"request_id": "mine-1", "timeout": 7_000_000, "parameters": {**given}}
    assert caller("calls", range(6), **keywords) == doubled(range(6))
    seen = probes["calls"].seen()
    assert sorted(n for line in seen for n in line["numbers"]) == [0, 1, 2, 3, 4, 5]
    for line in seen:
        assert line["id"] == "mine-1"
        assert line["timeout"] == 7_000_000
        assert line["parameters"] == given


def test_numbers_with_a_fraction_stay_behind(server: TritonServer, probes: dict[str, Probe]) -> None:
    """Triton takes no such parameter from a model; the others of the request go along all the same."""
    inputs = [{"name": "data", "shape": [1, 1], "datatype": "INT32", "data": [5]}]
    body = {"inputs": inputs, "id": "web", "parameters": {"half": 0.5, "count": 2}}
    request = urllib.request.Request(
        f"{server.http_url}/v2/models/calls/infer", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as reply:
        assert json.loads(reply.read())["id"] == "web"
    (line,) = probes["calls"].seen()
    assert (line["id"], line["parameters"]) == ("web", {"count": 2})


def test_calls_appear_in_the_trace_under_their_request(caller: Caller, folder: Path) -> None:
    caller("calls", [1], request_id="traced")

    def parts() -> tuple[set[int], set[int]]:
        found = [p for file in folder.glob("trace.json*") for p in _trace(file)]
        above = {p["id"] for p in found if p.get("model_name") == "calls"}
        below = {p.get("parent_id") for p in found if p.get("model_name") == "calls__m"}
        return above, below

    wait_for(lambda: bool(parts()[0] & parts()[1]))


def _trace(file: Path) -> list[dict[str, Any]]:
    text = file.read_text().strip().rstrip(",]")
    try:
        return list(json.loads(f"{text}]")) if text else []
    except ValueError:  # it is being written
        return []


def test_each_call_carries_what_its_own_rows_have_in_common(caller: Caller, probes: dict[str, Probe]) -> None:
    """One dynamic batch: the crops of a and b go together, those of c fill calls of their own."""
    pages = {"a": [11, 12], "b": [21, 22], "c": [31, 32, 33, 34]}
    caller.start("calls", [-400, 1])
    parameters = {name: {"same": 1, "own": name, **({"c": 1} if name == "c" else {})} for name in pages}
    with ThreadPoolExecutor(3) as pool:
        time.sleep(0.1)
        futures = [
            pool.submit(caller, "calls", page, request_id=name, parameters=parameters[name])
            for name, page in pages.items()
        ]
        assert [future.result() for future in futures] == [doubled(page) for page in pages.values()]
    of_pages = [line for line in probes["calls"].seen() if line["numbers"] != [1]]
    calls = {frozenset(line["numbers"]): line for line in of_pages}
    assert calls.keys() == {frozenset([11, 12, 21, 22]), frozenset([31, 32, 33, 34])}
    shared, own = calls[frozenset([11, 12, 21, 22])], calls[frozenset([31, 32, 33, 34])]
    assert (sorted(shared["id"].split(",")), shared["parameters"]) == (["a", "b"], {"same": 1})
    assert (own["id"], own["parameters"]) == ("c", parameters["c"])


# --- limits -------------------------------------------------------------------------------------------------


def test_no_more_than_four_calls_are_in_flight(caller: Caller, probes: dict[str, Probe]) -> None:
    numbers = [SLOW + 5] * 128
    assert caller("calls", numbers) == doubled(numbers)
    together = [line["together"] for line in probes["calls"].seen()]
    assert len(together) == 128 / MOST
    assert 2 <= max(together) <= 4


def test_called_models_call_none(folder: Path) -> None:
    (folder / "nested.toml").write_text(NESTED)
    repository = folder / "nested repository"
    build(folder / "nested.toml", repository, BuildOptions(cores=1, fuse="none"))
    code = {path.parent.parent.name: path.read_text() for path in repository.glob("*/1/stage.py")}
    assert set(code) == {"nested", "nested__m", "nested__n"}
    assert code["nested"].count("remote.RemoteModel(") == 2
    for name in ("nested__m", "nested__n"):
        assert "remote" not in code[name]


def failure(caller: Caller, name: str, numbers: Sequence[int], **keywords: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        caller(name, numbers, **keywords)
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def test_a_full_queue_is_said_to_be_full(caller: Caller, probes: dict[str, Probe]) -> None:
    caller.occupy("narrow__m", 600)
    probes["narrow"].await_number(SLOW + 600)
    caller.occupy("narrow__m", 1)
    wait_for(lambda: pending(caller, "narrow__m") >= 1)
    status, message = failure(caller, "narrow", [1, 2])
    assert status == "UNAVAILABLE"
    assert re.search(
        r"narrow.toml:11 \[m\] item 0, \[each\] element 0: model 'narrow__m': .*[mM]aximum queue", message
    )


def test_a_full_queue_is_asked_again(caller: Caller, probes: dict[str, Probe]) -> None:
    caller.occupy("patient__m", 300)
    probes["patient"].await_number(SLOW + 300)
    caller.occupy("patient__m", 1)
    wait_for(lambda: pending(caller, "patient__m") >= 1)
    assert caller("patient", [1, 2, 3]) == doubled([1, 2, 3])


def test_waiting_too_long_for_a_called_model(caller: Caller, probes: dict[str, Probe]) -> None:
    """``timeout_ms`` of the node, which is the time in the queue of its model."""
    caller.occupy("hasty__m", 1000)
    probes["hasty"].await_number(SLOW + 1000)
    status, message = failure(caller, "hasty", [1, 2])
    assert status == "UNAVAILABLE"
    expected = (
        r"^hasty.toml:11 \[m\] item 0, \[each\] element \d: model 'hasty__m': .*Request timeout expired$"
    )
    assert re.search(expected, message), message


def test_waiting_too_long_for_the_stage(caller: Caller, server: TritonServer) -> None:
    """``timeout_ms`` where a stage begins: the answer is the server's own."""
    caller.start("total", [1000])
    wait_for(lambda: pending(caller, "total") == 0)
    with Client(server.http_url) as client, pytest.raises(RequestError) as caught:
        client("total", data=np.array([0, 1], np.int32))
    assert (caught.value.status, "Request timeout expired" in caught.value.message) == (503, True)


def test_a_client_in_a_hurry_fails_alone(caller: Caller, probes: dict[str, Probe]) -> None:
    """Two requests in one call: the called model's queue lets both go when the first has no time left."""
    caller.occupy("calls__m", 2500)
    probes["calls"].await_number(SLOW + 2500)
    caller.start("calls", [-400])
    with ThreadPoolExecutor(2) as pool:
        time.sleep(0.1)
        hurried = pool.submit(failure, caller, "calls", [1, 2], timeout=900_000)
        patient = pool.submit(caller, "calls", [3, 4])
        status, message = hurried.result()
        assert patient.result() == doubled([3, 4])
    assert status == "UNAVAILABLE"
    assert "[m] item 0, [each] element" in message


def pending(caller: Caller, name: str) -> int:
    """Requests that wait in a model's queue."""
    url = caller._server.metrics_url
    with urllib.request.urlopen(url) as reply:
        text = reply.read().decode()
    found = re.search(rf'nv_inference_pending_request_count{{model="{name}",.*}} (\d+)', text)
    return int(found[1]) if found else 0


# --- failures -----------------------------------------------------------------------------------------------


def ask_together(caller: Caller, name: str, pages: Sequence[Sequence[int]]) -> list[list[float] | str]:
    """Pages as requests of one dynamic batch: what each gives, or its error."""

    def ask(page: Sequence[int]) -> list[float] | str:
        try:
            return caller(name, page)
        except InferenceServerException as problem:
            return problem.message()

    caller.start(name, [-400])
    with ThreadPoolExecutor(len(pages)) as pool:
        time.sleep(0.1)
        return list(pool.map(ask, pages))


def test_a_poisoned_crop_fails_its_own_request(caller: Caller, probes: dict[str, Probe]) -> None:
    pages = [[1], [3, POISON], [5]]
    good, bad, other = ask_together(caller, "calls", pages)
    assert (good, other) == (doubled([1]), doubled([5]))
    assert bad == ("calls.toml:11 [m] item 0, [each] element 1: model 'calls__m': not with me")
    calls = [sorted(line["numbers"]) for line in probes["calls"].seen()]
    assert calls[0] == [1, 3, 5, POISON]  # all in one; then each for itself
    assert sorted(calls[1:]) == [[1], [3], [5], [POISON]]


def test_nothing_is_lost_or_swapped_when_a_model_is_late(caller: Caller) -> None:
    """Pages of all sizes, some of whose crops take long: answers come in another order than requests."""
    sizes = (0, 40, 3, 1, 0, 17, 64, 2, 5, 70, 9, 1)
    pages = [[100 * index + number for number in range(size)] for index, size in enumerate(sizes)]
    pages = [[n % 900 for n in page] for page in pages]
    pages[1][7] = pages[2][0] = pages[6][63] = SLOW + 200
    pages = [[DEADLY + 1 if n in (POISON, DEADLY) else n for n in page] for page in pages]
    for _ in range(2):
        assert ask_together(caller, "calls", pages) == [doubled(page) for page in pages]


@pytest.mark.parametrize("number", [INTERRUPT, DECLINED])
def test_a_stage_that_breaks_behind_an_answer_answers_everybody(
    caller: Caller, server: TritonServer, number: int
) -> None:
    """Triton 24.10 itself dies if an exception leaves `execute` after an answer was sent."""
    for _ in range(3):
        answers = ask_together(caller, "calls", [[DECLINED], [1, 2], [number], [], [4]])
        assert isinstance(answers[0], str) and isinstance(answers[2], str)
        for page, answer in (([1, 2], answers[1]), ([], answers[3]), ([4], answers[4])):
            assert answer == doubled(page) or (number == INTERRUPT and isinstance(answer, str))
    assert server.alive
    assert caller("calls", [1]) == doubled([1])


@pytest.mark.parametrize("how", ["unloaded", "dead"])
def test_a_model_that_is_gone(caller: Caller, how: str) -> None:
    if how == "unloaded":
        caller.client.unload_model("hasty__m")
    status, message = failure(caller, "hasty", [1, DEADLY])
    expected = r"^hasty.toml:11 \[m\] item 0, \[each\] element 0: model 'hasty__m': .*"
    assert re.search(expected, message), message
    assert status == "INTERNAL"
    if how == "dead":
        caller.client.unload_model("hasty__m")
    caller.client.load_model("hasty__m")
    wait_for(lambda: bool(caller.client.is_model_ready("hasty__m")))
    assert caller("hasty", [1, 2]) == doubled([1, 2])


def test_answers_of_called_models_are_let_go(server: TritonServer, caller: Caller) -> None:
    """Their tensors lie in shared memory, which would grow by 2 MB per request."""
    inputs = as_inputs({"data": np.ones((1, 2, 262144), np.float32), "data_count": np.array([[2]], np.int32)})

    def used() -> int:
        return sum(file.stat().st_blocks * 512 for file in Path("/dev/shm").glob(f"{server.token}-*"))

    sizes = []
    for _ in range(3):
        for _ in range(15):
            answer = caller.client.infer("wide", inputs)
        assert answer.as_numpy("result").sum() == 2 * 2 * 262144
        sizes.append(used())
    assert sizes[2] <= sizes[0] + (4 << 20), sizes


# --- ensembles ----------------------------------------------------------------------------------------------


def ask_ensemble(caller: Caller, number: int, wanted: Sequence[str], **keywords: Any) -> dict[str, float]:
    """The wanted outputs of `STRAIGHT`; its second input is read by its last step alone."""
    inputs = as_inputs({"data": np.array([[number]], np.int32), "more": np.array([[0.5]], np.float32)})
    outputs = [grpc.InferRequestedOutput(name) for name in wanted]
    answer = caller.client.infer("straight", inputs, outputs=outputs, client_timeout=30.0, **keywords)
    return {name: float(answer.as_numpy(name).reshape(-1)[0]) for name in wanted}


def test_an_ensemble_hands_on_what_came_along(caller: Caller, probes: dict[str, Probe]) -> None:
    """The server does that by itself."""
    keywords = {"request_id": "mine-2", "timeout": 6_000_000, "parameters": {"text": "x"}}
    assert ask_ensemble(caller, 3, ["result", "note"], **keywords) == {"result": 6.5, "note": 3}
    (line,) = probes["straight"].seen()
    assert (line["id"], line["timeout"], line["parameters"]) == ("mine-2", 6_000_000, {"text": "x"})


@pytest.mark.parametrize("wanted", ["result", "note"])
def test_one_output_of_an_ensemble(caller: Caller, wanted: str) -> None:
    """Triton leaves out the steps that it does not take, and must not leave out others (issue 7482)."""
    assert ask_ensemble(caller, 4, [wanted]) == {wanted: {"result": 8.5, "note": 4}[wanted]}


# --- cancellation -------------------------------------------------------------------------------------------

LONG = [SLOW + 10 + number % 5 for number in range(640)]  # 160 calls, 7 seconds


@pytest.mark.parametrize("how", ["cancel", "deadline", "stream"])
def test_a_client_that_left_keeps_no_stage_busy(caller: Caller, probes: dict[str, Probe], how: str) -> None:
    if how == "stream":
        caller.client.start_stream(lambda **_: None)
        caller.client.async_stream_infer("calls", caller.inputs("calls", LONG))
    else:
        started = caller.start("calls", LONG, client_timeout=1.0 if how == "deadline" else None)
    wait_for(lambda: len(probes["calls"].seen()) > 4)
    if how == "cancel":
        started.cancel()
    elif how == "stream":
        caller.client.stop_stream(cancel_requests=True)
    assert caller("calls", [7]) == doubled([7])  # it comes after the long one
    calls = probes["calls"].seen()
    assert [line["numbers"] for line in calls[-1:]] == [[7]]
    assert len(calls) < 100


def test_others_of_the_batch_get_their_answers(caller: Caller, probes: dict[str, Probe]) -> None:
    caller.start("calls", [-400])
    with ThreadPoolExecutor(2) as pool:
        time.sleep(0.1)
        left = caller.start("calls", LONG)
        stays = [SLOW + 20 + number for number in range(70)]
        one, other = pool.submit(caller, "calls", stays), pool.submit(caller, "calls", [8, 9])
        wait_for(lambda: len(probes["calls"].seen()) > 20)
        left.cancel()
        assert (one.result(), other.result()) == (doubled(stays), doubled([8, 9]))
    assert caller("calls", [7]) == doubled([7])
    assert len(probes["calls"].seen()) < 100


def test_a_request_in_the_queue_is_never_started(caller: Caller, probes: dict[str, Probe]) -> None:
    caller.start("calls", [-500])
    time.sleep(0.1)
    left = caller.start("calls", [11, 12])
    time.sleep(0.1)
    left.cancel()
    assert caller("calls", [7]) == doubled([7])
    assert [line["numbers"] for line in probes["calls"].seen()] == [[7]]
