"""Train the digit reader of this example, with numpy alone: about a minute on two cores.

    python train.py        writes digits.onnx beside this file and prints its accuracy on held-out pictures

The pictures are made of scikit-learn's handwritten digits (8x8 grey): each is written in red on paper that
has another digit printed on it in blue, with a little blur, tilt and noise, and goes through a JPEG. So the
colour order matters: a reader that mixes up red and blue reads the wrong digit.

Input ``image``: float32 ``[N, 3, 32, 32]``, RGB, ``(value - MEAN) / STD``. Output ``logits``: ``[N, 10]``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

MEAN = (201.0, 183.0, 194.0)  # RGB, of values 0 to 255; the keys `mean` and `std` of pipeline.toml
STD = (40.0, 61.0, 53.0)
SIDE = 32  # what the network sees
PICTURE = 100  # what the camera takes
MODEL = Path(__file__).with_name("digits.onnx")

_EPOCHS = 32
_BATCH = 64
_RED = np.float32((0.85, 0.12, 0.15))  # share of light that ink lets through: R, G, B
_BLUE = np.float32((0.25, 0.35, 0.9))

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def split_digits() -> tuple[tuple[Floats, Bytes], tuple[Floats, Bytes]]:
    """Training and held-out digits, always the same: strokes (float32 ``[n, 8, 8]``, 0 to 1) and labels."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    strokes = (data.images[order] / 16).astype(np.float32)
    labels = data.target[order].astype(np.uint8)
    count = len(order) // 5
    return (strokes[count:], labels[count:]), (strokes[:count], labels[:count])


def take_picture(stroke: Floats, print_: Floats, rng: np.random.Generator) -> bytes:
    """A JPEG of a digit written in red over one printed in blue."""
    light = rng.uniform(0.82, 1.0) * np.array(rng.uniform(0.95, 1.0, 3))
    paper = np.full((PICTURE, PICTURE, 3), light, np.float32)
    for digit, ink, strength in ((print_, _BLUE, 0.6), (stroke, _RED, 0.95)):
        amount = _place(digit, rng)[..., None] * np.float32(strength * rng.uniform(0.8, 1.0))
        paper *= 1 - amount * (1 - ink)
    noisy = paper * 255 + 3 * rng.standard_normal(paper.shape, np.float32)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))]
    written, data = cv2.imencode(".jpg", noisy[..., ::-1].clip(0, 255).astype(np.uint8), quality)
    assert written
    return data.tobytes()


def _place(digit: Floats, rng: np.random.Generator) -> Floats:
    """A digit enlarged, shifted, tilted and blurred, on a field of the picture's size."""
    scale = rng.uniform(8.0, 10.5)
    angle = rng.uniform(-6, 6)
    matrix = cv2.getRotationMatrix2D((3.5, 3.5), angle, scale)
    matrix[:, 2] += PICTURE / 2 - 4 + rng.uniform(-7, 7, 2)
    flags = cv2.INTER_CUBIC
    placed = cv2.warpAffine(digit, matrix, (PICTURE, PICTURE), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return cv2.GaussianBlur(placed.clip(0, 1), (0, 0), rng.uniform(0.5, 1.5))


def take_pictures(strokes: Floats, rng: np.random.Generator) -> list[bytes]:
    """One picture of each digit; what is printed below it is another one, chosen at random."""
    below = rng.integers(1, len(strokes), len(strokes))
    return [take_picture(s, strokes[(i + below[i]) % len(strokes)], rng) for i, s in enumerate(strokes)]


def held_out_jpegs() -> list[tuple[bytes, int]]:
    """Pictures that no training step has seen, with their digits. Always the same."""
    strokes, labels = split_digits()[1]
    pictures = take_pictures(strokes, np.random.default_rng(1))
    return [(picture, int(label)) for picture, label in zip(pictures, labels, strict=True)]


def preprocess(jpeg: bytes) -> Floats:
    """What pipeline.toml does before the model, in plain OpenCV: float32 ``[3, 32, 32]``."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    rgb = cv2.cvtColor(cv2.resize(image, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
    return ((rgb.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)


# --- a convolutional network in numpy ---


@dataclass
class Layer:
    """A convolution (NHWC, weights ``[k, k, in, out]``) or, with ``kernel`` 0, a linear layer; then ReLU."""

    weight: Floats
    bias: Floats
    kernel: int = 0
    relu: bool = True
    moments: dict[str, list[Floats]] = field(default_factory=dict)

    def forward(self, x: Floats) -> Floats:
        self.shape = x.shape
        self.columns = _columns(x, self.kernel) if self.kernel else x.reshape(len(x), -1)
        out: Floats = self.columns @ self.weight.reshape(-1, self.weight.shape[-1]) + self.bias
        self.positive = out > 0
        return out * self.positive if self.relu else out

    def backward(self, gradient: Floats) -> Floats:
        """The gradient of the input; those of the parameters are kept."""
        if self.relu:
            gradient = gradient * self.positive
        flat = gradient.reshape(-1, gradient.shape[-1])
        columns = self.columns.reshape(len(flat), -1)
        self.gradients = {"weight": (columns.T @ flat).reshape(self.weight.shape), "bias": flat.sum(axis=0)}
        back = (flat @ self.weight.reshape(-1, self.weight.shape[-1]).T).reshape(self.columns.shape)
        return _scatter(back, self.shape, self.kernel) if self.kernel else back.reshape(self.shape)

    def step(self, rate: float, number: int) -> None:
        """One step of Adam with a little weight decay."""
        for name, gradient in self.gradients.items():
            value = getattr(self, name)
            first, second = self.moments.setdefault(name, [np.zeros_like(value), np.zeros_like(value)])
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            mean, deviation = first / (1 - 0.9**number), np.sqrt(second / (1 - 0.999**number))
            value -= rate * (mean / (deviation + 1e-8) + (1e-3 * value if name == "weight" else 0))


def _columns(x: Floats, kernel: int) -> Floats:
    """The patches of a convolution with stride 2 and half padding: ``[n, h/2, w/2, k * k * c]``."""
    pad = kernel // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::2, ::2]
    return np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(*windows.shape[:3], -1)


def _scatter(columns: Floats, shape: tuple[int, ...], kernel: int) -> Floats:
    """The reverse of `_columns`: every patch is added to where it was taken."""
    pad = kernel // 2
    count, height, width, channels = shape
    padded = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), np.float32)
    rows, cols = columns.shape[1:3]
    patches = columns.reshape(count, rows, cols, kernel, kernel, channels)
    for dy in range(kernel):
        for dx in range(kernel):
            padded[:, dy : dy + 2 * rows : 2, dx : dx + 2 * cols : 2] += patches[:, :, :, dy, dx]
    return padded[:, pad : pad + height, pad : pad + width]


def new_network(rng: np.random.Generator) -> list[Layer]:
    """Three convolutions that halve the picture, and a linear layer."""
    layers = []
    channels = 3
    for kernel, filters in ((5, 24), (3, 32), (3, 64)):
        weight = rng.standard_normal((kernel, kernel, channels, filters)) * np.sqrt(
            2 / (kernel**2 * channels)
        )
        layers.append(Layer(weight.astype(np.float32), np.zeros(filters, np.float32), kernel))
        channels = filters
    features = channels * (SIDE // 8) ** 2
    weight = rng.standard_normal((features, 10)) * np.sqrt(1 / features)
    return [*layers, Layer(weight.astype(np.float32), np.zeros(10, np.float32), relu=False)]


def train(epochs: int = _EPOCHS, seed: int = 2) -> list[Layer]:
    """Train a network; every epoch takes new pictures of the training digits."""
    rng = np.random.default_rng(seed)
    (strokes, labels), _ = split_digits()
    layers = new_network(rng)
    number = 0
    steps = epochs * -(-len(strokes) // _BATCH)
    for epoch in range(epochs):
        pictures = take_pictures(strokes, rng)
        inputs = np.stack([preprocess(p) for p in pictures]).transpose(0, 2, 3, 1)
        order = rng.permutation(len(inputs))
        loss = 0.0
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            number += 1
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * number / steps))
            loss += _train_step(layers, inputs[chosen], labels[chosen], rate, number) * len(chosen)
        print(f"epoch {epoch + 1:2d}  loss {loss / len(order):.4f}")
    return layers


def _train_step(layers: list[Layer], inputs: Floats, labels: Bytes, rate: float, number: int) -> float:
    x = inputs
    for layer in layers:
        x = layer.forward(x)
    share = np.exp(x - x.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    wanted = np.full_like(share, 0.05 / 10)
    wanted[np.arange(len(labels)), labels] += 0.95
    gradient = (share - wanted) / len(labels)
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    for layer in layers:
        layer.step(rate, number)
    return float(-np.log(share[np.arange(len(labels)), labels] + 1e-9).mean())


def export(layers: list[Layer], path: Path) -> None:
    """Write the network as ONNX, channels first."""
    nodes, constants, value = [], [], "image"
    for number, layer in enumerate(layers[:-1], start=1):
        weight, bias = f"conv{number}.weight", f"conv{number}.bias"
        constants.append(
            numpy_helper.from_array(np.ascontiguousarray(layer.weight.transpose(3, 2, 0, 1)), weight)
        )
        constants.append(numpy_helper.from_array(layer.bias, bias))
        shape = {"kernel_shape": [layer.kernel] * 2, "strides": [2, 2], "pads": [layer.kernel // 2] * 4}
        nodes.append(
            helper.make_node("Conv", [value, weight, bias], [f"conv{number}"], f"conv{number}", **shape)
        )
        nodes.append(helper.make_node("Relu", [f"conv{number}"], [f"relu{number}"], f"relu{number}"))
        value = f"relu{number}"
    side = SIDE // 8
    last = layers[-1].weight.reshape(side, side, -1, 10).transpose(2, 0, 1, 3).reshape(-1, 10)
    constants.append(numpy_helper.from_array(np.ascontiguousarray(last), "linear.weight"))
    constants.append(numpy_helper.from_array(layers[-1].bias, "linear.bias"))
    nodes.append(helper.make_node("Flatten", [value], ["features"], "flatten"))
    nodes.append(helper.make_node("Gemm", ["features", "linear.weight", "linear.bias"], ["logits"], "linear"))
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "digits", [taken], [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def accuracy(path: Path = MODEL) -> float:
    """The share of held-out pictures that a model reads right, by plain OpenCV and onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pictures, labels = zip(*held_out_jpegs(), strict=True)
    (logits,) = session.run(None, {"image": np.stack([preprocess(p) for p in pictures])})
    return float((logits.argmax(axis=1) == np.array(labels)).mean())


if __name__ == "__main__":
    started = time.monotonic()
    export(train(), MODEL)
    print(f"{accuracy():.2%} of the held-out pictures are read right; {time.monotonic() - started:.0f} s")
