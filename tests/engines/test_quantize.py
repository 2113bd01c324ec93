"""int8: the pairs are those that TensorRT takes, and the ranges are those of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from engines.onnx_build import compute, model, node, tensor
from tpgen.engines.errors import ModelError
from tpgen.engines.quantize import Int8Request, quantize_int8

RNG = np.random.default_rng(3)
SAMPLES = [{"x": RNG.standard_normal((2, 3, 8, 8)).astype(np.float32)} for _ in range(24)]


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.3).astype(np.float32)


def network(*, opset: int = 17, norm: bool = False, named: bool = True) -> onnx.ModelProto:
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4), "w2": weights(6, 4, 3, 3), "m": weights(6, 5)}
    first = [node("Conv", "x w b", "c", "conv1", kernel_shape=[3, 3])]
    if norm:
        constants |= {"s": weights(4), "h": weights(4), "mean": weights(4), "var": np.abs(weights(4)) + 0.1}
        first.append(node("BatchNormalization", "c s h mean var", "cn", "norm"))
    nodes = [
        *first,
        node("Relu", "cn" if norm else "c", "r", "relu1"),
        node("Conv", "r w2", "d", "conv2", kernel_shape=[3, 3]),
        node("Relu", "d", "e", "relu2"),
        node("GlobalAveragePool", "e", "p", "pool"),
        node("Flatten", "p", "f", "flatten"),
        node("Gemm", "f m", "y", "linear"),
    ]
    if not named:
        for one in nodes:
            one.name = ""
    return model(nodes, [tensor("x", ["N", 3, 8, 8])], [tensor("y", ["N", 5])], constants, opset=opset)


def quantize(built: onnx.ModelProto, request: Int8Request | None = None, samples: Any = SAMPLES) -> Any:
    return quantize_int8(built.SerializeToString(), request or Int8Request(), samples)


def loaded(content: bytes) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(content)


def constants(content: bytes) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in loaded(content).graph.initializer}


def feeds(content: bytes, layer: str) -> list[str]:
    """The operators that give a layer's inputs; '' for constants and the model's inputs."""
    graph = loaded(content).graph
    makers = {y: n.op_type for n in graph.node for y in n.output}
    (found,) = [n for n in graph.node if n.name == layer]
    return [makers.get(x, "") for x in found.input]


def test_the_pairs_are_symmetric_and_weights_have_a_scale_per_channel() -> None:
    made = quantize(network())
    values = constants(made.model)
    points = [v for name, v in values.items() if name.endswith("zero_point")]
    assert points and all(v.dtype == np.int8 and not v.any() for v in points)
    for weight, channels in (("w", 4), ("w2", 6), ("m", 5)):
        assert values[f"{weight}_scale"].shape == (channels,)
        assert values[weight].dtype == np.float32
    assert values["r_scale"].shape == ()


def test_inputs_of_layers_are_quantised_and_nothing_else() -> None:
    made = quantize(network())
    assert feeds(made.model, "conv1") == ["DequantizeLinear", "DequantizeLinear", ""]
    assert feeds(made.model, "conv2") == ["DequantizeLinear"] * 2
    assert feeds(made.model, "linear") == ["DequantizeLinear"] * 2
    assert feeds(made.model, "relu1") == ["Conv"]
    assert feeds(made.model, "pool") == ["Relu"]
    graph = loaded(made.model).graph
    assert [o.name for o in graph.output] == ["y"] and graph.output[0].type.tensor_type.elem_type == 1
    assert all(t.data_type != TensorProto.INT32 for t in graph.initializer)
    assert [layer.name for layer in made.report.converted] == ["conv1", "conv2", "linear"]


def test_scales_are_the_ranges_of_the_samples() -> None:
    built = network()
    made = quantize(built)
    largest = max(float(np.abs(s["x"]).max()) for s in SAMPLES)
    values = constants(made.model)
    assert values["x_scale"] == pytest.approx(largest / 127, rel=0.01)
    per_channel = np.abs(constants(built.SerializeToString())["w"]).max(axis=(1, 2, 3)) / 127
    np.testing.assert_allclose(values["w_scale"], per_channel, rtol=0.01)


def test_answers_are_close() -> None:
    built = network()
    made = quantize(built)
    x = RNG.standard_normal((50, 3, 8, 8)).astype(np.float32)
    (wanted,), (found,) = compute(built, x=x), compute(loaded(made.emulated), x=x)
    assert 0 < np.abs(found - wanted).max() < 0.06 * np.ptp(wanted)


def test_entropy_cuts_rare_large_values_off() -> None:
    """One value in 6,000 is ten times as large as all others: minmax gives it most of the scale."""
    rare = [{"x": s["x"].copy()} for s in SAMPLES]
    for sample in rare[:6]:
        sample["x"][0, 0, 0, 0] = 60.0
    scales = {
        method: constants(quantize(network(), Int8Request(method=method), rare).model)["x_scale"]
        for method in ("minmax", "entropy")
    }
    assert scales["minmax"] == pytest.approx(60 / 127, rel=0.01)
    assert scales["entropy"] < scales["minmax"] / 3


def test_named_layers_are_left_alone() -> None:
    made = quantize(network(), Int8Request(keep=("conv1",)))
    assert feeds(made.model, "conv1") == ["", "", ""]
    assert feeds(made.model, "conv2") == ["DequantizeLinear"] * 2
    assert [layer.name for layer in made.report.kept] == ["conv1"]


def test_batch_normalisations_are_folded_first() -> None:
    built = network(norm=True)
    made = quantize(built)
    assert "BatchNormalization" not in {n.op_type for n in loaded(made.model).graph.node}
    assert any("folded" in note for note in made.report.notes)
    (wanted,), (found,) = compute(built, **SAMPLES[0]), compute(loaded(made.model), **SAMPLES[0])
    assert np.abs(found - wanted).max() < 0.06 * np.ptp(wanted)


def test_layers_without_names_and_an_older_opset() -> None:
    made = quantize(network(opset=11, named=False))
    assert any(note.startswith("brought from opset 11 to 13") for note in made.report.notes)
    assert [layer.name for layer in made.report.converted] == ["c", "d", "y"]


def test_the_rest_in_half_precision() -> None:
    built = network()
    made = quantize(built, Int8Request(rest="fp16", keep=("linear",)))
    types = {t.name: t.data_type for t in loaded(made.model).graph.initializer}
    assert TensorProto.FLOAT16 in types.values() and types["m"] == TensorProto.FLOAT
    onnx.checker.check_model(loaded(made.model), full_check=True)
    assert feeds(made.model, "conv2") == ["DequantizeLinear"] * 2  # no cast comes between
    x = SAMPLES[0]["x"]
    (wanted,), (found,) = compute(built, x=x), compute(loaded(made.emulated), x=x)
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() < 0.06 * np.ptp(wanted)
    assert "all other layers are in fp16" in made.report.notes


def test_scales_that_fp16_cannot_hold_leave_the_rest_in_fp32() -> None:
    built = network()
    (tiny,) = [t for t in built.graph.initializer if t.name == "w2"]
    tiny.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tiny) * np.float32(1e-5), "w2"))
    made = quantize(built, Int8Request(rest="fp16"))
    assert any(note.startswith("layers that are not quantised stay in fp32") for note in made.report.notes)
    assert all(t.data_type != TensorProto.FLOAT16 for t in loaded(made.model).graph.initializer)


def test_samples_may_differ_in_size() -> None:
    nodes = [node("Conv", "x w", "y", "conv", kernel_shape=[3, 3])]
    built = model(
        nodes, [tensor("x", ["N", 3, 8, "W"])], [tensor("y", ["N", 4, 6, "V"])], {"w": weights(4, 3, 3, 3)}
    )
    samples = [{"x": RNG.standard_normal((1, 3, 8, width)).astype(np.float32)} for width in (8, 12, 30)]
    for method in ("minmax", "entropy"):
        made = quantize(built, Int8Request(method=method), samples)
        assert "3 samples set the ranges, where a few hundred are usual" in made.report.doubts


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    quantize(network(), Int8Request(method="entropy"), SAMPLES[:1])
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_quantised() -> None:
    plain = model([node("Relu", "x", "y")], [tensor("x", ["N", 2])], [tensor("y", ["N", 2])])
    with pytest.raises(ModelError, match="no layer to quantise"):
        quantize(plain, samples=[{"x": np.zeros((1, 2), np.float32)}])
    with pytest.raises(ModelError, match="no layer is left to quantise: precision::fp32 keeps all"):
        quantize(network(), Int8Request(keep=("",)))
    with pytest.raises(ModelError, match="needs samples"):
        quantize(network(), samples=[])
    with pytest.raises(ModelError, match="onnxruntime can't quantise"):
        quantize(network(), samples=[{"x": np.zeros((1, 3, 9, 9), np.float32)}])


def _pairs(content: bytes) -> list[tuple[str, ...]]:
    nodes = loaded(content).graph.node
    return [tuple(n.input) for n in nodes if n.op_type in ("QuantizeLinear", "DequantizeLinear")]


@pytest.mark.parametrize("samples", [[], SAMPLES[:2]])
def test_a_model_that_is_quantised_already_keeps_its_ranges(samples: list[Any]) -> None:
    given = loaded(quantize(network()).model)
    kept = quantize(given, samples=samples)
    assert loaded(kept.model) == given and "the model brings the ranges of int8 itself" in kept.report.text()
    made = quantize(given, Int8Request(rest="fp16"), samples)
    assert len(_pairs(made.model)) == len(_pairs(kept.model)) > 0
    before, after = constants(kept.model), constants(made.model)
    scales = {name for pair in _pairs(kept.model) for name in pair[1:2]}
    assert all(np.allclose(before[name], after[name], rtol=1e-3) for name in scales & set(after))
    assert TensorProto.FLOAT16 in {t.data_type for t in loaded(made.model).graph.initializer}
    x = SAMPLES[0]["x"]
    (wanted,), (found,) = compute(given, x=x), compute(loaded(made.emulated), x=x)
    assert np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)
    assert "samples set the ranges" not in made.report.text()


@pytest.mark.parametrize(
    ("zero", "problem"),
    [(np.uint8(0), "has uint8"), (np.int8(3), "a zero point that is not 0"), (np.int32(0), "has int32")],
)
def test_pairs_that_tensorrt_refuses(zero: np.generic, problem: str) -> None:
    given = loaded(quantize(network()).model)
    name = next(n.input[2] for n in given.graph.node if n.op_type == "DequantizeLinear")
    (tensor_,) = [t for t in given.graph.initializer if t.name == name]
    tensor_.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor_.dims), zero), name))
    with pytest.raises(ModelError, match=f"TensorRT takes int8 around 0 only, .*{problem}") as caught:
        quantize(given, samples=[])
    assert "symmetric" in (caught.value.hint or "")


def test_weights_in_half_precision_are_not_quantised() -> None:
    half = loaded(network().SerializeToString())
    for one in half.graph.initializer:
        one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one).astype(np.float16), one.name))
    for value in (*half.graph.input, *half.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(ModelError, match="int8 is made of float32, and the weights of 'conv1' are in half"):
        quantize(half, samples=[{"x": SAMPLES[0]["x"].astype(np.float16)}])
