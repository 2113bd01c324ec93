"""What the two examples that read pages get right, served. TPGEN_PAGES is how many pages each reads (40)."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

import examples
from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client
from tpgen.services.server import TritonServer

PAGES = int(os.environ.get("TPGEN_PAGES", "40"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    directory = tmp_path_factory.mktemp("pages") / "repository"
    build([examples.pipeline("detect_classify"), examples.pipeline("ocr")], directory, BuildOptions(cores=2))
    with TritonServer(directory) as running:
        yield running


def test_digits_of_pages(server: TritonServer) -> None:
    """0 to 40 digits on each page, read in order."""
    pages = [examples.script("detect_classify", "pages").make_page(seed) for seed in range(PAGES)]
    with Client(server.grpc_url) as client, ThreadPoolExecutor(8) as pool:
        read = [
            answer["result"].decode()
            for answer in pool.map(lambda page: client("detect_classify", data=page.image), pages)
        ]
    pairs = zip(read, (page.text for page in pages), strict=True)
    assert examples.script("detect_classify", "reference").share_right(pairs) >= 0.97


def test_words_of_pages(server: TritonServer) -> None:
    """The words that were found nearest to each that was written, whatever the order they were found in."""
    reference = examples.script("ocr", "reference")
    pages = [examples.script("ocr", "pages").make_page(seed) for seed in range(PAGES)]
    with Client(server.grpc_url) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda page: client("ocr", data=page.image), pages))
    wrong = characters = 0
    for page, answer in zip(pages, answers, strict=True):
        found = [text.decode() for text in answer["result"]]
        for word in page.words:
            wrong += min((reference.edit_distance(one, word.text) for one in found), default=len(word.text))
            characters += len(word.text)
    assert 1 - wrong / characters >= 0.95


def padding_figures(server: TritonServer) -> dict[tuple[str, str], int]:
    """The counters of the OCR's nodes, by figure and node."""
    with urllib.request.urlopen(server.metrics_url) as reply:
        text = reply.read().decode()
    pattern = r'tpgen_node_(\w+)_total\{node="(\w+)",pipeline="ocr"\} (\S+)'
    return {(name, node): int(float(value)) for name, node, value in re.findall(pattern, text)}


def test_padding_is_counted(server: TritonServer) -> None:
    page = examples.script("ocr", "pages").make_page(3)
    height, width = cv2.imdecode(np.frombuffer(page.image, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    scale = min(640 / height, 640 / width)
    fitted = round(height * scale) * round(width * scale)
    time.sleep(1.5)  # what was sent before is published
    before = padding_figures(server)
    with Client(server.grpc_url) as client:
        words = len(client("ocr", data=page.image)["result"])

    def grown(name: str, node: str) -> int:
        return padding_figures(server).get((name, node), 0) - before.get((name, node), 0)

    deadline = time.monotonic() + 30
    while grown("model_rows", "recogniser") < words and time.monotonic() < deadline:
        time.sleep(0.2)
    assert words > 1
    assert grown("image_pixels", "page") == 640 * 640
    assert grown("padding_pixels", "page") == 640 * 640 - fitted
    assert grown("image_pixels", "word") == words * 32 * 128
    assert 0 < grown("padding_pixels", "word") < words * 32 * 128
    assert grown("image_pixels", "recogniser") % (32 * 32) == 0
    assert 0 < grown("padding_pixels", "recogniser") < words * 32 * 32
    assert (grown("model_rows", "detector"), grown("model_rows", "recogniser")) == (1, words)
    assert grown("padding_rows", "recogniser") == 0
    assert ("padding_rows", "recogniser") in padding_figures(server)
    assert not {node for name, node in before if name == "image_pixels"} - {"page", "word", "recogniser"}
