"""Models on Triton's own backends: the repository, and that its stages answer as the reference does.

The models themselves are replaced by stand-ins of the same interface, because the server of the wheel and the
one in this process have Python's backend only.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from all_ways import check_batches, check_single_items
from engines.onnx_build import model, node, save, tensor
from equivalence import check_values, interpreted
from fake_triton import Server
from random_pipelines import Maker, Pipeline, make_item, make_pipeline, read_pipeline, write_files
from small_models import write_torchscript
from standins import stand_in
from tpgen.driver import BuildOptions, build, pipe
from tpgen.driver.check_repository import check_repository
from tpgen.driver.explain import explain
from tpgen.driver.explain_text import explanation_text
from tpgen.emit.config_pbtxt import parse
from tpgen.engines.requests import read_request
from tpgen.engines.tensorrt_api import DTYPES

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("native")
    write_files(made)
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_random_pipelines_answer_as_the_reference_does(seed: int, folder: Path) -> None:
    name, rng = f"n{seed}", random.Random(seed)
    made = make_pipeline(rng, folder, name)
    while "TensorrtTensor" not in made.text and "Onnx" not in made.text:
        made = make_pipeline(rng, folder, name)
    check(made, folder, name, rng)


def check(made: Pipeline, folder: Path, name: str, rng: random.Random, target: str = "gpu") -> None:
    """Random items through a build whose models run on backends of their own."""
    (entry,) = made.compiled.graph.entries
    items = [make_item(rng, entry) for _ in range(6)]
    try:
        expected = interpreted(made, entry, items)
        place = folder / f"repository_{name}"
        options = BuildOptions(target=target, runtime="onnxruntime", cores=2)
        built = build(folder / f"{name}.toml", place, options)
        assert stand_in(place) or "TP905" in {one.code for one in built.diagnostics}
        with Server(place) as server:
            check_single_items(server, entry, items, expected)
            check_batches(server, entry, items, expected, rng)
    except BaseException:
        print(f"{name}\n{made.text}")
        raise


BEHIND = {
    "ArgMax": "ArgMax",
    "ArgMax of an axis": "ArgMax(axis=0)",
    "SoftmaxMax": "SoftmaxMax",
    "Threshold": "Threshold(threshold=0.25)",
    "two": "Sequential[Threshold(threshold=0.25),ArgMax]",
    "SoftmaxArgMaxTensor": "SoftmaxArgMaxTensor",
    "TopK": "TopK(k=1,labels=labels.txt)",
    "Softmax and TopK": "Sequential[Softmax,TopK(k=1)]",
    "Softmax and ArgMax": "Sequential[Softmax,ArgMax]",
    "Softmax": "Softmax",
}


@pytest.mark.parametrize("what", BEHIND)
@pytest.mark.parametrize("is_one_node", [True, False])
def test_what_moves_to_the_end_of_a_model_answers_the_same(
    what: str, is_one_node: bool, folder: Path
) -> None:
    inner = BEHIND[what].removeprefix("Sequential[").removesuffix("]")
    text = f"""
        [pipeline.inputs]
        data = "float32[3,8,8]"
        [a]
        model = "small.onnx"
        max = 8
        backend = {"'Sequential[TensorrtTensor," + inner + "]'" if is_one_node else "'TensorrtTensor'"}
        """
    text += "" if is_one_node else f"next = 'b'\n[b]\nbackend = '{BEHIND[what]}'\n"
    name = f"tail_{[*BEHIND].index(what)}_{is_one_node}"
    made = read_pipeline(text, folder, name)
    check(made, folder, name, random.Random(3))
    built = build(folder / f"{name}.toml", folder / "other", BuildOptions(target="gpu", cores=2))
    assert any("graph ends in" in decision for decision in built.compiled[0].decisions)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "float16", "float64"])
@pytest.mark.parametrize(("image", "norm"), [("", ""), (" rgb", "mean = [1,2,3]\nstd = [2,3,4]")])
def test_arrays_of_another_type_than_the_model_takes(dtype: str, image: str, norm: str, folder: Path) -> None:
    """A server hands tensors on as they are, and refuses an ensemble whose types differ."""
    text = f"""
[pipeline.inputs]
data = "{dtype}[3,8,8]{image}"
[a]
model = "small.onnx"
max = 8
backend = "TensorrtTensor"
{norm}
"""
    name = f"types_{dtype}_{bool(norm)}"
    made = read_pipeline(text, folder, name)
    check(made, folder, name, random.Random(5))
    place = folder / f"{name}_gpu"
    built = build(folder / f"{name}.toml", place, BuildOptions(target="gpu", cores=2))
    assert not [one for one in built.diagnostics if one.severity == "error"]
    assert not [one for one in check_repository(place).diagnostics if one.severity == "error"]
    (request,) = (read_request(path.read_text()) for path in place.glob("*/1/engine.json"))
    assert {one.dtype for one in request.inputs} <= set(DTYPES.values()) - {"int8"}


BEFORE = (
    *("", "", "cvtColorMat(color=rgb)", "cvtColorMat(color=rgb)", "cvtColorMat(color=bgr)", "Identity"),
    *("FloatMat", "Normalize(mean=[9,8,7],std=[3,2,4])"),
)
TURNS = ("Mat2Tensor", "Mat2GpuTensor")
AFTER = ("", "", "FloatTensor", "Normalize(mean=[100,110,120],std=[50,60,70])")
NORMS = ("", "(mean=[10,20,30],std=[2,4,8])", "(mean=[123.675,116.28,103.53],input_color=any)")
REDUCERS = (
    *("Softmax", "Softmax(axis=0)", "ArgMax", "ArgMaxTensor", "SoftmaxMax", "SoftmaxArgMaxTensor"),
    *("Threshold(threshold=0.1)", "TopK(k=1)", "TopK(k=3)", "TopK(k=12)", "Identity"),
)


@pytest.mark.parametrize("seed", range(10))
def test_what_stands_around_a_model_moves_into_it(seed: int, folder: Path) -> None:
    rng, name = random.Random(seed), f"around{seed}"
    write_classifier(folder / "wide.onnx")
    while True:
        calls = ["DecodeMat", "ResizeMat", *rng.choices(BEFORE, k=2), rng.choice(TURNS), rng.choice(AFTER)]
        calls += rng.choices(("", "SyncTensor"))
        calls += [f"TensorrtTensor{rng.choice(NORMS)}", *rng.choices(REDUCERS, k=rng.randint(1, 3))]
        text = in_nodes([call for call in calls if call], rng)
        made = Maker(rng, folder, name)._compiled(text)
        if made is not None:
            break
    check(made, folder, name, rng, target=rng.choice(("gpu", "gpu", "cpu")))


def in_nodes(calls: list[str], rng: random.Random) -> str:
    """Calls as nodes of one or several."""
    nodes: list[list[str]] = []
    for call in calls:
        if not nodes or rng.random() < 0.4:
            nodes.append([])
        nodes[-1].append(call)
    keys = "resize_h = 8\nresize_w = 8\nmodel = 'wide.onnx'\nmax = 8\n"
    texts = []
    for number, inner in enumerate(nodes):
        given = "\n".join(line for line in keys.splitlines() if wanted(line, ",".join(inner)))
        follower = f"next = 'n{number + 1}'\n" if number + 1 < len(nodes) else ""
        texts.append(f"[n{number}]\nbackend = 'Sequential[{','.join(inner)}]'\n{given}\n{follower}")
    return "\n".join(texts)


def wanted(line: str, backend: str) -> bool:
    """True if a node with this backend takes the key of a line."""
    return ("ResizeMat" if line.startswith("resize") else "TensorrtTensor") in backend


def write_classifier(path: Path) -> None:
    """A network for images of 8 × 8 with 40 classes, whose answers depend on the order of the channels."""
    weight = np.random.default_rng(4).normal(scale=0.02, size=(192, 40)).astype(np.float32)
    nodes = [node("Flatten", "image", "flat"), node("MatMul", "flat weight", "logits")]
    ports = [tensor("image", ["N", 3, 8, 8])], [tensor("logits", ["N", 40])]
    save(model(nodes, *ports, {"weight": weight}), path)


@pytest.mark.parametrize(("form", "most"), [("yolov5", None), ("yolov5", 4), ("yolox", 4), ("yolov8", 4)])
def test_a_detector_answers_the_same(form: str, most: int | None, folder: Path) -> None:
    write_detector(folder / f"{form}.onnx", form)
    text = f"""
        [pipeline]
        outputs = ["result", "scores", "classes"]
        [decode]
        backend = "Sequential[DecodeMat,ResizePadMat,cvtColorMat,Mat2Tensor]"
        max_h = 32
        max_w = 32
        color = "rgb"
        next = "net"
        [net]
        model = "{form}.onnx"
        backend = "TensorrtTensor"
        max = 8
        mean = "123.675, 116.28, 103.53"
        std = "58.395, 57.120, 57.375"
        next = "boxes"
        [boxes]
        backend = "Sequential[YoloDecode,NMS]"
        format = "{form}"
        "YoloDecode::score_threshold" = 0.4
        {f"max_candidates = {most}" if most else ""}
        input_h = 32
        input_w = 32
        strides = "8,16"
        """
    name = f"{form}_{most}"
    made = read_pipeline(text, folder, name)
    check(made, folder, name, random.Random(7))
    built = build(folder / f"{name}.toml", folder / f"{name}_gpu", BuildOptions(target="gpu", cores=2))
    config = parse((folder / f"{name}_gpu" / f"{name}__net" / "config.pbtxt").read_text())
    assert list(config.input[0].dims) == [32, 32, 3]
    assert list(config.output[0].dims) == ([20, 6] if most is None else [4, 7])
    said = "\n".join(built.compiled[0].decisions)
    assert f"{20 * 6 * 4 if most is None else 4 * 7 * 4} bytes per item leave it, not 1,360" in said
    assert "3,072 bytes per item go in, not 12,288" in said
    shown = explanation_text(explain(built.compiled[0]))
    assert shown.count("partly done in the model's graph") == 1
    assert "its model is rewritten: takes uint8, takes HWC, reverses the channels, subtracts" in shown


def write_detector(path: Path, form: str) -> None:
    """A network for images of 32 × 32 with boxes at 20 places and scores of 12 or 13 classes."""
    shape = (17, 20) if form == "yolov8" else (20, 17)
    weight = np.random.default_rng(3).normal(scale=0.05, size=(3 * 32 * 32, 17 * 20)).astype(np.float32)
    nodes = [
        node("Flatten", "image", "flat"),
        node("MatMul", "flat weight", "values"),
        node("Sigmoid", "values", "scores"),
        node("Reshape", "scores shape", "found"),
    ]
    constants = {"weight": weight, "shape": np.array([0, *shape])}
    ports = [tensor("image", ["N", 3, 32, 32])], [tensor("found", ["N", *shape])]
    save(model(nodes, *ports, constants), path)


def test_tensors_of_torchscript_go_by_number(folder: Path) -> None:
    text = """
        [pipeline]
        inputs = {data = "float32[3,8,8]"}
        [net]
        backend = "TorchScriptTensor"
        model = "net.pt"
        max = 4
        inputs = {image = "float32[3,8,8]"}
        outputs = {scores = "float32[10]"}
        """
    write_torchscript(folder / "net.pt")
    (folder / "torch.toml").write_text(text)
    build(folder / "torch.toml", folder / "torch", BuildOptions(target="gpu", cores=2))
    config = parse((folder / "torch" / "torch__net" / "config.pbtxt").read_text())
    assert config.backend == "pytorch"
    assert [one.name for one in (*config.input, *config.output)] == ["INPUT__0", "OUTPUT__0"]
    assert (folder / "torch" / "torch__net" / "1" / "model.pt").is_file()


def test_a_borrowed_model_has_a_backend_of_its_own_whatever_arrives(folder: Path) -> None:
    """Its graph takes other dtypes than the lender's, so the two are two models of Triton."""
    text = """
        [read]
        backend = "DecodeMat"
        next = "lender, borrower"
        [lender]
        backend = "Sequential[ResizeMat(resize_h=8,resize_w=8),Mat2Tensor,TensorrtTensor]"
        model = "small.onnx"
        map = "read[result:data]"
        next = "both"
        [borrower]
        backend = "Sequential[ResizeMat(resize_h=8,resize_w=8),Mat2Tensor,FloatTensor,TensorrtTensor]"
        borrow_from = "lender"
        map = "read[result:data]"
        next = "both"
        [both]
        backend = "Identity"
        map = "lender[result:data], borrower[result:other]"
        """
    made = read_pipeline(text, folder, "lent")
    check(made, folder, "lent", random.Random(1))
    place = folder / "repository_lent"
    configs = [
        parse((place / f"lent__{name}" / "config.pbtxt").read_text()) for name in ("lender", "borrower")
    ]
    assert [config.input[0].data_type for config in configs] == [2, 11]  # UINT8, FP32
    assert "OnnxModel" not in (place / "lent" / "1" / "stage.py").read_text()


@pytest.mark.parametrize("target", ["cpu", "gpu"])
@pytest.mark.parametrize("more", ["", ",FloatTensor"])
def test_what_a_map_takes_from_in_front_of_a_model_stays(more: str, target: str, folder: Path) -> None:
    """The node with the model is the only follower, and not the only one that reads."""
    text = f"""
        [pipeline]
        inputs = {{data = "uint8[9,7,3] bgr"}}
        [prepare]
        backend = "Sequential[ResizeMat(resize_h=8,resize_w=8),Mat2Tensor{more}]"
        next = "net"
        [net]
        backend = "TensorrtTensor"
        model = "small.onnx"
        next = "both"
        [both]
        backend = "Identity"
        map = "prepare[result:image], net[result:data]"
        """
    name = f"mapped_{target}{len(more)}"
    made = read_pipeline(text, folder, name)
    check(made, folder, name, random.Random(1), target)
    (entry,) = made.compiled.graph.entries
    data = make_item(random.Random(1), entry)
    (expected,) = interpreted(made, entry, [dict(data)])
    pipe(folder / f"{name}.toml")(data)  # with the model in the stage
    assert isinstance(expected, dict)
    check_values(entry, expected, {key: data[key] for key in ("image", "result")})


def test_a_mean_that_moves_into_a_model_says_nothing_of_its_colours(folder: Path) -> None:
    """One that a model has itself tells that it wants RGB, and images that are BGR would be refused."""
    text = """
        [pipeline]
        inputs = {data = "uint8[8,8,3] bgr"}
        [net]
        backend = "Sequential[Mat2Tensor,Normalize(mean=[124,116,104],std=[58,57,57]),TensorrtTensor]"
        model = "small.onnx"
        """
    made = read_pipeline(text, folder, "normalised")
    check(made, folder, "normalised", random.Random(1))
    config = parse((folder / "repository_normalised" / "normalised__net" / "config.pbtxt").read_text())
    assert config.input[0].data_type == 2  # UINT8: all of it moved


def test_a_pipeline_for_the_gpu_runs_in_process(folder: Path) -> None:
    text = """
        [pipeline]
        target = "gpu"
        inputs = {data = "float32[3,8,8]"}
        [net]
        backend = "TensorrtTensor"
        model = "small.onnx"
        """
    made = read_pipeline(text, folder, "here")
    (entry,) = made.compiled.graph.entries
    item = make_item(random.Random(1), entry)
    (expected,) = interpreted(made, entry, [item])
    assert isinstance(expected, dict)
    data = dict(item)
    pipe(folder / "here.toml")(data)
    check_values(entry, expected, {"result": data["result"]})
