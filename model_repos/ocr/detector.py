"""Makes detector.onnx: a convolutional network that finds text, with weights that are not trained.

    python detector.py        writes detector.onnx beside this file

Input ``image``: float32 ``[N, 3, H, W]``, ``(value - 127.5) / 127.5``; H and W are even. Output
``probability``: ``[N, 1, H, W]``, near 1 where text is, as of a DB detector. Dark pixels are found at half
the resolution, and gaps of the width of a letter are closed: a dilation, and an erosion by as much.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODEL = Path(__file__).with_name("detector.onnx")

_DARK = 0.1  # of the input's scale, -1 to 1: darker than this is ink
_STEEPNESS = 20.0
_REACH_X, _REACH_Y = 7, 1  # pixels of the half resolution that a dilation reaches


def build(path: Path = MODEL) -> Path:
    """Write the detector."""
    darkness = np.full((1, 3, 1, 1), -_STEEPNESS / 3, np.float32)
    constants = [
        numpy_helper.from_array(darkness, "darkness.weight"),
        numpy_helper.from_array(np.float32([_STEEPNESS * _DARK]), "darkness.bias"),
        numpy_helper.from_array(np.float32([1, 1, 2, 2]), "double"),
    ]
    kernel = {"kernel_shape": [2 * _REACH_Y + 1, 2 * _REACH_X + 1]}
    kernel["pads"] = [_REACH_Y, _REACH_X, _REACH_Y, _REACH_X]
    nodes = [
        helper.make_node("AveragePool", ["image"], ["half"], "half", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["half", "darkness.weight", "darkness.bias"], ["darkness"], "darkness"),
        helper.make_node("Sigmoid", ["darkness"], ["ink"], "ink"),
        helper.make_node("MaxPool", ["ink"], ["dilated"], "dilate", **kernel),
        helper.make_node("Neg", ["dilated"], ["paper"], "paper"),
        helper.make_node("MaxPool", ["paper"], ["thinned"], "erode", **kernel),
        helper.make_node("Neg", ["thinned"], ["closed"], "closed"),
        helper.make_node("Resize", ["closed", "", "double"], ["probability"], "double", mode="linear"),
    ]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])
    given = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1, "H", "W"])
    graph = helper.make_graph(nodes, "detector", [taken], [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


if __name__ == "__main__":
    build()
