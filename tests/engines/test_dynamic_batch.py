"""Copies of models made for one item answer batches as the originals answer their items."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.onnx_build import FLOAT, compute, model, node, save, tensor
from tpgen.engines.dynamic_batch import DynamicBatchResult, make_batch_dynamic
from tpgen.engines.errors import ModelError
from tpgen.engines.signature import read_signature
from tpgen.ir.signature import BatchAxis

RNG = np.random.default_rng(8)


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.3).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def check_dynamic(tmp_path: Path, built: onnx.ModelProto, count: int = 5) -> DynamicBatchResult:
    """Rewrite, then compare a batch of ``count`` new random items with the original's answers."""
    source = save(built, tmp_path / "fixed.onnx")
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    result = make_batch_dynamic(source, tmp_path / "out" / "dynamic.onnx")
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    onnx.checker.check_model(str(result.written.model))
    signature = read_signature(result.written.model)
    assert signature.batch is BatchAxis.DYNAMIC
    items = []
    for _ in range(count):
        item = {}
        for info in signature.inputs:
            shape = [1, *(d if isinstance(d, int) else 16 for d in info.shape[1:])]
            floats = info.dtype.value.startswith("float")
            drawn = RNG.standard_normal(shape) if floats else RNG.integers(0, 2, shape)
            item[info.name] = drawn.astype(info.dtype.value)
        items.append(item)
    batch = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
    alone = [compute(source, **item) for item in items]
    for position, together in enumerate(compute(result.written.model, **batch)):
        expected = np.concatenate([answers[position] for answers in alone])
        assert together.shape == expected.shape
        np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    return result


def blocked(tmp_path: Path, built: onnx.ModelProto) -> ModelError:
    source = save(built, tmp_path / "fixed.onnx")
    with pytest.raises(ModelError) as caught:
        make_batch_dynamic(source, tmp_path / "dynamic.onnx")
    assert not (tmp_path / "dynamic.onnx").exists()
    assert caught.value.code == "TP408"
    return caught.value


def chain(
    *nodes: onnx.NodeProto, x: Any = (1, 4, 6), y: Any, constants: dict[str, Any] | None = None
) -> onnx.ModelProto:
    """A model of one input ``x`` and one output ``y``."""
    built = model(list(nodes), [tensor("x", list(x))], [tensor("y", list(y))], constants)
    inferred = onnx.shape_inference.infer_shapes(built)  # exporters leave shapes of batch 1 inside
    assert len(inferred.graph.value_info) >= len(nodes) - 1 or any(n.op_type == "If" for n in nodes)
    return inferred


def test_a_convolutional_network_needs_its_axes_only(tmp_path: Path) -> None:
    built = chain(
        node("Conv", "x w", "h", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "h", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "y"),
        x=(1, 3, 8, 8),
        y=(1, 5),
        constants={"w": weights(5, 3, 3, 3)},
    )
    result = check_dynamic(tmp_path, built)
    assert result.edits == ("input 'x': the first axis", "output 'y': the first axis")
    assert result.proven == (2, 3)


@pytest.mark.parametrize(
    ("shape", "out"),
    [((1, 24), (1, 24)), ((1, -1), (1, 24)), ((1, 2, 12), (1, 2, 12)), ((1, 1, 24), (1, 1, 24))],
)
def test_reshape_to_a_size_with_the_batch_in_it(
    tmp_path: Path, shape: tuple[int, ...], out: tuple[int, ...]
) -> None:
    result = check_dynamic(
        tmp_path, chain(node("Reshape", "x s", "y", "flat"), y=out, constants={"s": ints(*shape)})
    )
    assert result.edits[2:] == ("Reshape 'flat': entry 0 of its shape follows the batch",)


def test_reshape_that_joins_batch_and_heads(tmp_path: Path) -> None:
    """As multi-head attention is exported: time first, batch and heads on one axis."""
    built = chain(
        node("Transpose", "x", "t", perm=[1, 0, 2]),  # [4, 1, 6]
        node("Reshape", "t s", "h", "split"),  # [4, 3 heads, 2]
        node("Transpose", "h", "q", perm=[1, 0, 2]),
        node("Transpose", "h", "k", perm=[1, 2, 0]),
        node("MatMul", "q k", "a"),
        node("Softmax", "a", "p", axis=-1),
        node("MatMul", "p q", "v"),
        node("Transpose", "v", "u", perm=[1, 0, 2]),
        node("Reshape", "u z", "w", "join"),
        node("Transpose", "w", "y", perm=[1, 0, 2]),
        y=(1, 4, 6),
        constants={"s": ints(4, 3, 2), "z": ints(4, 1, 6)},
    )
    result = check_dynamic(tmp_path, built)
    assert result.edits[2:] == (
        "Reshape 'split': entry 1 of its shape follows the batch",
        "Reshape 'join': entry 1 of its shape follows the batch",
    )


def test_a_class_token_is_repeated(tmp_path: Path) -> None:
    built = chain(
        node("Concat", "token x", "h", "add_token", axis=1),
        node("Add", "h position", "y"),
        y=(1, 5, 6),
        constants={"token": weights(1, 1, 6), "position": weights(1, 5, 6)},
    )
    result = check_dynamic(tmp_path, built)
    assert result.edits[2:] == ("Concat 'add_token': 'token' is repeated for each item",)


def test_a_class_token_expanded_to_one_item(tmp_path: Path) -> None:
    built = chain(
        node("Expand", "token s", "e"),
        node("Concat", "e x", "y", "add_token", axis=1),
        y=(1, 5, 6),
        constants={"token": weights(1, 1, 6), "s": ints(1, 1, 6)},
    )
    assert check_dynamic(tmp_path, built).edits[2:] == ("Concat 'add_token': 'e' is repeated for each item",)


@pytest.mark.parametrize("state", ["initializer", "ConstantOfShape"])
def test_initial_states_of_an_lstm(tmp_path: Path, state: str) -> None:
    constants = {"w": weights(1, 20, 6), "r": weights(1, 20, 5)}
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    if state == "initializer":
        constants |= {"h0": weights(1, 1, 5), "c0": weights(1, 1, 5)}
    else:
        constants |= {"s": ints(1, 1, 5)}
        nodes += [node("ConstantOfShape", "s", "h0"), node("ConstantOfShape", "s", "c0")]
    nodes += [
        node("LSTM", "t w r - - h0 c0", "all last", "rnn", hidden_size=5),
        node("Squeeze", "last axis", "y"),
    ]
    constants |= {"axis": ints(0)}
    result = check_dynamic(tmp_path, chain(*nodes, y=(1, 5), constants=constants))
    assert len(result.edits) == 4
    assert all("LSTM 'rnn'" in edit for edit in result.edits[2:])


def test_resize_to_a_size_with_the_batch_in_it(tmp_path: Path) -> None:
    built = chain(
        node("Resize", "x - - s", "y", "up", mode="linear"),
        x=(1, 3, 4, 5),
        y=(1, 3, 8, 9),
        constants={"s": ints(1, 3, 8, 9)},
    )
    assert "Resize 'up': entry 0" in check_dynamic(tmp_path, built).edits[2]


def test_sizes_computed_in_the_graph(tmp_path: Path) -> None:
    """Half of the shape is read at run time, the batch is written into it."""
    built = chain(
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "rows", axis=0),
        node("Concat", "one_item rows rest", "s", axis=0),
        node("Reshape", "x s", "y", "again"),
        y=(1, 4, 6),
        constants={"one": ints(1), "one_item": ints(1), "rest": ints(6)},
    )
    built.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    built.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    result = check_dynamic(tmp_path, built)
    assert result.edits[2:] == ("Reshape 'again': entry 0 of its shape follows the batch",)


def test_sizes_that_follow_the_batch_by_themselves(tmp_path: Path) -> None:
    built = chain(
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Concat", "batch minus", "s", axis=0),
        node("Reshape", "x s", "y"),
        y=(1, 24),
        constants={"zero": ints(0), "minus": ints(-1)},
    )
    assert len(check_dynamic(tmp_path, built).edits) == 2


def test_an_output_that_is_the_same_for_all(tmp_path: Path) -> None:
    built = model(
        [node("Relu", "x", "y"), node("Mul", "anchors two", "boxes")],
        [tensor("x", [1, 4])],
        [tensor("y", [1, 4]), tensor("boxes", [1, 7, 4])],
        {"anchors": weights(1, 7, 4), "two": np.float32(2)},
    )
    assert "output 'boxes': repeated for each item" in check_dynamic(tmp_path, built).edits


def test_an_axis_that_only_pretends_to_vary(tmp_path: Path) -> None:
    built = chain(
        node("Reshape", "x s", "y", "flat"), x=("N", 4, 6), y=("N", 24), constants={"s": ints(1, 24)}
    )
    assert len(check_dynamic(tmp_path, built).edits) == 3


def test_token_ids_and_a_mask(tmp_path: Path) -> None:
    built = model(
        [
            node("Gather", "table ids", "e", axis=0),
            node("Unsqueeze", "mask last", "m"),
            node("Cast", "m", "f", to=FLOAT),
            node("Mul", "e f", "h"),
            node("ReduceSum", "h one", "p", keepdims=0),
            node("Reshape", "p s", "y", "out"),
        ],
        [tensor("ids", [1, "T"], TensorProto.INT64), tensor("mask", [1, "T"], TensorProto.BOOL)],
        [tensor("y", [1, 8])],
        {"table": weights(11, 8), "last": ints(2), "one": ints(1), "s": ints(1, 8)},
    )
    assert check_dynamic(tmp_path, built).edits[-1].startswith("Reshape 'out'")


def test_external_data_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    built = chain(
        node("Reshape", "x s", "h"),
        node("MatMul", "h w", "y"),
        y=(1, 50),
        constants={"s": ints(1, 24), "w": weights(24, 50)},
    )
    source = tmp_path / "m.onnx"
    onnx.save(built, source, save_as_external_data=True, location="m.bin", size_threshold=1000)
    results = [
        make_batch_dynamic(source, tmp_path / name / "model.onnx", threshold=1000) for name in ("a", "b")
    ]
    first, second = (result.written.files for result in results)
    assert [file.name for file in first] == ["model.onnx", "model.onnx.data"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    x = RNG.standard_normal((3, 4, 6)).astype(np.float32)
    (expected,) = compute(source, x=x[1:2])
    np.testing.assert_allclose(compute(first[0], x=x)[0][1:2], expected, atol=1e-5)


# --- what prevents batches ---


BLOCKED = {
    "mean_of_batch": (
        [
            node("ReduceMean", "x", "m", "mean_of_batch", axes=[0]),
            node("Add", "x m", "y"),
        ],
        "ReduceMean 'mean_of_batch' prevents batches: it gives one answer of shape [1, 4, 6]",
    ),
    "over_items": (
        [
            node("Softmax", "x", "h", "over_items", axis=0),
            node("Add", "h x", "y"),
        ],
        "Softmax 'over_items' prevents batches: the items of a batch influence each other",
    ),
    "drop": (
        [
            node("Squeeze", "x", "h", "drop"),
            node("Unsqueeze", "h zero", "y"),
        ],
        "Squeeze 'drop' prevents batches: its output is [4, 6] for one item and [2, 4, 6] for two",
    ),
    "noise": (
        [
            node("RandomNormalLike", "x", "n", "noise"),
            node("Add", "x n", "y"),
        ],
        "RandomNormalLike 'noise' prevents batches: it draws random numbers",
    ),
    "cut": (
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Concat", "t t", "c", axis=1),
            node("Transpose", "c", "d", perm=[1, 0, 2]),
            node("Slice", "d zero one", "y", "cut"),
        ],
        "Slice 'cut' prevents batches: it gives one answer of shape [1, 4, 6] for the whole batch",
    ),
}


@pytest.mark.parametrize("guilty", BLOCKED)
def test_the_node_that_prevents_it_is_named(tmp_path: Path, guilty: str) -> None:
    nodes, why = BLOCKED[guilty]
    built = chain(*nodes, y=(1, 4, 6), constants={"zero": ints(0), "one": ints(1)})
    error = blocked(tmp_path, built)
    assert error.node == guilty
    assert why in error.message
    assert error.hint


def test_an_output_with_the_items_on_another_axis(tmp_path: Path) -> None:
    built = chain(node("Transpose", "x", "y", "turn", perm=[1, 0, 2]), x=(1, 1, 6), y=(1, 1, 6))
    error = blocked(tmp_path, built)
    assert error.node == "turn"
    assert "output 'y' has the items of a batch on axis 1 instead of on the first axis" in error.message


def test_a_model_that_answers_the_same_to_everything(tmp_path: Path) -> None:
    """A batch of such answers would prove nothing."""
    built = chain(node("Softmax", "x", "y", axis=0), y=(1, 4, 6))
    assert "its answers are the same for every random input" in blocked(tmp_path, built).message


def test_a_sub_graph_with_the_batch_written_into_it(tmp_path: Path) -> None:
    branches = {
        name: helper.make_graph([node("Reshape", "x s", name)], name, [], [tensor(name, [1, 24])])
        for name in ("then", "other")
    }
    built = model(
        [
            node("ReduceMax", "x", "top", keepdims=0),
            node("Greater", "top zero", "positive"),
            node(
                "If", "positive", "y", "branch", then_branch=branches["then"], else_branch=branches["other"]
            ),
        ],
        [tensor("x", [1, 4, 6])],
        [tensor("y", [1, 24])],
        {"s": ints(1, 24), "zero": np.float32(0)},
    )
    error = blocked(tmp_path, built)
    assert error.node in ("branch", "top")
    assert error.hint


def test_detections_of_all_items_in_one_list(tmp_path: Path) -> None:
    built = model(
        [
            node("NonMaxSuppression", "boxes scores limit", "chosen", "nms"),
            node("Gather", "chosen zero", "first", axis=0),
            node("Cast", "first", "y", to=FLOAT),
        ],
        [tensor("boxes", [1, 6, 4]), tensor("scores", [1, 1, 6])],
        [tensor("y", [1, 3])],
        {"limit": ints(3), "zero": ints(0)},
    )
    assert blocked(tmp_path, built).node == "nms"


def test_models_that_need_no_rewrite_or_hold_several_items(tmp_path: Path) -> None:
    relu = [node("Relu", "x", "y")]
    dynamic = model(relu, [tensor("x", ["N", 4])], [tensor("y", ["N", 4])])
    assert "shape inference follows the batch axis" in blocked(tmp_path, dynamic).message
    eight = model(relu, [tensor("x", [8, 4])], [tensor("y", [8, 4])])
    assert "'x' is fixed at 8" in blocked(tmp_path, eight).message


def test_a_planted_error_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof stands by itself: a rewrite that spoils weights is refused."""
    from tpgen.engines import dynamic_batch

    real = dynamic_batch._free_first_axes

    def spoiled(editor: Any, signature: Any) -> list[str]:
        weight = numpy_helper.to_array(editor.graph.initializer[0]).copy()
        weight[0, 0] += 0.01
        editor.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
        return real(editor, signature)

    monkeypatch.setattr(dynamic_batch, "_free_first_axes", spoiled)
    built = chain(node("MatMul", "x w", "y"), y=(1, 4, 3), constants={"w": weights(6, 3)})
    assert "differs from what the items give alone" in blocked(tmp_path, built).message
