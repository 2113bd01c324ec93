"""Large models are written with their weights in one file, which processes can share; small ones whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.onnx_build import compute, model, node, save, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.external import copy_model, externalize

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 40)).astype(np.float32)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def three_layers() -> onnx.ModelProto:
    """Two matrices of 7 KB, one of 6 KB in a Constant node (which stays there), and a shape of 16 bytes."""
    held = numpy_helper.from_array(weights(40, 40), "held")
    return model(
        [
            node("Constant", "", "v", value=held),
            node("MatMul", "x w", "h"),
            node("MatMul", "h u", "g"),
            node("MatMul", "g v", "k"),
            node("Reshape", "k s", "y"),
        ],
        [tensor("x", ["N", 40])],
        [tensor("y", ["N", 40])],
        {"w": weights(40, 43), "s": np.array([-1, 40]), "u": weights(43, 40)},
    )


def test_weights_go_to_one_file_in_pages(tmp_path: Path) -> None:
    built = three_layers()
    expected = compute(built, x=X)[0]
    before = built.SerializeToString()
    written = externalize(built, tmp_path, "model.onnx", threshold=4000)
    assert built.SerializeToString() == before
    assert [file.name for file in written.files] == ["model.onnx", "model.onnx.data"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert written.model.stat().st_size < 8000
    stored = onnx.load(written.model, load_external_data=False)
    shared = [t for t in stored.graph.initializer if t.data_location == t.EXTERNAL]
    assert [t.name for t in shared] == ["w", "u"]
    offsets = [int(e.value) for t in shared for e in t.external_data if e.key == "offset"]
    assert offsets == [0, 8192]
    np.testing.assert_array_equal(compute(written.model, x=X)[0], expected)


def test_small_models_stay_in_one_file(tmp_path: Path) -> None:
    built = three_layers()
    written = externalize(built, tmp_path, "model.onnx")
    assert written.files == (tmp_path / "model.onnx",)
    assert onnx.load(written.model) == built


@pytest.mark.parametrize("threshold", [4000, 10**9])
def test_data_that_was_external_already(tmp_path: Path, threshold: int) -> None:
    """Copied from where it lies: into a file of its own, or into the model."""
    built = three_layers()
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "m.onnx"
    expected = compute(built, x=X)[0]
    onnx.save(built, source, save_as_external_data=True, location="m.bin", size_threshold=10)
    assert onnx.load(source, load_external_data=False).graph.initializer[1].data_location  # even the shape
    written = copy_model(source, tmp_path / "out", "model.onnx", threshold=threshold)
    assert (written.data is None) == (threshold > 10**6)
    (tmp_path / "source" / "m.bin").unlink()
    np.testing.assert_array_equal(compute(written.model, x=X)[0], expected)


def test_a_copy_in_place(tmp_path: Path) -> None:
    """The data file that is read is the one that is written."""
    built = three_layers()
    expected = compute(built, x=X)[0]
    path = externalize(built, tmp_path, "model.onnx", threshold=4000).model
    for _ in range(2):
        copy_model(path, tmp_path, "model.onnx", threshold=4000)
        np.testing.assert_array_equal(compute(path, x=X)[0], expected)


def test_values_kept_in_typed_fields(tmp_path: Path) -> None:
    """Older exporters write float_data, and half precision as integers in int32_data."""
    values = weights(1000)
    half = values.astype(np.float16)
    built = model(
        [node("Add", "x w", "h"), node("Cast", "h", "f", to=TensorProto.FLOAT16), node("Add", "f v", "y")],
        [tensor("x", ["N", 1000])],
        [tensor("y", ["N", 1000], TensorProto.FLOAT16)],
        check=False,  # its initializers follow
    )
    built.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [1000], values.tolist()))
    bits = TensorProto(name="v", data_type=TensorProto.FLOAT16, dims=[1000])
    bits.int32_data.extend(half.view(np.uint16).astype(int).tolist())
    built.graph.initializer.append(bits)
    x = weights(1, 1000)
    expected = compute(built, x=x)[0]
    written = externalize(built, tmp_path, "model.onnx", threshold=100)
    assert written.data is not None
    np.testing.assert_array_equal(compute(written.model, x=x)[0], expected)


def test_weights_in_sub_graphs(tmp_path: Path) -> None:
    branches = {}
    for name in ("then", "other"):
        held = numpy_helper.from_array(weights(40, 40), f"{name}_w")
        inner = [node("MatMul", f"x {name}_w", name)]
        branches[name] = helper.make_graph(inner, name, [], [tensor(name, ["N", 40])], [held])
    nodes = [node("If", "flag", "y", then_branch=branches["then"], else_branch=branches["other"])]
    built = model(
        nodes,
        [tensor("x", ["N", 40]), tensor("flag", [], TensorProto.BOOL)],
        [tensor("y", ["N", 40])],
    )
    written = externalize(built, tmp_path, "model.onnx", threshold=4000)
    for flag in (True, False):
        expected = compute(built, x=X, flag=np.array(flag))[0]
        np.testing.assert_array_equal(compute(written.model, x=X, flag=np.array(flag))[0], expected)


def test_the_bytes_are_a_function_of_the_model(tmp_path: Path) -> None:
    built = three_layers()
    first = externalize(built, tmp_path / "a", "model.onnx", threshold=4000)
    second = externalize(built, tmp_path / "b", "model.onnx", threshold=4000)
    assert [f.read_bytes() for f in first.files] == [f.read_bytes() for f in second.files]


def test_copying_something_else(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("no model")
    with pytest.raises(ModelError, match="is text"):
        copy_model(tmp_path / "m.onnx", tmp_path / "out", "model.onnx")
    assert not (tmp_path / "out").exists()


def test_a_model_that_fits_in_a_page(tmp_path: Path) -> None:
    path = save(
        model([node("Relu", "x", "y")], [tensor("x", ["N", 40])], [tensor("y", ["N", 40])]),
        tmp_path / "m.onnx",
    )
    assert copy_model(path, tmp_path / "out", "model.onnx").files == (tmp_path / "out" / "model.onnx",)
