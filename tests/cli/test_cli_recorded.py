"""Repositories that were built with --model and --set: tpgen.json tells, so that verify and perf agree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import examples
from cli_commands import RESIZE, program
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions
from tpgen.services.sources import declared_samples, sources_of

MATCH = '[match]\nbackend = "TensorrtTensor"\nmodel = "not_here.onnx"\nmax = 16\n'


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pipelines, one with a model of --model and one with a size of --set; a node's name has a dot."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "models").mkdir()
    shutil.copy(examples.EXAMPLES / "two_inputs" / "match.onnx", folder / "models" / "other.onnx")
    (folder / "pair.toml").write_text(MATCH)
    (folder / "photo.toml").write_text(
        RESIZE.replace('"resize"', '"re.size"').replace("[resize]", '["re.size"]')
    )
    for arguments in (
        ("pair.toml", "--model", "match=models/other.onnx", "--set", "match.max=4"),
        ("photo.toml", "--set", "re.size.resize_h=5", "--fuse", "none", "--cores", "1"),
    ):
        done = program("build", *arguments, "-o", "repository", cwd=folder)
        assert done.status == 0, done.err
    return folder / "repository"


def _recorded(repository: Path, name: str) -> dict[str, Any]:
    document = json.loads((repository / "tpgen.json").read_text())
    options: dict[str, Any] = document["pipelines"][name]["record"]["options"]
    return options


def test_what_is_recorded(repository: Path) -> None:
    pair, photo = _recorded(repository, "pair"), _recorded(repository, "photo")
    assert pair["models"] == {"match": "models/other.onnx"}
    assert pair["set"] == {"match.max": "4"}
    assert photo["set"] == {"re.size.resize_h": "5"}
    assert "models" not in photo and "dynamic_batch" not in photo


def test_the_options_come_back(repository: Path) -> None:
    found = {path.name: options for path, options in sources_of(repository)}
    assert found["pair.toml"].values == {("match", "max"): "4"}
    assert found["pair.toml"].models == {"match": str(repository.parent / "models" / "other.onnx")}
    assert found["photo.toml"] == BuildOptions(
        target="cpu", runtime="python", fuse="none", cores=1, values={("re.size", "resize_h"): "5"}
    )
    entry, samples = declared_samples(repository, "pair", 3)
    assert (entry.name, entry.max_batch, len(samples)) == ("pair", 4, 3)


def test_a_model_that_is_gone_is_named(repository: Path, tmp_path: Path) -> None:
    for name in ("pair.toml", "photo.toml"):
        shutil.copy(repository.parent / name, tmp_path)
    shutil.copytree(repository, tmp_path / "repository")
    with pytest.raises(PipelineError, match=r"other\.onnx, where there is no file now") as caught:
        sources_of(tmp_path / "repository")
    (finding,) = caught.value.diagnostics
    assert finding.code == "TP711" and "--model match=PATH" in str(finding.hint)


@pytest.mark.triton
def test_verify_compiles_with_the_recorded_options(repository: Path, tmp_path: Path) -> None:
    done = program("verify", repository, "--json", cwd=tmp_path)
    assert done.status == 0, done.err + done.out
    rows = done.document["outputs"]
    assert {row["entry"] for row in rows} == {"pair", "photo"}
    assert all(row["compared"] >= 16 for row in rows)


@pytest.mark.triton
@pytest.mark.slow
def test_perf_compiles_with_the_recorded_options(repository: Path, tmp_path: Path) -> None:
    brief = ["--concurrency", "1", "--window", "100", "--stability", "500", "--max-windows", "3"]
    done = program("perf", repository, "--model", "pair", *brief, "-o", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert done.document["rows"][0]["throughput"] > 0


@pytest.mark.triton
def test_verify_names_the_pipeline_that_a_repository_lacks(repository: Path, tmp_path: Path) -> None:
    """An unnamed pipeline is called as its folder, so that another `pipeline.toml` makes another one."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "pipeline.toml").write_text('[a]\nbackend = "Identity"\n')
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "first" / "pipeline.toml", tmp_path / "second")
    built = program("build", tmp_path / "first" / "pipeline.toml", "-o", tmp_path / "second" / "repository")
    assert built.status == 0, built.err
    (tmp_path / "first" / "pipeline.toml").unlink()
    done = program("verify", tmp_path / "second" / "repository")
    assert done.status == 1
    assert "pipeline.toml makes 'second', which" in done.err


@pytest.mark.parametrize("command", ["verify", "serve", "check"])
def test_options_of_a_build_are_refused_for_a_directory(command: str, repository: Path) -> None:
    done = program(command, repository, "--set", "match.max=8")
    assert done.status == 2
    assert "--set" in done.err and "is a directory" in done.err
