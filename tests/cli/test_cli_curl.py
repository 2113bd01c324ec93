"""The text of curl lines; that they work is tested on a server, in test_cli_served.py."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tpgen.cli.curl import curl_line
from tpgen.services.model_spec import ModelSpec, TensorSpec


def model(*inputs: TensorSpec, batch: int = 8) -> ModelSpec:
    return ModelSpec("m", batch, {spec.name: spec for spec in inputs}, {})


def test_one_input_of_bytes_gets_a_file() -> None:
    line = curl_line("http://h:1", model(TensorSpec("data", "BYTES", (1,))))
    words = shlex.split(line)
    assert words[2] == "http://h:1/v2/models/m/infer"
    assert "@image.jpg" in words
    assert "Inference-Header-Content-Length: 0" in words


def test_small_inputs_are_json() -> None:
    line = curl_line("http://h:1", model(TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "BYTES", (1,))))
    body = json.loads(shlex.split(line)[-1])
    assert body == {
        "inputs": [
            {"name": "a", "shape": [1, 4, 2], "datatype": "FP32", "data": [0] * 8},
            {"name": "b", "shape": [1, 1], "datatype": "BYTES", "data": ["text"]},
        ]
    }


def test_optional_inputs_are_left_out() -> None:
    spec = model(TensorSpec("a", "INT32", (1,)), TensorSpec("a_count", "INT32", (1,), optional=True))
    assert [tensor["name"] for tensor in json.loads(shlex.split(curl_line("", spec))[-1])["inputs"]] == ["a"]


@pytest.mark.parametrize("batch", [0, 8])
def test_large_inputs_follow_their_header(batch: int) -> None:
    line = curl_line("http://h:1", model(TensorSpec("a", "FP16", (3, 224, 224)), batch=batch))
    header = shlex.split(line)[3]
    found = re.search(r"Inference-Header-Content-Length: (\d+)", line)
    assert found is not None
    assert int(found[1]) == len(header.rstrip(";"))
    (tensor,) = json.loads(header.rstrip(";"))["inputs"]
    assert tensor["shape"] == [1] * (batch > 0) + [3, 224, 224]
    assert tensor["parameters"]["binary_data_size"] == 2 * 3 * 224 * 224
    assert f"head -c {2 * 3 * 224 * 224} /dev/zero" in line
