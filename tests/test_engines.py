"""Repositories with TensorRT engines that are still to be built: what they hold, and what is said of them."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import examples
from engines.onnx_build import model, node, save, tensor
from small_models import write_models
from tpgen.cli import run_command
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, BuildResult, build
from tpgen.emit.config_pbtxt import parse
from tpgen.engines.requests import read_request

GPU = BuildOptions(target="gpu", cores=2)


def _built(folder: Path, text: str) -> BuildResult:
    write_models(folder)
    (folder / "pipeline.toml").write_text(f'[pipeline]\nname = "p"\n{text}')
    return build(folder / "pipeline.toml", folder / "repository", GPU)


ANY_SIZE = """
inputs = {data = "uint8[3,H,W] rgb"}
[a]
backend = "TensorrtTensor"
model = "any.onnx"
"""


def test_a_request_lies_beside_the_network_that_the_engine_is_built_from(tmp_path: Path) -> None:
    found = build(examples.pipeline("digits"), tmp_path / "repository", GPU)
    (warning,) = [one for one in found.diagnostics if one.code == "TP906"]
    assert "digits__reader" in warning.message
    folder = tmp_path / "repository" / "digits__reader"
    assert sorted(path.name for path in (folder / "1").iterdir()) == ["engine.json", "model.onnx"]
    request = read_request((folder / "1" / "engine.json").read_text())
    assert [(one.name, one.dtype) for one in request.inputs] == [("image", "uint8")]
    ((image,),) = request.profiles
    assert (image.low, image.high) == ((1, 32, 32, 3), (8, 32, 32, 3))  # as it is resized
    commands = json.loads((folder / "1" / "engine.json").read_text())["commands"]
    assert commands["trtexec"][0] == "trtexec"
    assert commands["polygraphy"][:2] == ["polygraphy", "convert"]
    config = parse((folder / "config.pbtxt").read_text())
    assert (config.backend, config.default_model_filename) == ("tensorrt", "model.plan")


def test_check_warns_of_it_and_serve_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(examples.pipeline("digits"), tmp_path / "repository", GPU)
    assert run_command(["check", str(tmp_path / "repository")], io.StringIO()) == 0
    assert "warning[TP809]" in capsys.readouterr().err
    assert run_command(["serve", str(tmp_path / "repository")], io.StringIO()) == 3
    said = capsys.readouterr().err
    assert "no TensorRT engine yet for digits__reader" in said
    assert "--onnx=model.onnx" in said


@pytest.mark.parametrize("command", ["serve", "verify"])
def test_engines_of_a_pipeline_are_built_in_a_folder_that_stays(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = examples.pipeline("digits")
    assert run_command([command, str(pipeline), "--target", "gpu"], io.StringIO()) == 3
    said = capsys.readouterr().err
    ways = (f"tpgen build {pipeline} --target gpu -o DIR", "tpgen engines build DIR", "tpgen serve DIR")
    places = [said.index(way) for way in ways]
    assert places == sorted(places)
    assert tempfile.gettempdir() not in said.replace(str(pipeline), "")
    assert "TP906" not in said


def test_sizes_that_vary_have_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        _built(tmp_path, ANY_SIZE + "max = 8\n")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.node) == ("TP412", "a")
    assert problem.span is not None
    assert problem.span.text == "8"


def test_several_profiles_are_listed_and_share_memory(tmp_path: Path) -> None:
    sizes = 'min = "1x3x32x32;1x3x64x64"\nmax = "8x3x32x32;8x3x64x64"\n'
    found = _built(tmp_path, ANY_SIZE + sizes)
    assert not any(one.severity == "error" for one in found.diagnostics)
    config = parse((tmp_path / "repository" / "p__a" / "config.pbtxt").read_text())
    assert list(config.instance_group[0].profile) == ["0", "1"]
    strategy = config.parameters["execution_context_allocation_strategy"].string_value
    assert strategy == "ON_PROFILE_CHANGE"


def test_holes_between_profiles_are_closed_and_named(tmp_path: Path) -> None:
    text = 'inputs = {data = "float32[3,224,224] rgb"}\n[a]\nbackend = "TensorrtTensor"\nmodel = "rgb.onnx"\n'
    found = _built(tmp_path, text + 'min = "1;4;8;32"\nmax = "1;4;8;32"\n')
    notes = [one.message for one in found.diagnostics if one.code == "TP907"]
    assert any("min 8 is 5" in note for note in notes)
    request = read_request((tmp_path / "repository" / "p__a" / "1" / "engine.json").read_text())
    for batch in range(1, 33):
        assert any(one.holds((batch, 3, 224, 224)) for profile in request.profiles for one in profile)


def test_each_profile_may_have_an_opt_of_its_own(tmp_path: Path) -> None:
    text = 'inputs = {data = "float32[3,224,224] rgb"}\n[a]\nbackend = "TensorrtTensor"\nmodel = "rgb.onnx"\n'
    sizes = 'min = "1;5"\nmax = "4;8"\n'
    _built(tmp_path, f'{text}{sizes}opt = "2;7"\n')
    request = read_request((tmp_path / "repository" / "p__a" / "1" / "engine.json").read_text())
    assert [one.opt[0] for profile in request.profiles for one in profile] == [2, 7]
    for opt, message in (("2;7;8", "'opt' is for 3 profiles"), ("9", "min ≤ opt"), ("x", "'opt' is 'x'")):
        with pytest.raises(PipelineError, match=message) as caught:
            _built(tmp_path, f'{text}{sizes}opt = "{opt}"\n')
        (problem,) = caught.value.diagnostics
        assert problem.code == "TP412" and problem.span is not None
        assert problem.span.text == f'"{opt}"'


def test_sizes_are_told_in_the_order_of_the_model(tmp_path: Path) -> None:
    """Images go into the engine as HWC here; the TOML has its shapes as the file does."""
    prepared = '[pipeline]\nname = "p"\n[a]\nbackend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"\n'
    prepared += (
        'resize_h = 32\nresize_w = 48\nnext = "b"\n[b]\nbackend = "TensorrtTensor"\nmodel = "any.onnx"\n'
    )
    write_models(tmp_path)
    (tmp_path / "pipeline.toml").write_text(prepared + 'min = "1x3x64x64"\nmax = "8x3x96x128"\n')
    found = build(tmp_path / "pipeline.toml", tmp_path / "repository", GPU)
    (note,) = [one.message for one in found.diagnostics if one.code == "TP907"]
    assert note == "min 1x3x64x64 is 1x3x32x48 now: 3x32x48 arrives"
    request = read_request((tmp_path / "repository" / "p__b" / "1" / "engine.json").read_text())
    ((one,),) = request.profiles
    assert (one.low, one.high) == ((1, 32, 48, 3), (8, 96, 128, 3))


def test_profiles_of_ocr_hold_every_line(tmp_path: Path) -> None:
    """The profiles of TorchPipe's OCR: of one width each, some from a larger batch on, some to a smaller."""
    text = (
        '[pipeline]\nname = "p"\ninputs = {data = "float32[3,32,W] rgb"}\n[a]\nbackend = "TensorrtTensor"\n'
    )
    text += 'model = "any.onnx"\nmin = "1x3x32x32;4x3x32x64;1x3x32x320;8x3x32x512"\n'
    text += 'max = "32x3x32x32;32x3x32x64;16x3x32x320;8x3x32x512"\n'
    write_models(tmp_path)
    (tmp_path / "pipeline.toml").write_text(text)
    build(tmp_path / "pipeline.toml", tmp_path / "repository", GPU)
    (place,) = (tmp_path / "repository").glob("*/1/engine.json")
    request = read_request(place.read_text())
    listed = parse((place.parents[1] / "config.pbtxt").read_text()).instance_group[0].profile
    assert [int(one) for one in listed] == list(range(len(request.profiles)))
    for batch in range(1, 33):
        for width in (*range(32, 513, 15), 64, 320, 512):
            assert any(one.holds((batch, 3, 32, width)) for (one,) in request.profiles), (batch, width)


def test_images_that_are_larger_than_every_profile(tmp_path: Path) -> None:
    text = (
        '[pipeline]\nname = "p"\ninputs = {data = "float32[3,64,64] rgb"}\n[a]\nbackend = "TensorrtTensor"\n'
    )
    write_models(tmp_path)
    (tmp_path / "pipeline.toml").write_text(f'{text}model = "any.onnx"\nmax = "8x3x32x96"\n')
    with pytest.raises(PipelineError, match="no profile is large enough for 3x64x64: raise 'max'") as caught:
        build(tmp_path / "pipeline.toml", tmp_path / "repository", GPU)
    (problem,) = caught.value.diagnostics
    assert problem.span is not None and problem.span.text == '"8x3x32x96"'


def test_a_model_in_half_precision_is_not_said_to_be_in_fp32(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("MatMul", "h w", "p")]
    nodes.append(node("Cast", "p", "y", to=TensorProto.FLOAT))
    ports = [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]
    save(model(nodes, *ports, {"w": np.ones((4, 4), np.float16)}), tmp_path / "half.onnx")
    found = _built(tmp_path, 'inputs = {data = "float32[4]"}\n[a]\nbackend = "Onnx"\nmodel = "half.onnx"\n')
    request = read_request((tmp_path / "repository" / "p__a" / "1" / "engine.json").read_text())
    assert request.precision == "fp16"
    assert "TP909" not in {one.code for one in found.diagnostics}
    assert any("the engine computes in fp16" in said for said in found.compiled[0].decisions)
