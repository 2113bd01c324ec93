"""A model whose weights and names can be searched for, and pipelines that run it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from engines.onnx_build import model, node, tensor

WEIGHT = np.random.default_rng(11).normal(size=(5, 7)).astype(np.float32)
NAME = "weight_that_nobody_may_see"

TOML = """
[pipeline]
name = "{name}"
[prepare]
backend = "Sequential[DecodeMat,ResizeMat,cvtColorMat,Mat2Tensor]"
resize_h = 8
resize_w = 8
color = "rgb"
next = "net"
[net]
backend = "TensorrtTensor"
model = "{model}"
max = 4
mean = "120,110,100"
std = "60,50,40"
{more}
"""


def secret_model(batch: int | str = "N") -> onnx.ModelProto:
    """Images ``[N,3,8,8]`` to ``logits`` ``[N,7]``."""
    kernel = np.random.default_rng(12).normal(size=(5, 3, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", f"image kernel_of_{NAME}", "maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "maps", "mean"),
        node("Flatten", "mean", "flat"),
        node("MatMul", f"flat {NAME}", "logits"),
    ]
    constants = {f"kernel_of_{NAME}": kernel, NAME: WEIGHT}
    return model(nodes, [tensor("image", [batch, 3, 8, 8])], [tensor("logits", [batch, 7])], constants)


def write_pipeline(folder: Path, name: str, file: str, more: str = "") -> Path:
    """Writes the TOML of a pipeline with this model file."""
    path = folder / f"{name}.toml"
    path.write_text(TOML.format(name=name, model=file, more=more))
    return path


def leaks(*folders: Path) -> list[Path]:
    """The files below that show something of the model; memory that is looked into belongs to nobody else."""
    marks = (WEIGHT.tobytes()[:32], NAME.encode())
    return [path for path in _files(folders) if any(mark in path.read_bytes() for mark in marks)]


def _files(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())
