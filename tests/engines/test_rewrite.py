"""A rewritten model answers as the original does on an input prepared in plain numpy.

Tolerance: 1e-5 of the largest answer for float32 weights, 2e-3 for half precision (eleven bits).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engines.onnx_build import FLOAT, compute, model, node, save, tensor
from examples import photo, small_resnet
from tpgen.engines.errors import ModelError
from tpgen.engines.rewrite import RewriteReport, apply_rewrite, can_fold
from tpgen.engines.signature import read_signature
from tpgen.ir.rewrite import ModelRewrite
from tpgen.ir.signature import TensorInfo
from tpgen.types import DType

MEAN = (123.675, 116.28, 103.53)
SCALE = tuple(1 / s for s in (58.395, 57.12, 57.375))
RNG = np.random.default_rng(5)


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.2).astype(np.float32)


def conv_model(channels: int = 3, *, size: Any = 9, **attributes: Any) -> onnx.ModelProto:
    """One convolution with a bias, then a Relu."""
    groups = attributes.get("group", 1)
    constants = {"w": weights(6, channels // groups, 3, 3), "b": weights(6)}
    nodes = [node("Conv", "x w b", "h", "first", kernel_shape=[3, 3], **attributes), node("Relu", "h", "y")]
    out = [tensor("y", ["N", 6, None, None])]
    return model(nodes, [tensor("x", ["N", channels, size, size])], out, constants)


def prepared(value: np.ndarray, rewrite: ModelRewrite, dtype: Any = np.float32) -> np.ndarray:
    """What the original model has to be given where the rewritten one is given ``value``: the definition."""
    x = value.astype(np.float64)
    axis = 1 if rewrite.model_layout == "CHW" else x.ndim - 1
    if rewrite.layout not in (None, rewrite.model_layout):
        x = np.moveaxis(x, -1, 1) if rewrite.layout == "HWC" else np.moveaxis(x, 1, -1)
    if rewrite.channel_reverse:
        x = np.flip(x, axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    if rewrite.mean:
        x = x - np.reshape(rewrite.mean, shape)
    if rewrite.scale:
        x = x * np.reshape(rewrite.scale, shape)
    return x.astype(dtype)


def check_equal(
    source: Path, rewrite: ModelRewrite, value: np.ndarray, tolerance: float = 1e-5, dtype: Any = np.float32
) -> RewriteReport:
    """Rewrite, compare the answers, and hand back what was done."""
    out = source.with_name("rewritten.onnx")
    report = apply_rewrite(source, rewrite, out)
    onnx.checker.check_model(str(out))
    name = rewrite.input_name
    expected = compute(source, **{name: prepared(value, rewrite, dtype)})
    for wanted, answer in zip(expected, compute(out, **{name: value}), strict=True):
        assert answer.dtype == wanted.dtype
        assert np.abs(answer - wanted).max() <= tolerance * max(1, np.abs(wanted).max())
    plan = can_fold(source, rewrite)
    assert (plan.folded, plan.inserted, plan.why) == (report.folded, report.inserted, report.why)
    return report


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.float32)


def ops(path: Path) -> list[str]:
    return [n.op_type for n in onnx.load(path, load_external_data=False).graph.node]


# --- what goes into the weights ---


def test_scale_and_channel_order_of_a_padded_convolution(tmp_path: Path) -> None:
    source = save(conv_model(pads=[1, 1, 1, 1]), tmp_path / "m.onnx")
    report = check_equal(source, ModelRewrite("x", scale=SCALE, channel_reverse=True), pixels(2, 3, 9, 9))
    assert (report.folded, report.inserted) == (("channels", "scale"), ())
    assert ops(report.written.model) == ["Conv", "Relu"]


@pytest.mark.parametrize(
    "padding", [{"pads": [0, 1, 0, 0]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}]
)
def test_the_mean_cannot_pass_padding(tmp_path: Path, padding: dict[str, Any]) -> None:
    source = save(conv_model(**padding), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", scale=SCALE, mean=MEAN, channel_reverse=True)
    report = check_equal(source, wanted, pixels(2, 3, 9, 9))
    assert (report.folded, report.inserted) == (("channels", "scale"), ("mean",))
    assert report.why == ("mean: Conv 'first' pads with zeros, which would have to be means",)
    assert ops(report.written.model) == ["Sub", "Conv", "Relu"]


@pytest.mark.parametrize("padding", [{}, {"auto_pad": "VALID"}, {"pads": [0, 0, 0, 0]}])
def test_without_padding_everything_is_folded(tmp_path: Path, padding: dict[str, Any]) -> None:
    source = save(conv_model(**padding), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", scale=SCALE, mean=MEAN, channel_reverse=True)
    report = check_equal(source, wanted, pixels(2, 3, 9, 9))
    assert report.folded == ("channels", "mean", "scale")
    assert ops(report.written.model) == ["Conv", "Relu"]


def test_a_convolution_without_bias_gets_one(tmp_path: Path) -> None:
    built = conv_model()
    del built.graph.node[0].input[2]
    source = save(built, tmp_path / "m.onnx")
    assert not check_equal(source, ModelRewrite("x", mean=MEAN), pixels(1, 3, 9, 9)).inserted


@pytest.mark.parametrize(("channels", "group"), [(6, 2), (6, 3), (6, 6), (3, 3)])
def test_grouped_convolutions(tmp_path: Path, channels: int, group: int) -> None:
    source = save(conv_model(channels, group=group), tmp_path / "m.onnx")
    scale = tuple(np.linspace(0.01, 2, channels))
    mean = tuple(np.linspace(-3, 200, channels))
    report = check_equal(source, ModelRewrite("x", scale=scale, mean=mean), pixels(2, channels, 9, 9))
    assert report.folded == ("mean", "scale")
    wanted = ModelRewrite("x", scale=scale, mean=mean, channel_reverse=True)
    report = check_equal(source, wanted, pixels(2, channels, 9, 9))
    assert (report.folded, report.inserted) == (("mean", "scale"), ("channels",))
    assert "divides the channels into groups" in report.why[0]


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels_and_one_value_for_all(tmp_path: Path, channels: int) -> None:
    source = save(conv_model(channels), tmp_path / "m.onnx")
    report = check_equal(
        source, ModelRewrite("x", scale=(1 / 255,), mean=(127.5,)), pixels(2, channels, 9, 9)
    )
    assert not report.inserted


@pytest.mark.parametrize("op", ["Gemm", "Gemm transB", "MatMul"])
@pytest.mark.parametrize("bias", ["row", "matrix", "scalar", "none"])
def test_matrix_products(tmp_path: Path, op: str, bias: str) -> None:
    kind, _, transposed = op.partition(" ")
    constants = {"w": weights(4, 5) if transposed else weights(5, 4)}
    attributes: dict[str, Any] = {"alpha": 0.5, "beta": 3.0, "transB": int(bool(transposed))}
    if kind == "MatMul":
        attributes = {}
    inputs = "x w"
    if kind == "Gemm" and bias != "none":
        inputs += " b"
        constants["b"] = {"row": weights(4), "matrix": weights(1, 4), "scalar": weights(1)}[bias]
    built = model(
        [node(kind, inputs, "y", **attributes)], [tensor("x", ["N", 5])], [tensor("y", ["N", 4])], constants
    )
    wanted = ModelRewrite("x", scale=(0.1, 0.2, 0.3, 4, 5), mean=(1, 2, 3, 4, 5), channel_reverse=True)
    report = check_equal(save(built, tmp_path / "m.onnx"), wanted, pixels(3, 5))
    assert report.inserted == (("mean",) if kind == "MatMul" else ())


def test_a_bias_that_differs_from_item_to_item_takes_no_mean(tmp_path: Path) -> None:
    constants = {"w": weights(5, 4), "b": weights(2, 4)}
    built = model([node("Gemm", "x w b", "y")], [tensor("x", [2, 5])], [tensor("y", [2, 4])], constants)
    wanted = ModelRewrite("x", mean=(1, 2, 3, 4, 5))
    report = check_equal(save(built, tmp_path / "m.onnx"), wanted, pixels(2, 5))
    assert report.inserted == ("mean",)
    assert "differs from item to item" in report.why[0]


def test_several_readers(tmp_path: Path) -> None:
    constants = {"w": weights(2, 3, 3, 3), "v": weights(2, 3, 1, 1), "b": weights(2)}
    nodes = [
        node("Identity", "x", "i"),
        node("Conv", "i w b", "p", kernel_shape=[3, 3]),
        node("Conv", "x v b", "q", kernel_shape=[1, 1]),
    ]
    outputs = [tensor("p", ["N", 2, 4, 4]), tensor("q", ["N", 2, 6, 6])]
    source = save(model(nodes, [tensor("x", ["N", 3, 6, 6])], outputs, constants), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", scale=SCALE, mean=MEAN, channel_reverse=True)
    report = check_equal(source, wanted, pixels(2, 3, 6, 6))
    assert report.folded == ("channels", "mean", "scale")
    names = {t.name for t in onnx.load(report.written.model).graph.initializer}
    assert names == {"w.folded", "v.folded", "b.folded", "b.folded_2"}  # the shared bias became two


def test_shared_weights_stay_for_their_other_readers(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", kernel_shape=[1, 1]),
        node("Conv", "a w", "y", kernel_shape=[1, 1]),
    ]
    built = model(
        nodes, [tensor("x", ["N", 3, 4, 4])], [tensor("y", ["N", 3, 4, 4])], {"w": weights(3, 3, 1, 1)}
    )
    report = check_equal(save(built, tmp_path / "m.onnx"), ModelRewrite("x", scale=SCALE), pixels(1, 3, 4, 4))
    assert {t.name for t in onnx.load(report.written.model).graph.initializer} == {"w", "w.folded"}


@pytest.mark.parametrize("behind", ["Constant", "Identity", "Cast", "input"])
def test_weights_behind_other_nodes(tmp_path: Path, behind: str) -> None:
    built = conv_model()
    weight = built.graph.initializer[0]
    if behind == "Constant":
        held = node("Constant", "", "w", value=weight)
        built.graph.initializer.remove(weight)
        built.graph.node.insert(0, held)
    elif behind == "input":  # as older exporters wrote it
        built.graph.input.append(tensor("w", [6, 3, 3, 3]))
        built.graph.input.append(tensor("b", [6]))
        built.ir_version = 3
        built.opset_import[0].version = 8
    else:
        array = numpy_helper.to_array(weight)
        weight.CopyFrom(
            numpy_helper.from_array(array.astype(np.float16) if behind == "Cast" else array, "stored")
        )
        extra = {"to": FLOAT} if behind == "Cast" else {}
        built.graph.node.insert(0, node(behind, "stored", "w", **extra))
    wanted = ModelRewrite("x", scale=SCALE, channel_reverse=True)
    report = check_equal(save(built, tmp_path / "m.onnx"), wanted, pixels(1, 3, 9, 9))
    assert ops(report.written.model) == ["Conv", "Relu"]


def test_external_data(tmp_path: Path) -> None:
    big = model(
        [node("Conv", "x w b", "h", kernel_shape=[3, 3]), node("Conv", "h v", "y", kernel_shape=[1, 1])],
        [tensor("x", ["N", 3, 9, 9])],
        [tensor("y", ["N", 64, 7, 7])],
        {"w": weights(64, 3, 3, 3), "b": weights(64), "v": weights(64, 64, 1, 1)},
    )
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "m.onnx"
    onnx.save(big, source, save_as_external_data=True, location="weights.bin", size_threshold=100)
    wanted = ModelRewrite("x", scale=SCALE, mean=MEAN)
    assert not check_equal(source, wanted, pixels(2, 3, 9, 9)).inserted
    report = apply_rewrite(source, wanted, tmp_path / "out" / "model.onnx", threshold=1000)
    assert report.written.data == tmp_path / "out" / "model.onnx.data"
    value = pixels(2, 3, 9, 9)
    (expected,) = compute(source, x=prepared(value, wanted))
    (answer,) = compute(report.written.model, x=value)
    assert np.abs(answer - expected).max() <= 1e-5 * np.abs(expected).max()


def test_half_precision(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    built = model(
        [node("Conv", "x w", "y", "first", kernel_shape=[3, 3])],
        [tensor("x", ["N", 3, 9, 9], half)],
        [tensor("y", ["N", 6, 7, 7], half)],
        {"w": weights(6, 3, 3, 3).astype(np.float16)},
    )
    source = save(built, tmp_path / "m.onnx")
    value = pixels(1, 3, 9, 9).astype(np.float16)
    report = check_equal(source, ModelRewrite("x", scale=SCALE), value, 2e-3, np.float16)
    assert report.folded == ("scale",)
    # Scaled by 1e-6, the weights would be below the smallest normal half-precision number.
    tiny = ModelRewrite("x", scale=(1e-6, 1e-6, 1e-6))
    report = apply_rewrite(source, tiny, tmp_path / "tiny.onnx")
    assert (report.folded, report.inserted) == ((), ("scale",))
    assert report.why == ("scale: the float16 weights of Conv 'first' would lose digits",)
    # The mean comes before the scale: it can't be folded where the scale stays in front.
    plan = can_fold(source, ModelRewrite("x", scale=(1e-6,), mean=(1.0,)))
    assert plan.inserted == ("mean", "scale")


def test_half_precision_arithmetic_is_done_in_single(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    built = model(
        [node("Relu", "x", "y")], [tensor("x", ["N", 3, 4, 4], half)], [tensor("y", ["N", 3, 4, 4], half)]
    )
    wanted = ModelRewrite("x", scale=SCALE, mean=MEAN, input_dtype=DType.UINT8)
    value = pixels(2, 3, 4, 4).astype(np.uint8)
    report = check_equal(save(built, tmp_path / "m.onnx"), wanted, value, 1e-3, np.float16)
    assert ops(report.written.model) == ["Cast", "Sub", "Mul", "Cast", "Relu"]


# --- what becomes nodes ---


def test_uint8_hwc_bgr_pixels(tmp_path: Path) -> None:
    source = save(conv_model(pads=[1, 1, 1, 1], size="S"), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", SCALE, MEAN, channel_reverse=True, layout="HWC", input_dtype=DType.UINT8)
    value = pixels(2, 11, 8, 3).astype(np.uint8)
    report = check_equal(source, wanted, value)
    assert report.inserted == ("dtype", "layout", "mean")
    assert ops(report.written.model) == ["Cast", "Transpose", "Sub", "Conv", "Relu"]
    (info,) = read_signature(report.written.model).inputs
    assert info == TensorInfo("x", DType.UINT8, ("N", "S", "S", 3))
    assert read_signature(report.written.model).outputs == read_signature(source).outputs


def test_a_model_whose_own_layout_is_hwc(tmp_path: Path) -> None:
    """As exporters from TensorFlow write them: a Transpose, then the convolution."""
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y", kernel_shape=[3, 3])]
    out = [tensor("y", ["N", 4, 7, 7])]
    built = model(nodes, [tensor("x", ["N", 9, 9, 3])], out, {"w": weights(4, 3, 3, 3)})
    source = save(built, tmp_path / "m.onnx")
    wanted = ModelRewrite("x", SCALE, MEAN, channel_reverse=True, model_layout="HWC")
    report = check_equal(source, wanted, pixels(2, 9, 9, 3))
    assert report.folded == ("channels", "mean", "scale")
    wanted = ModelRewrite("x", SCALE, MEAN, layout="CHW", model_layout="HWC")
    assert check_equal(source, wanted, pixels(2, 3, 9, 9)).inserted == ("layout",)
    assert read_signature(tmp_path / "rewritten.onnx").inputs[0].shape == ("N", 3, 9, 9)


def else_branch(reads: str) -> onnx.ModelProto:
    """A model whose If reads the input from inside its branches."""
    branches = {
        name: helper.make_graph([node(op, reads, name)], name, [], [tensor(name, ["N", 3, 4, 4])])
        for name, op in (("then", "Relu"), ("other", "Neg"))
    }
    nodes = [node("If", "flag", "y", "choice", then_branch=branches["then"], else_branch=branches["other"])]
    out = [tensor("y", ["N", 3, 4, 4])]
    return model(nodes, [tensor("x", ["N", 3, 4, 4])], out, {"flag": np.array(True)})


X = [tensor("x", ["N", 3, 4, 4])]
Y = [tensor("y", ["N", 3, 4, 4])]


@pytest.mark.parametrize(
    ("built", "why"),
    [
        (model([node("Relu", "x", "y")], X, Y), "Relu that computes 'y' reads it"),
        (model([node("Add", "x x", "y", "twice")], X, Y), "Add 'twice' reads it"),
        (
            model(
                [node("Conv", "x w", "y"), node("Relu", "x", "z")],
                [tensor("x", ["N", 3, 4, 4])],
                [tensor("y", ["N", 5, 4, 4]), tensor("z", ["N", 3, 4, 4])],
                {"w": weights(5, 3, 1, 1)},
            ),
            "Relu that computes 'z' reads it",
        ),
        (else_branch("x"), "a sub-graph of If 'choice' reads it"),
        (
            model(
                [node("MatMul", "x w", "y")],
                [tensor("x", ["N", 3, 4, 4])],
                [tensor("y", ["N", 3, 4, 2])],
                {"w": weights(4, 2)},
            ),
            "doesn't sum over the channels",
        ),
    ],
)
def test_other_readers_get_nodes_in_front(tmp_path: Path, built: onnx.ModelProto, why: str) -> None:
    wanted = ModelRewrite("x", SCALE, MEAN, channel_reverse=True)
    report = check_equal(save(built, tmp_path / "m.onnx"), wanted, pixels(2, 3, 4, 4))
    assert (report.folded, report.inserted) == ((), ("channels", "mean", "scale"))
    assert why in report.why[0]
    assert ops(report.written.model)[:3] == ["Gather", "Sub", "Mul"]


def test_a_cast_to_integers_in_between(tmp_path: Path) -> None:
    nodes = [
        node("Cast", "x", "i", "round", to=TensorProto.INT32),
        node("Cast", "i", "f", to=FLOAT),
        node("Conv", "f w", "y"),
    ]
    source = save(model(nodes, X, Y, {"w": weights(3, 3, 1, 1)}), tmp_path / "m.onnx")
    report = check_equal(source, ModelRewrite("x", scale=(0.31, 0.32, 0.33)), pixels(2, 3, 4, 4))
    assert report.why == ("scale: Cast 'round' turns it into integers",)


def test_a_reader_that_takes_the_input_twice(tmp_path: Path) -> None:
    built = model(
        [node("Gemm", "x w x", "y")], [tensor("x", [1, 3])], [tensor("y", [1, 3])], {"w": weights(3, 3)}
    )
    report = check_equal(save(built, tmp_path / "m.onnx"), ModelRewrite("x", scale=SCALE), pixels(1, 3))
    assert report.inserted == ("scale",)


def test_weights_that_are_no_constant(tmp_path: Path) -> None:
    built = model(
        [node("Conv", "x w", "y")],
        [tensor("x", ["N", 3, 4, 4]), tensor("w", [5, 3, 1, 1])],
        [tensor("y", ["N", 5, 4, 4])],
    )
    plan = can_fold(save(built, tmp_path / "m.onnx"), ModelRewrite("x", scale=SCALE))
    assert plan.inserted == ("scale",)
    assert "the weights of Conv that computes 'y' are not constant" in plan.why[0]


def test_names_with_odd_characters(tmp_path: Path) -> None:
    built = model(
        [helper.make_node("Relu", ["in:0/é"], ["out"])],
        [tensor("in:0/é", ["N", 3, 4, 4])],
        [tensor("out", ["N", 3, 4, 4])],
    )
    check_equal(save(built, tmp_path / "m.onnx"), ModelRewrite("in:0/é", SCALE, MEAN), pixels(1, 3, 4, 4))


def test_nothing_asked_changes_nothing(tmp_path: Path) -> None:
    source = save(conv_model(), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", scale=(1, 1, 1), mean=(0, 0, 0), layout="CHW", input_dtype=DType.FLOAT32)
    assert not can_fold(source, wanted).inserted
    report = check_equal(source, wanted, pixels(1, 3, 9, 9))
    assert (report.folded, report.inserted) == ((), ())
    assert onnx.load(report.written.model) == onnx.load(source)


def test_the_bytes_are_a_function_of_model_and_rewrite(tmp_path: Path) -> None:
    source = save(conv_model(pads=[1, 1, 1, 1]), tmp_path / "m.onnx")
    wanted = ModelRewrite("x", SCALE, MEAN, channel_reverse=True, layout="HWC", input_dtype=DType.UINT8)
    first = apply_rewrite(source, wanted, tmp_path / "a" / "model.onnx", threshold=10)
    second = apply_rewrite(source, wanted, tmp_path / "b" / "model.onnx", threshold=10)
    for left, right in zip(first.written.files, second.written.files, strict=True):
        assert left.read_bytes() == right.read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_rewrite_of_any_convolution(tmp_path: Path, data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 5))
    group = data.draw(st.sampled_from([1, channels]))
    padding = data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))
    filters = group * data.draw(st.integers(1, 3))
    built = model(
        [
            node(
                "Conv",
                "x w",
                "y",
                group=group,
                pads=padding,
                strides=data.draw(st.sampled_from([[1, 1], [2, 3]])),
            )
        ],
        [tensor("x", ["N", channels, 7, 6])],
        [tensor("y", ["N", filters, None, None])],
        {"w": weights(filters, channels // group, 3, 2)},
    )
    values = st.tuples(*[st.floats(0.01, 300)] * channels)
    wanted = ModelRewrite(
        "x",
        scale=data.draw(st.none() | values),
        mean=data.draw(st.none() | values),
        channel_reverse=data.draw(st.booleans()),
        layout=data.draw(st.sampled_from([None, "CHW", "HWC"])),
        input_dtype=data.draw(st.sampled_from([None, DType.UINT8, DType.FLOAT16, DType.INT32])),
    )
    shape = (2, 7, 6, channels) if wanted.layout == "HWC" else (2, channels, 7, 6)
    value = pixels(*shape).astype((wanted.input_dtype or DType.FLOAT32).value)
    check_equal(save(built, tmp_path / "m.onnx"), wanted, value)


# --- what doesn't fit ---


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (ModelRewrite("data", scale=SCALE), "has no input 'data'; it has 'x'"),
        (ModelRewrite("x", scale=(1.0, 2.0)), "has 3 channels, and scale has 2 values"),
        (ModelRewrite("x", mean=(1.0,) * 4), "has 3 channels, and mean has 4 values"),
    ],
)
def test_rewrites_that_do_not_fit(tmp_path: Path, wanted: ModelRewrite, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        can_fold(save(conv_model(), tmp_path / "m.onnx"), wanted)
    assert caught.value.code == "TP407"


def test_inputs_that_can_not_be_rewritten(tmp_path: Path) -> None:
    def refused(built: onnx.ModelProto, wanted: ModelRewrite, says: str) -> None:
        with pytest.raises(ModelError, match=says):
            apply_rewrite(save(built, tmp_path / "m.onnx"), wanted, tmp_path / "out.onnx")
        assert not (tmp_path / "out.onnx").exists()

    def relu(shape: Any, kind: int = FLOAT, op: str = "Relu") -> onnx.ModelProto:
        return model([node(op, "x", "y")], [tensor("x", shape, kind)], [tensor("y", shape, kind)])

    refused(relu(["N", 4]), ModelRewrite("x", layout="HWC"), "is no image")
    refused(relu(["N", 4], TensorProto.INT64, "Identity"), ModelRewrite("x", mean=(1.0,)), "is int64")
    refused(
        relu(["N", 4], TensorProto.STRING, "Identity"), ModelRewrite("x", input_dtype=DType.UINT8), "strings"
    )
    refused(relu(["N", None, 4, 4]), ModelRewrite("x", channel_reverse=True), "unknown number of channels")
    passing = model(
        [node("Relu", "x", "y")], [tensor("x", [1, 3])], [tensor("y", [1, 3]), tensor("x", [1, 3])]
    )
    refused(passing, ModelRewrite("x", mean=(1.0,)), "is an output of the model too")


def test_a_whole_network(tmp_path: Path) -> None:
    """Pixels straight from the decoder into a residual network: the logits of plain preprocessing."""
    source = small_resnet(tmp_path)
    value = np.stack([synthetic_pixels(seed) for seed in range(4)])
    everything = ModelRewrite(
        "input", SCALE, MEAN, channel_reverse=True, layout="HWC", input_dtype=DType.UINT8
    )
    report = check_equal(source, everything, value)
    assert (report.folded, report.inserted) == (("channels", "scale"), ("dtype", "layout", "mean"))
    packed = np.ascontiguousarray(value[..., ::-1].transpose(0, 3, 1, 2), np.float32)
    centred = packed - np.float32(MEAN)[:, None, None]
    report = check_equal(source, ModelRewrite("input", scale=SCALE), centred)
    assert (report.folded, report.inserted) == (("scale",), ())


def synthetic_pixels(seed: int) -> np.ndarray:
    """A photo, decoded: uint8 BGR ``[224, 224, 3]``."""
    return cv2.imdecode(np.frombuffer(photo(seed, 224, 224), np.uint8), cv2.IMREAD_COLOR)
