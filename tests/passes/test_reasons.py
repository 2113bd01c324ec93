"""Why work around a model stays outside its graph, as `explain` says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.onnx_build import model, node, save, tensor
from small_models import write_models
from tpgen.driver import BuildOptions, check

NET = """
[pipeline]
inputs = {{data = "float32[4000]"}}
[net]
backend = "{backend}"
model = "{file}"
max = 4
"""
CASES = {
    "smaller": ("Sequential[TensorrtTensor,Softmax,Tensor2Vector]", "Softmax", "it makes nothing smaller"),
    "half": (
        "Sequential[TensorrtTensor,TopK(k=2),ArgMax]",
        "ArgMax",
        "TopK before it does a part of its work",
    ),
    "form": (
        "Sequential[TensorrtTensor,TopK(k=3841)]",
        "TopK",
        "what it does with float32[4000] has no form",
    ),
    "filter": ("Sequential[TensorrtTensor,(Run)ArgMax]", "ArgMax", "it has a filter of its own, 'Run'"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reasons")
    both = [tensor("x", ["N", 4000])], [tensor("y", ["N", 4000])]
    save(model([node("Neg", "x", "y")], *both), made / "net.onnx")
    save(model([node("Neg", "x", "y")], *both, opset=9), made / "old.onnx")
    return made


PREPARED = """
[pipeline.inputs]
data = "uint8[8,8,3] bgr"
[net]
backend = "Sequential[Mat2Tensor,TensorrtTensor]"
model = "convolution.onnx"
max = 4
"""


def reasons(folder: Path, backend: str, file: str = "net.onnx") -> list[str]:
    """The decisions about work that stays outside."""
    return kept(folder, NET.format(backend=backend, file=file))


def kept(folder: Path, text: str) -> list[str]:
    path = folder / "p.toml"
    path.write_text(text)
    (compiled,) = check(path, BuildOptions(target="gpu", cores=2)).compiled
    return [one for one in compiled.decisions if "stays outside" in one or "stays in front" in one]


@pytest.mark.parametrize("case", CASES)
def test_the_reason_is_given(case: str, folder: Path) -> None:
    backend, operator, why = CASES[case]
    (said,) = reasons(folder, backend)
    assert said.startswith(f"net: {operator} stays outside the model's graph: {why}")


def test_an_old_opset(folder: Path) -> None:
    (said,) = reasons(folder, "Sequential[TensorrtTensor,TopK(k=2)]", "old.onnx")
    assert said.endswith("that takes opset 11, the model has 9")


def test_nothing_is_said_where_all_of_it_moves(folder: Path) -> None:
    assert not reasons(folder, "Sequential[TensorrtTensor,Softmax,TopK(k=2)]")
    assert not reasons(folder, "Sequential[TensorrtTensor,Softmax]")


def test_samples_keep_what_stands_before_them_in_front(folder: Path) -> None:
    write_models(folder)
    (folder / "samples").mkdir()
    np.save(folder / "samples" / "1.npy", np.zeros((3, 8, 8), np.uint8))
    assert not kept(folder, PREPARED)
    (said,) = kept(folder, PREPARED + 'precision = "fp16"\ncalibrate_input = "samples"\n')
    assert said.startswith("net: the work of Mat2Tensor stays in front of the model's graph: the samples")
