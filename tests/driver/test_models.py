"""Model files as the driver sees them: external weights, models without a batch axis, named files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check, pipe, reference

TOML = '[net]\nbackend = "TensorrtTensor"\nmodel = "net.onnx"\nmax = 4\n'


def _scaling_model(path: Path, factor: float, *, external: bool) -> None:
    """``y = factor * x`` on float32 [N,600], the factor being one weight per element."""
    weight = numpy_helper.from_array(np.full(600, factor, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 600])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 600])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.with_name("weights.bin").unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=external, location="weights.bin", size_threshold=0)


def test_a_change_of_external_weights_is_a_change_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(TOML)
    _scaling_model(tmp_path / "net.onnx", 2.0, external=True)
    target = tmp_path / "out"
    assert build(tmp_path / "pipeline.toml", target, BuildOptions(cores=1)).changed
    assert not build(tmp_path / "pipeline.toml", target, BuildOptions(cores=1)).changed
    bare = (tmp_path / "net.onnx").read_bytes()
    _scaling_model(tmp_path / "net.onnx", 3.0, external=True)
    assert (tmp_path / "net.onnx").read_bytes() == bare
    assert build(tmp_path / "pipeline.toml", target, BuildOptions(cores=1)).changed


def test_a_detector_without_a_batch_axis_takes_an_image_without_one(tmp_path: Path) -> None:
    """Input [1,3,H,W], output [N,2]: the rows of the output are boxes, not items."""
    nodes = [
        helper.make_node("Reshape", ["image", "two_columns"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [24, 2])],
        [numpy_helper.from_array(np.array([-1, 2], np.int64), "two_columns")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    (tmp_path / "pipeline.toml").write_text(TOML)
    compiled, interpreter = reference(tmp_path / "pipeline.toml")
    entry = compiled.reference.entries[0]
    assert str(entry.inputs[0].type) == "float32[3,4,4] CHW"
    image = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
    outcomes = interpreter.run(entry, [{"data": image}, {"data": image + 1}])
    np.testing.assert_array_equal(outcomes[0]["result"], image.reshape(24, 2))
    np.testing.assert_array_equal(outcomes[1]["result"], image.reshape(24, 2) + 1)


def test_a_missing_labels_file_is_reported_at_its_line(tmp_path: Path) -> None:
    toml = '[pipeline.inputs]\ndata = "float32[4]"\n[top]\nbackend = "TopK"\nk = 2\nlabels = "names.txt"\n'
    (tmp_path / "pipeline.toml").write_text(toml)
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "pipeline.toml")
    (found,) = raised.value.diagnostics
    assert found.code == "TP118"
    assert found.span is not None
    assert found.span.line == 6
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    result = build(tmp_path / "pipeline.toml", tmp_path / "out", BuildOptions(cores=1))
    (name,) = result.pipelines
    assert (tmp_path / "out" / name / "1" / "names.txt").read_text() == "a\nb\nc\nd\n"


def test_a_pipeline_in_the_current_folder_is_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "pipeline.toml").write_text('[hello]\nbackend = "Identity"\n')
    monkeypatch.chdir(folder)
    assert check("pipeline.toml").pipelines == ("greeter",)


def _softmax_model(path: Path, shape: list[int]) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "softmax", info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _answers(toml: Path, items: list[list[float]]) -> list[np.ndarray]:
    found = [{"data": np.array(item, np.float32)} for item in items]
    with pipe(toml) as run:
        run(found)
    return [item["result"] for item in found]


def _softmax(values: list[float]) -> np.ndarray:
    powers = np.exp(np.array(values, np.float32))
    return powers / powers.sum()


ROWS = [[0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 5.0, 1.0], [0.0] * 5, [2.0, 1.0, 0.0, 0.0, 1.0]]


def test_batches_of_a_model_with_a_fixed_batch_are_filled_up(tmp_path: Path) -> None:
    _softmax_model(tmp_path / "net.onnx", [3, 5])
    (tmp_path / "net.toml").write_text(TOML.replace("max = 4", "max = 3"))
    for row, answer in zip(ROWS, _answers(tmp_path / "net.toml", ROWS), strict=True):
        np.testing.assert_allclose(answer, _softmax(row), rtol=1e-5)


@pytest.mark.parametrize("largest", [1, 2, 4])
def test_calls_of_another_size_than_a_fixed_batch_are_refused(tmp_path: Path, largest: int) -> None:
    _softmax_model(tmp_path / "net.onnx", [3, 5])
    (tmp_path / "net.toml").write_text(TOML.replace("max = 4", f"max = {largest}"))
    with pytest.raises(PipelineError) as caught:
        check(tmp_path / "net.toml", BuildOptions(cores=1))
    assert [(d.code, "set max = 3" in str(d.hint)) for d in caught.value.diagnostics] == [("TP406", True)]


def test_a_model_of_vectors_takes_one_item_at_a_time(tmp_path: Path) -> None:
    _softmax_model(tmp_path / "net.onnx", [5])
    (tmp_path / "net.toml").write_text(TOML)
    for row, answer in zip(ROWS, _answers(tmp_path / "net.toml", ROWS), strict=True):
        np.testing.assert_allclose(answer, _softmax(row), rtol=1e-5)


@pytest.mark.parametrize("cast", ["input", "output"])
def test_tensors_that_numpy_has_no_dtype_for_are_refused(tmp_path: Path, cast: str) -> None:
    kinds = {
        "x": TensorProto.FLOAT,
        "y": TensorProto.FLOAT,
        {"input": "x", "output": "y"}[cast]: TensorProto.BFLOAT16,
    }
    infos = [helper.make_tensor_value_info(name, kind, ["N", 4]) for name, kind in kinds.items()]
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=kinds["y"])], "cast", infos[:1], infos[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text(TOML)
    with pytest.raises(PipelineError, match="bfloat16, which Python models can neither give nor take"):
        check(tmp_path / "net.toml", BuildOptions(cores=1))
