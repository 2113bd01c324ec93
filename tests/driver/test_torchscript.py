"""TorchScript models: the TOML declares their interface; the stage runs them with torch."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from small_models import write_torchscript
from tpgen.diagnostics import PipelineError, ToolMissing
from tpgen.driver import BuildOptions, build, check, pipe, reference, refused

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
    written = write_torchscript(tmp_path / "net.pt")
    result = build(tmp_path / "pipeline.toml", tmp_path / "out", BuildOptions(cores=1))
    entry = result.compiled[0].graph.entries[0]
    assert [port.key for port in entry.inputs] == ["left", "right"]
    assert [(port.key, str(port.type)) for port in entry.outputs] == [
        ("total", "float32[3]"),
        ("largest", "float32[1]"),
    ]
    assert "torch>=2.2" in (tmp_path / "out" / "requirements.txt").read_text().splitlines()
    assert (tmp_path / "out" / entry.name / "1" / "net.pt").read_bytes() == written


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


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (None, "it is empty"),
        ((), "it is no archive"),
        (("net/data.pkl",), "it holds weights without their network"),
        (("net/readme",), "it holds something else"),
    ],
)
def test_what_is_no_torchscript_is_found_without_torch(
    tmp_path: Path, parts: tuple[str, ...] | None, said: str
) -> None:
    (tmp_path / "pipeline.toml").write_text(TOML)
    (tmp_path / "net.pt").write_bytes(b"" if parts is None else b"no archive")
    if parts:
        with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
            for part in parts:
                archive.writestr(part, "")
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "pipeline.toml")
    (found,) = raised.value.diagnostics
    assert found.code == "TP405" and found.span is not None and found.span.line == 4
    assert f"is no TorchScript file: {said}" in found.message and found.hint


def test_pytorch_is_asked_for_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline.toml").write_text(TOML)
    write_torchscript(tmp_path / "net.pt")
    monkeypatch.setattr(refused.importlib.util, "find_spec", lambda _: None)
    for load in (pipe, reference):
        with pytest.raises(ToolMissing, match="net need PyTorch") as raised:
            load(tmp_path / "pipeline.toml")
        assert raised.value.command == "pip install 'tpgen[torch]'"


def test_an_archive_that_torch_does_not_load_is_told_at_its_line(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'tpgen[torch]'")
    (tmp_path / "pipeline.toml").write_text(TOML)
    write_torchscript(tmp_path / "net.pt")
    for load in (pipe, reference):
        with pytest.raises(PipelineError) as raised:
            load(tmp_path / "pipeline.toml")
        (found,) = raised.value.diagnostics
        assert found.code == "TP405" and found.span is not None and found.span.line == 4
        assert "'net.pt' is no TorchScript file" in found.message
