"""Models in half precision: what is converted, what stays and why, and that the answers hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engines.onnx_build import compute, model, node, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.half_graph import half_values
from tpgen.engines.precision import Converted, convert_precision
from tpgen.engines.precision_report import Half, PrecisionRequest

RNG = np.random.default_rng(11)
FP16 = PrecisionRequest("fp16")


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.3).astype(np.float32)


def network() -> onnx.ModelProto:
    """Convolution, Relu, pool, product, Softmax."""
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4), "m": weights(4, 5)}
    nodes = [
        node("Conv", "x w b", "c", "conv", kernel_shape=[3, 3]),
        node("Relu", "c", "r", "relu"),
        node("GlobalAveragePool", "r", "p", "pool"),
        node("Flatten", "p", "f", "flatten"),
        node("MatMul", "f m", "l", "product"),
        node("Softmax", "l", "y", "softmax", axis=1),
    ]
    return model(nodes, [tensor("x", ["N", 3, 9, 9])], [tensor("y", ["N", 5])], constants)


def convert(built: onnx.ModelProto, request: PrecisionRequest = FP16, **sample: Any) -> Converted:
    return convert_precision(built.SerializeToString(), request, [sample] if sample else None)


def loaded(content: bytes) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(content)


def operators(content: bytes) -> list[str]:
    return [n.op_type for n in loaded(content).graph.node]


def kept(converted: Converted) -> dict[str, str]:
    return {layer.name: layer.reason for layer in converted.report.kept}


def types_at(content: bytes, name: str) -> set[int]:
    """The element types of the inputs and outputs of a node."""
    inferred = onnx.shape_inference.infer_shapes(loaded(content)).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.input, *inferred.output)}
    types |= {v.name: v.type.tensor_type.elem_type for v in inferred.value_info}
    types |= {t.name: t.data_type for t in inferred.initializer}
    (found,) = [n for n in inferred.node if n.name == name]
    return {types[x] for x in (*found.input, *found.output) if x}


@pytest.mark.parametrize(("half", "type_"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_layers_are_half_and_the_interface_stays(half: Half, type_: int) -> None:
    original = network()
    made = convert(original, PrecisionRequest(half))
    after = loaded(made.model)
    assert list(after.graph.input) == list(original.graph.input)
    assert list(after.graph.output) == list(original.graph.output)
    assert operators(made.model).count("Cast") == 2
    assert [x.operator for x in made.report.converted] == [n.op_type for n in original.graph.node]
    assert made.report.kept == ()
    for layer in made.report.converted:
        assert types_at(made.model, layer.name) == {type_}
    assert {t.data_type for t in after.graph.initializer} == {type_}


def test_the_answers_of_the_emulation_are_those_of_numpy_in_half_precision() -> None:
    """The half model itself is computed with less rounding, or none: that would prove nothing."""
    m1, m2 = weights(6, 6), weights(6, 6)
    nodes = [node("MatMul", "x a", "t", "first"), node("MatMul", "t b", "y", "second")]
    built = model(nodes, [tensor("x", ["N", 6])], [tensor("y", ["N", 6])], {"a": m1, "b": m2})
    x = weights(7, 6)

    def half(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float16).astype(np.float32)

    wanted = half(half(half(x) @ half(m1)) @ half(m2))
    (found,) = compute(loaded(convert(built).emulated), x=x)
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(found - x @ m1 @ m2).max() > 1e-5


def _with_low_bits(high: int) -> st.SearchStrategy[int]:
    """Bits of a float32; half of them lie just between two bfloat16 numbers, or next to the middle."""
    middle = st.sampled_from([0x7FFF, 0x8000, 0x8001])
    return st.one_of(middle, st.integers(0, 2**16 - 1)).map(lambda low: (high << 16) | low)


@given(st.lists(st.integers(0, 2**16 - 1).flatmap(_with_low_bits), min_size=1, max_size=20))
@settings(max_examples=100)
def test_bfloat16_is_rounded_as_onnx_does(bits: list[int]) -> None:
    array = np.array(bits, np.uint32).view(np.float32)
    array = array[np.isfinite(array)]
    with np.errstate(over="ignore"):
        stored = helper.make_tensor(
            "t", TensorProto.BFLOAT16, array.shape, half_values(array, "bf16")[1], raw=True
        )
    ours = half_values(array, "bf16")[0]
    np.testing.assert_array_equal(numpy_helper.to_array(stored).astype(np.float32), ours)
    nodes = [node("Cast", "x", "h", to=TensorProto.BFLOAT16), node("Cast", "h", "y", to=TensorProto.FLOAT)]
    cast = model(nodes, [tensor("x", ["N"])], [tensor("y", ["N"])])
    np.testing.assert_array_equal(compute(cast, x=array)[0], ours)


def test_half_of_a_scalar_has_no_axes() -> None:
    for half in ("fp16", "bf16"):
        rounded, stored = half_values(np.array(0.1, np.float32), half)  # type: ignore[arg-type]
        assert rounded.shape == () and len(stored) == 2


def test_named_layers_stay_in_fp32() -> None:
    made = convert(network(), PrecisionRequest("fp16", keep=("prod", "softmax")))
    assert kept(made) == {
        "product": "its name holds 'prod' (precision::fp32)",
        "softmax": "its name holds 'softmax' (precision::fp32)",
    }
    for name in ("product", "softmax"):
        assert types_at(made.model, name) == {TensorProto.FLOAT}
    assert types_at(made.model, "conv") == {TensorProto.FLOAT16}
    assert operators(made.model).count("Cast") == 2


def test_only_named_layers_are_converted_if_some_are() -> None:
    made = convert(network(), PrecisionRequest("fp16", only=("conv", "relu")))
    assert [layer.name for layer in made.report.converted] == ["conv", "relu"]


def test_a_name_that_no_layer_has_is_told() -> None:
    made = convert(network(), PrecisionRequest("fp16", keep=("convv",)))
    assert made.report.unmatched == ("convv",)
    assert "note: no layer's name holds 'convv'" in made.report.text()


def test_an_unnamed_layer_goes_by_what_it_computes() -> None:
    built = model([node("Relu", "x", "y")], [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    assert list(kept(convert(built, PrecisionRequest("fp16", keep=("y",))))) == ["y"]


def test_layers_that_overflow_stay() -> None:
    nodes = [
        node("Mul", "x k", "large", "scale"),
        node("Div", "large k", "small", "back"),
        node("Relu", "small", "y", "relu"),
    ]
    built = model(nodes, [tensor("x", ["N", 3])], [tensor("y", ["N", 3])], {"k": np.float32(3000)})
    x = np.array([[1.0, -20.0, 50.0]], np.float32)
    made = convert(built, x=x)
    assert set(kept(made)) == {"scale", "back"}
    assert "'large' reaches 1.5e+05 on the samples" in kept(made)["scale"]
    np.testing.assert_allclose(compute(loaded(made.model), x=x)[0], np.maximum(x, 0), rtol=1e-3)
    unseen = convert(built)
    assert kept(unseen) == {} and any("no samples" in note for note in unseen.report.notes)
    assert not np.isfinite(compute(loaded(unseen.emulated), x=x)[0]).all()


@pytest.mark.parametrize(
    ("largest", "why"),
    [(3e4, ""), (4e4, "reaches 4e+04"), (1e-4, ""), (1e-5, "is 1e-05 at most")],
    ids=["large", "other samples may be larger", "small", "few digits"],
)
def test_values_near_the_ends_of_fp16(largest: float, why: str) -> None:
    built = model([node("Relu", "x", "y", "relu")], [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    found = kept(convert(built, x=np.array([[largest, largest / 2]], np.float32)))
    assert why in found["relu"] if why else found == {}


@pytest.mark.parametrize(
    ("operator", "constant", "stays"),
    [
        ("Mul", 1e5, True),
        ("Mul", 1e-6, True),
        ("Mul", 5.0, False),
        ("Mul", 1e-5, False),
        ("Div", 1e-6, True),
        ("Div", 2.0, False),
    ],
)
def test_constants_that_fp16_cannot_hold(operator: str, constant: float, stays: bool) -> None:
    built = model(
        [node(operator, "x k", "y", "one")],
        [tensor("x", ["N", 1])],
        [tensor("y", ["N", 1])],
        {"k": np.array([constant], np.float32)},
    )
    assert ("one" in kept(convert(built))) == stays
    assert kept(convert(built, PrecisionRequest("bf16"))) == {}


def test_a_few_small_weights_are_no_reason() -> None:
    small = weights(4, 4)
    small[0, 0] = 1e-7
    built = model(
        [node("MatMul", "x w", "y", "m")], [tensor("x", ["N", 4])], [tensor("y", ["N", 4])], {"w": small}
    )
    assert kept(convert(built)) == {}


def test_a_single_small_variance_is_a_reason() -> None:
    """What is small there makes its channel large."""
    constants = {"s": weights(2), "b": weights(2), "m": weights(2), "v": np.array([1e-6, 1], np.float32)}
    built = model(
        [node("BatchNormalization", "x s b m v", "y", "norm")],
        [tensor("x", ["N", 2])],
        [tensor("y", ["N", 2])],
        constants,
    )
    assert "'v' holds 1e-06" in kept(convert(built))["norm"]


def layer_norm(*, decomposed: bool) -> onnx.ModelProto:
    constants = {"two": np.float32(2), "eps": np.float32(1e-5), "g": weights(8), "b": weights(8)}
    steps = [
        node("ReduceMean", "h", "mean", "ln_mean", axes=[-1]),
        node("Sub", "h mean", "centred", "ln_sub"),
        node("Pow", "centred two", "squares", "ln_pow"),
        node("ReduceMean", "squares", "variance", "ln_var", axes=[-1]),
        node("Add", "variance eps", "sum", "ln_eps"),
        node("Sqrt", "sum", "root", "ln_root"),
        node("Div", "centred root", "n", "ln_div"),
        node("Mul", "n g", "scaled", "gain"),
        node("Add", "scaled b", "y", "shift"),
    ]
    one = [node("LayerNormalization", "h g b", "y", "ln_whole")]
    first = node("Relu", "x", "h", "relu")
    return model(
        [first, *(steps if decomposed else one)], [tensor("x", ["N", 8])], [tensor("y", ["N", 8])], constants
    )


@pytest.mark.parametrize("decomposed", [True, False])
def test_layer_norms_stay_if_asked(decomposed: bool) -> None:
    built = layer_norm(decomposed=decomposed)
    made = convert(built, PrecisionRequest("fp16", layer_norm_fp32=True))
    names = {n.name for n in built.graph.node}
    assert set(kept(made)) == {name for name in names if name.startswith("ln_")}
    assert kept(convert(built)) == {}


def test_a_root_that_is_no_norm_is_converted() -> None:
    nodes = [node("Mul", "x x", "s", "square"), node("Sqrt", "s", "y", "root")]
    built = model(nodes, [tensor("x", ["N", 8])], [tensor("y", ["N", 8])])
    assert kept(convert(built, PrecisionRequest("fp16", layer_norm_fp32=True))) == {}


def test_what_only_moves_float32_values_stays() -> None:
    nodes = [
        node("Exp", "x", "e", "exp"),
        node("Transpose", "e", "t", "turn", perm=[1, 0]),
        node("Log", "t", "y", "log"),
    ]
    built = model(nodes, [tensor("x", [2, 3])], [tensor("y", [3, 2])])
    made = convert(built, PrecisionRequest("fp16", keep=("exp", "log")))
    assert kept(made)["turn"] == "it only moves 'e', which is float32"
    assert "Cast" not in operators(made.model)


def test_operators_with_types_of_their_own() -> None:
    """Sizes of Resize stay float; Shape takes what there is; Cast and comparisons are left alone."""
    nodes = [
        node("Relu", "x", "r", "relu"),
        node("Shape", "r", "s", "shape"),
        node("Resize", "r - scales", "large", "resize", mode="nearest"),
        node("Cast", "u", "c", "cast", to=TensorProto.FLOAT),
        node("Reshape", "c s", "c2", "reshape"),
        node("GreaterOrEqual", "r c2", "g", "compare"),
        node("Where", "g r c2", "w", "where"),
        node("Identity", "w", "y", "out"),
        node("Identity", "large", "z", "out2"),
    ]
    scales = np.array([1, 1, 2, 2], np.float32)
    shape = ["N", 2, 3, 3]
    built = model(
        nodes,
        [tensor("x", shape), tensor("u", ["M"], TensorProto.UINT8)],
        [tensor("y", shape), tensor("z", ["N", 2, 6, 6])],
        {"scales": scales},
    )
    made = convert(built)
    feeds = {"x": weights(2, 2, 3, 3), "u": RNG.integers(0, 200, 36).astype(np.uint8)}
    for found, wanted in zip(compute(loaded(made.model), **feeds), compute(built, **feeds), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert "relu" not in kept(made) and "resize" not in kept(made)
    assert {"scales"} <= {t.name for t in loaded(made.model).graph.initializer}


def test_branches_keep_what_they_read() -> None:
    """An If reads a value from around it: that value exists in float32."""
    then = helper.make_graph([node("Relu", "h", "a")], "t", [], [tensor("a", ["N", 2])])
    other = helper.make_graph([node("Neg", "h", "b")], "e", [], [tensor("b", ["N", 2])])
    nodes = [
        node("Mul", "x x", "h", "square"),
        helper.make_node("If", ["flag"], ["y"], "branch", then_branch=then, else_branch=other),
    ]
    built = model(
        nodes, [tensor("x", ["N", 2]), tensor("flag", [], TensorProto.BOOL)], [tensor("y", ["N", 2])]
    )
    made = convert(built)
    x = weights(3, 2)
    for flag in (True, False):
        (found,) = compute(loaded(made.model), x=x, flag=np.array(flag))
        np.testing.assert_allclose(found, compute(built, x=x, flag=np.array(flag))[0], rtol=2e-3)
    assert "sub-graphs" in kept(made)["branch"]


def test_a_value_read_in_both_types_is_cast_once() -> None:
    nodes = [
        node("Relu", "x", "h", "relu"),
        node("Exp", "h", "a", "whole_a"),
        node("Log", "h", "b", "whole_b"),
        node("Neg", "h", "c", "half"),
        node("Sum", "a b c", "y", "whole_sum"),
    ]
    built = model(nodes, [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    made = convert(built, PrecisionRequest("fp16", keep=("whole",)))
    assert operators(made.model).count("Cast") == 3  # x down, h up, c up
    x = np.abs(weights(3, 2)) + 1
    np.testing.assert_allclose(compute(loaded(made.model), x=x)[0], compute(built, x=x)[0], rtol=2e-3)


def test_a_value_that_is_an_output_and_read_on() -> None:
    nodes = [node("Relu", "x", "h", "relu"), node("Neg", "h", "y", "neg")]
    built = model(nodes, [tensor("x", ["N", 2])], [tensor("h", ["N", 2]), tensor("y", ["N", 2])])
    for request in (FP16, PrecisionRequest("bf16")):
        for content in (convert(built, request).emulated, convert(built, FP16).model):
            h, y = compute(loaded(content), x=np.array([[0.5, -1]], np.float32))
            np.testing.assert_array_equal(h, [[0.5, 0]])
            np.testing.assert_array_equal(y, [[-0.5, 0]])


def test_constants_in_nodes_are_converted() -> None:
    nodes = [
        helper.make_node("Constant", [], ["k"], "constant", value=numpy_helper.from_array(np.float32(0.1))),
        node("Mul", "x k", "y", "mul"),
    ]
    built = model(nodes, [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    made = convert(built)
    assert operators(made.model) == ["Cast", "Mul", "Cast"] and "Constant" not in operators(made.emulated)
    np.testing.assert_array_equal(
        compute(loaded(made.emulated), x=np.ones((1, 2), np.float32))[0], np.float32(np.float16(0.1))
    )


def test_constants_in_nodes_that_are_no_floats_stay() -> None:
    shape = numpy_helper.from_array(np.array([-1, 1], np.int64))
    nodes = [
        helper.make_node("Constant", [], ["s"], "shape", value=shape),
        node("Relu", "x", "r", "relu"),
        node("Reshape", "r s", "y", "reshape"),
    ]
    built = model(nodes, [tensor("x", ["N", 2])], [tensor("y", ["M", 1])])
    (answer,) = compute(loaded(convert(built).model), x=np.array([[1, 2]], np.float32))
    assert answer.tolist() == [[1], [2]]


@pytest.mark.parametrize("whose", ["x", "r"])
def test_the_sizes_of_values_are_read_where_these_are(whose: str) -> None:
    """Of one that is there in half precision only, of that: no cast is made for it."""
    nodes = [
        node("Relu", "x", "r", "relu"),
        node("Shape", whose, "s", "shape"),
        node("Neg", "r", "n", "neg"),
        node("Reshape", "n s", "y", "reshape"),
    ]
    if whose == "x":  # before there is a half one
        nodes.insert(0, nodes.pop(1))
    built = model(nodes, [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    made = convert(built, PrecisionRequest("fp16", keep=("shape",)))
    assert operators(made.model).count("Cast") == 2
    (answer,) = compute(loaded(made.model), x=np.array([[1, -2]], np.float32))
    assert answer.tolist() == [[-1, 0]]


def test_an_operator_of_another_domain_stays() -> None:
    built = model(
        [node("Relu", "x", "h", "relu"), node("Gelu", "h", "y", "gelu", domain="com.microsoft")],
        [tensor("x", ["N", 2])],
        [tensor("y", ["N", 2])],
        check=False,
    )
    built.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert kept(convert(built))["gelu"] == "an operator of the domain 'com.microsoft'"


def test_an_older_model_is_brought_to_the_opset_of_bfloat16() -> None:
    made = convert(network(), PrecisionRequest("bf16"))
    assert "brought from opset 17 to 22: bf16 needs that" in made.report.notes
    assert loaded(made.model).opset_import[0].version == 22


def test_a_model_without_layers_in_float32() -> None:
    whole = [tensor("x", ["N", 4], TensorProto.FLOAT16)], [tensor("y", ["N", 4], TensorProto.FLOAT16)]
    made = convert(model([node("Relu", "x", "y")], *whole), PrecisionRequest("bf16"))
    assert made.report.doubts == ("no layer was put in bf16",)
    assert convert(network()).report.doubts == ()


def test_constants_that_an_old_model_does_not_list_as_inputs() -> None:
    """Version 3 of the format wants that; onnxruntime does without."""
    old = network()
    old.ir_version, old.opset_import[0].version = 3, 9
    assert loaded(convert(old, PrecisionRequest("bf16")).model).opset_import[0].version == 22


def test_the_same_model_gives_the_same_bytes() -> None:
    built = network()
    assert convert(built).model == convert(built).model


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff", b"no model at all"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        convert_precision(content, FP16)


def test_weights_in_another_file_are_asked_for() -> None:
    built = network()
    onnx.external_data_helper.set_external_data(built.graph.initializer[0], "weights.bin")
    with pytest.raises(ModelError, match="the weights 'w' lie in another file"):
        convert(built)


def test_the_report_is_text() -> None:
    made = convert(network(), PrecisionRequest("fp16", keep=("product",)))
    assert made.report.text() == (
        "fp16: 5 layers (1 Conv, 1 Flatten, 1 GlobalAveragePool, 1 Relu, 1 Softmax)\n"
        "fp32: MatMul 'product': its name holds 'product' (precision::fp32)\n"
        "note: no samples were given, so layers that overflow were not looked for\n"
    )
