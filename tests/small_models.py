"""Small models for pipelines in tests."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from engines.onnx_build import model, node, save, tensor


def write_torchscript(path: Path, content: str = "nothing opens it here") -> bytes:
    """Writes what looks like a TorchScript model to who does not load it; returns its bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/constants.pkl", content)
    return path.read_bytes()


def write_models(folder: Path) -> None:
    """Writes the models into a folder.

    rgb.onnx: images ``[N,3,224,224]`` to logits ``[N,3]``; any.onnx: the same for any size; batch1.onnx: the
    same for one image. convolution.onnx: ``[N,3,8,8]`` through a zero-padded convolution. two.onnx: ``left``
    and ``right`` ``[N,4]`` to their sum. halves.onnx: ``x`` ``[N,C]`` to ``up`` and ``down``. hwc.onnx:
    images ``[N,8,8,3]`` to their mean.
    """
    pooled = [node("GlobalAveragePool", "image", "mean"), node("Flatten", "mean", "logits")]
    logits = [tensor("logits", ["N", 3])]
    save(model(pooled, [tensor("image", ["N", 3, 224, 224])], logits), folder / "rgb.onnx")
    save(model(pooled, [tensor("image", ["N", 3, "H", "W"])], logits), folder / "any.onnx")
    single = [tensor("image", [1, 3, 224, 224])]
    save(model(pooled, single, [tensor("logits", [1, 3])]), folder / "batch1.onnx")
    weight = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)
    padded = node("Conv", "image w", "maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    deep = [padded, node("GlobalAveragePool", "maps", "mean"), node("Flatten", "mean", "logits")]
    eight = [tensor("image", ["N", 3, 8, 8])]
    save(model(deep, eight, logits, {"w": weight}), folder / "convolution.onnx")
    both = [tensor("left", ["N", 4]), tensor("right", ["N", 4])]
    save(model([node("Add", "left right", "sum")], both, [tensor("sum", ["N", 4])]), folder / "two.onnx")
    halves = [node("Relu", "x", "up"), node("Neg", "x", "down")]
    outputs = [tensor("up", ["N", "C"]), tensor("down", ["N", "C"])]
    save(model(halves, [tensor("x", ["N", "C"])], outputs), folder / "halves.onnx")
    mean = [node("ReduceMean", "image", "mean", axes=[1, 2, 3], keepdims=0)]
    save(model(mean, [tensor("image", ["N", 8, 8, 3])], [tensor("mean", ["N"])]), folder / "hwc.onnx")
