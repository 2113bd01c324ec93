"""What a served repository answers: right values, each request its own, failures that stay alone."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnxruntime
import pytest

import examples
from tpgen.driver import Compiled
from tpgen.runner.interpreter import Interpreter
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer
from tpgen.services.serverlog import own_log_problems

pytestmark = pytest.mark.triton
MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.120, 57.375])


def plain_logits(jpeg: bytes, model: str) -> np.ndarray:
    """The ResNet pipeline written down with cv2, numpy and onnxruntime alone."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float64)
    tensor = ((rgb - MEAN) / STD).transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: tensor})[0][0]


def test_the_reference_equals_plain_code(
    resnet: tuple[Compiled, Interpreter], models: dict[str, str]
) -> None:
    compiled, interpreter = resnet
    for seed in range(4):
        jpeg = examples.photo(seed)
        (outcome,) = interpreter.run(compiled.reference.entries[0], [{"data": jpeg}])
        np.testing.assert_allclose(outcome["result"], plain_logits(jpeg, models["resnet50"]), atol=1e-4)


def test_http_and_grpc_answer_like_plain_code(client: Client, models: dict[str, str]) -> None:
    jpeg = examples.photo(1)
    answer = client("resnet50", data=jpeg)
    assert set(answer) == {"result"}
    assert answer["result"].shape == (1000,)
    np.testing.assert_allclose(answer["result"], plain_logits(jpeg, models["resnet50"]), atol=1e-3)


def test_one_model_per_node_answers_the_same(client: Client, unfused_server: TritonServer) -> None:
    jpegs = [examples.photo(seed) for seed in (2, 3)]
    with Client(unfused_server.grpc_url) as unfused:
        for example in ("resnet50", "python_node"):
            ours, theirs = client(example, data=jpegs), unfused(example, data=jpegs)
            assert set(ours) == set(theirs)
            for key, values in ours.items():
                for one, other in zip(values, theirs[key], strict=True):
                    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
                        np.testing.assert_allclose(one, other, atol=1e-3)
                    else:
                        np.testing.assert_array_equal(one, other)


def test_the_interface_is_the_same_for_every_fuse_level(
    server: TritonServer, unfused_server: TritonServer
) -> None:
    for example in ("resnet50", "python_node"):
        configs = []
        for running in (server, unfused_server):
            with Client(running.http_url) as client:
                configs.append(client.model_config(example))
        fused, unfused = configs
        assert fused["max_batch_size"] == unfused["max_batch_size"]
        for side in ("input", "output"):
            assert [(t["name"], t["data_type"], t["dims"]) for t in fused[side]] == [
                (t["name"], t["data_type"], t["dims"]) for t in unfused[side]
            ]


def test_200_concurrent_requests_with_every_tenth_corrupt(
    server: TritonServer, resnet: tuple[Compiled, Interpreter]
) -> None:
    compiled, interpreter = resnet
    inputs = [
        b"corrupt %d" % seed if seed % 10 == 9 else examples.photo(seed, 320, 240) for seed in range(200)
    ]
    expected = interpreter.run(compiled.reference.entries[0], [{"data": data} for data in inputs])

    def ask(data: bytes) -> np.ndarray | RequestError:
        try:
            return client("resnet50", data=data)["result"]
        except RequestError as problem:
            return problem

    with Client(server.grpc_url) as client, ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, inputs))
    for index, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        if index % 10 == 9:
            assert isinstance(answer, RequestError), index
            assert "[cpu_decoder] item 0: not a decodable image" in str(answer)
        else:
            assert not isinstance(answer, RequestError), f"{index}: {answer}"
            np.testing.assert_allclose(answer, wanted["result"], atol=1e-3, err_msg=str(index))


def test_a_batch_with_one_corrupt_item_names_it_and_fails_alone(client: Client) -> None:
    good = [examples.photo(seed, 320, 240) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        bad = [
            pool.submit(lambda: client("resnet50", data=[good[0], good[1], b"junk", good[3]]))
            for _ in range(4)
        ]
        fine = [pool.submit(lambda: client("resnet50", data=good)) for _ in range(4)]
        for future in bad:
            with pytest.raises(
                RequestError, match=r"pipeline.toml:6 \[cpu_decoder\] item 2: not a dec"
            ) as raised:
                future.result()
            assert raised.value.status == 400
        for future in fine:
            answers = future.result()["result"]
            for jpeg, answer in zip(good, answers, strict=True):
                np.testing.assert_allclose(answer, client("resnet50", data=jpeg)["result"], atol=1e-4)


def test_two_inputs_and_outputs_travel_by_their_names(client: Client) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 3, 16)).astype(np.float32)
    answer = client("two_inputs", left=list(left), right=list(right))
    cosine = np.sum(left * right, 1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    np.testing.assert_allclose(np.ravel(answer["similarity"]), cosine, atol=1e-5)
    np.testing.assert_allclose(answer["difference"], left - right, atol=1e-6)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_user_code_answers_with_its_varying_output(client: Client) -> None:
    flat = cv2.imencode(".png", np.full((64, 64, 3), 200, np.uint8))[1].tobytes()
    photo = examples.photo(3)
    answer = client("python_node", data=[flat, photo])
    assert [_text(value) for value in answer["result"]] == ["blurred", "sharp"]
    assert answer["colors"][0].shape == (1, 3)
    assert answer["colors"][1].shape == (4, 3)


def test_the_compiler_is_not_there_where_stages_run(client: Client) -> None:
    assert client("spy", data="?")["result"].item() == 0


def test_an_operator_that_raises_fails_its_own_request_as_a_server_error(client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        futures = {
            value: pool.submit(lambda v=value: client("broken", data=np.int32(v))) for value in range(20)
        }
    for value, future in futures.items():
        if value == 13:
            with pytest.raises(RequestError, match=r"\[only\] item 0: RuntimeError: thirteen") as raised:
                future.result()
            assert raised.value.status == 500
        else:
            assert future.result()["result"].item() == value + 1


BOXES = [[0, 0, 2, 3], [1, 1, 4, 5]]


def test_single_elements_are_scalars_and_bytes(client: Client) -> None:
    answer = client("kinds", boxes=BOXES, name="ein ü")
    assert (type(answer["count"]), answer["count"]) == (np.int64, 2)
    assert (type(answer["first"]), answer["first"]) == (np.bool_, np.True_)
    assert (answer["title"], answer["raw"]) == ("Ein Ü".encode(), "ein ü\0".encode())
    assert answer["areas"].tolist() == [6, 20]
    assert list(answer["words"]) == [b"ein", "ü".encode()]


def test_a_batch_has_lists_of_them(client: Client) -> None:
    answer = client("kinds", boxes=[BOXES, [], BOXES[:1]], name=["a b", "", "c"])
    assert answer["count"] == [2, 0, 1]
    assert answer["title"] == [b"A B", b"", b"C"]
    assert [areas.tolist() for areas in answer["areas"]] == [[6, 20], [], [6]]
    assert [list(words) for words in answer["words"]] == [[b"a", b"b"], [], [b"c"]]


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_of_nothing_but_empty_lists(client: Client, count: int) -> None:
    answer = client("kinds", boxes=[[]] * count, name="")
    assert answer["count"] == [0] * count
    assert [areas.shape for areas in answer["areas"]] == [(0,)] * count
    assert client("kinds", boxes=[], name="")["count"] == 0


def test_an_item_that_user_code_declines_is_absent_not_an_error(client: Client) -> None:
    assert client("broken", data=np.int32(-1))["result"] is None
    answer = client("broken", data=[np.int32(1), np.int32(-1), np.int32(3)])["result"]
    assert [None if value is None else value.item() for value in answer] == [2, None, 4]


def test_curl_sends_an_image_as_it_is(server: TritonServer, tmp_path: object) -> None:
    image = f"{tmp_path}/photo.jpg"
    with open(image, "wb") as file:
        file.write(examples.photo(4))
    url = f"{server.http_url}/v2/models/resnet50/infer"
    command = ["curl", "-sf", "-H", "Inference-Header-Content-Length: 0", "--data-binary", f"@{image}", url]
    reply = subprocess.run(command, capture_output=True, check=True).stdout
    assert b'"name":"result"' in reply
    logits = np.frombuffer(reply[-4000:], np.float32)
    with Client(server.http_url) as client:
        np.testing.assert_allclose(logits, client("resnet50", data=examples.photo(4))["result"], atol=1e-5)


def test_metrics_count_items_errors_and_batches_per_node(server: TritonServer) -> None:
    with Client(server.http_url) as client:
        client("resnet50", data=examples.photo(5))
        with pytest.raises(RequestError):
            client("resnet50", data=b"junk")

    def figure(name: str) -> float:
        with urllib.request.urlopen(server.metrics_url) as reply:
            lines = reply.read().decode().splitlines()
        label = f'{name}{{node="cpu_decoder",pipeline="resnet50"}} '
        return next((float(line.removeprefix(label)) for line in lines if line.startswith(label)), 0.0)

    for _ in range(50):
        if figure("tpgen_node_errors_total") >= 1 and figure("tpgen_node_items_total") >= 2:
            break
        __import__("time").sleep(0.1)
    assert figure("tpgen_node_items_total") >= 2
    assert figure("tpgen_node_errors_total") >= 1
    assert 0 < figure("tpgen_node_batches_total") <= figure("tpgen_node_items_total")
    assert figure("tpgen_node_seconds_total") > 0


def test_servers_log_holds_no_warning_of_our_making(
    server: TritonServer, unfused_server: TritonServer, client: Client
) -> None:
    client("hello", data=b"x")
    # The tests above let the user code of `broken` raise, which a server's log rightly says.
    raised = re.compile(r"\[only\] item \d+: RuntimeError: thirteen")
    for log in (server.log, unfused_server.log):
        assert [line for line in own_log_problems(log) if not raised.search(line)] == []
