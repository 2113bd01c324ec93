"""A value that a model refuses fails its own item, however the batch was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from all_ways import lay_out
from engines.onnx_build import model, node, save, tensor
from fake_triton import Server, TritonError
from random_pipelines import read_pipeline
from tpgen.driver import load_interpreter
from tpgen.runner.interpreter import ItemError

PIPELINE = """
[pipeline]
name = "rows"
inputs = {{data = "int64[2]"}}
max_batch = 8
[lookup]
backend = "TensorrtTensor"
model = "lookup.onnx"
{sizes}
"""


@pytest.mark.parametrize("sizes", ["max = 8", "max = 3", "min = 4\nmax = 4", 'min = "1&4"\nmax = "1&4"'])
def test_one_row_that_the_model_refuses(sizes: str, tmp_path: Path) -> None:
    table = np.arange(10, dtype=np.float32)
    lookup = [node("Gather", "table rows", "found")]
    outputs = [tensor("found", ["N", 2])]
    rows = tensor("rows", ["N", 2], onnx.TensorProto.INT64)
    save(model(lookup, [rows], outputs, {"table": table}), tmp_path / "lookup.onnx")
    made = read_pipeline(PIPELINE.format(sizes=sizes), tmp_path, "rows")
    items = [{"data": np.array([n, 99 if n in (2, 5) else 1])} for n in range(8)]
    (entry,) = made.compiled.graph.entries
    for position, found in enumerate(load_interpreter(made.compiled).run(entry, items)):
        assert isinstance(found, ItemError) is (position in (2, 5))
    lay_out(made.compiled, tmp_path / "repository")
    with Server(tmp_path / "repository") as server:
        answers = server.infer("rows", [{"data": item["data"][np.newaxis]} for item in items])
    for position, answer in enumerate(answers):
        assert isinstance(answer, TritonError) is (position in (2, 5)), (position, answer)
        if not isinstance(answer, TritonError):
            np.testing.assert_array_equal(answer["result"][0], [position, 1])
