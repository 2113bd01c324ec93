"""What `read_signature` says of models, and what it says of files that are none."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from engines.onnx_build import FLOAT, model, node, save, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.signature import explain_batch, read_signature
from tpgen.engines.wire import skeleton
from tpgen.ir.signature import BatchAxis, TensorInfo
from tpgen.types import DType

IMAGE = ["N", 3, 8, 8]
FRESH = itertools.count()


def identity(shape_in: object, shape_out: object, elem_type: int = FLOAT) -> onnx.ModelProto:
    return model(
        [node("Identity", "x", "y")], [tensor("x", shape_in, elem_type)], [tensor("y", shape_out, elem_type)]
    )


def refusal(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_signature(path)
    assert str(path) in caught.value.message
    return caught.value


def test_names_types_and_symbols_are_kept(tmp_path: Path) -> None:
    built = model(
        [node("Cast", "ids:0", "a/b", to=FLOAT), node("Shape", "mask", "size")],
        [
            tensor("ids:0", ["batch", "seq"], TensorProto.INT64),
            tensor("mask", ["batch", None], TensorProto.BOOL),
        ],
        [tensor("a/b", ["batch", "seq"]), tensor("size", [2], TensorProto.INT64)],
    )
    signature = read_signature(save(built, tmp_path / "m.onnx"))
    assert signature.inputs == (
        TensorInfo("ids:0", DType.INT64, ("batch", "seq")),
        TensorInfo("mask", DType.BOOL, ("batch", None)),
    )
    assert signature.outputs[1] == TensorInfo("size", DType.INT64, (2,))


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.STRING])
def test_every_triton_type_is_mapped(tmp_path: Path, dtype: DType) -> None:
    names = {"float16": "FLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
    number = TensorProto.DataType.Value(names.get(dtype.value, dtype.value.upper()))
    signature = read_signature(save(identity(["N", 2], ["N", 2], number), tmp_path / "m.onnx"))
    assert signature.inputs[0].dtype is dtype


@pytest.mark.parametrize(("dtype", "said"), [(np.float32, "fp32"), (np.float16, "fp16")])
def test_what_most_weights_are_in(dtype: type, said: str, tmp_path: Path) -> None:
    """A number or two in another type, such as an epsilon, do not decide."""
    nodes = [node("Cast", "x", "h", to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))]
    nodes += [node("MatMul", "h w", "p"), node("Cast", "p", "f", to=FLOAT), node("Add", "f few", "y")]
    weights = {"w": np.ones((4, 4), dtype), "few": np.ones(1, np.float32)}
    ports = [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]
    path = save(model(nodes, *ports, weights), tmp_path / "model.onnx")
    assert read_signature(path).precision == said


def test_a_quantised_model_is_int8(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")]
    constants = {"s": np.float32(0.1), "z": np.int8(0)}
    ports = [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]
    path = save(model(nodes, *ports, constants), tmp_path / "model.onnx")
    assert read_signature(path).precision == "int8"


def test_strings(tmp_path: Path) -> None:
    signature = read_signature(save(identity(["N"], ["N"], TensorProto.STRING), tmp_path / "m.onnx"))
    assert signature.outputs[0].dtype is DType.STRING


def test_an_initializer_listed_as_input_is_no_input(tmp_path: Path) -> None:
    built = model(
        [node("Add", "x w", "y")],
        [tensor("x", ["N", 2]), tensor("w", [2])],
        [tensor("y", ["N", 2])],
        {"w": np.ones(2, np.float32)},
        ir_version=3,
        opset=8,
    )
    assert [i.name for i in read_signature(save(built, tmp_path / "m.onnx")).inputs] == ["x"]


def test_missing_output_shapes_are_inferred(tmp_path: Path) -> None:
    built = model(
        [node("Conv", "x w", "h", kernel_shape=[3, 3]), node("GlobalAveragePool", "h", "y")],
        [tensor("x", IMAGE)],
        [tensor("y", None)],
        {"w": np.zeros((4, 3, 3, 3), np.float32)},
        check=False,
    )
    signature = read_signature(save(built, tmp_path / "m.onnx"))
    assert signature.outputs[0].shape == ("N", 4, 1, 1)
    assert signature.batch is BatchAxis.DYNAMIC


def test_onnxruntime_is_asked_where_inference_gives_up(tmp_path: Path) -> None:
    """A fused operator of onnxruntime's own domain is unknown to onnx."""
    built = model(
        [helper.make_node("FusedGemm", ["x", "w"], ["y"], domain="com.microsoft", activation="Relu")],
        [tensor("x", ["N", 4])],
        [tensor("y", [1])],
        {"w": np.zeros((4, 5), np.float32)},
        check=False,
    )
    built.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    built.graph.output[0].type.tensor_type.ClearField("shape")
    signature = read_signature(save(built, tmp_path / "m.onnx"))
    assert len(signature.outputs[0].shape) == 2
    assert signature.outputs[0].shape[1] == 5


def test_weights_are_not_loaded(tmp_path: Path) -> None:
    """A file whose weights take 64 MB: reading its signature needs a fraction of that."""
    weights = {"w": np.zeros((4096, 4096), np.float32)}
    built = model(
        [node("MatMul", "x w", "y")], [tensor("x", ["N", 4096])], [tensor("y", None)], weights, check=False
    )
    path = save(built, tmp_path / "m.onnx")
    script = (
        "import resource, sys, pathlib, onnx\n"
        "from tpgen.engines.signature import read_signature\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(read_signature(pathlib.Path(sys.argv[1])).outputs[0].shape)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    shape, kilobytes = out.stdout.splitlines()
    assert shape == "('N', 4096)"
    assert int(kilobytes) < 24_000


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = save(identity(["N", 2], ["N", 2]), tmp_path / "m.onnx")
    assert read_signature(path).inputs[0].shape == ("N", 2)
    save(identity(["N", 31], ["N", 31]), path)
    assert read_signature(path).inputs[0].shape == ("N", 31)


# --- the batch axis ---


def relu(shape_in: object, shape_out: object) -> onnx.ModelProto:
    return model([node("Relu", "x", "y")], [tensor("x", shape_in)], [tensor("y", shape_out)])


@pytest.mark.parametrize(
    ("built", "axis", "size", "why"),
    [
        (relu(IMAGE, IMAGE), BatchAxis.DYNAMIC, None, "follows the batch axis"),
        (relu([None, 4], ["n", 4]), BatchAxis.DYNAMIC, None, "follows the batch axis"),
        (relu([1, 4], [1, 4]), BatchAxis.FIXED, 1, "'x' is fixed at 1"),
        (relu([8, 4], [8, 4]), BatchAxis.FIXED, 8, "'x' is fixed at 8"),
        (relu([1, 4], ["N", 4]), BatchAxis.FIXED, 1, "'x' is fixed at 1"),
        (relu([], []), BatchAxis.NONE, None, "'x' is a scalar"),
        (
            model([node("ReduceMean", "x", "y", keepdims=0)], [tensor("x", ["N", 4])], [tensor("y", [])]),
            BatchAxis.NONE,
            None,
            "'y' is a scalar",
        ),
        (
            model(
                [node("Reshape", "x s", "y")],
                [tensor("x", ["N", 4])],
                [tensor("y", ["N", 4])],
                {"s": np.array([1, 4])},
            ),
            BatchAxis.FIXED,
            1,
            "the graph makes the first axis of output 'y' 1",
        ),
        (
            model(
                [node("Reshape", "x s", "y")],
                [tensor("x", [1, 40])],
                [tensor("y", [10, 4])],
                {"s": np.array([10, 4])},
            ),
            BatchAxis.NONE,
            None,
            "'x' is 1 and that of 'y' is 10",
        ),
        (
            model(
                [node("NonZero", "x", "t"), node("Transpose", "t", "y")],
                [tensor("x", ["batch", 4])],
                [tensor("y", ["detections", 2], TensorProto.INT64)],
            ),
            BatchAxis.NONE,
            None,
            "'detections' rows",
        ),
        (
            model(
                [node("NonZero", "x", "t"), node("Transpose", "t", "y")],
                [tensor("x", [1, 4])],
                [tensor("y", ["detections", 2], TensorProto.INT64)],
            ),
            BatchAxis.NONE,
            None,
            "counts something else",
        ),
        (
            model(
                [node("Mul", "x s", "y")],
                [tensor("x", ["N", 4]), tensor("s", [1, 4])],
                [tensor("y", ["N", 4])],
            ),
            BatchAxis.FIXED,
            1,
            "'s' is fixed at 1",
        ),
        (
            model(
                [node("Relu", "x", "y"), node("Relu", "s", "z")],
                [tensor("x", ["N", 4]), tensor("s", [8, 4])],
                [tensor("y", ["N", 4]), tensor("z", [8, 4])],
            ),
            BatchAxis.NONE,
            None,
            "'s' is 8, and that of 'x' varies",
        ),
        (  # names that an exporter made up say nothing
            model(
                [node("NonZero", "x", "t"), node("Transpose", "t", "y")],
                [tensor("x", ["batch", 4])],
                [tensor("y", ["unk__12", 2], TensorProto.INT64)],
            ),
            BatchAxis.DYNAMIC,
            None,
            "is declared to vary",
        ),
    ],
)
def test_batch_axis(
    tmp_path: Path, built: onnx.ModelProto, axis: BatchAxis, size: int | None, why: str
) -> None:
    path = save(built, tmp_path / "m.onnx")
    signature = read_signature(path)
    assert (signature.batch, signature.batch_size) == (axis, size)
    assert why in explain_batch(path)


# --- files that are no models ---


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html><body>Not Found</body></html>", "a web page"),
        (b"not found\n", "is text"),
        (bytes(range(256)) * 40, "no ONNX model"),
        (np.random.default_rng(0).bytes(2_000_000), "no ONNX model"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"ftrt" + bytes(100), "TensorRT engine"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
        (bytes(1000), "no ONNX model"),
        ("größe".encode(), "is text"),
    ],
)
def test_what_a_wrong_file_is(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    error = refusal(path)
    assert says in error.message
    assert error.code == "TP402"
    assert error.hint


def test_a_zip_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.onnx", "w") as archive:
        archive.writestr("data.pkl", b"x")
    assert "zip archive" in refusal(tmp_path / "m.onnx").message


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_model_cut_off(tmp_path: Path, keep: float) -> None:
    built = model(
        [node("MatMul", "x w", "y")],
        [tensor("x", ["N", 64])],
        [tensor("y", ["N", 64])],
        {"w": np.ones((64, 64), np.float32)},
    )
    content = built.SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[: int(len(content) * keep)])
    error = refusal(path)
    assert "cut off" in error.message
    assert error.code == "TP402"


def test_missing_file_and_directory(tmp_path: Path) -> None:
    save(relu(IMAGE, IMAGE), tmp_path / "resnet50.onnx")
    error = refusal(tmp_path / "resnet5.onnx")
    assert (error.code, error.hint) == ("TP401", "did you mean 'resnet50.onnx'?")
    assert "is a directory" in refusal(tmp_path).message
    assert "resnet50.onnx" in (refusal(tmp_path).hint or "")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "device or pipe" in refusal(tmp_path / "pipe.onnx").message
    assert "name too long" in refusal(tmp_path / ("a" * 3000)).message
    assert "can't be read" in refusal(tmp_path / "a\0b").message
    assert refusal(tmp_path / "nowhere" / "m.onnx").code == "TP401"


def test_a_file_over_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 5)
        file.write(b"\x08\x08")
    error = refusal(path)
    assert "2 GiB" in error.message
    assert "external" in (error.hint or "")


def with_external_data(folder: Path) -> Path:
    weights = np.ones((64, 64), np.float32)
    built = model(
        [node("MatMul", "x w", "y")], [tensor("x", ["N", 64])], [tensor("y", ["N", 64])], {"w": weights}
    )
    onnx.save(built, folder / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=16)
    return folder / "m.onnx"


def test_external_data(tmp_path: Path) -> None:
    path = with_external_data(tmp_path)
    assert read_signature(path).inputs[0].shape == ("N", 64)


@pytest.mark.parametrize("damage", ["missing", "short", "outside"])
def test_external_data_that_is_not_there(tmp_path: Path, damage: str) -> None:
    path = with_external_data(tmp_path)
    if damage == "missing":
        (tmp_path / "m.bin").unlink()
    elif damage == "short":
        with (tmp_path / "m.bin").open("r+b") as file:
            file.truncate(100)
    else:
        built = onnx.load(path, load_external_data=False)
        built.graph.initializer[0].external_data[0].value = "../secret.bin"
        save(built, path)
    error = refusal(path)
    assert error.code == "TP403"
    assert {"missing": "'m.bin'", "short": "too short", "outside": "outside its own folder"}[
        damage
    ] in error.message


# --- inputs and outputs that Triton can't carry ---


def test_sequences_maps_and_optionals_are_refused(tmp_path: Path) -> None:
    inner = helper.make_tensor_type_proto(FLOAT, ["N", 2])
    for kind, type_proto in (
        ("sequence", helper.make_sequence_type_proto(inner)),
        ("optional", helper.make_optional_type_proto(inner)),
        ("map", helper.make_map_type_proto(TensorProto.INT64, inner)),
    ):
        built = relu(["N", 2], ["N", 2])
        built.graph.output[0].type.CopyFrom(type_proto)
        error = refusal(save(built, tmp_path / f"{kind}.onnx"))
        assert f"output 'y' is a {kind}" in error.message
        assert error.code == "TP404"


def test_types_that_triton_lacks(tmp_path: Path) -> None:
    built = identity(["N", 2], ["N", 2], TensorProto.COMPLEX64)
    assert "COMPLEX64" in refusal(save(built, tmp_path / "m.onnx")).message


# --- reading without the weights ---


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_a_model_error_or_still_a_model(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(
        model(
            [node("Conv", "x w", "h", kernel_shape=[3, 3]), node("Relu", "h", "y")],
            [tensor("x", IMAGE)],
            [tensor("y", ["N", 4, 6, 6])],
            {"w": np.zeros((4, 3, 3, 3), np.float32)},
        ).SerializeToString()
    )
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path / f"{next(FRESH)}.onnx"  # a new name: the clock may not tick between two examples
    path.write_bytes(content)
    try:
        signature = read_signature(path)
    except ModelError as error:
        signature = None
        message = error.message
    assert signature.outputs if signature else str(path) in message


def test_the_skeleton_keeps_everything_but_large_weights(tmp_path: Path) -> None:
    weights = {"large": np.ones((100, 100), np.float32), "small": np.ones((3, 100), np.float32)}
    built = model(
        [node("MatMul", "x large", "h"), node("Transpose", "small", "t"), node("MatMul", "h t", "y")],
        [tensor("x", ["N", 100])],
        [tensor("y", ["N", 3])],
        weights,
    )
    built.producer_name = "someone"
    built.metadata_props.add(key="k", value="v")
    read = onnx.ModelProto()
    read.ParseFromString(skeleton(save(built, tmp_path / "m.onnx")))
    assert [(t.name, list(t.dims)) for t in read.graph.initializer] == [
        ("large", [100, 100]),
        ("small", [3, 100]),
    ]
    assert len(read.SerializeToString()) < 3000
    large = next(t for t in read.graph.initializer if t.name == "large")
    large.CopyFrom(built.graph.initializer[0])
    assert read == built
