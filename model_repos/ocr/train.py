"""Train the angle classifier and the recogniser of this example: about five minutes on two cores.

    pip install torch
    python train.py        writes classifier.onnx, recogniser.onnx and keys.txt beside this file

Only this script needs torch. The words are cut out of generated pages as the pipeline does it, with
detector.onnx (see detector.py), so the networks see crops as they will get them; the pages of the tests are
others.

Both take ``image``: float32 ``[N, 3, 32, W]``, ``(value - 127.5) / 127.5``, filled up with grey on the right.
``classifier.onnx``: W is 128; ``scores`` ``[N, 2]`` are the probabilities of upright and upside down.
``recogniser.onnx``: any W that is a multiple of 4; ``steps`` ``[N, W/4, 37]``, probabilities of the blank and
of the characters of keys.txt, to be decoded as CTC.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import reference
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pages import CHARACTERS, make_page
from torch import nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
_FIRST_SEED = 1_000_000  # the tests' pages are the seeds below
_BATCH = 32
_NEAR = 20.0  # pixels between a box's middle and that of the word in it, at most

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Crop:
    """A word as it was cut out of a page, and what it is."""

    image: Image
    text: str
    upside_down: bool


def cut_words(pages: int) -> list[Crop]:
    """The words of that many pages, found by the detector."""
    detector = onnxruntime.InferenceSession(HERE / "detector.onnx", providers=["CPUExecutionProvider"])
    crops = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + pages):
        made = make_page(seed)
        page = cv2.imdecode(np.frombuffer(made.image, np.uint8), cv2.IMREAD_COLOR)
        for box in reference.find_boxes(detector, page):
            middle = box.mean(axis=0)
            word = min(made.words, key=lambda word: float(np.hypot(*(middle - word.middle))))
            if np.hypot(*(middle - word.middle)) < _NEAR:
                crops.append(Crop(reference.straighten(page, box), word.text, word.upside_down))
    return crops


def varied(image: Image, rng: np.random.Generator) -> Image:
    """The image in other light, and cut out a little differently."""
    height, width = image.shape[:2]
    top, bottom, left, right = rng.integers(0, 3, 4)
    image = image[top : height - bottom, left : width - right]
    changed = image.astype(np.float32) * rng.uniform(0.85, 1.1) + rng.uniform(-12, 12)
    return changed.clip(0, 255).astype(np.uint8)


def turned(image: Image) -> Image:
    return cv2.rotate(image, cv2.ROTATE_180)


# --- networks ---


def block(inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Classifier(nn.Module):
    """Four convolutions that halve, and the mean over the place."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 16, 24, 32, 48)
        self.body = nn.Sequential(*(block(a, b, 2) for a, b in pairwise(sizes)))
        self.head = nn.Conv2d(sizes[-1], 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)).mean(dim=(2, 3))


class Recogniser(nn.Module):
    """Convolutions that bring 32 rows down to one, and four columns to one step."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(3, 24),
            nn.MaxPool2d(2),
            block(24, 48),
            nn.MaxPool2d(2),
            block(48, 80),
            nn.MaxPool2d((2, 1)),
            block(80, 96),
            nn.MaxPool2d((4, 1)),
        )
        self.head = nn.Conv2d(96, len(CHARACTERS) + 1, (1, 5), padding=(0, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, W/4, classes]``."""
        return self.head(self.body(x)).squeeze(2).transpose(1, 2)


# --- training ---


def train_classifier(crops: list[Crop], epochs: int) -> Classifier:
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    model = Classifier()
    optimiser, schedule = _optimiser(model, epochs * -(-len(crops) // _BATCH), 5e-3)
    for epoch in range(epochs):
        total = 0.0
        for chosen in np.array_split(rng.permutation(len(crops)), -(-len(crops) // _BATCH)):
            flips = rng.random(len(chosen)) < 0.5
            images, labels = [], []
            for i, flip in zip(chosen, flips, strict=True):
                image = varied(crops[i].image, rng)
                images.append(reference.fit(turned(image) if flip else image, reference.ANGLE_WIDTH))
                labels.append(int(crops[i].upside_down != flip))
            loss = functional.cross_entropy(
                model(_tensor(images)), torch.tensor(labels), label_smoothing=0.02
            )
            total += _step(loss, optimiser, schedule) * len(chosen)
        print(f"classifier, epoch {epoch + 1:2d}: loss {total / len(crops):.4f}", flush=True)
    return model.eval()


def train_recogniser(crops: list[Crop], epochs: int) -> Recogniser:
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    model = Recogniser()
    optimiser, schedule = _optimiser(model, epochs * -(-len(crops) // _BATCH), 4e-3)
    for epoch in range(epochs):
        total = 0.0
        for images, texts in _batches(crops, rng):
            steps = functional.log_softmax(model(_tensor(images)), dim=2).transpose(0, 1)
            targets = torch.tensor([CHARACTERS.index(c) + 1 for text in texts for c in text])
            lengths = torch.tensor([len(text) for text in texts])
            loss = functional.ctc_loss(steps, targets, torch.full_like(lengths, len(steps)), lengths)
            total += _step(loss, optimiser, schedule) * len(texts)
        print(f"recogniser, epoch {epoch + 1:2d}: loss {total / len(crops):.4f}", flush=True)
    return model.eval()


def _batches(crops: list[Crop], rng: np.random.Generator) -> Iterator[tuple[list[Image], list[str]]]:
    """Batches of words of similar width, in random order; the width has some room to spare now and then."""
    sizes = [reference.width_at_height(crop.image) + rng.uniform(-30, 30) for crop in crops]
    order = np.argsort(sizes)
    batches = np.array_split(order, -(-len(crops) // _BATCH))
    for number in rng.permutation(len(batches)):
        chosen = [crops[i] for i in batches[number]]
        images = [varied(turned(c.image) if c.upside_down else c.image, rng) for c in chosen]
        width = reference.common_width(images) + reference.WIDTH_STEP * int(rng.choice(3, p=(0.6, 0.2, 0.2)))
        yield [reference.fit(image, width) for image in images], [c.text for c in chosen]


def _tensor(images: list[Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([reference.to_input(image) for image in images]))


def _optimiser(
    model: nn.Module, steps: int, rate: float
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-3)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1)


def _step(
    loss: torch.Tensor, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> float:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()
    return loss.item()


# --- export ---


class _Graph:
    """An ONNX graph that grows by a layer at a time."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.value = "image"

    def add(self, kind: str, name: str, *more: str, **attributes: object) -> None:
        self.nodes.append(helper.make_node(kind, [self.value, *more], [name], name, **attributes))
        self.value = name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> None:
        """A convolution, with its batch normalisation folded in."""
        weight = conv.weight.detach().numpy()
        bias = np.zeros(len(weight), np.float32) if conv.bias is None else conv.bias.detach().numpy()
        if norm is not None:
            deviation = (norm.running_var + norm.eps).sqrt().numpy()
            scale = norm.weight.detach().numpy() / deviation
            weight = weight * scale.reshape(-1, 1, 1, 1)
            bias = norm.bias.detach().numpy() - norm.running_mean.numpy() * scale
        names = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        shape = {"kernel_shape": list(conv.kernel_size), "strides": list(conv.stride)}
        self.add("Conv", name, *names, **shape, pads=[*conv.padding, *conv.padding])

    def body(self, layers: nn.Sequential) -> None:
        for number, layer in enumerate(layers, start=1):
            if isinstance(layer, nn.MaxPool2d):
                size = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
                self.add("MaxPool", f"pool{number}", kernel_shape=list(size), strides=list(size))
            else:
                self.conv(f"conv{number}", layer[0], layer[1])
                self.add("Relu", f"relu{number}")

    def write(self, path: Path, width: int | str, output: str, shape: list[int | str]) -> None:
        taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, reference.HEIGHT, width])
        given = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, path.stem, [taken], [given], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def export_classifier(model: Classifier, path: Path) -> None:
    graph = _Graph()
    graph.body(model.body)
    graph.conv("head", model.head)
    graph.add("GlobalAveragePool", "mean")
    graph.add("Flatten", "logits")
    graph.add("Softmax", "scores", axis=1)
    graph.write(path, reference.ANGLE_WIDTH, "scores", ["N", 2])


def export_recogniser(model: Recogniser, path: Path) -> None:
    graph = _Graph()
    graph.body(model.body)
    graph.conv("head", model.head)
    graph.add("Squeeze", "row", graph.constant("rows", np.array([2], np.int64)))
    graph.add("Transpose", "logits", perm=[0, 2, 1])
    graph.add("Softmax", "steps", axis=2)
    graph.write(path, "W", "steps", ["N", "T", len(CHARACTERS) + 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--into", type=Path, default=HERE)
    options = parser.parse_args()
    started = time.monotonic()
    crops = cut_words(options.pages)
    print(f"{len(crops)} words; {time.monotonic() - started:.0f} s", flush=True)
    (options.into / "keys.txt").write_text("".join(f"{character}\n" for character in CHARACTERS))
    export_classifier(train_classifier(crops, max(1, options.epochs // 2)), options.into / "classifier.onnx")
    export_recogniser(train_recogniser(crops, options.epochs), options.into / "recogniser.onnx")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
