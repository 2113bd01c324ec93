"""Models on Triton's own backends: the repository, and that its stages answer as the reference does.

The models themselves are replaced by stand-ins of the same interface, because the server of the wheel and the
one in this process have Python's backend only.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from all_ways import check_batches, check_single_items
from equivalence import check_values, interpreted
from fake_triton import Server
from random_pipelines import Pipeline, make_item, make_pipeline, read_pipeline, write_files
from standins import stand_in
from tpgen.driver import BuildOptions, build, pipe
from tpgen.emit.config_pbtxt import parse

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


def check(made: Pipeline, folder: Path, name: str, rng: random.Random) -> None:
    """Random items through a build whose models run on backends of their own."""
    (entry,) = made.compiled.graph.entries
    items = [make_item(rng, entry) for _ in range(6)]
    try:
        expected = interpreted(made, entry, items)
        target = folder / f"repository_{name}"
        built = build(
            folder / f"{name}.toml", target, BuildOptions(target="gpu", runtime="onnxruntime", cores=2)
        )
        assert stand_in(target) or "TP905" in {one.code for one in built.diagnostics}
        with Server(target) as server:
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
    (folder / "net.pt").write_bytes(b"no model: nothing opens it here")
    (folder / "torch.toml").write_text(text)
    build(folder / "torch.toml", folder / "torch", BuildOptions(target="gpu", cores=2))
    config = parse((folder / "torch" / "torch__net" / "config.pbtxt").read_text())
    assert config.backend == "pytorch"
    assert [one.name for one in (*config.input, *config.output)] == ["INPUT__0", "OUTPUT__0"]
    assert (folder / "torch" / "torch__net" / "1" / "model.pt").is_file()


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
