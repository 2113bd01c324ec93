"""Write a ResNet whose answers depend on its input as a trained network's do, without training or torch.

    python make_model.py                     resnet50.onnx, about 100 MB
    python make_model.py --small -o s.onnx   a ResNet-18 of a quarter of the width, for tests and benchmarks

A network with random weights is nearly blind: whatever picture comes in, the logits hardly move. Here the
statistics of every batch normalisation come from a pass over synthetic photos, and the last layer is scaled
so that each logit has mean 0 and deviation 1 across them. A wrong colour order, mean or crop then shows.

The pass runs in float64 and its results are rounded to four digits, so that the same seed gives the same
file on every machine. The input is ``input``, float32 ``[N, 3, 224, 224]``, RGB, ``(value - MEAN) / STD``;
the output is ``output``, float32 ``[N, 1000]``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from images import synthetic_image

MEAN = (123.675, 116.28, 103.53)  # RGB, of values 0 to 255
STD = (58.395, 57.12, 57.375)
SIDE = 224
CLASSES = 1000
BRANCH_GAIN = 0.25  # of a residual branch; at 1 half precision would move logits by 2 % of their range

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """The shape of a network: blocks per stage, channels of the first stage, and the kind of block."""

    depths: tuple[int, int, int, int]
    width: int
    bottleneck: bool


VARIANTS = {
    "50": Variant((3, 4, 6, 3), 64, bottleneck=True),
    "small": Variant((2, 2, 2, 2), 16, bottleneck=False),
}


def build(path: Path | str, variant: str = "50", seed: int = 0, calibration_images: int = 16) -> Path:
    """Write the network of a variant to ``path``; the bytes are a function of the arguments."""
    shape = VARIANTS[variant]
    net = _Network(np.random.default_rng(seed))
    value = Value("input", calibration_batch(calibration_images))
    value = net.conv_bn(value, "stem", shape.width, kernel=7, stride=2, relu=True)
    value = net.max_pool(value)
    for stage, depth in enumerate(shape.depths):
        for index in range(depth):
            stride = 2 if stage > 0 and index == 0 else 1
            value = net.block(
                value, f"layer{stage + 1}.{index}", shape.width << stage, stride, shape.bottleneck
            )
    net.classifier(value)
    target = Path(path)
    target.write_bytes(net.model(f"resnet_{variant}").SerializeToString(deterministic=True))
    return target


def calibration_batch(count: int, first_seed: int = 1_000_000) -> Array:
    """Synthetic photos as the pipeline gives them to the model: resized, RGB, normalised, NCHW."""
    images = [synthetic_image(first_seed + i) for i in range(count)]
    small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for image in images])
    normalised = (small[..., ::-1].astype(np.float64) - MEAN) / STD
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class Value:
    """A value of the graph, with what it is for the calibration images: float64 NCHW."""

    name: str
    array: Array


@dataclass
class _Network:
    """The graph under construction."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def block(self, value: Value, name: str, width: int, stride: int, bottleneck: bool) -> Value:
        """A residual block: its convolutions, and a projection where the shape changes."""
        channels = width * 4 if bottleneck else width
        if bottleneck:
            main = self.conv_bn(value, f"{name}.conv1", width, kernel=1, relu=True)
            main = self.conv_bn(main, f"{name}.conv2", width, kernel=3, stride=stride, relu=True)
            main = self.conv_bn(main, f"{name}.conv3", channels, kernel=1, gain=BRANCH_GAIN)
        else:
            main = self.conv_bn(value, f"{name}.conv1", width, kernel=3, stride=stride, relu=True)
            main = self.conv_bn(main, f"{name}.conv2", channels, kernel=3, gain=BRANCH_GAIN)
        shortcut = value
        if stride != 1 or value.array.shape[1] != channels:
            shortcut = self.conv_bn(value, f"{name}.project", channels, kernel=1, stride=stride)
        total = self._add_node("Add", [main.name, shortcut.name], f"{name}.add")
        return self._relu(Value(total, main.array + shortcut.array), name)

    def conv_bn(
        self,
        value: Value,
        name: str,
        channels: int,
        *,
        kernel: int,
        stride: int = 1,
        relu: bool = False,
        gain: float = 1.0,
    ) -> Value:
        """Convolution and batch normalisation, whose statistics are those of the calibration images."""
        x = value.array
        fan_in = x.shape[1] * kernel * kernel
        weights = self.rng.standard_normal((channels, x.shape[1], kernel, kernel)) * np.sqrt(2 / fan_in)
        weight = self._constant(f"{name}.weight", weights)
        padding = kernel // 2
        out = self._add_node(
            "Conv",
            [value.name, f"{name}.weight"],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[padding] * 4,
        )
        y = _convolve(x, weight, stride, padding)
        mean = self._constant(f"{name}.bn.mean", _rounded(y.mean((0, 2, 3))))
        variance = self._constant(f"{name}.bn.var", _rounded(y.var((0, 2, 3))))
        scale = self._constant(f"{name}.bn.scale", np.full(channels, gain))
        bias = self._constant(f"{name}.bn.bias", self.rng.standard_normal(channels) * 0.2)
        statistics = [f"{name}.bn.{part}" for part in ("scale", "bias", "mean", "var")]
        out = self._add_node("BatchNormalization", [out, *statistics], f"{name}.bn", epsilon=1e-5)
        factor = scale / np.sqrt(variance + 1e-5)
        normal = Value(out, y * _per_channel(factor) + _per_channel(bias - mean * factor))
        return self._relu(normal, name) if relu else normal

    def max_pool(self, value: Value) -> Value:
        out = self._add_node(
            "MaxPool", [value.name], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
        )
        padded = np.pad(value.array, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return Value(out, windows[:, :, ::2, ::2].max((4, 5)))

    def classifier(self, value: Value) -> None:
        """Global pooling and a linear layer whose logits have mean 0 and deviation 1 over the images."""
        pooled = self._add_node("GlobalAveragePool", [value.name], "pool")
        features = self._add_node("Flatten", [pooled], "flatten", axis=1)
        x = value.array.mean((2, 3))
        weights = self.rng.standard_normal((CLASSES, x.shape[1])).astype(np.float32).astype(np.float64)
        weight = self._constant("fc.weight", weights * _rounded(1 / (x @ weights.T).std(0))[:, None])
        self._constant("fc.bias", _rounded(-(x @ weight.T).mean(0)))
        self.nodes.append(
            helper.make_node("Gemm", [features, "fc.weight", "fc.bias"], ["output"], "fc", transB=1)
        )

    def model(self, name: str) -> onnx.ModelProto:
        taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
        given = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", CLASSES])
        graph = helper.make_graph(self.nodes, name, [taken], [given], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model

    def _relu(self, value: Value, name: str) -> Value:
        out = self._add_node("Relu", [value.name], f"{name}.relu")
        return Value(out, np.maximum(value.array, 0))

    def _add_node(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name, **attributes))
        return f"{name}.out"

    def _constant(self, name: str, values: Array) -> Array:
        """Store values as float32; returned as the float64 that the file will hold."""
        stored = values.astype(np.float32)
        self.constants.append(numpy_helper.from_array(stored, name))
        return stored.astype(np.float64)


def _convolve(x: Array, weight: Array, stride: int, padding: int) -> Array:
    """A convolution as a sum of matrix products, one for each place in the kernel."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    kernel = weight.shape[2]
    rows = (padded.shape[2] - kernel) // stride + 1
    columns = (padded.shape[3] - kernel) // stride + 1
    out = np.zeros((x.shape[0], weight.shape[0], rows, columns))
    for image, target in zip(padded, out, strict=True):
        flat = target.reshape(weight.shape[0], -1)
        for dy in range(kernel):
            for dx in range(kernel):
                part = image[:, dy : dy + stride * rows : stride, dx : dx + stride * columns : stride]
                flat += np.ascontiguousarray(weight[:, :, dy, dx]) @ part.reshape(x.shape[1], -1)
    return out


def _per_channel(values: Array) -> Array:
    return values[:, None, None]


def _rounded(values: Array) -> Array:
    """Four significant digits: less than float64 differs by between machines, more than statistics need."""
    exponent = np.floor(np.log10(np.abs(values) + 1e-30))
    step = 10.0 ** (exponent - 3)
    return np.round(values / step) * step


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a seeded ResNet with calibrated statistics.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "resnet50.onnx")
    parser.add_argument("--small", action="store_true", help="the small network of tests and benchmarks")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path = build(arguments.output, "small" if arguments.small else "50", arguments.seed)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
