"""Modules of PyTorch with their weights: built and checked without torch, run with it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from small_models import write_torchscript
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check, pipe, reference
from tpgen.services.client import Client
from tpgen.services.server import TritonServer

TOML = """
[pipeline]
name = "eager"
[net]
backend = "TorchModule[nets:Net]"
model = "net.pt"
arguments = {width = 5}
max = 4
inputs = {left = "float32[3]", right = "float32[3]"}
outputs = {total = "float32[5]", kept = "float32[3]"}
"""
NETS = """
import torch
from layers import Wide

class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.wide = Wide(3, width)
        self.drop = torch.nn.Dropout(0.9)

    def forward(self, left, right):
        assert not torch.is_grad_enabled()
        return self.drop(self.wide(left + 2 * right)), left

class Plain:
    def __init__(self, width):
        pass
"""
LAYERS = """
import torch

class Wide(torch.nn.Linear):
    pass
"""
HAS_TORCH = pytest.mark.torch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.toml").write_text(TOML)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "net.pt").write_bytes(b"not opened by the compiler")
    return tmp_path


def test_it_is_built_without_torch(folder: Path) -> None:
    result = build(folder / "pipeline.toml", folder / "out", BuildOptions(target="cpu", cores=1))
    (entry,) = result.compiled[0].graph.entries
    assert [port.key for port in entry.inputs] == ["left", "right"]
    assert [str(port.type) for port in entry.outputs] == ["float32[5]", "float32[3]"]
    (version,) = folder.glob("out/*/1")
    assert {path.name for path in version.glob("user/*.py")} == {"nets.py", "layers.py"}
    assert (version / "net.pt").is_file()
    assert "torch" in (folder / "out" / "requirements.txt").read_text()


def test_on_a_gpu_it_stays_in_the_python_stage(folder: Path) -> None:
    found = check(folder / "pipeline.toml", BuildOptions(target="gpu", cores=1)).diagnostics
    assert [(one.code, one.span.line) for one in found if one.span] == [("TP905", 5)]
    assert "its network is Python code" in found[0].message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("nets:Net", "nets:Nett", "TP503"),
        ("nets:Net", "netz:Net", "TP501"),
        ("[nets:Net]", "", "TP501"),
        ("{width = 5}", "5", "TP103"),
        ("net.pt", "other.pt", "TP401"),
        ("right = ", "# ", "TP003"),
        ("width = 5", "widht = 5", "TP102"),
        ("width = 5", "", "TP108"),
    ],
)
def test_what_is_wrong_is_found_at_its_line(folder: Path, old: str, new: str, code: str) -> None:
    (folder / "pipeline.toml").write_text(TOML.replace(old, new))
    with pytest.raises(PipelineError) as raised:
        check(folder / "pipeline.toml", BuildOptions(target="cpu", cores=1))
    (found,) = raised.value.diagnostics
    assert found.code == code and found.span is not None


def _save(folder: Path, what: str = "weights") -> np.ndarray:
    """Writes the file of the weights; returns the matrix."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'tpgen[torch]'")
    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 5)
    weights = {f"wide.{name}": value for name, value in layer.state_dict().items()}
    if what == "pickled":
        torch.save({"wide.weight": print}, folder / "net.pt")
    elif what == "whole":
        torch.save(layer, folder / "net.pt")
    elif what == "junk":
        (folder / "net.pt").write_bytes(b"what no runtime knows")
    else:
        torch.save(
            weights if what == "weights" else {"wide.weight": weights["wide.weight"]}, folder / "net.pt"
        )
    return np.asarray(layer.weight.detach().numpy())


@HAS_TORCH
def test_the_stage_answers_as_the_module_does(folder: Path) -> None:
    weight = _save(folder)
    import torch

    torch.manual_seed(1)
    bias = torch.nn.Linear(3, 5).bias.detach().numpy()
    rng = np.random.default_rng(1)
    items = [{key: rng.normal(size=3).astype(np.float32) for key in ("left", "right")} for _ in range(9)]
    options = BuildOptions(target="cpu", cores=1)
    compiled, interpreter = reference(folder / "pipeline.toml", options)
    expected = interpreter.run(compiled.reference.entries[0], items)
    with pipe(folder / "pipeline.toml", options) as run:
        answers = [dict(item) for item in items]
        run(answers)
    for item, one, other in zip(items, expected, answers, strict=True):
        wanted = weight @ (item["left"] + 2 * item["right"]) + bias
        for found in (one, other):
            assert isinstance(found, dict)
            np.testing.assert_allclose(found["total"], wanted, atol=1e-5)
            np.testing.assert_array_equal(found["kept"], item["left"])


@HAS_TORCH
@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("RuntimeError('sizes differ')", "the model does not take this input: sizes differ"),
        ("torch.cuda.OutOfMemoryError('out of memory')", "OutOfMemoryError: out of memory"),
        ("RuntimeError('CUDA error: assert\\nsee the manual')", "RuntimeError: CUDA error: assert"),
    ],
)
def test_what_fails_on_the_gpu_is_not_the_inputs_fault(folder: Path, raised: str, said: str) -> None:
    _save(folder)
    (folder / "nets.py").write_text(NETS.replace("assert not torch.is_grad_enabled()", f"raise {raised}"))
    item = {key: np.zeros(3, np.float32) for key in ("left", "right")}
    options = BuildOptions(target="cpu", cores=1)
    with (
        pipe(folder / "pipeline.toml", options) as run,
        pytest.raises(Exception, match=re.escape(said)) as caught,
    ):
        run(item)
    assert ("does not take" in str(caught.value)) == (raised == "RuntimeError('sizes differ')")


@HAS_TORCH
@pytest.mark.triton
def test_a_server_runs_it(folder: Path) -> None:
    weight = _save(folder)
    build(folder / "pipeline.toml", folder / "out", BuildOptions(target="cpu", cores=1))
    item = {key: np.full(3, value, np.float32) for key, value in (("left", 1), ("right", 2))}
    with TritonServer(folder / "out") as server:
        client = Client(server.grpc_url)
        zero = client.infer("eager", {key: np.zeros(3, np.float32) for key in item})["total"]
        found = client.infer("eager", item)["total"]
    np.testing.assert_allclose(found - zero, weight @ np.full(3, 5, np.float32), atol=1e-5)


@HAS_TORCH
@pytest.mark.parametrize(
    ("what", "old", "code", "message"),
    [
        ("pickled", "", "TP405", "nothing else is loaded"),
        ("whole", "", "TP405", "nothing else is loaded"),
        ("junk", "", "TP405", "nothing else is loaded"),
        ("part", "", "TP405", "does not hold the weights of nets:Net"),
        ("weights", "nets:Net", "TP508", "no torch.nn.Module"),
    ],
)
def test_what_is_no_module_with_its_weights_is_not_loaded(
    folder: Path, what: str, old: str, code: str, message: str
) -> None:
    _save(folder, what)
    if old:
        (folder / "pipeline.toml").write_text(TOML.replace(old, "nets:Plain"))
    for load in (pipe, reference):
        with pytest.raises(PipelineError, match=message) as raised:
            load(folder / "pipeline.toml", BuildOptions(target="cpu", cores=1))
        (found,) = raised.value.diagnostics
        assert found.code == code
        if code == "TP405":
            assert found.span is not None and found.span.text == '"net.pt"' and found.hint


@pytest.mark.parametrize("what", ["empty", "TorchScript"])
def test_what_holds_no_weights_is_found_without_torch(folder: Path, what: str) -> None:
    if what == "empty":
        (folder / "net.pt").write_bytes(b"")
    else:
        write_torchscript(folder / "net.pt")
    with pytest.raises(PipelineError, match=what) as raised:
        check(folder / "pipeline.toml", BuildOptions(target="cpu", cores=1))
    (found,) = raised.value.diagnostics
    assert found.code == "TP405" and found.span is not None and found.span.line == 6
