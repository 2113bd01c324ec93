"""Small ONNX models, written in one line each, for the tests of ``tpgen.engines``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name: str, shape: Any, elem_type: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem_type, shape)


def node(op: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    """``node("Conv", "x w b", "y", kernel_shape=[3, 3])``; ``-`` stands for an input left out."""
    taken = ["" if part == "-" else part for part in inputs.split()]
    return helper.make_node(op, taken, outputs.split(), name=name, **attributes)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, Any] | None = None,
    *,
    opset: int = 17,
    ir_version: int = 8,
    check: bool = True,  # False: shapes are left out on purpose
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    if check:
        onnx.checker.check_model(built)
    return built


def save(built: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(built.SerializeToString(deterministic=True))
    return path


def compute(source: Path | onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    """The model's answer, by plain onnxruntime."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    content = str(source) if isinstance(source, Path) else source.SerializeToString()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)
