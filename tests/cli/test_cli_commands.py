"""build, check, run and explain, on pipelines of the examples."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import examples
from cli_commands import Tpgen


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(examples.photo(seed=1))
    return path


@pytest.fixture
def small_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examples.small_resnet(tmp_path_factory.getbasetemp())


# --- build and check ---------------------------------------------------------------


def test_build_says_what_it_did_and_what_is_next(resize: Path, tpgen: Tpgen, tmp_path: Path) -> None:
    done = tpgen("build", resize, "-o", tmp_path / "repository")
    assert (done.status, done.err) == (0, "")
    first, second, third = done.out.splitlines()
    written = [path for path in (tmp_path / "repository").rglob("*") if path.is_file()]
    assert first == f"{tmp_path}/repository: {len(written)} written"
    assert second == "  resize(data: bytes) -> result: uint8[8,12,3] HWC rgb; up to 8 items a request"
    assert third == f"serve it with: tpgen serve {tmp_path}/repository"


def test_build_again_changes_nothing(resize: Path, tpgen: Tpgen, tmp_path: Path) -> None:
    directory = tmp_path / "repository"
    first = tpgen("build", resize, "-o", directory, "--json").document
    again = tpgen("build", resize, "-o", directory, "--json").document
    assert (first["changed"], again["changed"]) == (True, False)
    assert set(again["unchanged"]) >= set(first["written"])
    assert first["pipelines"] == ["resize"]
    assert first["ok"] is True
    text = tpgen("build", resize, "-o", directory)
    assert text.out == f"nothing changed: {directory} is up to date\n"


def test_build_again_with_a_value_set_changes_the_repository(
    resize: Path, tpgen: Tpgen, tmp_path: Path
) -> None:
    directory = tmp_path / "repository"
    tpgen("build", resize, "-o", directory)
    assert "uint8[9,12,3]" in tpgen("build", resize, "-o", directory, "--set", "resize.resize_h=9").out
    assert "uint8[8,12,3]" in tpgen("build", resize, "-o", directory).out


def test_build_options_reach_the_compiler(
    tpgen: Tpgen, small_resnet: Path, tmp_path: Path, photo: Path
) -> None:
    options = ["--model", f"resnet50={small_resnet}", "--set", "resnet50.max=2"]
    source = examples.pipeline("resnet50")
    built = tpgen(
        "build", source, "-o", tmp_path / "r", "--fuse", "none", "--cores", "3", "--target", "cpu", *options
    )
    assert built.status == 0, built.err
    assert {path.name for path in (tmp_path / "r").iterdir() if path.is_dir()} == {
        "resnet50",
        "resnet50__cpu_decoder",
        "resnet50__cpu_posdecoder",
        "resnet50__resnet50",
    }
    explained = tpgen("explain", source, *options, "--cores", "3", "--json").document
    assert explained["options"]["cores"] == 3
    assert explained["entries"][0]["max_batch"] == 2


def test_override_of_an_unknown_node(tpgen: Tpgen, resize: Path) -> None:
    done = tpgen("check", resize, "--set", "resise.resize_h=3")
    assert done.status == 1
    assert "did you mean 'resize'?" in done.err
    assert "--set:1:1: error[TP201]" in done.err


def test_check_writes_nothing(
    resize: Path, tpgen: Tpgen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tpgen("check", resize, "--json").document == {
        "ok": True,
        "diagnostics": [],
        "pipelines": ["resize"],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["resize.toml"]


def test_graphs_between_passes(resize: Path, tpgen: Tpgen) -> None:
    done = tpgen("check", resize, "--print-after", "infer", "--print-graph")
    assert done.out.startswith("# after infer\npipeline resize\n")
    assert done.out.count("# after") == 2
    every = tpgen("check", resize, "--print-after", "all", "--json").document["graphs"]
    assert [graph["after"] for graph in every][:3] == ["inputs", "infer", "outputs"]
    assert all(graph["graph"].startswith("pipeline resize\n") for graph in every)


# --- run ---------------------------------------------------------------


@pytest.mark.parametrize("reference", [[], ["--reference"]])
def test_run(resize: Path, tpgen: Tpgen, photo: Path, tmp_path: Path, reference: list[str]) -> None:
    done = tpgen("run", resize, "--input", f"data=@{photo}", "-o", tmp_path / "out.npz", *reference)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("  result  uint8[8,12,3]  ")
    bgr = cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    wanted = cv2.resize(bgr, (12, 8))[..., ::-1]
    with np.load(tmp_path / "out.npz") as saved:
        assert saved.files == ["result"]
        assert np.abs(saved["result"].astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("reference", [[], ["--reference"]])
def test_run_shows_the_tag_of_an_image_that_varies(
    tpgen: Tpgen, photo: Path, tmp_path: Path, reference: list[str]
) -> None:
    path = tmp_path / "varying.toml"
    path.write_text(
        '[jpeg]\nbackend = "DecodeTensor"\nnext = "other"\n[other]\nbackend = "DecodeMat"\nfilter = "or"\n'
    )
    done = tpgen("run", path, "--input", f"data=@{photo}", "-o", tmp_path / "out.npz", *reference)
    assert (done.status, done.err) == (0, "")
    is_jpeg = photo.read_bytes()[:2] == b"\xff\xd8"
    assert done.out.splitlines()[1] == f"  result_tag  'HWC {'rgb' if is_jpeg else 'bgr'}'"
    with np.load(tmp_path / "out.npz") as saved:
        assert set(saved.files) >= {"result", "result_tag"}


def test_run_of_several_samples_one_of_which_fails(
    resize: Path, tpgen: Tpgen, photo: Path, tmp_path: Path
) -> None:
    inputs = ["--input", f"data=@{photo}", "--input", "data=garbage", "--input", f"data=@{photo}"]
    done = tpgen("run", resize, *inputs, "-o", tmp_path / "out.npz")
    assert done.status == 1
    assert "resize.toml:3:11: error[TP723]: sample 2: [decode] not a decodable image" in done.err
    assert [line for line in done.out.splitlines() if line.startswith("sample")] == ["sample 1", "sample 3"]
    with np.load(tmp_path / "out.npz") as saved:
        assert set(saved.files) == {"0/result", "2/result"}
    document = tpgen("run", resize, *inputs, "--json").document
    assert [sample["error"] is None for sample in document["samples"]] == [True, False, True]
    assert np.shape(document["samples"][0]["outputs"]["result"]) == (8, 12, 3)
    assert document["samples"][1]["error"].startswith("resize.toml:3 [decode] item 0: not a decodable")
    (record,) = document["diagnostics"]
    found = {key: record[key] for key in ("code", "file", "line", "column", "node")}
    assert found == {"code": "TP723", "file": str(resize), "line": 3, "column": 11, "node": "decode"}


def test_run_of_an_operator_that_breaks_names_its_line(tpgen: Tpgen, tmp_path: Path) -> None:
    (tmp_path / "broken_ops.py").write_text(
        "from tpgen_runtime import Tensor, op\n"
        '@op(inputs={"data": Tensor("string", [])}, outputs={"result": Tensor("string", [])})\n'
        "def broken(data):\n    raise RuntimeError(f'no {data}')\n"
    )
    path = tmp_path / "broken.toml"
    path.write_text('[pipeline.inputs]\ndata = "string"\n[only]\nbackend = "Python[broken_ops:broken]"\n')
    for options in ([], ["--reference"]):
        done = tpgen("run", path, "--input", "data=luck", "--json", *options)
        assert done.status == 1
        (record,) = done.document["diagnostics"]
        assert (record["code"], record["line"], record["node"]) == ("TP723", 4, "only"), record
        assert record["message"].splitlines() == [
            "[only] RuntimeError: no luck",
            "  broken_ops.py:4 in broken",
        ]
        (sample,) = done.document["samples"]
        assert sample["raised_at"] == "broken_ops.py:4 in broken"
        assert sample["error"].endswith("RuntimeError: no luck")


def test_run_asks_whether_the_file_was_meant(
    resize: Path, tpgen: Tpgen, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    done = tpgen("run", resize, "--input", f"data={photo.name}", "--json")
    assert done.status == 1
    (record,) = done.document["diagnostics"]
    assert record["code"] == "TP722"
    assert f"did you mean data=@{photo.name}?" in record["hint"]
    quoted = tpgen("run", resize, "--input", f'data="{photo.name}"')
    assert "error[TP723]" in quoted.err, "the text itself, as it was asked for, is no image"


def test_a_text_may_be_the_name_of_a_file(
    tpgen: Tpgen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words").write_text("other words")
    path = tmp_path / "text.toml"
    path.write_text('[pipeline.inputs]\ndata = "string"\n[same]\nbackend = "Identity"\n')
    monkeypatch.chdir(tmp_path)
    done = tpgen("run", path, "--input", "data=words", "--json")
    assert (done.status, done.document["samples"][0]["outputs"]) == (0, {"result": "words"}), done


def test_run_gives_the_same_with_and_without_reference(
    tpgen: Tpgen, small_resnet: Path, photo: Path, tmp_path: Path
) -> None:
    arguments = ["--input", f"data=@{photo}", "--model", f"resnet50={small_resnet}"]
    for name, extra in (("a", []), ("b", ["--reference"])):
        done = tpgen("run", examples.pipeline("resnet50"), *arguments, "-o", tmp_path / f"{name}.npz", *extra)
        assert done.status == 0, done.err
        assert "largest: " in done.out
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        np.testing.assert_allclose(a["result"], b["result"], atol=1e-4 * np.abs(b["result"]).max())


def test_run_takes_arrays_and_literals(tpgen: Tpgen, tmp_path: Path) -> None:
    pipeline = tmp_path / "softmax.toml"
    pipeline.write_text(
        '[pipeline.inputs]\ndata = "float32[3]"\n[softmax]\nbackend = "Softmax"\n', encoding="utf-8"
    )
    np.save(tmp_path / "v.npy", np.array([0.0, 0.0, 0.0]))
    document = tpgen(
        "run", pipeline, "--input", "data=[1, 1, 1]", "--input", f"data=@{tmp_path}/v.npy", "--json"
    ).document
    for sample in document["samples"]:
        np.testing.assert_allclose(sample["outputs"]["result"], [1 / 3] * 3, rtol=1e-6)


def test_run_refuses_inputs_that_do_not_fit(resize: Path, tpgen: Tpgen) -> None:
    done = tpgen("run", resize, "--input", "daat=x")
    assert done.status == 1
    assert "did you mean 'data'?" in done.err
    assert done.err.endswith("2 errors\n")
    assert tpgen("run", resize).status == 1


# --- explain ---------------------------------------------------------------


def test_explain_a_pipeline(tpgen: Tpgen, small_resnet: Path) -> None:
    options = ["--model", f"resnet50={small_resnet}", "--cores", "2"]
    done = tpgen("explain", examples.pipeline("resnet50"), *options)
    assert done.status == 0
    assert done.err.count("note[") == done.err.count("TP901") == 1
    lines = [line.strip() for line in done.out.splitlines()]
    assert "entry resnet50, requests of up to 4 items" in lines
    assert "out  result  float32[1000]; sent as result TYPE_FP32 [1000]" in lines
    assert "resnet50: cpu_decoder, cpu_posdecoder, resnet50" in lines
    assert any(line.startswith("2 instances, ") for line in lines)
    assert "3 processes (tritonserver, and one for each instance)" in lines
    for key in ("precision", "model::cache", "batching_timeout", "instance_num"):
        assert any(f"  {key}: " in line for line in lines), key


def test_explain_in_json(tpgen: Tpgen, small_resnet: Path) -> None:
    options = ["--model", f"resnet50={small_resnet}", "--cores", "4", "--fuse", "none", "--json"]
    document = tpgen("explain", examples.pipeline("resnet50"), *options).document
    assert [entry["name"] for entry in document["entries"]] == ["resnet50"]
    assert [stage["nodes"] for stage in document["stages"]] == [
        ["cpu_decoder"],
        ["cpu_posdecoder"],
        ["resnet50"],
    ]
    assert document["entries"][0]["inputs"][0]["tensors"] == [
        {"name": "data", "datatype": "TYPE_STRING", "dims": [1]}
    ]
    places = {(key["key"], key["place"].split(":")[1]) for key in document["ignored"]}
    text = examples.pipeline("resnet50").read_text().splitlines()
    assert all(key in text[int(line) - 1] for key, line in places)
    assert document["needs"]["processes"] == 1 + sum(stage["instances"] for stage in document["stages"])


def test_explain_lists_what_user_code_reads_and_writes(tpgen: Tpgen) -> None:
    document = tpgen("explain", examples.pipeline("python_node"), "--json").document
    (report,) = document["nodes"][-1]["calls"]
    assert report["reads"] == {"data": "uint8[128,128,3] HWC rgb"}
    assert report["writes"]["result"] == "string, can be absent"
    assert report["writes"]["sharpness"] == "float32[], can be absent"


def test_explain_a_code(tpgen: Tpgen) -> None:
    done = tpgen("explain", "tp102")
    assert done.out.startswith("TP102: unknown key\n\n")
    assert set(tpgen("explain", "TP102", "--json").document) >= {"code", "title", "explanation"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ResizeMat", "resize_h  (integer"),
        ("SyncTensor", "Triton's affair"),
        ("Sequential", "one after another"),
        ("Jump", "Run the sub-graph"),
        ("Loop", "is not compiled"),
        ("node_entrypoint", "has no effect"),
        ("instance_num", "instance_num: a key of every node  (integer 1 to 1024; default 1)"),
        ("batching", "batching: a key of [pipeline]  (adaptive, timed; default adaptive)"),
        ("mean", "mean: a key of TensorrtTensor, TorchScriptTensor and TorchModule  (list of numbers)"),
        ("ResizeMat::resize_h", "resize_h: a key of ResizeMat"),
        ("Sleep::time", "Sleep::time: a key of Sleep"),
        ("model::cache", "model::cache: a key of TensorrtTensor"),
        ("filter", "filter: a key of every node"),
        ("map", "map: a key of every node"),
        ("force_range", "force_range: a key of every node"),
        ("else", "else: a filter; runs where 'result' is not there, else Skip"),
    ],
)
def test_explain_a_name(tpgen: Tpgen, name: str, words: str) -> None:
    done = tpgen("explain", name)
    assert done.status == 0
    assert words in done.out


def test_every_name_has_a_text() -> None:
    from tpgen.driver.reference_docs import name_text, names

    assert len(names()) > 80
    assert all(name_text(name) for name in names())
    assert name_text("nothing") is None


def test_needs_grow_with_instances_and_models(tpgen: Tpgen, small_resnet: Path, resize: Path) -> None:
    def needs(path: Path, *options: str) -> dict[str, int]:
        found: dict[str, int] = tpgen("explain", path, *options, "--json").document["needs"]
        return found

    model = f"resnet50={small_resnet}"
    two, four = (needs(examples.pipeline("resnet50"), "--model", model, "--cores", n) for n in ("2", "4"))
    assert four["processes"] - two["processes"] == 2
    assert four["memory"] - two["memory"] > 4 * small_resnet.stat().st_size
    assert four["shared_memory"] > two["shared_memory"]
    assert needs(resize, "--cores", "2")["memory"] < two["memory"]


def test_run_wants_one_entry(tpgen: Tpgen, tmp_path: Path) -> None:
    pipeline = tmp_path / "two.toml"
    pipeline.write_text('[a]\nbackend = "Identity"\n[b]\nbackend = "Identity"\n')
    done = tpgen("run", pipeline, "--input", "data=x")
    assert done.status == 1
    assert "error[TP706]: the pipeline has 2 entries" in done.err
    assert "--entry: two.a, two.b" in done.err
    done = tpgen("run", pipeline, "--input", "data=x", "--entry", "two.b")
    assert done.status == 0
