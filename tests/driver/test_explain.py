"""What `tpgen explain` says of sizes that vary, and of instances."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.driver import BuildOptions, check
from tpgen.driver.explain import explain
from tpgen.driver.explain_facts import Explanation
from tpgen.driver.explain_text import explanation_text

DETECTOR = '[a]\nbackend = "Sequential[Onnx,Copy[boxes:data],NMS,NMS]"\nmodel = "det.onnx"\nclasses = ""\n'
NODES = """
[a]
backend = "DecodeMat"
instance_num = 3
next = "b"
[b]
backend = "Identity"
instance_num = 3
"""


def explained(folder: Path, toml: str, **options: object) -> Explanation:
    (folder / "p.toml").write_text(toml)
    return explain(check(folder / "p.toml", BuildOptions(**options)).compiled[0])  # type: ignore[arg-type]


def test_sizes_that_can_differ_have_names_that_do(tmp_path: Path) -> None:
    """A model's nameless dimensions, and the two counts of boxes before and after an operator."""
    nodes = [node("Identity", "x", "boxes"), node("ReduceMax", "x", "scores", axes=[2], keepdims=0)]
    outputs = [tensor("boxes", ["N", None, 4]), tensor("scores", ["N", None])]
    save(model(nodes, [tensor("x", ["N", None, 4])], outputs), tmp_path / "det.onnx")
    found = explained(tmp_path, DETECTOR, cores=1)
    first, second = found.nodes[0].calls[2:]
    assert first.reads == {"data": "float32[N2,4]", "scores": "float32[N3]"}
    assert first.writes == {"result": "float32[K2,4]", "scores": "float32[K2]"}
    assert second.reads == {"data": "float32[K2,4]", "scores": "float32[K2]"}
    assert second.writes == {"result": "float32[K,4]", "scores": "float32[K]"}
    (entry,) = found.entries
    assert {port.key: port.type for port in entry.outputs}["result"] == "float32[K,4]"


def test_nameless_sides_of_images_are_called_as_sides(tmp_path: Path) -> None:
    sides = ["N", 3, None, None]
    save(model([node("Relu", "x", "y")], [tensor("x", sides)], [tensor("y", sides)]), tmp_path / "any.onnx")
    found = explained(tmp_path, '[a]\nbackend = "Onnx"\nmodel = "any.onnx"\n', cores=1)
    assert [port.type for port in found.entries[0].inputs] == ["float32[3,H,W] CHW"]


@pytest.mark.parametrize(
    ("instances", "counts", "said"), [("auto", [4, 1], [False, True]), ("as-written", [3, 3], [False, False])]
)
def test_a_stage_that_hands_on_is_not_said_to_follow_the_cores(
    tmp_path: Path, instances: str, counts: list[int], said: list[bool]
) -> None:
    toml = f'[pipeline]\ninstances = "{instances}"\n{NODES}'
    found = explained(tmp_path, toml, cores=4, fuse="none")
    assert [stage.instances for stage in found.stages] == counts
    assert ["only hands data on" in stage.why for stage in found.stages] == said
    ignored = [key for key in found.ignored if key.key == "instance_num"]
    if instances == "as-written":
        assert ignored == []
        return
    assert ["per core" in key.why for key in ignored] == [True, False]
    assert ignored[1].why.startswith("the stage only hands data on, and has a single instance")
    text = explanation_text(found)
    assert "\n    1 instance, " in text
    assert "so a single instance does" in text


@pytest.mark.parametrize(
    ("target", "why"), [("gpu", "one on each GPU"), ("cpu", "the model has an instance per")]
)
def test_a_model_of_its_own_is_not_said_to_be_a_stage(tmp_path: Path, target: str, why: str) -> None:
    save(
        model([node("Relu", "x", "y")], [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]), tmp_path / "n.onnx"
    )
    toml = '[a]\nbackend = "Onnx"\nmodel = "n.onnx"\ninstance_num = 3\n'
    found = explained(tmp_path, toml, cores=4, target=target, runtime="onnxruntime")
    (ignored,) = (key for key in found.ignored if key.key == "instance_num")
    assert why in ignored.why
