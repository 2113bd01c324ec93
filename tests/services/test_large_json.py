"""A large JSON request does not take the server down."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

import examples
from tpgen.driver import build
from tpgen.services.server import TritonServer

pytestmark = pytest.mark.triton
TEXT = "x" * 20_000_000


def test_twenty_megabytes_of_json_are_answered(tmp_path: Path) -> None:
    build(examples.pipeline("hello"), tmp_path / "models")
    body = {"inputs": [{"name": "data", "datatype": "BYTES", "shape": [1, 1], "data": [TEXT]}]}
    with TritonServer(tmp_path / "models") as server:
        url = f"{server.http_url}/v2/models/hello/infer"
        with urllib.request.urlopen(url, json.dumps(body).encode()) as reply:
            assert json.load(reply)["outputs"][0]["data"] == [TEXT]
