"""A real server does with each case what the rules say: it loads it, refuses it, fails its requests, or dies.

A run takes all cases that the server refuses before it starts a process, and a sample of the others, which
`pytest -m slow tests/lint` takes as well. Requests that never end are left out: they were seen by hand, and a
test could only wait for them.
"""

from __future__ import annotations

import json
import queue
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from lint_cases import CASES
from lint_cases_native import DEPLOYED
from lint_repositories import FAILING, MODEL, Case, Server, write
from tpgen.services.server import ServerError, TritonServer

pytestmark = pytest.mark.triton

_REFUSED = (Server.REFUSES, Server.NEEDS_GPU)
_SEEN = [case for case in CASES if case.server in (Server.WORKS, Server.LOADS, Server.FAILS, *_REFUSED)]
_DEADLY = [case for case in CASES if case.server in (Server.DIES, Server.REFUSES_OR_DIES)]
# Those of TP807 too, but after a minute only.
_STUCK = [case for case in CASES if case.server is Server.HANGS and case.code in ("TP803", "TP809", "TP829")]
# Models whose process has to be started take more than a second each, so a run has a sample of them. These
# are the errors that the server finds before, and at once.
_FOUND_AT_ONCE = frozenset(
    f"TP{number}"
    for numbers in (
        (801, 802, 805, 806, 809, 810, 811, 812, 816, 817, 818, 819, 829, 832, 833, 840, 841, 842, 843, 845),
        (846, 855, 856, 867, 868, 880, 881, 882, 883, 884, 885, 887, 888, 889, 892, 895),
    )
    for number in numbers
)
_QUICK = [case for case in _SEEN if case.server is Server.REFUSES and case.code in _FOUND_AT_ONCE]
_SAMPLE = {
    case.name
    for case in (
        *_QUICK,
        *DEPLOYED,
        *random.Random(20241).sample([case for case in _SEEN if case not in _QUICK], 20),
    )
}
_EXPLICIT = ("--model-control-mode=explicit", "--exit-on-error=false", "--rate-limit=off")


def _sampled(cases: list[Case]) -> list[Any]:
    return [
        pytest.param(case, id=case.name, marks=() if case.name in _SAMPLE else pytest.mark.slow)
        for case in cases
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    root = tmp_path_factory.mktemp("lint") / "models"
    write(root, _SEEN)
    with TritonServer(root, extra_args=_EXPLICIT) as running:
        yield running


def post(url: str, document: Any = None) -> tuple[int, str]:
    """Status and text of the answer to a POST; status 0 if the server is gone."""
    data = json.dumps(document or {}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def load(server: TritonServer, name: str) -> tuple[int, str]:
    return post(f"{server.http_url}/v2/repository/models/{name}/load")


def request(server: TritonServer, name: str, *, batch: int = 1, without: str = "") -> dict[str, Any]:
    """A request with all inputs of a model but one, full of ones."""
    with urllib.request.urlopen(f"{server.http_url}/v2/models/{name}/config") as answer:
        config = json.load(answer)
    inputs = {}
    for tensor in config["input"]:
        dims = [4 if int(dim) == -1 else int(dim) for dim in tensor["dims"]]
        full = [batch, *dims] if config["max_batch_size"] else dims
        data: Any = 1
        for dim in reversed(full):
            data = [data] * dim
        kind = tensor["data_type"].removeprefix("TYPE_")
        inputs[tensor["name"]] = {"name": tensor["name"], "shape": full, "datatype": kind, "data": data}
    inputs.pop(without, None)
    sequence = {"sequence_id": 1, "sequence_start": True} if "sequence_batching" in config else {}
    return {"inputs": list(inputs.values()), "parameters": sequence}


def infer(server: TritonServer, name: str, document: dict[str, Any]) -> tuple[int, str]:
    return post(f"{server.http_url}/v2/models/{name}/infer", document)


@pytest.mark.parametrize("case", _sampled(_SEEN))
def test_the_server_treats_a_case_as_expected(case: Case, server: TritonServer) -> None:
    status, text = load(server, case.name)
    assert (status != 200) == (case.server in _REFUSED), text
    if case.server in (Server.WORKS, Server.FAILS):
        status, text = infer(server, case.name, request(server, case.name))
        assert (status == 200) == (case.server is Server.WORKS), text


@pytest.mark.parametrize(("name", "works"), [("decoupled_returns", False), ("decoupled_sends", True)])
def test_a_decoupled_model_has_to_send(name: str, works: bool, server: TritonServer) -> None:
    """TP836; over HTTP the server refuses every decoupled model."""
    assert load(server, name)[0] == 200
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    tensor = grpc.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
    with grpc.InferenceServerClient(server.grpc_url.partition("//")[2]) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(name, [tensor])
        _, error = answers.get(timeout=60)
        client.stop_stream(cancel_requests=True)
    assert (error is None) == works, error
    assert works or "decoupled" in str(error)


@pytest.mark.parametrize(("name", "works"), [("bfloat16_as_numpy", False), ("bfloat16_by_dlpack", True)])
def test_numpy_has_no_bfloat16(name: str, works: bool, server: TritonServer) -> None:
    """TP839; as JSON the server takes no such tensor at all."""
    assert load(server, name)[0] == 200
    tensor = grpc.InferInput("x", [1, 4], "BF16")
    tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
    with grpc.InferenceServerClient(server.grpc_url.partition("//")[2]) as client:
        try:
            answer = client.infer(name, [tensor]).as_numpy("y").tolist()
        except InferenceServerException as error:
            answer = str(error.message())
    assert (answer == [[1, 1, 1, 1]]) == works, answer


@pytest.mark.slow
@pytest.mark.parametrize("case", _DEADLY, ids=lambda case: case.name)
def test_the_server_dies_of_a_case(case: Case, tmp_path: Path) -> None:
    write(tmp_path / "models", [case])
    with TritonServer(tmp_path / "models", extra_args=_EXPLICIT) as running:
        status, _ = load(running, case.name)
        if status == 200:  # the first request does it
            status, _ = infer(running, case.name, request(running, case.name))
        if case.server is Server.DIES:
            assert status == 0 and running.wait() != 0
        assert status != 200


@pytest.mark.slow
@pytest.mark.parametrize("case", _STUCK, ids=lambda case: case.name)
def test_a_server_never_finishes_to_load_a_case(case: Case, tmp_path: Path) -> None:
    """What serving sees: the server neither ends nor does anything, and the model is not ready."""
    write(tmp_path / "models", [case])
    with (
        pytest.raises(ServerError, match="does nothing any more") as raised,
        TritonServer(tmp_path / "models"),
    ):
        pass
    assert f"'{case.name}' is not ready" in str(raised.value)


def _of(values: list[float], **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": values}
    return {"inputs": [tensor], "parameters": parameters}


def test_a_request_that_failed_is_cached_as_an_answer(server: TritonServer) -> None:
    """TP844, beside a model without a cache; what succeeds is cached as it is."""
    for name, cached in (("cache_failures", True), ("cache_no_failures", False)):
        assert load(server, name)[0] == 200
        assert infer(server, name, _of([-1] * 4))[0] == 500
        status, text = infer(server, name, _of([-1] * 4))
        assert (status == 200) == cached, text
        assert not cached or json.loads(text)["outputs"] == []
        for _ in range(2):
            status, text = infer(server, name, _of([1] * 4))
            assert status == 200 and json.loads(text)["outputs"][0]["data"] == [1] * 4


_REFUSES_ZEROS = FAILING.replace("value.min() < 0", "not value.any()")


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", [_REFUSES_ZEROS, MODEL.replace("value = np", "raise ValueError\n        value = np")]
)
def test_a_sample_that_fails_ends_the_model_or_the_server(code: str, tmp_path: Path) -> None:
    """TP924: which of the two is chance; the same model does well with data that it answers."""
    (made_up,) = (case for case in CASES if case.name == "warmup_failures")
    (from_file,) = (case for case in CASES if case.name == "warmup_no_failures")
    zeros = replace(made_up, files={**made_up.files, "1/model.py": code})
    good = replace(from_file, files={**from_file.files, "1/model.py": _REFUSES_ZEROS, "warmup/f": "\1" * 16})
    write(tmp_path / "models", [zeros, good])
    with TritonServer(tmp_path / "models", extra_args=_EXPLICIT) as running:
        assert load(running, good.name)[0] == 200
        assert load(running, zeros.name)[0] != 200


@pytest.mark.slow
def test_a_resource_of_two_scopes_is_refused(tmp_path: Path) -> None:
    """TP859; other servers in these tests have the rate limiter off."""
    write(tmp_path / "models", [case for case in CASES if case.name.startswith("share_")])
    flags = (*_EXPLICIT[:2], "--rate-limit=execution_count")
    with TritonServer(tmp_path / "models", extra_args=flags) as running:
        assert [load(running, f"share_{name}")[0] for name in ("all", "another", "each")] == [200, 200, 400]


@pytest.mark.slow
def test_a_lone_request_times_out_while_it_waits_for_others(server: TritonServer) -> None:
    """TP925."""
    for name, works in (("timeout_in_delay", False), ("timeout_after_delay", True), ("timeout_delays", True)):
        assert load(server, name)[0] == 200
        status, text = infer(server, name, _of([1] * 4))
        assert (status == 200) == works, text
        assert works or "timeout expired" in text


@pytest.mark.slow
def test_python_models_get_no_batch_input_and_write_no_state(tmp_path: Path) -> None:
    """TP825 and TP847; the tensors of controls do reach them."""
    given = "[tensor.name() for tensor in request.inputs()]"
    names = f'np.array([[name in {given} for name in ("x", "n", "s", "START")]], np.float32)'
    state = 'pb.Tensor("t", np.ones((1, 4), np.float32))'
    code = MODEL.replace('pb.Tensor("y", value)', f'pb.Tensor("y", {names}), {state}')
    chosen = [case for case in CASES if case.name in ("batch_input", "state_zeros", "control_good")]
    write(tmp_path / "models", [replace(case, files={**case.files, "1/model.py": code}) for case in chosen])
    expected = {"batch_input": [1, 0, 0, 0], "state_zeros": [1, 0, 1, 0], "control_good": [1, 0, 0, 1]}
    with TritonServer(tmp_path / "models", extra_args=_EXPLICIT) as running:
        for name, seen in expected.items():
            assert load(running, name)[0] == 200
            sequence = {} if name == "batch_input" else {"sequence_id": 1, "sequence_start": True}
            answer = json.loads(infer(running, name, _of([1] * 4, **sequence))[1])
            assert answer["outputs"][0]["data"] == seen


@pytest.mark.slow
def test_a_missing_batch_dimension_fails_larger_batches(server: TritonServer) -> None:
    """TP894."""
    for name, works in (("j_no_batch_in_batch", False), ("j_wide_in_batch", True)):
        assert load(server, name)[0] == 200
        assert infer(server, name, request(server, name))[0] == 200
        assert (infer(server, name, request(server, name, batch=2))[0] == 200) == works


@pytest.mark.slow
def test_an_optional_input_that_is_required_fails(server: TritonServer) -> None:
    """TP897."""
    for name, missing, works in (("o_optional_required", "z", False), ("o_optional_optional", "o", True)):
        assert load(server, name)[0] == 200
        assert infer(server, name, request(server, name))[0] == 200
        assert (infer(server, name, request(server, name, without=missing))[0] == 200) == works


@pytest.mark.slow
def test_some_outputs_alone_lose_the_first_step(server: TritonServer) -> None:
    """TP898."""
    for name, works in (("p_first_is_dropped", False), ("p_first_is_not_needed", True)):
        assert load(server, name)[0] == 200
        part = {**request(server, name), "outputs": [{"name": "p"}]}
        status, text = infer(server, name, part)
        assert (status == 200) == works, text
        assert works or "unexpected deadlock" in text


@pytest.mark.slow
def test_a_directory_that_is_no_model_and_a_link_stop_a_server(tmp_path: Path) -> None:
    """TP801 and TP802 as a server without special flags sees them; and names that HTTP can't carry, TP804."""
    root = tmp_path / "models"
    write(root, [case for case in CASES if case.name in ("works", "name+plus")])
    (root / ".git" / "objects").mkdir(parents=True)
    loaded = '"state":"READY"'
    with TritonServer(root, extra_args=("--exit-on-error=false", "--strict-readiness=false")) as running:
        index = post(f"{running.http_url}/v2/repository/index")[1]
        assert index.count(loaded) == 2
        assert "failed to load '.git'" in running.log or "failed to load model '.git'" in running.log
        document = request(running, "works")
        assert infer(running, "name+plus", document)[0] == 200
        assert infer(running, "name%2Bplus", document)[0] == 404
    (root / "latest").symlink_to("nowhere")
    with TritonServer(root, extra_args=("--exit-on-error=false", "--strict-readiness=false")) as running:
        assert loaded not in post(f"{running.http_url}/v2/repository/index")[1]
