"""Post-processing in a model's graph answers what the operators behind the model did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.precision import convert_precision
from tpgen.engines.precision_report import Half, PrecisionRequest
from tpgen.engines.rewrite import apply_rewrite, can_fold
from tpgen.ir.rewrite import ModelRewrite, Tail
from tpgen_runtime import ItemError, boxes, postprocess, text

OPSETS = (9, 11, 13, 17, 18, 21)
NEWER_OPSETS = (11, 13, 17, 18, 21)
FORMATS = ("yolov5", "yolox", "yolov8")


def _scores(folder: Path, dims: list[int | str], opset: int = 17) -> Path:
    """A model that answers what it gets."""
    made = model([node("Identity", "x", "scores")], [tensor("x", dims)], [tensor("scores", dims)])
    made.opset_import[0].version = opset
    save(made, folder / "scores.onnx")
    return folder / "scores.onnx"


def _run(path: Path, tail: Tail, folder: Path, values: np.ndarray) -> np.ndarray:
    apply_rewrite(path, ModelRewrite("x", tails=(tail,)), folder / "out.onnx")
    onnx.checker.check_model(str(folder / "out.onnx"), full_check=True)
    session = _session(folder / "out.onnx")
    (output,) = session.get_outputs()
    assert output.name == tail.name
    found = session.run(None, {"x": values})[0]
    assert all(size in (found.shape[i], "N", "T") for i, size in enumerate(output.shape))
    return np.asarray(found)


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


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
    path = _scores(tmp_path, ["N", 5], opset)
    _retype(path, dtype)
    found = _run(path, Tail("at_least", "mask", threshold=threshold), tmp_path, values)
    np.testing.assert_array_equal(found[0], postprocess.at_least(values[0], threshold=threshold))


@pytest.mark.parametrize("opset", OPSETS)
def test_a_softmax_and_what_follows_it(opset: int, tmp_path: Path) -> None:
    values = _values((4, 6, 5))
    path = _scores(tmp_path, ["N", "T", 5], opset)
    tails = (Tail("softmax", "softmax"), Tail("best", "best"))
    assert all(tail.opset <= opset for tail in tails)
    apply_rewrite(path, ModelRewrite("x", tails=tails), tmp_path / "out.onnx")
    (found,) = _session(tmp_path / "out.onnx").run(None, {"x": values})
    for row, item in zip(found, values, strict=True):
        best, score, _ = postprocess.softmax_arg_max(item)
        read, other, same = postprocess.softmax_arg_max(row, is_reduced=True)
        assert (read.dtype, other.dtype) == (best.dtype, score.dtype)
        np.testing.assert_array_equal(read, best)
        np.testing.assert_array_equal(same, best)
        np.testing.assert_allclose(other, score, rtol=1e-6)


@pytest.mark.parametrize("opset", NEWER_OPSETS)
@pytest.mark.parametrize(("classes", "k"), [(9, 1), (9, 9), (1000, 5), (5000, 3840)])
def test_the_best_classes(opset: int, classes: int, k: int, tmp_path: Path) -> None:
    values = _values((5, classes))  # of which most have others that are equal
    values[1], values[2], values[3, ::3], values[4, -1] = -0.0, np.inf, -np.inf, np.nan
    values[1, 1::2] = 0.0
    tail = Tail("top", "top", count=k)
    assert tail.opset <= opset
    found = _run(_scores(tmp_path, ["N", classes], opset), tail, tmp_path, values)
    whole = postprocess.TopK(k=k, labels="")
    rest = postprocess.TopK(k=k, labels="", is_reduced=True)
    for row, item in zip(found[:4], values[:4], strict=True):
        _check_equal(rest(row), whole(item))
        shuffled = np.random.default_rng(1).permutation(k)  # a backend that knows no order among equal ones
        _check_equal(rest(row[:, shuffled]), whole(item))
    for kernel, data in ((whole, values[4]), (rest, found[4])):
        with pytest.raises(ItemError, match="a score is NaN"):
            kernel(data)


def _check_equal(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> None:
    """Bit for bit, but for the sign of zero."""
    for left, right in zip(found, wanted, strict=True):
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        np.testing.assert_array_equal(left, right)


def _detections(form: str, boxes: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """The answer of a detector for one item, with ties, and now and then NaN or infinity in a row."""
    numbers = rng.normal(size=(boxes, 4)) * (1 if form == "yolox" else 99)
    scores = np.round(rng.uniform(size=(boxes, classes + (form != "yolov8"))), int(rng.integers(1, 4)))
    scores[rng.random(scores.shape) < 0.02] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.0])
    scores *= rng.choice([0.0, 0.3, 1.0])  # none above the threshold, or some; inf × 0 is NaN
    rows = np.concatenate([numbers, scores], axis=1).astype(np.float32)
    return np.ascontiguousarray(rows.T) if form == "yolov8" else rows


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize(("opset", "dtype"), [(11, "float32"), (18, "float32"), (18, "float16")])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("most", [1, 7, 84])  # of 84 boxes
def test_the_candidates_of_a_detector(opset: int, form: str, most: int, dtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(most)
    options = {"form": form, "input_h": 64, "input_w": 64, "strides": (8, 16, 32), "max_candidates": most}
    inverse = np.array([[1.7, 0.1, -3], [0.2, 0.6, 5]])
    for classes in (1, 6):
        items = [_detections(form, 84, classes, rng).astype(dtype) for _ in range(8)]
        path = _scores(tmp_path, ["N", *items[0].shape], opset)
        _retype(path, dtype)
        is_columns = form == "yolov8"
        count = most if most < 84 else None
        tail = Tail("candidates", "best", count=count, is_columns=is_columns, has_objectness=not is_columns)
        assert tail.opset <= opset
        for batch in (1, 3, 8):
            found = _run(path, tail, tmp_path, np.stack(items[:batch]))
            assert found.shape[1:] == tail.shape(items[0].shape)
            for row, item in zip(found, items, strict=False):
                for threshold in (0.0, 0.25, 0.9, 1.0):
                    settings = {**options, "score_threshold": threshold}
                    whole = boxes.decode_yolo(item, inverse, **settings)
                    shuffled = rng.permutation(row) if count else row
                    rest = boxes.decode_yolo(shuffled, inverse, **settings, is_reduced=True)
                    _check_equal(rest, whole)


def test_numbers_of_boxes_and_classes_stay_whole_in_half_precision(tmp_path: Path) -> None:
    values = np.zeros((1, 2200, 5 + 2100), np.float32)
    best = {2199: 2099, 2051: 2053, 2053: 2051}  # fp16 holds no odd numbers above 2048
    for rank, (number, class_) in enumerate(best.items()):
        values[0, number, 4], values[0, number, 5 + class_] = 1, 1 - rank / 8
    path = _scores(tmp_path, ["N", *values.shape[1:]])
    tails = (Tail("candidates", "best", count=3, has_objectness=True),)
    apply_rewrite(path, ModelRewrite("x", tails=tails), tmp_path / "out.onnx")
    done = convert_precision((tmp_path / "out.onnx").read_bytes(), PrecisionRequest("fp16"))
    (tmp_path / "half.onnx").write_bytes(done.emulated)
    (found,) = _session(tmp_path / "half.onnx").run(None, {"x": values})
    assert found[0, :, 6].tolist() == [*best]
    assert found[0, :, 5].tolist() == [*best.values()]


@pytest.mark.parametrize("half", ["fp16", "bf16"])
@pytest.mark.parametrize(("threshold", "scores"), [(0.5, [0.0, 1, -1]), (1.0, [40.0, 0, -40])])
def test_half_precision_finds_what_is_just_the_threshold(
    half: Half, threshold: float, scores: list[float], tmp_path: Path
) -> None:
    """The probability of 0 is 0.5, and that of 40 is 1 in any precision."""
    made = model([node("Sigmoid", "x", "scores")], [tensor("x", ["N", 3])], [tensor("scores", ["N", 3])])
    save(made, tmp_path / "scores.onnx")
    tails = (Tail("at_least", "mask", threshold=threshold),)
    apply_rewrite(tmp_path / "scores.onnx", ModelRewrite("x", tails=tails), tmp_path / "out.onnx")
    done = convert_precision((tmp_path / "out.onnx").read_bytes(), PrecisionRequest(half))
    (tmp_path / "half.onnx").write_bytes(done.emulated)
    (found,) = _session(tmp_path / "half.onnx").run(None, {"x": np.array([scores], np.float32)})
    assert found.tolist() == [[True, scores[1] > 0, False]]


def _retype(path: Path, dtype: str) -> None:
    """Let a model take and give another dtype."""
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    onnx.save(proto, path)


@pytest.mark.parametrize("inside", ["value", "weight", "node", "read by a branch"])
def test_the_name_of_a_tail_may_be_in_the_model_already(inside: str, tmp_path: Path) -> None:
    constants = {"best" if inside == "weight" else "w": np.array([1, -1, 2], np.float32)}
    value = "best" if inside in ("value", "read by a branch") else "v"
    nodes = [
        node("Mul", f"x {next(iter(constants))}", value, "best" if inside == "node" else "first"),
        node("Neg", value, "scores", "second"),
    ]
    if inside == "read by a branch":
        branch = onnx.helper.make_graph([node("Neg", "best", "out")], "b", [], [tensor("out", ["N", 3])])
        nodes[1:] = [node("If", "yes", "scores", then_branch=branch, else_branch=branch)]
        constants["yes"] = np.array(True)
    built = model(nodes, [tensor("x", ["N", 3])], [tensor("scores", ["N", 3])], constants)
    path = save(onnx.shape_inference.infer_shapes(built), tmp_path / "scores.onnx")
    found = _run(path, Tail("index", "best"), tmp_path, np.array([[1, 2, 3], [3, -8, 1]], np.float32))
    assert found.tolist() == [1, 2]


def test_an_input_that_is_called_as_the_tail_is_refused(tmp_path: Path) -> None:
    save(
        model([node("Relu", "best", "y")], [tensor("best", ["N", 4])], [tensor("y", ["N", 4])]),
        tmp_path / "m",
    )
    with pytest.raises(ModelError, match="has an input 'best'"):
        can_fold(tmp_path / "m", ModelRewrite("best", tails=(Tail("index", "best"),)))


def test_a_model_with_several_outputs_is_refused(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "up"), node("Neg", "x", "down")]
    outputs = [tensor("up", ["N", 4]), tensor("down", ["N", 4])]
    save(model(nodes, [tensor("x", ["N", 4])], outputs), tmp_path / "two.onnx")
    with pytest.raises(ModelError, match="2 outputs"):
        can_fold(tmp_path / "two.onnx", ModelRewrite("x", tails=(Tail("index", "best"),)))
