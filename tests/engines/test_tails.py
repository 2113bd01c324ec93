"""Post-processing in a model's graph answers what the operators behind the model did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.rewrite import apply_rewrite, can_fold
from tpgen.ir.rewrite import ModelRewrite, Tail
from tpgen_runtime import postprocess, text

OPSETS = (9, 11, 13, 17, 18, 21)


def _scores(folder: Path, dims: list[int | str], opset: int = 17) -> Path:
    """A model that answers what it gets."""
    made = model([node("Identity", "x", "scores")], [tensor("x", dims)], [tensor("scores", dims)])
    made.opset_import[0].version = opset
    save(made, folder / "scores.onnx")
    return folder / "scores.onnx"


def _run(path: Path, tail: Tail, folder: Path, values: np.ndarray) -> np.ndarray:
    apply_rewrite(path, ModelRewrite("x", tail=tail), folder / "out.onnx")
    onnx.checker.check_model(str(folder / "out.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(folder / "out.onnx", providers=["CPUExecutionProvider"])
    (output,) = session.get_outputs()
    assert output.name == tail.name
    found = session.run(None, {"x": values})[0]
    assert all(size in (found.shape[i], "N", "T") for i, size in enumerate(output.shape))
    return np.asarray(found)


def _values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Scores with ties."""
    return np.round(np.random.default_rng(seed).normal(scale=3, size=shape), 1).astype(np.float32)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_the_index_of_the_largest_element(opset: int, axis: int, tmp_path: Path) -> None:
    values = _values((3, 4, 5))
    found = _run(_scores(tmp_path, ["N", 4, 5], opset), Tail("index", "best", axis=axis), tmp_path, values)
    assert found.dtype == np.int64
    for row, item in zip(found, values, strict=True):
        np.testing.assert_array_equal(row, postprocess.arg_max(item, axis=axis))


@pytest.mark.parametrize("opset", OPSETS)
def test_the_best_class_and_its_probability(opset: int, tmp_path: Path) -> None:
    values = _values((6, 7))
    found = _run(_scores(tmp_path, ["N", 7], opset), Tail("best", "best", softmax=True), tmp_path, values)
    for row, item in zip(found, values, strict=True):
        np.testing.assert_allclose(row, postprocess.softmax_max(item), rtol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("logits", [False, True])
def test_characters_come_from_the_best_class_of_each_step(opset: int, logits: bool, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    values = _values((5, 9, 5)) if logits else np.abs(_values((5, 9, 5))) / 10
    path = _scores(tmp_path, ["N", "T", 5], opset)
    found = _run(path, Tail("best", "best", softmax=logits), tmp_path, values)
    assert found.shape == (5, 9, 2)
    options = {"labels": str(labels), "blank": 0, "space": False, "logits": logits}
    whole = text.CTCGreedyDecode(**options, classes=5)
    rest = text.CTCGreedyDecode(**options, classes=None, is_reduced=True)
    for row, item in zip(found, values, strict=True):
        (wanted, score), (read, other) = whole(item), rest(row)
        assert read == wanted
        np.testing.assert_allclose(other, score, rtol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("threshold", [0.5, 0.1, 0.0, -0.3, 1e-3])
def test_what_is_at_least_the_threshold(opset: int, dtype: str, threshold: float, tmp_path: Path) -> None:
    near = np.array(threshold, dtype)
    around = [np.nextafter(near, near.dtype.type(-9)), near, np.nextafter(near, near.dtype.type(9)), np.nan]
    values = np.array([[*around, threshold]], dtype)
    kind = {"float32": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16}
    number = kind.get(dtype, onnx.TensorProto.DOUBLE)
    path = _scores(tmp_path, ["N", 5], opset)
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = number
    onnx.save(proto, path)
    found = _run(path, Tail("at_least", "mask", threshold=threshold), tmp_path, values)
    np.testing.assert_array_equal(found[0], postprocess.at_least(values[0], threshold=threshold))


def test_a_model_with_several_outputs_is_refused(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "up"), node("Neg", "x", "down")]
    outputs = [tensor("up", ["N", 4]), tensor("down", ["N", 4])]
    save(model(nodes, [tensor("x", ["N", 4])], outputs), tmp_path / "two.onnx")
    with pytest.raises(ModelError, match="2 outputs"):
        can_fold(tmp_path / "two.onnx", ModelRewrite("x", tail=Tail("index", "best")))
