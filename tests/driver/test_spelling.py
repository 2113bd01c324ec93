"""Operators go by the name that the user wrote, and promise what this name does."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.driver import BuildOptions, check
from tpgen.driver.explain import explain


@pytest.mark.parametrize(
    ("toml", "name", "codes"),
    [
        ('[net]\nbackend = "TensorrtTensor"\nmodel = "halves.onnx"\n', "TensorrtTensor", ["TP901"]),
        ('[net]\nbackend = "OnnxTensor"\nmodel = "halves.onnx"\n', "OnnxTensor", []),
        ('[net]\nbackend = "Sequential[Onnx]"\nmodel = "halves.onnx"\n', "Onnx", []),
        ('backend = "OnnxTensor"\n[net]\nmodel = "halves.onnx"\n', "OnnxTensor", []),
        ('backend = "S[TensorrtTensor]"\n[net]\nmodel = "halves.onnx"\n', "TensorrtTensor", ["TP901"]),
    ],
)
def test_only_tensorrt_by_name_is_said_to_run_on_the_cpu(
    tmp_path: Path, toml: str, name: str, codes: list[str]
) -> None:
    write_models(tmp_path)
    (tmp_path / "p.toml").write_text(toml)
    result = check(tmp_path / "p.toml", BuildOptions(cores=1))
    assert [found.code for found in result.diagnostics] == codes
    (node,) = explain(result.compiled[0]).nodes
    assert [call.operator for call in node.calls] == [name]


def test_a_node_of_two_engines_is_named_once(tmp_path: Path) -> None:
    write_models(tmp_path)
    toml = '[net]\nbackend = "Sequential[TensorrtTensor,Copy[up:x],TensorrtTensor]"\nmodel = "halves.onnx"\n'
    (tmp_path / "p.toml").write_text(toml)
    (found,) = check(tmp_path / "p.toml", BuildOptions(cores=1)).diagnostics
    assert found.message.startswith("built for the CPU: net on ONNX Runtime")
