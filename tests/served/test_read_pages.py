"""What the two examples that read pages get right, served. TPGEN_PAGES is how many pages each reads (40)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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
