"""`tpgen engines`, with a stand-in for TensorRT: what is planned, built and kept, and what is stale."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engines.fake_tensorrt import FakeTensorRT
from engines.onnx_build import model, node, save, tensor
from small_models import write_models
from tpgen.cli import run_command
from tpgen.diagnostics import Bag, PipelineError
from tpgen.driver import BuildOptions, BuildResult, build, compile_pipeline
from tpgen.driver.check_repository import check_repository
from tpgen.driver.deploy import deployment_of
from tpgen.driver.explain import explain
from tpgen.emit.config_pbtxt import parse
from tpgen.emit.features import features_of
from tpgen.engines.plan_files import read_built
from tpgen.engines.requests import Flags
from tpgen.services.compare import HALF, compare_values
from tpgen.services.engines import find_engines
from tpgen.services.features import feature_flags

GPU = BuildOptions(target="gpu", cores=2)
NODE = '[pipeline]\nname = "p"\ninputs = {data = "float32[3,8,8] rgb"}\n[a]\nbackend = "TensorrtTensor"\n'
TEXT = NODE + 'model = "convolution.onnx"\nmax = 4\n'
TWO = TEXT + '[b]\nbackend = "TensorrtTensor"\nmodel = "convolution.onnx"\nprecision = "bf16"\nmax = 2\n'
ON = ("--gpu-name", "NVIDIA L4", "--compute-capability", "8.9")


class Place:
    """A folder with a pipeline, its repository and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.repository, self.cache = folder, folder / "repository", folder / "cache"
        write_models(folder)
        self.plan = self.repository / "p" / "1" / "model.plan"

    def built(self, text: str = TEXT) -> BuildResult:
        (self.folder / "pipeline.toml").write_text(text)
        found = build(self.folder / "pipeline.toml", self.repository, GPU)
        names = [path.parent for path in self.repository.glob("*/1/engine.json")]
        self.plan = names[0] / "model.plan"
        return found

    def run(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        out = io.StringIO()
        assert run_command(["engines", *arguments, "--json"], out) == status
        found: dict[str, Any] = json.loads(out.getvalue())
        return found

    def build_engines(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        given = arguments or ON
        return self.run("build", str(self.repository), "--cache", str(self.cache), *given, status=status)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRT:
    fake = FakeTensorRT()
    monkeypatch.setitem(sys.modules, "tensorrt", fake.module)
    monkeypatch.setenv("PATH", "/nonexistent")
    return fake


@pytest.fixture
def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def _builds(fake: FakeTensorRT) -> int:
    return sum(name == "Builder.build_serialized_network" for name, *_ in fake.calls)


# --- plan ---


@pytest.mark.usefixtures("no_tensorrt")
def test_a_pipeline_is_planned_without_tensorrt(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.built()
    (one,) = place.run("plan", str(place.folder / "pipeline.toml"))["engines"]
    assert (one["state"], one["precision"], len(one["key"])) == ("pending", "fp32", 64)
    (profile,) = one["profiles"]
    assert (profile[0]["low"], profile[0]["high"]) == ([1, 3, 8, 8], [4, 3, 8, 8])
    assert one == place.run("plan", str(place.repository))["engines"][0]
    capsys.readouterr()
    out = io.StringIO()
    assert run_command(["engines", "plan", str(place.folder / "pipeline.toml")], out) == 0
    assert "0        image  1x3x8x8  4x3x8x8  4x3x8x8" in out.getvalue()
    assert "$ trtexec --onnx=model.onnx" in out.getvalue()
    assert "$ polygraphy convert model.onnx" in out.getvalue()
    assert "TP906" not in capsys.readouterr().err


@pytest.mark.usefixtures("no_tensorrt")
def test_a_repository_without_engines(place: Place) -> None:
    (place.folder / "pipeline.toml").write_text(TEXT)
    build(place.folder / "pipeline.toml", place.repository, BuildOptions(cores=2))
    (problem,) = place.run("plan", str(place.repository), status=1)["diagnostics"]
    assert problem["code"] == "TP415"


@pytest.mark.usefixtures("no_tensorrt")
def test_a_pipeline_without_engines(place: Place) -> None:
    toml = place.folder / "pipeline.toml"
    toml.write_text(TEXT)
    (problem,) = place.run("plan", str(toml), "--runtime", "onnxruntime", status=1)["diagnostics"]
    assert problem["code"] == "TP415" and problem["message"] == f"no model of '{toml}' runs on TensorRT"


@pytest.mark.usefixtures("no_tensorrt")
def test_without_tensorrt_the_plan_and_the_command_are_printed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.built()
    out = io.StringIO()
    assert run_command(["engines", "build", str(place.repository)], out) == 3
    assert "image  1x3x8x8" in out.getvalue()
    assert "trtexec --onnx=model.onnx --saveEngine=model.plan" in capsys.readouterr().err


# --- build ---


def test_engines_are_built_once_and_kept_by_later_builds(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built()
    assert place.build_engines()["built"][0]["how"] == "built"
    built = read_built(Path(f"{place.plan}.json").read_text())
    assert (built.request.gpu.name, built.request.tensorrt) == ("NVIDIA L4", "10.13.2")  # type: ignore[union-attr]
    assert place.build_engines()["built"] == []
    before = place.plan.read_bytes()
    found = place.built(TEXT + "instance_num = 2\n")  # changes the repository, not the engine
    assert found.changed
    assert place.plan.read_bytes() == before
    assert not {"TP610", "TP611", "TP906", "TP908"} & {one.code for one in found.diagnostics}
    assert _builds(tensorrt) == 1


def test_a_changed_request_removes_the_plan_and_says_why(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built()
    place.build_engines()
    found = place.built(TEXT + 'precision = "fp16"\n')
    (note,) = [one for one in found.diagnostics if one.code == "TP908"]
    assert "precision: fp32 → fp16" in note.message
    assert not place.plan.exists()
    assert not Path(f"{place.plan}.json").exists()
    assert "TP611" not in {one.code for one in found.diagnostics}
    assert place.build_engines()["built"][0]["how"] == "built"
    place.built(TEXT)
    assert place.build_engines()["built"][0]["how"] == "cached"
    assert _builds(tensorrt) == 2


def test_a_plan_that_was_built_by_hand_stays_until_the_request_changes(place: Place) -> None:
    place.built()
    place.plan.write_bytes(b"by hand")
    place.built(TEXT + "instance_num = 2\n")
    assert place.plan.read_bytes() == b"by hand"
    found = place.built(TEXT.replace("max = 4", "max = 6"))
    assert not place.plan.exists()
    codes = {one.code for one in found.diagnostics}
    assert {"TP908", "TP611"} <= codes  # a copy is kept, as nobody knows how to build it again


def test_a_model_that_needs_no_engine_any_more_loses_it(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built()
    place.build_engines()
    build(
        place.folder / "pipeline.toml",
        place.repository,
        BuildOptions(target="gpu", runtime="onnxruntime", cores=2),
    )
    assert not list(place.repository.glob("*/1/model.plan*"))


@pytest.mark.parametrize(
    ("version", "on", "why"),
    [
        ("10.14.1", ON, "TensorRT: 10.13.2 → 10.14.1"),
        ("10.13.2", ("--gpu-name", "NVIDIA L40S", "--compute-capability", "8.9"), "gpu: "),
    ],
)
def test_another_tensorrt_or_gpu_makes_a_plan_stale(
    place: Place,
    tensorrt: FakeTensorRT,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    on: tuple[str, ...],
    why: str,
) -> None:
    place.built()
    place.build_engines()
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT(version).module)
    found = place.build_engines(*on)
    assert found["built"] == [{"model": place.plan.parent.parent.name, "how": "built"}]
    assert found["engines"][0]["state"] == "built"
    request = read_built(Path(f"{place.plan}.json").read_text()).request
    assert (request.tensorrt, request.gpu.compute_capability) == (version, on[3])  # type: ignore[union-attr]
    assert _builds(tensorrt) == 1
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt.module)
    monkeypatch.setattr("tpgen.services.engine_builds.this_gpu", lambda: request.gpu)
    if version != "10.13.2":
        (one,) = place.run("plan", str(place.repository))["engines"]
        assert (one["state"], one["why"]) == ("stale", ["TensorRT: 10.14.1 → 10.13.2"])
    else:
        assert why


AMPERE = ("--gpu-name", "NVIDIA A100", "--compute-capability", "8.0")
HOPPER = ("--gpu-name", "NVIDIA H100", "--compute-capability", "9.0")


def _files_for_gpus(place: Place) -> dict[str, str]:
    return dict(parse((place.plan.parents[1] / "config.pbtxt").read_text()).cc_model_filenames)


@pytest.mark.usefixtures("tensorrt")
def test_each_gpu_has_an_engine_of_its_own(place: Place) -> None:
    place.built()
    place.build_engines()
    first = place.plan.read_bytes()
    assert _files_for_gpus(place) == {}  # one engine has the default name
    (found,) = place.build_engines(*AMPERE)["engines"]
    place.build_engines(*HOPPER)
    folder = place.plan.parent
    expected = {"8.0": "model.sm80.plan", "8.9": "model.plan", "9.0": "model.sm90.plan"}
    assert _files_for_gpus(place) == expected
    assert place.plan.read_bytes() == first
    assert {one["compute_capability"]: one["file"] for one in found["plans"]} == {
        key: value for key, value in expected.items() if key != "9.0"
    }
    assert check_repository(place.repository).diagnostics == ()
    assert run_command(["engines", "plan", str(place.repository)], out := io.StringIO()) == 0
    assert "for capability 8.0: model.sm80.plan (NVIDIA A100, TensorRT 10.13.2)" in out.getvalue()
    again = place.built()  # keeps all of them, and the configuration
    assert not again.changed
    assert not [one for one in again.diagnostics if one.code in ("TP610", "TP906", "TP908")]
    assert _files_for_gpus(place) == expected
    assert not place.build_engines(*AMPERE)["built"]
    (folder / "model.sm90.plan").unlink()
    (folder / "model.sm90.plan.json").unlink()
    place.built()
    assert _files_for_gpus(place) == {"8.0": "model.sm80.plan", "8.9": "model.plan"}


@pytest.mark.usefixtures("tensorrt")
def test_an_engine_for_all_gpus_since_ampere_needs_no_other(place: Place) -> None:
    place.built(TEXT + 'hardward_compatibility = "AMPERE_PLUS"\n')
    place.build_engines()
    assert not place.build_engines(*HOPPER)["built"]
    turing = ("--gpu-name", "Tesla T4", "--compute-capability", "7.5")
    (found,) = place.build_engines(*turing)["engines"]
    assert [one["file"] for one in found["plans"]] == ["model.plan", "model.sm75.plan"]


@pytest.mark.usefixtures("tensorrt")
def test_a_changed_model_removes_the_engines_of_all_gpus(place: Place) -> None:
    place.built()
    place.build_engines()
    place.build_engines(*AMPERE)
    found = place.built(TEXT.replace("max = 4", "max = 3"))
    noted = [one.message for one in found.diagnostics if one.code == "TP908"]
    assert len(noted) == 2 and any("model.sm80.plan" in one for one in noted)
    assert _files_for_gpus(place) == {}
    assert not list(place.plan.parent.glob("*.plan*"))


@pytest.mark.usefixtures("tensorrt")
def test_a_stale_engine_of_one_gpu_is_named_and_the_others_stay(place: Place) -> None:
    place.built()
    place.build_engines()
    place.build_engines(*AMPERE)
    other = place.plan.with_name("model.sm80.plan")
    other.write_bytes(b"another")
    (found,) = place.run("plan", str(place.repository))["engines"]
    assert {one["file"]: one["why"] for one in found["plans"]} == {
        "model.plan": [],
        "model.sm80.plan": ["model.sm80.plan is not the one that model.sm80.plan.json describes"],
    }
    (stale,) = check_repository(place.repository).diagnostics
    assert (stale.code, stale.severity.value) == ("TP908", "warning") and "model.sm80.plan" in stale.message
    assert place.build_engines(*AMPERE)["built"]
    assert other.read_bytes() != b"another"
    assert check_repository(place.repository).diagnostics == ()


@pytest.mark.usefixtures("tensorrt")
def test_what_an_interrupted_write_left_is_removed(place: Place) -> None:
    place.built()
    left = place.plan.with_name(".model.plan.x1y2")
    left.write_bytes(b"a part")
    found = place.run("prune", str(place.repository), "--cache", str(place.cache))
    assert found["removed"] == [left.name] and not left.exists()
    left.write_bytes(b"a part")
    place.build_engines()
    assert not left.exists()
    in_cache = place.cache / f".{'0' * 64}.plan.x1y2"
    in_cache.write_bytes(b"a part")
    assert place.run("ls", "--cache", str(place.cache))["unfinished"] == [in_cache.name]


@pytest.mark.usefixtures("tensorrt")
def test_a_plan_that_is_not_the_recorded_one_is_stale_and_serve_refuses_an_old_one(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.built()
    place.build_engines()
    plan = place.plan.read_bytes()
    place.plan.write_bytes(b"another")
    (one,) = find_engines(place.repository)
    assert (one.state, one.why) == (
        "stale",
        ("model.plan is not the one that model.plan.json describes",),
    )
    place.build_engines()
    assert place.plan.read_bytes() == plan
    asked = place.plan.parent / "engine.json"
    asked.write_text(asked.read_text().replace('"fp32"', '"fp16"'))
    capsys.readouterr()
    ports = [word for service in ("http", "grpc", "metrics") for word in (f"--{service}-port", "0")]
    assert run_command(["serve", str(place.repository), *ports], io.StringIO()) == 3
    said = capsys.readouterr().err
    assert "precision: fp32 → fp16" in said
    assert "tpgen engines build" in said


def test_the_others_are_built_when_one_fails_and_the_next_call_goes_on(
    place: Place, tensorrt: FakeTensorRT
) -> None:
    place.built(TWO)
    tensorrt.broken = True
    found = place.build_engines(status=1)
    assert {one["code"] for one in found["diagnostics"]} == {"TP414"}
    assert [one["how"] for one in found["built"]] == ["failed", "failed"]
    tensorrt.broken = False
    assert [one["how"] for one in place.build_engines()["built"]] == ["built", "built"]


def test_where_no_gpu_is_found_it_has_to_be_named(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built()
    (problem,) = place.run("build", str(place.repository), "--cache", str(place.cache), status=3)[
        "diagnostics"
    ]
    assert "--gpu-name" in problem["message"]
    assert _builds(tensorrt) == 0


# --- model::cache ---


CACHED = TEXT + '"model::cache" = "kept/a.trt"\n'


def test_a_model_cache_is_used_and_a_stale_one_is_named(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built(CACHED)
    place.build_engines()
    kept = place.folder / "kept" / "a.trt"
    assert kept.read_bytes() == place.plan.read_bytes()
    shutil.rmtree(place.cache)
    shutil.rmtree(place.repository)
    place.built(CACHED)
    assert place.build_engines()["built"][0]["how"] == "cached"
    assert _builds(tensorrt) == 1
    place.built(CACHED.replace("max = 4", "max = 6"))
    found = place.build_engines()
    (note,) = [one for one in found["diagnostics"] if one["code"] == "TP908"]
    assert "stale" in note["message"]
    assert "profiles" in note["message"]
    assert kept.read_bytes() == place.plan.read_bytes()
    assert _builds(tensorrt) == 2


@pytest.mark.usefixtures("tensorrt")
def test_a_model_cache_of_unknown_origin_is_left_alone(place: Place) -> None:
    kept = place.folder / "kept" / "a.trt"
    kept.parent.mkdir()
    kept.write_bytes(b"from elsewhere")
    place.built(CACHED)
    found = place.build_engines()
    assert [(one["code"], one["severity"]) for one in found["diagnostics"]] == [("TP908", "warning")]
    assert kept.read_bytes() == b"from elsewhere"
    assert place.plan.read_bytes() != b"from elsewhere"


# --- ls and prune ---


@pytest.mark.usefixtures("tensorrt")
@pytest.mark.parametrize("blocked", ["kept", "kept/net.trt"])
def test_a_model_cache_that_cannot_be_written_costs_only_itself(place: Place, blocked: str) -> None:
    place.built(TEXT + '"model::cache" = "kept/net.trt"\n')
    obstacle = place.folder / blocked
    if obstacle.name == "kept":
        obstacle.write_text("a file where the folder would be")
    else:
        obstacle.mkdir(parents=True)
    found = place.build_engines()
    (warning,) = [one for one in found["diagnostics"] if one["code"] == "TP908"]
    assert warning["severity"] == "warning" and "can't be kept there" in warning["message"]
    assert place.plan.is_file()
    assert sorted(place.folder.rglob(".net*")) == []


@pytest.mark.usefixtures("tensorrt")
def test_no_engine_is_kept_under_the_name_of_an_encrypted_file(place: Place) -> None:
    found = place.built(TEXT + '"model::cache" = "kept/net.trt.encrypted"\n').diagnostics
    (warning,) = [one for one in found if one.code == "TP922"]
    assert warning.span is not None and warning.span.text == '"kept/net.trt.encrypted"'
    place.build_engines()
    assert place.plan.is_file() and not (place.folder / "kept").exists()


@pytest.mark.usefixtures("tensorrt")
def test_files_that_cannot_be_read_or_written_are_named(place: Place) -> None:
    place.built()
    place.cache.write_text("a file where the folder would be")
    found = place.run("build", str(place.repository), "--cache", str(place.cache / "x"), *ON, status=1)
    (problem,) = found["diagnostics"]
    assert problem["code"] == "TP414" and "--cache FOLDER" in problem["hint"]
    (place.plan.parent / "model.onnx").unlink()
    place.cache.unlink()
    (problem,) = place.build_engines(status=1)["diagnostics"]
    assert "model.onnx': No such file" in problem["message"] and "tpgen build" in problem["hint"]


def test_a_compute_capability_is_two_numbers(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built()
    for wrong in ("abc", "8", "8.9.0", "0.5"):
        place.build_engines("--gpu-name", "L4", "--compute-capability", wrong, status=2)
    assert not _builds(tensorrt)


@pytest.mark.usefixtures("tensorrt")
def test_what_no_repository_asks_for_is_pruned(place: Place) -> None:
    place.built(TEXT + 'precision = "fp16"\n')
    place.build_engines()
    place.built(TEXT)
    place.build_engines()
    cache = ("--cache", str(place.cache))
    assert sorted(one["precision"] for one in place.run("ls", *cache)["engines"]) == ["fp16", "fp32"]
    place.run("prune", *cache, status=2)
    found = place.run("prune", str(place.repository), *cache)
    assert len([name for name in found["removed"] if name.endswith(".plan")]) == 1
    assert [one["precision"] for one in place.run("ls", *cache)["engines"]] == ["fp32"]
    place.run("prune", "--all", *cache)
    assert place.run("ls", *cache)["engines"] == []


# --- precision ---


def _types(place: Place) -> list[str]:
    """The operators of the ONNX file in the repository, and the types of its weights."""
    graph = onnx.load(place.plan.parent / "model.onnx").graph
    return [onnx.helper.tensor_dtype_to_np_dtype(one.data_type).name for one in graph.initializer]


@pytest.mark.parametrize(
    ("precision", "type_"), [("fp16", "float16"), ("best", "float16"), ("bf16", "bfloat16")]
)
def test_half_precision_is_in_the_file(place: Place, precision: str, type_: str) -> None:
    found = place.built(TEXT + f'precision = "{precision}"\n')
    assert type_ in _types(place)
    (one,) = find_engines(place.repository)
    assert one.request.precision == ("fp16" if precision == "best" else precision)
    assert any("Conv" in line for line in one.report)
    record = json.loads((place.repository / "tpgen.json").read_text())["pipelines"]["p"]["record"]
    assert any("Conv" in line for line in record["decisions"])
    graph = onnx.load(place.plan.parent / "model.onnx").graph
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {1}
    assert not any(one.code == "TP909" for one in found.diagnostics)
    assert any(f'precision = "{precision}"' in line for line in found.compiled[0].decisions)


def test_keys_of_the_builder_have_an_effect(place: Place) -> None:
    text = TEXT + 'precision = "fp16"\ncalibrate_cache = "table"\nmax_workspace_size = 512\n'
    (place.folder / "pipeline.toml").write_text(text + 'hardward_compatibility = "AMPERE_PLUS"\n')
    ignored = {}
    for runtime in ("tensorrt", "onnxruntime"):
        options = BuildOptions(target="gpu", runtime=runtime, cores=2)
        with tempfile.TemporaryDirectory() as scratch:
            bag = Bag()
            compiled = compile_pipeline(place.folder / "pipeline.toml", options, bag, Path(scratch))
            assert compiled is not None
            ignored[runtime] = {one.key for one in explain(compiled).ignored}
    assert ignored["tensorrt"] == {"calibrate_cache"}
    assert {"precision", "max_workspace_size"} <= ignored["onnxruntime"]
    build(place.folder / "pipeline.toml", place.repository, GPU)
    (one,) = find_engines(place.repository)
    assert one.request.workspace_mib == 512
    assert one.request.flags.hardware_compatibility == "ampere_plus"


def test_flags_of_the_builder(place: Place) -> None:
    text = TEXT + 'hardward_compatibility = "same_compute_capability"\nversion_compatible = true\n'
    place.built(text + "refit = true\ntf32 = false\noptimization_level = 5\n")
    (one,) = find_engines(place.repository)
    assert one.request.flags == Flags(
        tf32=False,
        version_compatible=True,
        hardware_compatibility="same_compute_capability",
        refit=True,
        optimization_level=5,
    )
    planned = place.run("plan", str(place.repository))["engines"]
    assert "--refit" in planned[0]["commands"]["trtexec"]
    assert "--version-compatible" in planned[0]["commands"]["polygraphy"]


def test_plans_for_later_releases_need_a_flag_of_the_server(place: Place) -> None:
    place.built()
    flag = "--backend-config=tensorrt,version-compatible=true"
    assert flag not in features_of(place.repository).flags
    found = place.built(TEXT + "version_compatible = true\n")
    assert flag in features_of(place.repository).flags
    features = features_of(place.repository)
    assert flag in deployment_of(found.compiled, "repository", features).flags
    program, others = Path("/opt/tritonserver"), ["--backend-config=python,x=1"]
    assert flag in feature_flags(place.repository, program, others)
    assert flag not in feature_flags(place.repository, program, [flag.replace("true", "false")])


def test_plans_without_weights_get_them_where_they_are_served(place: Place, tensorrt: FakeTensorRT) -> None:
    place.built(TEXT + "strip_plan = true\n")
    place.build_engines()
    (kept,) = place.cache.glob("*.plan")
    assert "STRIP_PLAN" in json.loads(kept.read_bytes())["flags"]
    assert "weights" not in json.loads(kept.read_bytes())
    assert json.loads(place.plan.read_bytes())["weights"] == "EXCLUDE_WEIGHTS"  # the flag that was cleared
    (one,) = find_engines(place.repository)
    assert one.state == "built"
    assert place.build_engines()["built"] == []
    place.plan.unlink()
    (again,) = place.build_engines()["built"]
    assert again["how"] == "cached"
    assert json.loads(place.plan.read_bytes())["weights"] == "EXCLUDE_WEIGHTS"


@pytest.mark.parametrize("line", ['max_workspace_size = "much"', 'hardward_compatibility = "ALL"'])
def test_what_the_builder_does_not_know(place: Place, line: str) -> None:
    with pytest.raises(PipelineError) as caught:
        place.built(f"{TEXT}{line}\n")
    (problem,) = caught.value.diagnostics
    assert problem.code == "TP412"
    assert problem.span is not None
    assert problem.span.text == line.partition(" = ")[2]


def test_without_precision_numbers_stay_and_that_is_said(place: Place) -> None:
    found = place.built()
    assert "float16" not in _types(place)
    (note,) = [one for one in found.diagnostics if one.code == "TP909"]
    assert 'precision = "fp16"' in (note.hint or "")
    assert not any(one.code == "TP909" for one in place.built(TEXT + 'precision = "fp32"\n').diagnostics)


def test_named_layers_stay_or_are_the_only_ones(place: Place) -> None:
    place.built(TEXT + 'precision = "fp16"\n"precision::fp32" = "maps"\n')
    assert "float16" not in _types(place)
    place.built(TEXT + '"precision::fp16" = "maps"\n')
    (one,) = find_engines(place.repository)
    assert one.request.precision == "fp16"
    assert any("not named by precision::fp16" in line for line in one.report)


def _samples(folder: Path, count: int = 24, **wrong: Any) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        np.save(folder / f"{number}.npy", random.normal(size=(3, 8, 8)).astype(np.float32))
    for name, array in wrong.items():
        np.save(folder / f"{name}.npy", array)


INT8 = TEXT + 'precision = "int8"\ncalibrate_input = "samples"\n'


def test_int8_is_calibrated_on_a_folder(place: Place) -> None:
    _samples(place.folder / "samples")
    before = place.built(INT8).written
    assert before is not None
    graph = onnx.load(place.plan.parent / "model.onnx").graph
    assert "QuantizeLinear" in {one.op_type for one in graph.node}
    (one,) = find_engines(place.repository)
    assert one.request.precision == "int8"
    assert any("calibrated on 24 samples" in line for line in one.report)
    first = one.request.model_sha256
    assert not place.built(INT8).changed
    np.save(place.folder / "samples" / "0.npy", np.full((3, 8, 8), 9, np.float32))
    place.built(INT8)
    assert find_engines(place.repository)[0].request.model_sha256 != first


def test_a_model_that_is_quantised_already_needs_no_samples(place: Place) -> None:
    _samples(place.folder / "samples")
    place.built(INT8)
    quantised = onnx.load(place.plan.parent / "model.onnx")
    onnx.save(quantised, place.folder / "quantised.onnx")
    found = place.built(TEXT.replace("convolution", "quantised") + 'precision = "int8"\n')
    assert not any(one.code == "TP413" for one in found.diagnostics)
    (engine,) = find_engines(place.repository)
    assert engine.request.precision == "int8"
    assert any("brings the ranges of int8 itself" in line for line in engine.report)


@pytest.mark.parametrize(
    ("text", "wrong", "message"),
    [
        (TEXT + 'precision = "int8"\n', None, "int8 needs samples"),
        (INT8, None, "there is no folder"),
        (INT8, {}, "holds no .npy"),
        (INT8, {"x": np.zeros((3, 9, 8), np.float32)}, r"x.npy is float32"),
        (INT8, {"x": np.zeros((3, 8, 8), np.complex64)}, r"x.npy is complex64"),
    ],
)
def test_samples_that_do_not_fit(place: Place, text: str, wrong: dict[str, Any] | None, message: str) -> None:
    if wrong is not None:
        _samples(place.folder / "samples", 0, **wrong)
    with pytest.raises(PipelineError) as caught:
        place.built(text)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.node) == ("TP413", "a")
    assert problem.span is not None
    assert message in problem.message


@pytest.mark.parametrize(
    ("text", "named", "near"),
    [
        ('precision = "fp16"\n"precision::fp32" = "maps,mops"\n', "'precision::fp32' names 'mops'", "'maps'"),
        ('"precision::fp16" = "head"\n', "'precision::fp16' names 'head'", "layers are maps, "),
        (
            'precision = "int8"\ncalibrate_input = "samples"\n"precision::output::fp32" = "x"\n',
            "'x'",
            "layers",
        ),
    ],
)
def test_layers_that_are_named_and_not_there(place: Place, text: str, named: str, near: str) -> None:
    _samples(place.folder / "samples", 3)
    found = place.built(TEXT + text).diagnostics
    (warning,) = [one for one in found if one.code == "TP922"]
    assert named in warning.message and near in (warning.hint or "")
    assert warning.span is not None and "precision" not in warning.span.text
    assert any("no layer's name holds" in line for line in find_engines(place.repository)[0].report)
    noted = [one.message for one in found if one.code == "TP920"]
    assert any("3 samples set the ranges" in one for one in noted) == ("int8" in text)


def test_samples_of_no_numbers(place: Place) -> None:
    for value, message in ((np.nan, "bad.npy holds NaN"), (np.inf, "bad.npy holds NaN")):
        shutil.rmtree(place.folder / "samples", ignore_errors=True)
        _samples(place.folder / "samples", 2, bad=np.full((3, 8, 8), value, np.float32))
        with pytest.raises(PipelineError, match=message) as caught:
            place.built(INT8)
        assert [one.code for one in caught.value.diagnostics] == ["TP413"]


@pytest.mark.parametrize(("size", "is_lost"), [(0.1, False), (3000, True)])
def test_without_samples_a_conversion_is_tried_on_random_inputs(
    place: Place, size: float, is_lost: bool
) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32) * np.float32(size)
    nodes = [
        node("Conv", "image w", "maps", kernel_shape=[3, 3]),
        node("Mul", "maps maps", "squares"),
        node("GlobalAveragePool", "squares", "mean"),
        node("Flatten", "mean", "logits"),
    ]
    built = model(nodes, [tensor("image", ["N", 3, 8, 8])], [tensor("logits", ["N", 4])], {"w": weight})
    save(built, place.folder / "squares.onnx")
    found = place.built(TEXT.replace("convolution.onnx", "squares.onnx") + 'precision = "fp16"\n').diagnostics
    said = [(str(one.severity), one.message) for one in found if one.code == "TP920"]
    assert all("on random inputs" in message for _, message in said)
    assert [severity for severity, _ in said] == ["note", *["warning"] * is_lost]
    assert ("inf" in said[0][1]) is is_lost
    assert not any("of the range" in line for line in find_engines(place.repository)[0].report)


def test_layers_that_overflow_on_samples_stay_and_answers_are_compared(place: Place) -> None:
    weight = np.full((3, 3, 3, 3), 3000, np.float32)
    nodes = [
        node("Conv", "image w", "maps", kernel_shape=[3, 3]),
        node("GlobalAveragePool", "maps", "mean"),
        node("Flatten", "mean", "logits"),
    ]
    built = model(nodes, [tensor("image", ["N", 3, 8, 8])], [tensor("logits", ["N", 3])], {"w": weight})
    save(built, place.folder / "large.onnx")
    _samples(place.folder / "samples")
    text = TEXT.replace("convolution.onnx", "large.onnx")
    place.built(text + 'precision = "fp16"\ncalibrate_input = "samples"\n')
    (one,) = find_engines(place.repository)
    assert any("fp16 ends at 65504" in line for line in one.report)
    assert any("top-1 the same" in line for line in one.report)


def test_weights_beside_a_model_are_put_into_it(place: Place) -> None:
    """TensorRT gets the file alone, and its hash has to change with the weights."""
    weight = np.random.default_rng(3).normal(size=(192, 12000)).astype(np.float32)
    nodes = [node("Flatten", "image", "flat"), node("MatMul", "flat w", "logits")]
    built = model(nodes, [tensor("image", ["N", 3, 8, 8])], [tensor("logits", ["N", 12000])], {"w": weight})
    save(built, place.folder / "large.onnx")
    place.built(TEXT.replace("convolution.onnx", "large.onnx"))
    assert not list(place.plan.parent.glob("*.data"))
    assert (place.plan.parent / "model.onnx").stat().st_size > weight.nbytes


def test_answers_of_engines_in_less_than_fp32_may_differ_by_a_share_of_their_range() -> None:
    wanted = np.array([0.0, 10.0], np.float32)
    assert compare_values(wanted + np.float32(0.09), wanted, HALF).equal
    assert not compare_values(wanted + np.float32(0.11), wanted, HALF).equal
    assert not compare_values(wanted + np.float32(0.09), wanted, None).equal
    assert compare_values(np.zeros(2, np.float32), np.zeros(2, np.float32), HALF).equal


def test_running_a_pipeline_says_nothing_of_engines(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.built()
    np.save(place.folder / "item.npy", np.zeros((3, 8, 8), np.float32))
    toml = str(place.folder / "pipeline.toml")
    capsys.readouterr()
    command = ["run", toml, "--target", "gpu", "--input", f"data=@{place.folder / 'item.npy'}"]
    assert run_command(command, io.StringIO()) == 0
    assert capsys.readouterr().err == ""
