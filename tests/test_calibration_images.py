"""int8 with images: the model sees what the pipeline gives it, and bad files are named."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from examples import EXAMPLES, pipeline, script
from tpgen.cli import run_command
from tpgen.diagnostics import Bag, Diagnostic, PipelineError
from tpgen.driver import BuildOptions, build, compile_pipeline
from tpgen.driver.calibration import calibration_samples
from tpgen.driver.precision import engine_calls, tensor_of
from tpgen.services.engines import find_engines

GPU = BuildOptions(target="gpu", cores=2)
TEXT = pipeline("digits").read_text()
INT8 = TEXT.replace("min = 1", 'precision = "int8"\ncalibrate_input = "samples"\nmin = 1')


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """30 forms with a digit."""
    return [jpeg for jpeg, _ in script("digits", "train").held_out_jpegs()[:30]]


@pytest.fixture
def folder(tmp_path: Path, pictures: list[bytes]) -> Path:
    """The example of digits with pictures to calibrate it with, in int8."""
    for name in ("digits.onnx", "labels.txt"):
        shutil.copy(EXAMPLES / "digits" / name, tmp_path / name)
    (tmp_path / "samples").mkdir()
    for number, jpeg in enumerate(pictures):
        (tmp_path / "samples" / f"{number}.jpg").write_bytes(jpeg)
    (tmp_path / "pipeline.toml").write_text(INT8)
    return tmp_path


def _built(folder: Path, text: str = INT8) -> tuple[Diagnostic, ...]:
    (folder / "pipeline.toml").write_text(text)
    return build(folder / "pipeline.toml", folder / "repository", GPU).diagnostics


def _refused(folder: Path, text: str = INT8) -> Diagnostic:
    with pytest.raises(PipelineError) as caught:
        _built(folder, text)
    (found,) = [one for one in caught.value.diagnostics if one.severity.value == "error"]
    return found


def test_images_calibrate_a_model_that_takes_uint8(folder: Path) -> None:
    found = _built(folder)
    (engine,) = find_engines(folder / "repository")
    assert engine.request.precision == "int8"
    assert [one.dtype for one in engine.request.inputs] == ["uint8"]  # the cast, mean and std moved in
    assert any("calibrated on 30 samples" in line for line in engine.report)
    (note,) = [one for one in found if one.code == "TP920"]
    assert "'reader' in int8, on the samples: logits: top-1 the same in 100.00% of 30 rows" in note.message
    assert any(line.startswith("ok: logits") for line in engine.report)


def test_the_model_sees_what_the_pipeline_gives_it(folder: Path) -> None:
    jpeg = folder / "samples" / "7.jpg"
    shutil.rmtree(folder / "repository", ignore_errors=True)
    bag = Bag()
    with tempfile.TemporaryDirectory() as scratch:
        compiled = compile_pipeline(folder / "pipeline.toml", GPU, bag, Path(scratch))
        assert compiled is not None
        ((stage, _, call),) = engine_calls(compiled.graph)
        inputs = tuple(map(tensor_of, stage.inputs))
        samples = calibration_samples(compiled, call, inputs, folder / "samples")
    image = cv2.imread(str(jpeg), cv2.IMREAD_COLOR)
    wanted = cv2.resize(image, (32, 32), interpolation=cv2.INTER_LINEAR)  # HWC and BGR: the graph turns it
    names = sorted(path.name for path in (folder / "samples").iterdir())
    (found,) = samples[names.index("7.jpg")].values()
    np.testing.assert_array_equal(found, wanted[None])


def test_an_image_that_cannot_be_decoded_is_named(folder: Path) -> None:
    (folder / "samples" / "3.jpg").write_bytes(b"no image")
    found = _refused(folder)
    assert (found.code, found.node) == ("TP413", "reader")
    assert "samples/3.jpg never gets to the model" in found.message
    assert "[decode]" in found.message
    assert found.span is not None
    assert found.span.text == '"samples"'


def test_images_and_arrays_in_one_folder(folder: Path) -> None:
    np.save(folder / "samples" / "x.npy", np.zeros((3, 32, 32), np.uint8))
    found = _refused(folder)
    assert found.code == "TP413"
    assert "0.jpg is an image, x.npy holds arrays" in found.message


def test_arrays_are_turned_as_images_are(folder: Path) -> None:
    """They hold what arrives at the model by the TOML: CHW and RGB."""
    _built(folder)
    (engine,) = find_engines(folder / "repository")
    expected = (engine.folder / "model.onnx").read_bytes()
    for path in list((folder / "samples").iterdir()):
        image = cv2.resize(cv2.imread(str(path)), (32, 32))[..., ::-1].transpose(2, 0, 1)
        np.save(path.with_suffix(".npy"), np.ascontiguousarray(image))
        path.unlink()
    assert any(one.code == "TP920" for one in _built(folder))
    assert (engine.folder / "model.onnx").read_bytes() == expected


def test_user_code_in_front_is_not_run(folder: Path) -> None:
    (folder / "ops.py").write_text(
        'raise RuntimeError("a build ran this")\n'
        "from tpgen_runtime import Tensor, op\n"
        '@op(inputs={"data": Tensor("uint8", ["H", "W", 3])},'
        ' outputs={"result": Tensor("uint8", ["H", "W", 3], color="bgr")})\n'
        "def same(data):\n    return data\n"
    )
    text = INT8.replace('"DecodeMat"', '"Sequential[DecodeMat,Python[ops:same]]"')
    text = text.replace('next = "prepare"', 'next = "prepare"', 1)
    found = _refused(folder, text)
    assert found.code == "TP413"
    assert "'decode' in front of the model runs Python code of yours" in found.message


def test_a_pipeline_that_takes_no_encoded_image(folder: Path) -> None:
    text = INT8.replace('[decode]\nbackend = "DecodeMat"\nnext = "prepare"\n', "")
    found = _refused(folder, f'[pipeline]\ninputs = {{data = "uint8[H,W,3] bgr"}}\n{text}')
    assert (
        "the pipeline takes 'data' (uint8[H,W,3] HWC bgr): save what arrives there as .npy" in found.message
    )


def test_crops_of_pages_calibrate_a_model_of_a_sub_graph(tmp_path: Path) -> None:
    """It runs on elements, behind another model: each page gives as many samples as it has words."""
    (tmp_path / "pages").mkdir()
    for seed in range(2):
        page = script("ocr", "pages").make_page(seed).image
        (tmp_path / "pages" / f"{seed}.jpg").write_bytes(page)
    values = {("angle", "precision"): "int8", ("angle", "calibrate_input"): f"{tmp_path}/pages"}
    options = BuildOptions(target="gpu", cores=2, values=values)
    found = build(pipeline("ocr"), tmp_path / "repository", options)
    (engine,) = [one for one in find_engines(tmp_path / "repository") if one.request.precision == "int8"]
    (count,) = [line.split()[3] for line in engine.report if "calibrated on" in line]
    assert int(count) > 10
    assert any(one.code == "TP920" for one in found.diagnostics)


def test_samples_behind_user_code_are_saved(tmp_path: Path) -> None:
    """The example finds its digits in Python: the command runs that, and a build takes what it saved."""
    given = []
    for seed in range(2):
        (tmp_path / f"{seed}.jpg").write_bytes(script("detect_classify", "pages").make_page(seed).image)
        given += ["--input", f"data=@{tmp_path}/{seed}.jpg"]
    arguments = ["engines", "samples", str(pipeline("detect_classify")), "reader", f"{tmp_path}/samples"]
    out = io.StringIO()
    assert run_command([*arguments, *given, "--json"], out) == 0
    count = json.loads(out.getvalue())["samples"]
    files = sorted((tmp_path / "samples").iterdir())
    assert len(files) == count > 2
    assert {(np.load(file).shape, str(np.load(file).dtype)) for file in files} == {((3, 32, 32), "uint8")}
    values = {("reader", "precision"): "int8", ("reader", "calibrate_input"): f"{tmp_path}/samples"}
    options = BuildOptions(target="gpu", cores=2, values=values)
    found = build(pipeline("detect_classify"), tmp_path / "repository", options)
    assert any(f"of {count} rows" in one.message for one in found.diagnostics if one.code == "TP920")
    assert run_command([*arguments, *given], io.StringIO()) == 2  # the folder isn't empty
    arguments[3:] = ["boxes", f"{tmp_path}/other"]
    assert run_command([*arguments, *given], io.StringIO()) == 1  # a node without a model


def test_a_model_that_is_an_entry_is_calibrated_with_the_images_of_the_other_one(folder: Path) -> None:
    """Clients of that entry send what the nodes in front would have prepared."""
    _built(folder, f'[pipeline]\nentries = ["reader"]\n{INT8}')
    reports = [engine.report for engine in find_engines(folder / "repository")]
    assert len(reports) == 2
    for report in reports:
        assert any("calibrated on 30 samples" in line for line in report)
        assert any(line.startswith("ok: logits") for line in report)


def test_what_is_lost_fails_the_build_with_its_figures(folder: Path) -> None:
    """The reader can't tell classes apart on pictures of nothing, so roundings move them."""
    (folder / "noise").mkdir()
    random = np.random.default_rng(0)
    for number in range(100):
        image = random.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "noise" / f"{number}.png"), image)
    text = INT8.replace("samples", "noise").replace("min = 1", "max_precision_loss = LOSS\nmin = 1")
    problem = _refused(folder, text.replace("LOSS", "0"))
    assert problem.code == "TP910"
    assert "'reader' in int8: logits: share of rows with the same top-1: 0." in problem.message
    assert "(at least 1)" in problem.message
    assert problem.span is not None
    assert problem.span.text == '"int8"'
    accepted = (problem.hint or "").partition("max_precision_loss = ")[2].split()[0]
    assert not any(one.code == "TP910" for one in _built(folder, text.replace("LOSS", accepted)))
