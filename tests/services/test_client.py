"""The client against a real server, over both protocols."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer

pytestmark = pytest.mark.triton


def images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3, 4],
        (1.0, 2.0, 3.0, 4.0),
        np.arange(1, 5, dtype=np.int64),
        np.arange(1, 5, dtype=np.float64),
        np.array([1, 2, 3, 4, 9], np.float32)[:4],
    ],
    ids=["ints", "tuple", "int64", "float64", "view"],
)
def test_one_item_comes_back_without_a_batch_axis(client: Client, value: object) -> None:
    answer = client("double", x=value)
    assert list(answer) == ["y"]
    assert answer["y"].dtype == np.float32
    np.testing.assert_array_equal(answer["y"], [2, 4, 6, 8])


@pytest.mark.parametrize("value", [b"hi", "hi", bytearray(b"hi"), np.array([b"hi"], object)])
def test_text_and_bytes_are_sent_as_they_are(client: Client, value: object) -> None:
    assert client("echo", data=value)["result"] == b"hi"


def test_bytes_of_any_value_and_none_at_all_survive(client: Client) -> None:
    sent = [bytes(range(256)), b"", b"\0", "ü".encode()]
    assert client("echo", data=sent)["result"] == sent


@pytest.mark.parametrize("count", [1, 3, 8, 19])
def test_a_list_is_a_batch_cut_to_what_the_model_takes(client: Client, count: int) -> None:
    rows = np.random.default_rng(0).random((count, 4), np.float32)
    for value in (list(rows), rows.tolist(), rows):
        answer = client("double", x=value)
        assert isinstance(answer["y"], list)
        assert len(answer["y"]) == count
        np.testing.assert_array_equal(np.stack(answer["y"]), rows * 2)


def test_items_of_differing_shape_are_padded_and_cut_again(client: Client) -> None:
    sent = images((2, 3), (5, 1), (4, 4), (1, 2), (3, 3))  # the model takes four at a time
    answer = client("padded", img=sent)
    assert set(answer) == {"copy", "rows", "even", "lines", "crops", "mean"}
    for i, image in enumerate(sent):
        height = len(image)
        np.testing.assert_array_equal(answer["copy"][i], image)
        np.testing.assert_array_equal(answer["rows"][i], [[k, height] for k in range(height)])
        total = int(image.sum())
        assert (answer["even"][i] is None) == (total % 2 == 1)
        assert answer["even"][i] is None or answer["even"][i] == total
        assert [line.tolist() for line in answer["lines"][i]] == [[k] * (k % 3) for k in range(height)]
        assert len(answer["crops"][i]) == height
        for k, crop in enumerate(answer["crops"][i]):
            np.testing.assert_array_equal(crop, image[: k + 1])


def test_a_single_item_of_varying_shape_needs_no_list(client: Client) -> None:
    (image,) = images((3, 2))
    np.testing.assert_array_equal(client("padded", img=image)["copy"], image)


def test_empty_arrays_keep_their_type_and_shape(client: Client) -> None:
    answer = client("nothing", x=np.zeros(4, np.float32))
    forms = {name: (value.dtype, value.shape) for name, value in answer.items()}
    assert forms == {
        "boxes": (np.float32, (0, 4)),
        "mask": (np.uint8, (3, 0)),
        "ids": (np.int64, (0,)),
        "words": (object, (0,)),
    }
    answers = client("nothing", x=np.zeros((3, 4), np.float32))
    assert [(boxes.dtype, boxes.shape) for boxes in answers["boxes"]] == [(np.float32, (0, 4))] * 3


def test_a_value_beside_a_batch_goes_to_each_item(client: Client) -> None:
    sent = images((1, 2), (2, 1))
    assert len(client("padded", img=sent, note="for both")["copy"]) == 2


def test_differing_shapes_without_a_companion_travel_alone(client: Client) -> None:
    rows = [[1.0, 2.0], [3.0], [4.0], [5.0, 6.0, 7.0]]
    assert client("sum_batched", x=rows)["total"] == [3, 3, 4, 18]


def test_a_model_without_a_batch_axis_gets_one_request_per_item(client: Client) -> None:
    assert client("sum", x=[1, 2, 3])["total"] == 6
    assert client("sum", x=[[1, 2, 3], [4]])["total"] == [6, 4]


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        ("echo", {"data": b"bad"}, ["echo.toml:6 [echo] item 0: not wanted"]),
        ("echo", {"data": [b"good", b"bad"]}, ["item 1: not wanted"]),
        ("echo", {"data": [b"good"] * 10 + [b"bad"]}, ["items 8 to 10 of the batch", "item 2: not wanted"]),
        ("double", {"x": [1, 2, 3]}, ["'x'", "'double'", "FP32 [4]", "shape [3]"]),
        ("double", {"x": "text"}, ["FP32 [4]", "'text'"]),
        ("double", {"x": ["a", "b", "c", "d"]}, ["FP32 [4]", "'a'"]),
        ("double", {}, ["needs the input 'x'"]),
        ("double", {"y": [1, 2, 3, 4]}, ["no input 'y'", "'x' (FP32 [4])"]),
        ("padded", {"img": np.zeros((2, 2, 4), np.uint8)}, ["UINT8 [-1,-1,3]", "[2,2,4]"]),
        ("padded", {"img": np.full((2, 2, 3), 0.5)}, ["float64", "would change"]),
        ("padded", {"img": np.full((2, 2, 3), 256)}, ["would change"]),
        ("echo", {"data": 3}, ["BYTES [1]", "int 3"]),
        ("echo", {"data": np.zeros((2, 2, 3), np.uint8)}, ["array uint8[2,2,3]", "content of a file"]),
        ("echo", {"data": [np.zeros(3)]}, ["array float64[3]", "content of a file"]),
        ("double", {"x": []}, ["shape [0]"]),
        ("echo", {"data": []}, ["no length"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_400(
    client: Client, model: str, inputs: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(RequestError) as caught:
        client.infer(model, inputs)
    assert caught.value.status == 400
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    "tensors",
    [
        {"x": np.zeros((1, 5), np.float32)},
        {"x": np.zeros((1, 4), np.int32)},
        {"x": np.zeros((9, 4), np.float32)},
        {"x": np.zeros((1, 4, 1), np.float32)},
        {"z": np.zeros((1, 4), np.float32)},
        {},
    ],
)
def test_the_server_itself_refuses_raw_tensors_that_do_not_fit(
    client: Client, tensors: dict[str, np.ndarray]
) -> None:
    with pytest.raises(RequestError) as caught:
        client.send("double", tensors)
    assert caught.value.status == 400
    assert "id_unknown" not in caught.value.message


def test_raw_tensors_keep_their_batch_axis_and_companions(client: Client) -> None:
    (image,) = images((2, 2))
    shape = np.array([[2, 2, 3]], np.int32)
    answer = client.send("padded", {"img": image[np.newaxis], "img_shape": shape})
    assert answer["copy"].shape == (1, 2, 2, 3)
    assert answer["mean_tag"].tolist() == [[7]]
    assert answer["even_valid"].dtype == np.bool_


def test_an_unknown_model_is_404(client: Client) -> None:
    with pytest.raises(RequestError) as caught:
        client("no_such_model", x=1)
    assert caught.value.status == 404


@pytest.mark.parametrize("scheme", ["http://", "grpc://", ""])
def test_nobody_listening_has_no_status(scheme: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with Client(scheme + address) as client, pytest.raises(RequestError) as caught:
            client("double", x=[1, 2, 3, 4])
    assert caught.value.status is None
    assert address in caught.value.message


@pytest.mark.parametrize("url", ["", "ftp://host:1", "http://", "/tmp/socket"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with Client(url) as client, pytest.raises(ValueError, match="not a server's address"):
        client.ready()


def test_a_bare_address_is_asked_what_it_speaks(server: TritonServer) -> None:
    for url, scheme in ((server.http_url, "http"), (server.grpc_url, "grpc")):
        with Client(url.partition("://")[2]) as client:
            assert client.scheme == scheme
            assert client.ready()


def test_many_threads_share_a_client_and_each_gets_its_own_answer(client: Client) -> None:
    wrong: list[str] = []

    def ask(thread: int) -> None:
        for turn in range(5):
            text = f"{thread}/{turn}"
            if client("echo", data=text)["result"] != text.encode():
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_the_server_says_of_its_models_is_the_same_over_both_protocols(server: TritonServer) -> None:
    with Client(server.http_url) as http, Client(server.grpc_url) as grpc:
        assert sorted(http.models(), key=str) == sorted(grpc.models(), key=str)
        assert {model["state"] for model in http.models()} == {"READY"}
        for model in ("padded", "sum", "quadruple"):
            assert http.spec(model) == grpc.spec(model)
            assert http.model_config(model)["max_batch_size"] == grpc.model_config(model).get(
                "max_batch_size", 0
            )
        assert http.model_metadata("padded")["inputs"] == grpc.model_metadata("padded")["inputs"]
        ours, theirs = (c.statistics("double")[0]["inference_stats"]["success"] for c in (http, grpc))
        assert ours == theirs
        assert isinstance(theirs["count"], int)


def test_the_isolated_server_has_no_tpgen(server: TritonServer) -> None:
    with Client(server.http_url) as client:
        found, prefix = client("probe", data="")["result"]
    assert found == b"no tpgen"
    assert b"environments" in prefix
