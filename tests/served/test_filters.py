"""Filters decide item by item, also inside one dynamic batch of a real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
import pytest

import examples
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer

pytestmark = pytest.mark.triton


def picture(kind: int) -> bytes:
    """Every third one a JPEG, a PNG, or neither."""
    photo = examples.photo(kind, 64 + kind, 48)
    if kind % 3 == 0:
        return photo
    return cv2.imencode(".png", decoded(photo))[1].tobytes() if kind % 3 == 1 else b"neither"


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def thumbnail(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.resize(decoded(data), (48, 32)), cv2.COLOR_BGR2RGB)


def test_each_item_takes_its_own_decoder(client: Client) -> None:
    def ask(kind: int) -> object:
        try:
            return client.infer("fallback", {"data": picture(kind)})["result"]
        except RequestError as problem:
            return problem

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(60)))
    for kind, answer in enumerate(answers):
        if kind % 3 == 2:
            assert isinstance(answer, RequestError)
            assert "[any_format] item 0: not a decodable image" in str(answer)
        else:
            assert np.array_equal(answer, thumbnail(picture(kind))), kind


@pytest.mark.parametrize("fuse", ["server", "unfused_server"])
def test_answers_say_which_colour_order_they_have(fuse: str, request: pytest.FixtureRequest) -> None:
    """JPEGs and PNGs of several sizes, in requests of one and of several items."""
    running: TritonServer = request.getfixturevalue(fuse)
    kinds = [kind for kind in range(30) if kind % 3 < 2]
    parts = [kinds[:1], kinds[1:3], kinds[3:10], kinds[10:17], *([kind] for kind in kinds[17:])]
    requests = [{"data": [picture(kind) for kind in part]} for part in parts]
    with Client(running.http_url) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(partial(client.infer, "varying"), requests))
    for part, answer in zip(parts, answers, strict=True):
        for position, kind in enumerate(part):
            image, is_jpeg = decoded(picture(kind)), kind % 3 == 0
            assert answer["original_tag"][position] == (b"HWC rgb" if is_jpeg else b"HWC bgr")
            assert np.array_equal(answer["original"][position], image[:, :, ::-1] if is_jpeg else image)
            assert np.array_equal(answer["planes"][position], image[:, :, ::-1].transpose(2, 0, 1))
