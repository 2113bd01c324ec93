"""How batches are cut: instance groups, profiles, `Range`, `force_range`; and what padding that costs."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from all_ways import compare
from engines.onnx_build import compute, model, node, save, tensor
from random_pipelines import read_pipeline
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, load_interpreter
from tpgen.driver.explain import explain
from tpgen.driver.explain_text import explanation_text
from tpgen_runtime import padding
from tpgen_runtime.batches import Sizes
from tpgen_runtime.compat import copy_make_border
from tpgen_runtime.geometry import fix_h_resize_pad_mat
from tpgen_runtime.inference import OnnxModel
from tpgen_runtime.stage import Item, Node

INPUT = '[pipeline.inputs]\ndata = "float32[4]"\n'

SCORING = """
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("float32", [4])},
    outputs={"result": Tensor("float32", [4]), "_sort_score": Tensor("float32", [])})
def score(data):
    return {"result": data, "_sort_score": data.sum()}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks from ``x [B,4]`` to ``y [B,4]``: fixedB.onnx with a batch of B, any.onnx with any batch."""
    made = tmp_path_factory.mktemp("batches")
    weight = np.random.default_rng(3).normal(size=(4, 4)).astype(np.float32)
    layers = [node("MatMul", "x w", "h"), node("Relu", "h", "y")]
    for name, batch in [("any", "N"), *((f"fixed{size}", size) for size in (1, 3, 4, 8))]:
        ports = [tensor("x", [batch, 4])], [tensor("y", [batch, 4])]
        save(model(layers, *ports, {"w": weight}), made / f"{name}.onnx")
    image = np.random.default_rng(4).normal(size=(4, 3, 3, 3)).astype(np.float32)
    pooled = [
        node("Conv", "image w", "maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "maps", "mean"),
        node("Flatten", "mean", "y"),
    ]
    for size in (1, 4):
        ports = [tensor("image", [size, 3, 8, 8])], [tensor("y", [size, 4])]
        save(model(pooled, *ports, {"w": image}), made / f"image{size}.onnx")
    (made / "scoring.py").write_text(SCORING, encoding="utf-8")
    return made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The calls of models: which file of the model, and how many rows."""
    seen: list[tuple[int, int]] = []
    infer = OnnxModel._infer

    def noted(self: OnnxModel, arrays: list[np.ndarray], group: int) -> Any:
        seen.append((group, len(arrays[0])))
        return infer(self, arrays, group)

    monkeypatch.setattr(OnnxModel, "_infer", noted)
    return seen


def items(count: int) -> list[dict[str, np.ndarray]]:
    numbers = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
    return [{"data": row} for row in numbers]


def answers(text: str, folder: Path, given: list[dict[str, np.ndarray]], name: str = "net") -> list[Any]:
    made = read_pipeline(INPUT + textwrap.dedent(text), folder, name)
    (entry,) = made.compiled.reference.entries
    return [one["result"] for one in load_interpreter(made.compiled).run(entry, given)]


GROUPS = """
    [net]
    backend = "TensorrtTensor"
    model = "fixed1.onnx&fixed4.onnx&fixed8.onnx"
    "model::cache" = "1.trt&4.trt&8.trt"
    min = "1&4&8"
    max = "1&4&8"
    instance_num = "1&2&1"
    """
CUTS = {
    1: [1],
    2: [1, 1],
    3: [1, 1, 1],
    4: [4],
    5: [4, 1],
    6: [4, 1, 1],
    7: [4, 1, 1, 1],
    8: [8],
    9: [8, 1],
    10: [8, 1, 1],
    11: [8, 1, 1, 1],
    12: [8, 4],
    13: [8, 4, 1],
}


@pytest.mark.parametrize("count", CUTS)
def test_fixed_batches_answer_any_number_of_items(
    count: int, folder: Path, calls: list[tuple[int, int]]
) -> None:
    given = items(count)
    found = answers(GROUPS, folder, given)
    expected = compute(folder / "any.onnx", x=np.stack([one["data"] for one in given]))[0]
    np.testing.assert_allclose(np.stack(found), expected, rtol=1e-6)
    assert calls == [({1: 0, 4: 1, 8: 2}[size], size) for size in CUTS[count]]


PIPELINES = {
    "groups of fixed batches": GROUPS,
    "groups of one file are one model": """
        [net]
        backend = "TensorrtTensor"
        model = "any.onnx"
        max = "1&4"
        min = "1&2"
        """,
    "groups behind an operator": """
        [pipeline]
        instances = "as-written"
        [net]
        backend = "Sequential[Identity,TensorrtTensor]"
        model = "fixed1.onnx & fixed4.onnx"
        max = "1&4"
        min = "1&4"
        batching_timeout = "1&2"
        next = "last"
        [last]
        backend = "Identity"
        """,
    "profiles": """
        [net]
        backend = "TensorrtTensor"
        model = "any.onnx"
        instance_num = 3
        max = "16x4;16x4;16x4"
        min = "16x4;16x4;1x4"
        """,
    "a range that is wider than the model's": """
        [net]
        backend = "Range[TensorrtTensor]"
        range = "1,8"
        model = "fixed3.onnx"
        max = 3
        min = 3
        """,
    "length buckets": """
        [net]
        backend = "Sequential[Identity,FakeInstance[TensorrtTensor]]"
        model = "any.onnx"
        fake_instance_num = 3
        min = "1;5;9"
        max = "2;6;12"
        """,
    "a forced range": """
        [net]
        backend = "Max[Parallel[TensorrtTensor]]"
        model = "any.onnx"
        max = "64;128"
        force_range = "1,2;1,3"
        instances_grp = "0,1"
        active_instances_grp = 0
        """,
    "scores to sort by": """
        [score]
        backend = "Python[scoring:score]"
        next = "net"
        [net]
        backend = "TensorrtTensor"
        scheduler = "SortSchedule"
        number_factor = 1.5
        model = "any.onnx"
        max = 4
        """,
    "called by a node that maps": """
        [first]
        backend = "Identity"
        next = "a,b"
        [a]
        backend = "TensorrtTensor"
        model = "fixed1.onnx&fixed4.onnx"
        max = "1&4"
        min = "1&4"
        next = "last"
        [b]
        backend = "Identity"
        next = "last"
        [last]
        backend = "Copy[data:result]"
        map = "a[result:data],b[result:other]"
        """,
}


IMAGES = """
    [pipeline.inputs]
    data = "uint8[H,W,3] bgr"
    [net]
    backend = "Sequential[ResizeMat(8,8),cvtColorMat(color=rgb),Mat2Tensor,TensorrtTensor]"
    model = "image1.onnx&image4.onnx"
    max = "1&4"
    min = "1&4"
    mean = "123.675,116.28,103.53"
    std = "58.4,57.1,57.4"
    """


def test_normalisation_moves_into_the_models_of_all_groups(folder: Path, tmp_path: Path) -> None:
    made = read_pipeline(textwrap.dedent(IMAGES), folder, "images")
    compare(made, folder, "images", random.Random(1))
    build(folder / "images.toml", tmp_path / "repository", BuildOptions(cores=2))
    for size in (1, 4):
        written = tmp_path / "repository" / "images" / "1" / f"image{size}.onnx"
        assert written.read_bytes() != (folder / f"image{size}.onnx").read_bytes()


def test_one_file_for_fixed_batches(folder: Path, tmp_path: Path) -> None:
    """With --dynamic-batch, a group whose batch the file does not have gets a rewritten copy."""
    path = folder / "copied.toml"
    text = '[net]\nbackend = "Onnx"\nmodel = "fixed1.onnx"\nmax = "1&4"\nmin = "1&4"\n'
    path.write_text(INPUT + text, encoding="utf-8")
    with pytest.raises(PipelineError, match="fixed at 1, but max = 4"):
        build(path, tmp_path / "repository", BuildOptions(cores=2))
    build(path, tmp_path / "repository", BuildOptions(cores=2, dynamic_batch=True))
    files = sorted((tmp_path / "repository").rglob("*.onnx"))
    assert [one.name for one in files] == ["fixed1.onnx"] * 2


@pytest.mark.parametrize("what", PIPELINES)
def test_all_ways_agree(what: str, folder: Path) -> None:
    name = f"p{[*PIPELINES].index(what)}"
    made = read_pipeline(INPUT + textwrap.dedent(PIPELINES[what]), folder, name)
    compare(made, folder, name, random.Random(what))


@pytest.mark.parametrize(
    ("what", "count", "sizes"),
    [
        ("groups of one file are one model", 6, [4, 2]),
        ("profiles", 20, [16, 4]),
        ("a range that is wider than the model's", 8, [3, 3, 3]),
        ("length buckets", 13, [12, 1]),
        ("a forced range", 7, [3, 3, 1]),
    ],
)
def test_calls(what: str, count: int, sizes: list[int], folder: Path, calls: list[tuple[int, int]]) -> None:
    answers(PIPELINES[what], folder, items(count))
    assert [size for _, size in calls] == sizes


def test_a_group_can_be_of_any_size(folder: Path, calls: list[tuple[int, int]]) -> None:
    text = GROUPS.replace("fixed4.onnx&fixed8.onnx", "any.onnx&fixed8.onnx").replace("4&8", "2&8")
    answers(text.replace('max = "1&2', 'max = "1&5'), folder, items(15))
    assert calls == [(2, 8), (1, 5), (1, 2)]


def test_vendored_groups(folder: Path, tmp_path: Path) -> None:
    path = folder / "groups.toml"
    path.write_text(INPUT + textwrap.dedent(GROUPS), encoding="utf-8")
    build(path, tmp_path / "repository", BuildOptions(cores=2))
    version = tmp_path / "repository" / "groups" / "1"
    assert {one.name for one in version.glob("*.onnx")} == {"fixed1.onnx", "fixed4.onnx", "fixed8.onnx"}
    assert "max_batch_size: 8" in (version.parent / "config.pbtxt").read_text()


def test_instances_as_written_are_those_of_all_groups(folder: Path, tmp_path: Path) -> None:
    path = folder / "written.toml"
    path.write_text(
        f'[pipeline]\ninstances = "as-written"\n{INPUT}{textwrap.dedent(GROUPS)}', encoding="utf-8"
    )
    build(path, tmp_path / "repository", BuildOptions(cores=2))
    assert "count: 4" in (tmp_path / "repository" / "written" / "config.pbtxt").read_text()


@pytest.fixture
def node_() -> Node:
    """A node; what interpreters noted in this thread before is left to another one."""
    padding.count(Node("interpreted", "here"))
    return Node("net", "here")


def test_padding_is_counted_by_node(node_: Node) -> None:
    """Pixels around images; a border that is asked for is none."""
    fix_h_resize_pad_mat(np.zeros((8, 16, 3), np.uint8), resize_h=4, max_w=10, pad_value=(0,))
    fix_h_resize_pad_mat(np.zeros((4, 10, 3), np.uint8), resize_h=4, max_w=10, pad_value=(0,))
    image = np.zeros((2, 2, 3), np.uint8)
    copy_make_border(image, top=1, bottom=1, left=1, right=1, layout="HWC")
    padding.count(node_)
    padding.count(node_)
    assert (node_.pixels, node_.padding_pixels) == (80, 8)
    assert (node_.rows, node_.padding_rows) == (0, 0)


def test_rows_that_fill_a_batch_are_counted(folder: Path, node_: Node) -> None:
    given = [Item(one) for one in items(5)]
    net = OnnxModel(
        model=str(folder / "fixed4.onnx"),
        max_batch=4,
        min_batch=4,
        inputs=("x",),
        outputs=("y",),
        batched=True,
    )
    assert len(list(node_.together(given, net, ("data",), ("result",)))) == 5
    assert (node_.rows, node_.padding_rows) == (8, 3)


def test_rows_of_a_call_that_broke_are_no_other_nodes(node_: Node) -> None:
    def breaks(_: list[int]) -> None:
        padding.note_rows(4, 1)
        raise KeyError("broken")

    other = Node("other", "p.toml:2")
    assert list(node_.together([Item({"data": 1})], breaks, ("data",), ("result",))) == []
    assert len(list(other.together([Item({"data": 1})], lambda values: values, ("data",), ("result",)))) == 1
    assert (node_.rows, node_.padding_rows, other.rows) == (4, 1, 0)


def exact(ranges: list[tuple[int, int]], most: int) -> Iterator[set[int]]:
    """What one call takes, two calls, and so on."""
    sizes = {size for low, high in ranges for size in range(low, high + 1)}
    reached = {0}
    while reached:
        reached = {one + size for one in reached for size in sizes if one + size <= most}
        yield reached


@given(
    ranges=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6)), min_size=1, max_size=4),
    count=st.integers(1, 300),
)
def test_cuts(ranges: list[tuple[int, int]], count: int) -> None:
    pairs = [(low, low + more) for low, more in ranges]
    cuts = Sizes(pairs).cut(count)
    assert sum(taken for _, taken, _ in cuts) == count
    for group, taken, size in cuts:
        assert pairs[group][0] <= size <= pairs[group][1]
        assert 1 <= taken <= size
    wasted = sum(size - taken for _, taken, size in cuts)
    calls = next((n for n, sums in enumerate(exact(pairs, count), 1) if count in sums), None)
    assert (wasted == 0) == (calls is not None)
    if calls is not None:
        assert len(cuts) == calls


def explained(text: str, folder: Path) -> list[str]:
    made = read_pipeline(INPUT + textwrap.dedent(text), folder, "explained")
    return [line.strip() for line in explanation_text(explain(made.compiled)).splitlines()]


def test_calls_are_explained(folder: Path) -> None:
    lines = explained(GROUPS, folder)
    assert "batches of 1 to 8, in calls of 1 (fixed1.onnx), 4 (fixed4.onnx), 8 (fixed8.onnx)" in lines
    wide = explained(PIPELINES["a range that is wider than the model's"], folder)
    assert "batches of 1 to 8, in calls of 3" in wide
    assert any(
        'tpgen_node_padding_rows_total / tpgen_node_model_rows_total{node="net"}' in one for one in wide
    )
    plain = explained('[net]\nbackend = "Onnx"\nmodel = "any.onnx"\nmax = 4\n', folder)
    assert not [line for line in plain if line.startswith(("batches of", "profile"))]


def test_profiles_are_explained(folder: Path) -> None:
    lines = explained(PIPELINES["profiles"], folder)
    assert [line for line in lines if line.startswith("profile")] == [
        "profile 1: 16x4 to 16x4",
        "profile 2: 16x4 to 16x4",
        "profile 3: 1x4 to 16x4",
    ]


def test_keys_that_change_nothing_are_explained(folder: Path) -> None:
    lines = explained(PIPELINES["a forced range"], folder) + explained(PIPELINES["scores to sort by"], folder)
    for key in ("instances_grp", "active_instances_grp", "scheduler", "number_factor"):
        assert any(f"  {key}: " in line for line in lines), key


def test_width_buckets_are_explained(folder: Path) -> None:
    text = """
        [words]
        backend = "Sequential[BatchFixHLimitW,DynamicFixHResizePadMat]"
        resize_h = 32
        max_w = 320
        """
    made = read_pipeline(
        f'[pipeline.inputs]\ndata = "uint8[H,W,3] bgr"\n{textwrap.dedent(text)}', folder, "w"
    )
    found = explanation_text(explain(made.compiled))
    assert "width buckets: 32, 64, ..., 320 columns\n" in found
    assert 'tpgen_node_padding_pixels_total / tpgen_node_image_pixels_total{node="words"}' in found
