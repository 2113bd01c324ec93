"""The hand-written ways to read pages, in benchmarks/peers: they give the answers of the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples import EXAMPLES, ROOT, script
from tpgen.services.client import Client
from tpgen.services.server import TritonServer

PEERS = ROOT / "benchmarks" / "peers"
NETWORK = EXAMPLES / "digits" / "digits.onnx"
pages, reference = script("detect_classify", "pages"), script("detect_classify", "reference")
PAGES = [pages.make_page(seed, count) for seed, count in enumerate((0, 1, 40), start=4)]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    read = reference.reader()
    return [read(page.image)[0] for page in PAGES]


def test_the_loop_reads_what_the_reference_reads(texts: list[str], tmp_path: Path) -> None:
    for number, page in enumerate(PAGES):
        (tmp_path / f"{number}.jpg").write_bytes(page.image)
    answer = tmp_path / "texts.json"
    command = [
        sys.executable,
        str(PEERS / "pages_loop.py"),
        str(NETWORK),
        str(tmp_path),
        "--texts",
        str(answer),
    ]
    subprocess.run(command, check=True)
    assert json.loads(answer.read_text()) == texts


@pytest.mark.triton
def test_the_server_reads_what_the_reference_reads(texts: list[str], tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(PEERS / "handwritten_bls", repository)
    shutil.copy(NETWORK, repository / "classify" / "1" / "model.onnx")
    with TritonServer(repository) as server, Client(server.grpc_url) as client:
        answers = [client.infer("read", {"image": page.image})["text"] for page in PAGES]
        with pytest.raises(Exception, match="not a decodable image"):
            client.infer("read", {"image": b"no picture"})
    assert [answer.decode() for answer in answers] == texts
