"""``(Run)`` in front of an operator: it runs on the ``data`` that stands, with a ``result`` or without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tpgen.driver import BuildOptions, check, pipe, reference
from tpgen.runner.interpreter import ItemError
from tpgen.services.compare import compare_values

OPS = """
import numpy as np
from tpgen_runtime import Tensor, op

IMAGE = Tensor("uint8", [8, 8, 3], color="bgr", layout="HWC")

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def negative(data):
    return 255 - data

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def dark(data):
    return None if data.mean() > 128 else data // 2

@op(inputs={"data": IMAGE}, outputs={"result": Tensor("int32", [])}, batch=True)
def corners(data):
    return [None if image[0, 0, 0] % 2 else np.int32(image[0, 0, 0]) for image in data]

@op(inputs={"data": IMAGE}, outputs={"result": Tensor("int32", [])})
def green(data):
    return np.int32(data[0, 0, 1])

@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("int32", [])})
def length(data):
    return np.int32(len(data))
"""
DECLARED = '[pipeline.inputs]\ndata = "uint8[8,8,3] bgr"\n'
SHRUNK = "resize_h = 4\nresize_w = 5\n"
IMAGES = {
    "behind a forward that ends a node": DECLARED
    + f'[a]\nbackend = "S[ResizeMat,SyncTensor]"\n{SHRUNK}next = "b"\n[b]\nbackend = "(Run)FloatMat"\n',
    "a colour change that could be folded": DECLARED
    + '[a]\nbackend = "S[Python[run_ops:negative],(Run)cvtColorMat,Mat2Tensor]"\ncolor = "rgb"\nnext = "n"\n'
    + '[n]\nbackend = "TensorrtTensor"\nmodel = "mean.onnx"\nmean = "1, 2, 3"\nmax = 4\n',
    "behind an operator that declines": DECLARED
    + '[a]\nbackend = "S[Python[run_ops:dark],(Run)Python[run_ops:green]]"\n',
    "on lists, then a swap": DECLARED
    + '[a]\nbackend = "S[Python[run_ops:dark],(Run)Python[run_ops:corners],Identity]"\n',
    "first of a node, and declining behind a result": DECLARED
    + '[a]\nbackend = "Python[run_ops:negative]"\nnext = "b"\n'
    + '[b]\nbackend = "S[(Run)Python[run_ops:dark],Python[run_ops:dark]]"\n',
    "in the node behind the end of the item": DECLARED
    + '[a]\nbackend = "S[Python[run_ops:dark],FloatMat]"\nnext = "b"\n'
    + '[b]\nbackend = "(Run)Python[run_ops:green]"\n',
    "behind the end of the item": DECLARED
    + '[a]\nbackend = "S[Python[run_ops:dark],Identity,(Run)Python[run_ops:green]]"\n',
}


def _write(folder: Path, text: str) -> Path:
    (folder / "run_ops.py").write_text(OPS)
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, *rest])
        for name, rest in (("x", (8, 8)), ("y", (1, 1)))
    ]
    pool = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    graph = helper.make_graph([pool], "mean", shapes[:1], shapes[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "mean.onnx")
    path = folder / "run.toml"
    path.write_text(text)
    return path


def _compare(path: Path, items: list[dict[str, Any]]) -> list[Any]:
    """Assert that the generated stage answers each item as the reference does; returns the results."""
    compiled, interpreter = reference(path)
    (entry,) = compiled.reference.entries
    wanted = interpreter.run(entry, items)
    with pipe(path) as run:
        for item, outcome in zip(items, wanted, strict=True):
            answer = dict(item)
            if isinstance(outcome, ItemError):
                with pytest.raises(ItemError):
                    run(answer)
                continue
            run(answer)
            assert compare_values(answer.get("result"), outcome.get("result"), None).equal
    return [None if isinstance(outcome, ItemError) else outcome.get("result") for outcome in wanted]


@pytest.mark.parametrize("text", IMAGES.values(), ids=IMAGES)
def test_run_reads_the_data_that_stands(tmp_path: Path, text: str) -> None:
    rng = np.random.default_rng(5)
    items = [
        {"data": rng.integers(low, low + 100, (8, 8, 3)).astype(np.uint8)}
        for low in (0, 10, 20, 130, 140, 150, 155)
    ]
    results = _compare(_write(tmp_path, text), items)
    assert any(result is not None for result in results)


def test_run_goes_on_with_items_that_failed(tmp_path: Path) -> None:
    path = _write(tmp_path, '[a]\nbackend = "S[DecodeMat,(Run)Python[run_ops:length]]"\n')
    assert _compare(path, [{"data": b"no image"}]) == [8]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DecodeMat", "(Run)Python[run_ops:length]"),
        ("S[Python[run_ops:dark],FloatMat]", "(Run)Python[run_ops:green]"),
        ("DecodeMat", "(Run)CreateTensor(shape=2)"),  # nothing of what the first node writes is read
    ],
)
def test_one_model_per_node_takes_such_a_node_into_the_one_before(
    tmp_path: Path, first: str, second: str
) -> None:
    path = _write(tmp_path, f'[a]\nbackend = "{first}"\nnext = "b"\n[b]\nbackend = "{second}"\n')
    (compiled,) = check(path, BuildOptions(fuse="none")).compiled
    (stage,) = compiled.graph.stages
    assert stage.nodes == ("a", "b")
    assert "'b' also takes items that failed" in stage.why
