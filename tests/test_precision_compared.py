"""What of a converted model's answers is compared with the original's: what the operators behind it read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, build, compile_pipeline
from tpgen.driver.decisive import decisive_parts
from tpgen.ir.decisive import Boxes, Classes, Decisive
from tpgen.services.engines import find_engines

GPU = BuildOptions(target="gpu", cores=2)
BOXES, HALF = 100, 10


def _detector(folder: Path, elem_type: int) -> None:
    """Answers ``[84,100]``: boxes that depend on the image a little, and one class for half of them."""
    random = np.random.default_rng(0)
    answer = np.zeros((84, BOXES), np.float32)
    answer[:4] = random.uniform(10, 630, (4, BOXES))
    answer[4:] = random.uniform(0, 0.02, (80, BOXES))
    answer[4 + random.integers(80, size=BOXES // 2), np.arange(BOXES // 2)] = 0.9
    nodes = [
        node("GlobalAveragePool", "image", "mean"),
        node("ReduceSum", "mean all", "sum", keepdims=0),
        node("Mul", "sum little", "offset"),
        node("Reshape", "offset column", "offsets"),
        node("Add", "offsets boxes", "sharp" if elem_type == HALF else "answer"),
    ]
    if elem_type == HALF:
        nodes.append(node("Cast", "sharp", "answer", to=HALF))
    constants = {
        "all": np.array([1, 2, 3]),
        "little": np.float32(1e-4),
        "column": np.array([-1, 1, 1]),
        "boxes": answer,
    }
    outputs = [tensor("answer", ["N", 84, BOXES], elem_type)]
    save(model(nodes, [tensor("image", ["N", 3, 8, 8])], outputs, constants), folder / "m.onnx")


def _classifier(folder: Path, elem_type: int) -> None:
    """Answers ``[5]``."""
    weights = np.random.default_rng(0).normal(size=(192, 5)).astype(np.float32)
    nodes = [node("Flatten", "image", "flat"), node("MatMul", "flat w", "sharp"), node("Relu", "sharp", "r")]
    nodes.append(
        node("Cast", "r", "answer", to=HALF) if elem_type == HALF else node("Identity", "r", "answer")
    )
    outputs = [tensor("answer", ["N", 5], elem_type)]
    save(model(nodes, [tensor("image", ["N", 3, 8, 8])], outputs, {"w": weights}), folder / "m.onnx")


def _written(folder: Path, behind: str) -> Path:
    (folder / "samples").mkdir()
    random = np.random.default_rng(1)
    for number in range(8):
        np.save(folder / "samples" / f"{number}.npy", random.normal(size=(3, 8, 8)).astype(np.float32))
    path = folder / "pipeline.toml"
    path.write_text(
        '[pipeline]\ninputs = {data = "float32[3,8,8] rgb"}\n'
        f'[a]\nbackend = "Sequential[TensorrtTensor,{behind}]"\nmodel = "m.onnx"\n'
        'precision = "fp16"\ncalibrate_input = "samples"\nmax = 4\n'
    )
    return path


YOLO = "YoloDecode(format=yolov8,max_candidates={}),NMS"


@pytest.mark.parametrize("elem_type", [1, HALF])
@pytest.mark.parametrize("candidates", [BOXES // 2, BOXES])
def test_of_a_detector_the_boxes_that_pass_are_compared(
    tmp_path: Path, elem_type: int, candidates: int
) -> None:
    """Their places in the model's answer are no classes: what half precision rounds is no loss."""
    _detector(tmp_path, elem_type)
    build(_written(tmp_path, YOLO.format(candidates)), tmp_path / "repository", GPU)
    (engine,) = find_engines(tmp_path / "repository")
    which = "classes of boxes that score 0.25"
    assert any(line.startswith(f"ok: answer: {which}: share of rows") for line in engine.report)
    assert any("of 400 rows" in line for line in engine.report)
    assert any(line.startswith("ok: answer: coordinates of boxes") for line in engine.report)


@pytest.mark.parametrize("behind", ["TopK(k=2)", "Softmax,TopK(k=2)", "ArgMax", "SoftmaxArgMaxTensor"])
@pytest.mark.parametrize("elem_type", [1, HALF])
def test_few_samples_of_a_classifier_are_compared_by_value(
    tmp_path: Path, elem_type: int, behind: str
) -> None:
    _classifier(tmp_path, elem_type)
    build(_written(tmp_path, behind), tmp_path / "repository", GPU)
    (engine,) = find_engines(tmp_path / "repository")
    (verdict,) = [line for line in engine.report if line.startswith("ok: ")]
    assert verdict.startswith(
        "ok: answer: largest difference, of the range (top-1 is not judged: 8 rows, of 200)"
    )


@pytest.mark.parametrize(
    ("behind", "part"),
    [
        ("ArgMax(axis=0)", Classes(-1)),
        ("Identity,TopK(k=2)", Classes()),
        ("CTCGreedyDecode(labels=labels.txt)", Classes()),
        ("Threshold", None),
        (YOLO.format(3), Boxes(0.25, is_columns=True)),
        ("YoloDecode(format=yolov5,score_threshold=0.5),NMS", Boxes(0.5, has_objectness=True)),
    ],
)
def test_the_operator_behind_a_model_says_what_is_compared(
    tmp_path: Path, behind: str, part: Decisive | None
) -> None:
    shape = {"CTC": [7, 5], "Yol": [84, BOXES] if "yolov8" in behind else [BOXES, 85]}.get(behind[:3], [5])
    nodes = [node("Flatten", "image", "f"), node("MatMul", "f w", "m"), node("Reshape", "m s", "answer")]
    constants = {"w": np.zeros((192, int(np.prod(shape))), np.float32), "s": np.array([-1, *shape])}
    outputs = [tensor("answer", ["N", *shape])]
    save(model(nodes, [tensor("image", ["N", 3, 8, 8])], outputs, constants), tmp_path / "m.onnx")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    bag = Bag()
    compiled = compile_pipeline(_written(tmp_path, behind), GPU, bag, tmp_path)
    assert compiled is not None, bag.diagnostics
    found = decisive_parts(compiled.reference, "a.TensorrtTensor")
    assert found == ({} if part is None else {"answer": part})


def test_a_call_that_the_pipeline_does_not_have_reads_nothing(tmp_path: Path) -> None:
    _classifier(tmp_path, 1)
    compiled = compile_pipeline(_written(tmp_path, "ArgMax"), GPU, Bag(), tmp_path)
    assert compiled is not None
    assert decisive_parts(compiled.reference, "b.TensorrtTensor") == {}
