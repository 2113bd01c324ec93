"""Models that no runtime can load, found before a server is asked to."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tpgen_runtime
from tpgen.cli import run_command
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, check, pipe, reference
from tpgen.emit.warmup import grey_jpeg
from tpgen.engines import known_operators

TOML = '[pipeline]\ninputs = {data = "float32[4]"}\n[net]\nbackend = "TensorrtTensor"\nmodel = "net.onnx"\n'
AT_MODEL = ("TP405", 5, "net.onnx")
CPU = {"target": "cpu"}
NATIVE = {"target": "cpu", "runtime": "onnxruntime"}
NATIVE_GPU = {"target": "gpu", "runtime": "onnxruntime"}
TENSORRT = {"target": "gpu"}


def save(
    folder: Path,
    node: onnx.NodeProto,
    *,
    opset: int = 17,
    functions: tuple[onnx.FunctionProto, ...] = (),
    weights: int = 0,
) -> None:
    """A model [N,4] to [N,4] of one node, beside a TOML that runs it, with ``weights`` floats to spare."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")
    unused = [numpy_helper.from_array(np.ones(weights, np.float32), "unused")] if weights else []
    graph = helper.make_graph([node], "net", [x], [y], unused)
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in {node.domain} - {""})]
    made = helper.make_model(graph, opset_imports=sets, ir_version=9, functions=functions)
    onnx.save(made, folder / "net.onnx")
    (folder / "p.toml").write_text(TOML)


def custom() -> onnx.NodeProto:
    return helper.make_node("MyOp", ["x"], ["y"], domain="my.domain")


def findings(folder: Path, **options: str) -> list[tuple[str, tuple[str, int, str]]]:
    try:
        found = check(folder / "p.toml", BuildOptions(cores=2, **options)).diagnostics
    except PipelineError as problem:
        found = problem.diagnostics
    return [
        (one.severity.value, (one.code, one.span.line, one.span.text.strip('"')))
        for one in found
        if one.span is not None and one.code == "TP405"
    ]


@pytest.mark.parametrize("way", [CPU, NATIVE, NATIVE_GPU])
def test_an_operator_or_set_that_onnxruntime_lacks_is_an_error_at_the_model(
    tmp_path: Path, way: dict[str, str]
) -> None:
    save(tmp_path, custom())
    assert findings(tmp_path, **way) == [("error", AT_MODEL)]
    save(tmp_path, helper.make_node("Relu", ["x"], ["y"]), opset=99)
    assert findings(tmp_path, **way) == [("error", AT_MODEL)]
    save(tmp_path, helper.make_node("Relu", ["x"], ["y"]), opset=99, weights=2 * 2**20)
    assert findings(tmp_path, **way) == [("error", AT_MODEL)]
    save(tmp_path, helper.make_node("Relu", ["x"], ["y"]))
    assert findings(tmp_path, **way) == []


def test_a_plugin_may_give_tensorrt_the_operator(tmp_path: Path) -> None:
    save(tmp_path, custom())
    assert findings(tmp_path, **TENSORRT) == [("warning", AT_MODEL)]
    save(tmp_path, helper.make_node("Relu", ["x"], ["y"]))
    assert findings(tmp_path, **TENSORRT) == []


def test_a_library_may_give_the_onnxruntime_of_the_server_the_operator(tmp_path: Path) -> None:
    save(tmp_path, custom())
    library = '[pipeline.triton.net]\nmodel_operations = {op_library_filename = ["/lib/mine.so"]}\n'
    (tmp_path / "p.toml").write_text(TOML + library)
    assert findings(tmp_path, **NATIVE) == []
    assert findings(tmp_path, **CPU) == [("error", AT_MODEL)]


def test_operators_of_onnxruntime_and_of_the_model_itself_are_known(tmp_path: Path) -> None:
    save(tmp_path, helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"))
    assert findings(tmp_path, **CPU) == []
    double = helper.make_node("Add", ["a", "a"], ["b"])
    own = helper.make_function("my.domain", "MyOp", ["a"], ["b"], [double], [helper.make_opsetid("", 17)])
    save(tmp_path, custom(), functions=(own,))
    for way in (CPU, TENSORRT):
        assert findings(tmp_path, **way) == []


def test_types_that_do_not_meet_are_found(tmp_path: Path) -> None:
    save(tmp_path, helper.make_node("Not", ["x"], ["y"]))
    assert findings(tmp_path, **CPU) == [("error", AT_MODEL)]


def test_a_model_that_breaks_only_when_it_is_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, helper.make_node("Not", ["x"], ["y"]))
    monkeypatch.setattr(known_operators, "_QUICK", 0)  # as large models: the check does not load them
    assert findings(tmp_path, **CPU) == []
    for load in (pipe, reference):
        with pytest.raises(PipelineError) as raised:
            load(tmp_path / "p.toml")
        (found,) = raised.value.diagnostics
        assert found.span is not None
        assert (found.code, found.span.line) == ("TP405", 5)
        assert "tensor(float)" in found.message
    arguments = ["run", str(tmp_path / "p.toml"), "--input", "data=[1,2,3,4]"]
    for more in ([], ["--reference"]):
        assert run_command([*arguments, *more], io.StringIO()) == 1
        assert "p.toml:5:9: error[TP405]" in capsys.readouterr().err


def test_a_package_that_operators_need_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(
        '[a]\nbackend = "Sequential[DecodeMat,PillowResizeMat]"\nresize_h = 8\nresize_w = 8\n'
    )
    (tmp_path / "image").write_bytes(grey_jpeg())
    monkeypatch.chdir(tmp_path)  # where names of what is no file must not be taken for the user's
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "tpgen_runtime.pillow", raising=False)
    monkeypatch.delattr(tpgen_runtime, "pillow", raising=False)  # where an earlier test left it
    for more in ([], ["--reference"]):
        assert run_command(["run", "p.toml", "--input", "data=@image", *more], io.StringIO()) == 3
        assert "pip install 'pillow" in capsys.readouterr().err
