"""What clients send by mistake: a 4xx that names the node or input, or the documented right answer."""

from __future__ import annotations

import io
import json
import struct
import urllib.error
import urllib.request
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

import examples
from tpgen.driver import Compiled
from tpgen.runner.interpreter import Interpreter
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer

pytestmark = pytest.mark.triton


def encoded(mode: str, format_: str, **options: object) -> bytes:
    rng = np.random.default_rng(0)
    size = (60, 80, len(mode)) if len(mode) in (3, 4) else (60, 80)
    array = rng.integers(0, 256, size).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, format_, **options)
    return buffer.getvalue()


def png_16_bit() -> bytes:
    image = np.random.default_rng(0).integers(0, 65536, (60, 80, 3)).astype(np.uint16)
    return cv2.imencode(".png", image)[1].tobytes()


def exif_rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(io.BytesIO(examples.photo(1, 320, 200)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


def png_bomb() -> bytes:
    """A tiny PNG whose header says 30000 × 30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


REFUSED = {
    "empty": b"",
    "text": b"this is no image",
    "truncated": examples.photo(1)[:20_000],
    "header only": examples.photo(1)[:200],
    "png bomb": png_bomb(),
}
ANSWERED = {
    "grey jpeg": encoded("L", "JPEG"),
    "grey png": encoded("L", "PNG"),
    "rgba png": encoded("RGBA", "PNG"),
    "16-bit png": png_16_bit(),
    "exif rotated": exif_rotated(),
    "webp": encoded("RGB", "WEBP", lossless=True),
    "one pixel": cv2.imencode(".png", np.full((1, 1, 3), 9, np.uint8))[1].tobytes(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_undecodable_image_is_a_400_that_names_the_node(client: Client, what: str) -> None:
    with pytest.raises(RequestError, match=r"\[cpu_decoder\] item 0: ") as raised:
        client("resnet50", data=REFUSED[what])
    assert raised.value.status == 400
    assert client("resnet50", data=examples.photo(1))["result"].shape == (1000,)


@pytest.mark.parametrize("what", [*ANSWERED, "cmyk jpeg"])
def test_an_unusual_image_is_answered_as_the_reference_does(
    client: Client, resnet: tuple[Compiled, Interpreter], what: str
) -> None:
    compiled, interpreter = resnet
    data = encoded("CMYK", "JPEG") if what == "cmyk jpeg" else ANSWERED[what]
    (outcome,) = interpreter.run(compiled.reference.entries[0], [{"data": data}])
    if isinstance(outcome, Exception):
        with pytest.raises(RequestError, match=r"\[cpu_decoder\]"):
            client("resnet50", data=data)
    else:
        np.testing.assert_allclose(client("resnet50", data=data)["result"], outcome["result"], atol=1e-3)


def test_exif_orientation_is_applied(resnet: tuple[Compiled, Interpreter], client: Client) -> None:
    upright = cv2.imdecode(np.frombuffer(exif_rotated(), np.uint8), cv2.IMREAD_COLOR)
    assert upright.shape[:2] == (320, 200)
    as_png = cv2.imencode(".png", upright)[1].tobytes()
    rotated, plain = client("resnet50", data=[exif_rotated(), as_png])["result"]
    np.testing.assert_allclose(rotated, plain, atol=1e-3)


def post(server: TritonServer, body: dict[str, object]) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{server.http_url}/v2/models/two_inputs/infer", json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tensor(name: str, shape: list[int], datatype: str = "FP32") -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": [1] * int(np.prod(shape))}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([tensor("left", [1, 16])], "right"),
        ([tensor("left", [1, 16]), tensor("right", [1, 16], "FP64")], "right"),
        ([tensor("left", [1, 16]), tensor("right", [1, 4, 4])], "right"),
        ([tensor("left", [1, 16]), tensor("right", [1, 17])], "right"),
        ([tensor("left", [1, 16]), tensor("wrong", [1, 16])], "wrong"),
        ([tensor("left", [17, 16]), tensor("right", [17, 16])], "batch-size must be <= 16"),
    ],
    ids=["missing", "dtype", "rank", "shape", "name", "batch"],
)
def test_wrong_tensors_are_refused_by_name(
    server: TritonServer, inputs: list[dict[str, object]], said: str
) -> None:
    status, text = post(server, {"inputs": inputs})
    assert status == 400
    assert said in text
    good = [tensor("left", [1, 16]), tensor("right", [1, 16])]
    assert post(server, {"inputs": good})[0] == 200
