"""The configuration of an ONNX model beside the file: names, types, shapes, the batch dimension."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from lint_repositories import config, tensors, write_files
from tpgen.emit.lint import lint_repository

_FLOAT = TensorProto.FLOAT


def model(shape: list[int | str]) -> bytes:
    """From `data` to `score`, of the same shape."""
    ends = [helper.make_tensor_value_info(name, _FLOAT, shape) for name in ("data", "score")]
    graph = helper.make_graph([helper.make_node("Relu", ["data"], ["score"])], "g", ends[:1], ends[1:])
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(built)
    data: bytes = built.SerializeToString()
    return data


def messages(root: Path, shape: list[int | str], **parts: str) -> list[str]:
    """What the lint says about a configuration of that model."""
    ends = {
        "input": tensors("input", "data data_type: TYPE_FP32 dims: [3,8]"),
        "output": tensors("output", "score data_type: TYPE_FP32 dims: [3,8]"),
    }
    text = config(backend='backend: "onnxruntime"', **{**ends, **parts})
    write_files(root / "m", "m", {"config.pbtxt": text, "1/model.onnx": model(shape)})
    findings = lint_repository(root)
    assert {finding.code for finding in findings} <= {"TP830"}
    assert all(finding.span is not None for finding in findings)
    return [f"{finding.message} | {finding.hint}" for finding in findings]


def _data(more: str) -> str:
    return tensors("input", f"data {more}")


def _score(more: str) -> str:
    return tensors("output", f"score {more}")


def test_a_configuration_that_fits(tmp_path: Path) -> None:
    assert messages(tmp_path, ["n", 3, 8]) == []
    assert messages(tmp_path, ["n", 3, "w"]) == [], "a size that the file leaves open may be fixed"


def test_tensors_that_the_file_lacks(tmp_path: Path) -> None:
    wrong = tensors("input", "dato data_type: TYPE_FP32 dims: [3,8]")
    assert messages(tmp_path, ["n", 3, 8], input=wrong) == [
        "1/model.onnx of 'm' has no input 'dato' | did you mean 'data'?"
    ]


@pytest.mark.parametrize(
    ("shape", "parts", "message"),
    [
        (
            ["n", 3, 8],
            {"input": _data("data_type: TYPE_FP16 dims: [3,8]")},
            "input 'data' is TYPE_FP16, and TYPE_FP32 in 1/model.onnx | write TYPE_FP32",
        ),
        (
            ["n", 3, 8],
            {"input": _data("data_type: TYPE_FP32 dims: [1,3,8]")},
            (
                "input 'data' is [-1,1,3,8] with its batch dimension, and [-1,3,8] in 1/model.onnx | "
                "write dims: [3,8]"
            ),
        ),
        (
            ["n", 3, 8],
            {"output": _score("data_type: TYPE_FP32 dims: [3,-1]")},
            (
                "output 'score' is [-1,3,-1] with its batch dimension, and [-1,3,8] in 1/model.onnx | "
                "write dims: [3,8]"
            ),
        ),
        (
            ["n", 3, 8],
            {"input": _data("data_type: TYPE_FP32 dims: [24] reshape { shape: [3,8] }")},
            "",
        ),
    ],
)
def test_types_and_dims(shape: list[int | str], parts: dict[str, str], message: str, tmp_path: Path) -> None:
    assert messages(tmp_path, shape, **parts) == ([message] if message else [])


def test_a_batch_dimension_that_is_fixed(tmp_path: Path) -> None:
    found = messages(tmp_path, [1, 3, 8])
    assert len(found) == 2 and "has the fixed batch 1" in found[0], "the input and the output"
    whole = "data_type: TYPE_FP32 dims: [1,3,8]"
    parts = {"batch": "max_batch_size: 0", "batching": "", "input": _data(whole), "output": _score(whole)}
    assert messages(tmp_path, [1, 3, 8], **parts) == []


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    text = config(backend='backend: "onnxruntime"')
    write_files(tmp_path / "m", "m", {"config.pbtxt": text, "1/model.onnx": "no model"})
    (finding,) = lint_repository(tmp_path)
    assert finding.code == "TP838" and str(finding.file).endswith("1/model.onnx")


def test_what_the_backend_fills_in_may_be_left_out(tmp_path: Path) -> None:
    """ONNX Runtime reads inputs and outputs from the file, and adds dynamic batching."""
    assert messages(tmp_path, ["n", 3, 8], input="", output="", batching="") == []
    assert messages(tmp_path, ["n", 3, 8], input='input [{ name: "data" }]') == []
