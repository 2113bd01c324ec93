"""TorchScript models: the TOML declares their interface; the stage runs them with torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check, pipe, reference

TOML = """
[net]
backend = "TorchScriptTensor"
model = "net.pt"
max = 4
inputs = {left = "float32[3]", right = "float32[3]"}
outputs = {total = "float32[3]", largest = "float32[1]"}
"""
MAKE = """
import sys, torch

class Net(torch.nn.Module):
    def forward(self, left, right):
        total = left + 2 * right
        return total, total.amax(dim=1, keepdim=True)

torch.jit.script(Net()).save(sys.argv[1])
"""


def test_the_interface_comes_from_the_toml_without_torch(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(TOML)
    (tmp_path / "net.pt").write_bytes(b"not opened by the compiler")
    result = build(tmp_path / "pipeline.toml", tmp_path / "out", BuildOptions(cores=1))
    entry = result.compiled[0].graph.entries[0]
    assert [port.key for port in entry.inputs] == ["left", "right"]
    assert [(port.key, str(port.type)) for port in entry.outputs] == [
        ("total", "float32[3]"),
        ("largest", "float32[1]"),
    ]
    assert "torch>=2.2" in (tmp_path / "out" / "requirements.txt").read_text().splitlines()
    assert (tmp_path / "out" / entry.name / "1" / "net.pt").read_bytes() == b"not opened by the compiler"


def test_a_missing_interface_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text('[net]\nbackend = "TorchScriptTensor"\nmodel = "net.pt"\n')
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "pipeline.toml")
    assert [d.code for d in raised.value.diagnostics] == ["TP108", "TP108"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # users have such files
def test_the_stage_and_the_reference_run_the_model(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'tpgen[torch]'")
    (tmp_path / "pipeline.toml").write_text(TOML)
    script = tmp_path / "make.py"  # TorchScript reads the source of what it compiles
    script.write_text(MAKE)
    subprocess.run([sys.executable, str(script), str(tmp_path / "net.pt")], check=True)
    compiled, interpreter = reference(tmp_path / "pipeline.toml")
    rng = np.random.default_rng(0)
    items = [{k: rng.normal(size=3).astype(np.float32) for k in ("left", "right")} for _ in range(6)]
    expected = interpreter.run(compiled.reference.entries[0], items)
    with pipe(tmp_path / "pipeline.toml") as run:
        answers = [dict(item) for item in items]
        run(answers)
    for item, wanted, answer in zip(items, expected, answers, strict=True):
        total = item["left"] + 2 * item["right"]
        for outcome in (wanted, answer):
            np.testing.assert_allclose(outcome["total"], total, rtol=1e-6)
            np.testing.assert_allclose(outcome["largest"], [total.max()], rtol=1e-6)
