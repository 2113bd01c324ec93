"""Writes match.onnx: cosine similarity and difference of two vectors, with a dynamic batch."""

import argparse
from pathlib import Path

import onnx
from onnx import TensorProto, helper

SIZE = 16


def build(path: Path) -> Path:
    """Write the model: ``left``, ``right`` float32 [N,16] to ``similarity`` [N], ``difference`` [N,16]."""

    def tensor(name: str, *dims: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

    last_axis = helper.make_tensor("last_axis", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceL2", ["left", "last_axis"], ["left_norm"], keepdims=0),
        helper.make_node("ReduceL2", ["right", "last_axis"], ["right_norm"], keepdims=0),
        helper.make_node("Mul", ["left", "right"], ["product"]),
        helper.make_node("ReduceSum", ["product", "last_axis"], ["dot"], keepdims=0),
        helper.make_node("Mul", ["left_norm", "right_norm"], ["norms"]),
        helper.make_node("Div", ["dot", "norms"], ["similarity"]),
        helper.make_node("Sub", ["left", "right"], ["difference"]),
    ]
    graph = helper.make_graph(
        nodes,
        "match",
        [tensor("left", "N", SIZE), tensor("right", "N", SIZE)],
        [tensor("similarity", "N"), tensor("difference", "N", SIZE)],
        [last_axis],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("match.onnx"))
    print(build(parser.parse_args().output))
