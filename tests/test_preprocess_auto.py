"""`preprocess = "auto"`: DALI where the cores are the limit and nothing is lost, else OpenCV, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from test_dali_stage import IMAGES, RAW
from tpgen.driver import BuildOptions, BuildResult, build, check
from tpgen.driver.check_repository import check_repository
from tpgen.driver.explain import explain
from tpgen.driver.explain_text import explanation_text
from tpgen.emit.config_pbtxt import parse

AUTO = IMAGES.replace('preprocess = "dali"\n', "")
FAST = f"{RAW}\nengine_rate = 20000"


def _checked(folder: Path, text: str, target: str = "gpu", cores: int = 2) -> BuildResult:
    write_models(folder)
    (folder / "p.toml").write_text(text)
    return check(folder / "p.toml", BuildOptions(target=target, cores=cores))


def _decision(found: BuildResult) -> str:
    (line,) = [one for one in found.compiled[0].decisions if "prepares the images" in one]
    return line


def _backends(found: BuildResult) -> list[str]:
    return [stage.backend for stage in found.compiled[0].graph.stages]


def test_dali_prepares_where_the_cores_are_the_limit(tmp_path: Path) -> None:
    found = _checked(tmp_path, AUTO % FAST)
    assert _backends(found)[0] == "dali"
    assert "DALI prepares the images of p: the cores are the limit, at about" in _decision(found)
    assert "the engine does 20000" in _decision(found)
    assert any(one.code == "TP915" for one in found.diagnostics)
    build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(target="gpu", cores=2))
    config = parse((tmp_path / "repository" / "p__decode" / "config.pbtxt").read_text())
    assert config.backend == "dali"
    assert {one.code for one in check_repository(tmp_path / "repository").diagnostics} == {"TP809"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (AUTO % RAW, "whether the cores are the limit is not known: engine_rate"),
        (AUTO % f"{RAW}\nengine_rate = 100", "the limit is 'engine', at 100 items/s; the cores answer about"),
        (AUTO % "engine_rate = 20000", "DALI takes bytes as UINT8 [-1] only"),
        (
            AUTO.replace("ResizeMat", "PillowResizeMat") % FAST,
            "grey",
        ),
        (AUTO.replace('"DecodeMat"', '"DecodeMat"\nmax_pixels = 1000000') % FAST, "max_pixels of 'decode'"),
    ],
)
def test_images_stay_with_opencv(tmp_path: Path, text: str, reason: str) -> None:
    found = _checked(tmp_path, text)
    assert "dali" not in _backends(found)
    assert "OpenCV prepares the images of p" in _decision(found)
    assert reason in _decision(found)
    assert not any(one.code in ("TP914", "TP915") for one in found.diagnostics)


def test_more_cores_are_no_limit(tmp_path: Path) -> None:
    assert _backends(_checked(tmp_path, AUTO % f"{RAW}\nengine_rate = 900", cores=2))[0] == "dali"
    assert "dali" not in _backends(_checked(tmp_path, AUTO % f"{RAW}\nengine_rate = 900", cores=32))


def test_a_fallback_keeps_isolation(tmp_path: Path) -> None:
    """Behind an image that failed stands another decoder: DALI would fail its whole batch."""
    again = 'next = "again"\n[again]\nbackend = "DecodeMat"\nfilter = "or"\nnext = "prepare"'
    found = _checked(tmp_path, AUTO.replace('next = "prepare"', again) % FAST)
    assert "dali" not in _backends(found)
    assert "DALI cannot do this" in _decision(found)


def test_on_the_cpu_it_is_opencv(tmp_path: Path) -> None:
    found = _checked(tmp_path, AUTO % FAST, target="cpu")
    assert not any("prepares the images" in one for one in found.compiled[0].decisions)
    found = _checked(tmp_path, IMAGES % RAW, target="cpu")
    assert any('preprocess = "dali" has no effect' in one for one in found.compiled[0].decisions)
    assert _backends(found) == ["python"]


def test_operators_of_the_gpu_are_named_once(tmp_path: Path) -> None:
    text = AUTO.replace("ResizeMat,cvtColorMat,Mat2Tensor", "cvtColorMat,Mat2Tensor,ResizeTensor") % RAW
    (note,) = [one for one in _checked(tmp_path, text).diagnostics if one.code == "TP930"]
    assert "prepare.ResizeTensor" in note.message
    assert note.span is not None
    assert note.span.line == 9
    meant = text.replace("[pipeline]\n", '[pipeline]\npreprocess = "opencv"\n')
    for target, toml in (("gpu", meant), ("cpu", text), ("gpu", AUTO % RAW)):
        assert not any(one.code == "TP930" for one in _checked(tmp_path, toml, target).diagnostics)


def test_explain_says_where_time_goes(tmp_path: Path) -> None:
    found = explain(_checked(tmp_path, AUTO % RAW).compiled[0])
    text = explanation_text(found)
    assert "what limits it, of what is known: cores" in text
    assert "p__decode -> p__prepare: 151 kB, copied 3 times, 0.17 ms over the bus" in text
    assert "engine_rate in [pipeline] says what they answer alone" in text
    times = {one.stage: one for one in found.cost.stages}
    assert times["p__decode"].nodes["decode"] > times["p__decode"].nodes["prepare"] > 0
    assert found.to_json()["cost"]["limit"] == "cores"


def test_a_stage_on_the_gpu_takes_less_of_the_cores(tmp_path: Path) -> None:
    on_cores = explain(_checked(tmp_path, AUTO % RAW).compiled[0]).cost
    moved = AUTO.replace("[pipeline]\n", '[pipeline]\npreprocess = "gpu"\n') % RAW
    found = _checked(tmp_path, moved)
    assert not any(one.code == "TP930" for one in found.diagnostics)
    on_gpu = explain(found.compiled[0]).cost
    assert on_gpu.ms < on_cores.ms
    assert {one.over for one in on_gpu.crossings} == {"memory", "gpu"}
    assert any("p__decode computes on the GPU" in remark for remark in on_gpu.remarks)


@pytest.mark.parametrize(("who", "told"), [("opencv", 1), ("dali", 0)])
def test_serialising_is_told_where_dali_does_nothing(who: str, told: int, tmp_path: Path) -> None:
    head = f'[pipeline]\npreprocess = "{who}"\nserialize_dali = true\n'
    found = _checked(tmp_path, AUTO.replace("[pipeline]\n", head) % RAW).diagnostics
    assert len([one for one in found if one.code == "TP922"]) == told
    assert not [
        one
        for one in _checked(tmp_path, AUTO.replace("[pipeline]\n", head) % RAW, "cpu").diagnostics
        if one.code == "TP922"
    ]
