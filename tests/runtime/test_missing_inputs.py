"""Requests without a tensor that the stage needs: the server only counts, so the stage has to look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fake_triton import Server, TritonError
from tpgen.driver import BuildOptions, build
from tpgen.services.wire import encode

PIPELINE = """
[pipeline]
outputs = ["result"]

[pipeline.inputs]
data = "float32[N,2]"
other = "int64[]"
small = "string"

[first]
backend = "Sequential[Identity,Copy[other:kept]]"
next = "second"

[second]
backend = "Identity"
filter = "IsKeyExistFilter"
key = "small"
"""
DATA = np.ones((1, 3, 2), np.float32)
OTHER = np.ones((1, 1), np.int64)
SMALL = np.array([[b"1"]], object)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("missing")
    (folder / "missing.toml").write_text(PIPELINE)
    build(folder / "missing.toml", folder / "repository", BuildOptions(cores=1))
    return folder / "repository"


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ({"data_count": np.full((1, 1), 3, np.int32), "other": OTHER}, "data"),
        ({"data": DATA, "data_count": np.full((1, 1), 3, np.int32)}, "other"),
        ({"data": DATA, "small": SMALL}, "other"),
        ({"small": SMALL, "small_valid": np.ones((1, 1), bool)}, "data"),
    ],
)
def test_a_required_input_that_is_missing_is_named(
    repository: Path, sent: dict[str, np.ndarray], missing: str
) -> None:
    good = {"data": DATA, "other": OTHER}
    with Server(repository) as server:
        found, beside = server.infer("missing", [sent, good])
    assert isinstance(found, TritonError)
    assert found.message() == f"missing: input '{missing}' is missing"
    assert found.code() == TritonError.INVALID_ARG
    assert isinstance(beside, dict)
    assert np.array_equal(beside["result"], DATA)


def test_none_in_a_batch_is_an_item_without_the_optional_input(repository: Path) -> None:
    data = np.arange(18, dtype=np.float32).reshape(3, 3, 2)
    with Server(repository) as server:
        spec = server.models["missing"].spec
        values = {"data": data, "other": np.int64(1), "small": [None, "1", None]}
        _, (request,) = encode(spec, values)
        (found,) = server.infer("missing", [request.tensors])
    assert request.tensors["small_valid"].tolist() == [[False], [True], [False]]
    assert isinstance(found, dict)
    assert np.array_equal(found["result"], data)
