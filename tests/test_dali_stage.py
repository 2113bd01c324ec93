"""`preprocess = "dali"`: what stands before the model becomes a DALI pipeline, or it is said why not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from small_models import write_models
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, BuildResult, build, check
from tpgen.driver.check_repository import check_repository
from tpgen.driver.explain import explain
from tpgen.emit.config_pbtxt import parse

RAW = 'inputs = {data = {type = "bytes", wire = "uint8"}}'
IMAGES = """
[pipeline]
name = "p"
preprocess = "dali"
%s
[decode]
backend = "DecodeMat"
next = "prepare"
[prepare]
backend = "Sequential[ResizeMat,cvtColorMat,Mat2Tensor,TensorrtTensor,ArgMax]"
resize_h = 224
resize_w = 224
color = "rgb"
model = "rgb.onnx"
max = 4
"""


def _built(folder: Path, text: str) -> BuildResult:
    write_models(folder)
    (folder / "p.toml").write_text(text)
    return build(folder / "p.toml", folder / "repository", BuildOptions(target="gpu", cores=2))


def test_images_are_prepared_by_dali(tmp_path: Path) -> None:
    found = _built(tmp_path, IMAGES % RAW)
    assert any(one.code == "TP915" and "fails alone" in one.message for one in found.diagnostics)
    names = sorted(path.name for path in (tmp_path / "repository").iterdir() if path.is_dir())
    assert names == ["p", "p__decode", "p__prepare"]
    config = parse((tmp_path / "repository" / "p__decode" / "config.pbtxt").read_text())
    assert config.backend == "dali"
    assert [(one.name, list(one.dims)) for one in config.output] == [("result", [3, 224, 224])]
    code = (tmp_path / "repository" / "p__decode" / "1" / "dali.py").read_text()
    ast.parse(code)
    assert "prepare.ResizeMat, p.toml:10" in code
    steps = parse((tmp_path / "repository" / "p" / "config.pbtxt").read_text()).ensemble_scheduling.step
    assert [step.model_name for step in steps] == ["p__decode", "p__prepare"]
    assert {one.code for one in check_repository(tmp_path / "repository").diagnostics} == {"TP809"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (IMAGES % "", "wire"),
        (IMAGES.replace("Sequential[", "Sequential[PillowResizeMat,") % RAW, "PillowResizeMat"),
        (
            IMAGES.replace('next = "prepare"', 'next = "prepare,other"\n[other]\nbackend = "Identity"') % RAW,
            "branches",
        ),
    ],
)
def test_what_dali_cannot_do_is_said(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        _built(tmp_path, text)
    (problem,) = [one for one in caught.value.diagnostics if one.severity == "error"]
    assert problem.code == "TP914"
    assert said in problem.message
    assert problem.span is not None
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("preprocess", ["opencv", "dali", "gpu"])
def test_explain_says_what_was_built(preprocess: str, tmp_path: Path) -> None:
    text = IMAGES.replace("DecodeMat", "DecodeTensor").replace(
        "ResizeMat,cvtColorMat,Mat2Tensor", "ResizeTensor"
    )
    text = text.replace('color = "rgb"\n', "").replace('"dali"', f'"{preprocess}"') % RAW
    _built(tmp_path, text)
    options = BuildOptions(target="gpu", cores=2)
    compiled = check(tmp_path / "p.toml", options).compiled
    said = explain(compiled[0])
    (stage,) = [one for one in said.stages if "decode" in one.nodes]
    config = parse((tmp_path / "repository" / stage.name / "config.pbtxt").read_text())
    assert stage.instances == config.instance_group[0].count
    notes = {call.operator: call.note for node in said.nodes for call in node.calls if call.note}
    assert ("libjpeg" in notes["DecodeTensor"]) is (preprocess != "dali")
    assert ("computed on the CPU" in notes["ResizeTensor"]) is (preprocess == "opencv")


def test_a_limit_that_dali_does_not_check_is_named_at_its_line(tmp_path: Path) -> None:
    found = _built(tmp_path, IMAGES.replace('"DecodeMat"', '"DecodeMat"\nmax_pixels = 1000000') % RAW)
    (said,) = [one for one in found.diagnostics if "'max_pixels' of 'decode'" in one.message]
    assert said.span is not None
    assert (said.code, said.severity, said.span.line) == ("TP915", "warning", 8)
