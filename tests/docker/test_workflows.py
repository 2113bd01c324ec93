"""What `tpgen ci` writes: it follows the schemas of both systems, and its steps are done in a clean clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import examples
from image import clean_environment, read_yaml
from small_models import write_models
from tpgen.cli import run_command

TOOLS = Path(sys.executable).parent
SCHEMAS = {
    "github": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}
TWO = '[a]\nbackend = "Identity"\n[b]\nbackend = "Identity"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git repository with a pipeline of one entry, and one of two in a folder with a blank in its name."""
    root = tmp_path / "checkout"
    (root / "my models").mkdir(parents=True)
    shutil.copy(examples.pipeline("hello"), root / "hello.toml")
    (root / "my models" / "two.toml").write_text(TWO)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


def written(system: str, checkout: Path, *options: str) -> Path:
    """The file that the command writes for both pipelines."""
    pipelines = [str(checkout / "hello.toml"), str(checkout / "my models" / "two.toml")]
    assert run_command(["ci", system, *pipelines, *options]) == 0
    return checkout / {"github": ".github/workflows/tpgen.yml", "gitlab": ".gitlab-ci.yml"}[system]


def commands(system: str, document: Any) -> list[str]:
    """The shell commands of the cpu job, in order."""
    if system == "gitlab":
        return list(document["cpu"]["script"])
    runs = [step["run"] for step in document["jobs"]["cpu"]["steps"] if "run" in step]
    return [line for run in runs for line in run.splitlines()]


@pytest.mark.parametrize("system", SCHEMAS)
def test_workflows_follow_the_schemas(system: str, checkout: Path) -> None:
    path = written(system, checkout)
    command = [str(TOOLS / "check-jsonschema"), *SCHEMAS[system], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_systems_run_the_same_commands(checkout: Path) -> None:
    found = {
        system: commands(system, read_yaml(written(system, checkout, "--cores", "4"))) for system in SCHEMAS
    }
    assert (
        found["github"]
        == found["gitlab"]
        == [
            'python -m pip install "$TPGEN"',
            "tpgen build hello.toml 'my models/two.toml' -o model_repository --cores 4",
            "tpgen check model_repository",
            "tpgen verify hello.toml --cores 4 --isolated",
            "tpgen verify 'my models/two.toml' --entry two.a --cores 4 --isolated",
            "tpgen verify 'my models/two.toml' --entry two.b --cores 4 --isolated",
        ]
    )


@pytest.mark.parametrize("system", SCHEMAS)
def test_repository_is_kept_and_packages_are_cached(system: str, checkout: Path) -> None:
    document = read_yaml(written(system, checkout, "--install", "git+https://example.org/t.git"))
    if system == "github":
        uses = {
            step["uses"].partition("@")[0]: step["with"]
            for step in document["jobs"]["cpu"]["steps"]
            if "uses" in step
        }
        assert uses["actions/upload-artifact"]["path"] == "model_repository"
        # Without them a version directory that holds .gitkeep alone would be missing where it is downloaded.
        assert uses["actions/upload-artifact"]["include-hidden-files"] is True
        key = uses["actions/cache"]["key"]
        assert document["env"]["TPGEN"] == "git+https://example.org/t.git"
    else:
        assert document["cpu"]["artifacts"]["paths"] == ["model_repository"]
        key = document["cpu"]["cache"]["key"]
        assert document["variables"]["TPGEN"] == "git+https://example.org/t.git"
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_options_with_values_are_passed_on(checkout: Path) -> None:
    path = written("github", checkout, "--fuse", "none", "--target", "cpu")
    line = commands("github", read_yaml(path))[1]
    assert line.endswith("-o model_repository --target cpu --fuse none")


def test_answers_are_compared_for_the_users_inputs(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "one.toml").write_text('[a]\nbackend = "Identity"\n')
    (checkout / "a photo.jpg").write_bytes(examples.photo(1))
    monkeypatch.chdir(checkout / "my models")
    pipelines = ["../one.toml", "two.toml"]
    assert run_command(["ci", "github", *pipelines, "--input", "data=@../a photo.jpg", "--gpu", "l4"]) == 0
    lines = (checkout / ".github/workflows/tpgen.yml").read_text().splitlines()
    compared = [line.strip() for line in lines if "tpgen verify" in line]
    assert compared[0] == "tpgen verify one.toml --input 'data=@a photo.jpg' --isolated"
    assert len(compared) == 6 and all("--input 'data=@a photo.jpg'" in line for line in compared)
    for text, code in (("data=@../gone.jpg", "TP721"), ("date=1", "TP722"), ("data=@/dev/null", "TP616")):
        assert run_command(["ci", "github", *pipelines, "--input", text, "-o", "new.yml"]) == 1
        assert f"error[{code}]" in capsys.readouterr().err
    assert not Path("new.yml").exists()


def test_its_own_file_is_replaced_and_no_other(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written("github", checkout)
    first = path.read_bytes()
    written("github", checkout)
    assert path.read_bytes() == first
    written("github", checkout, "--cores", "3")
    assert path.read_bytes() != first
    path.write_text(path.read_text().replace("ubuntu-24.04", "self-hosted"))
    edited = path.read_bytes()
    assert run_command(["ci", "github", str(checkout / "hello.toml")]) == 1
    assert "error[TP615]" in capsys.readouterr().err
    assert path.read_bytes() == edited
    assert run_command(["ci", "github", str(checkout / "hello.toml"), "--force"]) == 0
    assert path.read_bytes() != edited


def test_a_pipeline_of_another_checkout_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["ci", "github", str(checkout / "hello.toml"), str(examples.pipeline("hello"))]) == 1
    assert "error[TP616]" in capsys.readouterr().err
    assert not (checkout / ".github").exists()


def test_a_wrong_pipeline_writes_nothing(checkout: Path) -> None:
    (checkout / "hello.toml").write_text('[a]\nbackend = "Nothing"\n')
    assert run_command(["ci", "gitlab", str(checkout / "hello.toml")]) == 1
    assert not (checkout / ".gitlab-ci.yml").exists()


def gpu_commands(system: str, document: Any) -> list[str]:
    """The shell commands of the job on GPUs, in order."""
    if system == "gitlab":
        return list(document["gpu"]["script"])
    runs = [step["run"] for step in document["jobs"]["gpu"]["steps"] if "run" in step]
    return [line for run in runs for line in run.splitlines()]


@pytest.fixture
def with_model(checkout: Path) -> Path:
    write_models(checkout)
    text = '[pipeline]\ntarget_triton = "24.12"\n[net]\nbackend = "TensorrtTensor"\nmodel = "rgb.onnx"\n'
    (checkout / "hello.toml").write_text(text)
    return checkout


@pytest.mark.parametrize("system", SCHEMAS)
def test_engines_are_built_for_each_type_of_gpu(system: str, with_model: Path) -> None:
    path = written(system, with_model, "--gpu", "l4", "--gpu", "a100", "--cores", "2")
    command = [str(TOOLS / "check-jsonschema"), *SCHEMAS[system], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = read_yaml(path)
    job = document["gpu"] if system == "gitlab" else document["jobs"]["gpu"]
    matrix = job["parallel"]["matrix"][0]["GPU"] if system == "gitlab" else job["strategy"]["matrix"]["gpu"]
    assert matrix == ["l4", "a100"]
    image = job["image"]["name"] if system == "gitlab" else job["container"]["image"]
    assert image == "nvcr.io/nvidia/tritonserver:24.12-py3"  # the newest that a pipeline is for
    lines = gpu_commands(system, document)
    assert "tpgen engines build gpu_repository --cache .engines" in lines
    assert "tpgen verify hello.toml --cores 2 --target gpu --url grpc://127.0.0.1:8001" in lines
    assert commands(system, document)[-3:] == [
        "tpgen build hello.toml 'my models/two.toml' -o gpu_repository --cores 2 --target gpu",
        "tpgen check gpu_repository",
        "tpgen engines plan gpu_repository",
    ]
    script = "\n".join(["set -e", *lines]) + "\n"
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shellcheck = [str(TOOLS / "shellcheck"), "--shell", "bash", "-"]
    done = subprocess.run(shellcheck, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    if system == "github":
        kept = [step for step in job["steps"] if step.get("with", {}).get("path") == ".engines"]
        restored, saved = (step["with"]["key"] for step in kept)
        assert "matrix.gpu" in restored and "hashFiles('gpu_repository/*/*/engine.json')" in restored
        assert [step["uses"] for step in kept] == ["actions/cache/restore@v4", "actions/cache/save@v4"]
        # What was built before something failed is kept, too, and under a key of its own.
        assert "!cancelled()" in kept[1]["if"] and "github.run_id" in saved
        last = max(number for number, step in enumerate(job["steps"]) if "run" in step)
        assert job["steps"].index(kept[1]) > last
        assert job["needs"] == "cpu" and "gpu_repository" in {
            s.get("with", {}).get("path") for s in job["steps"]
        }
    else:
        assert job["cache"]["key"] == "tpgen-engines-$GPU-24.12" and job["needs"] == ["cpu"]
        assert job["cache"]["when"] == "always"


def test_a_pipeline_for_the_gpu_is_verified_on_the_cpu_where_no_gpu_is(with_model: Path) -> None:
    text = (with_model / "hello.toml").read_text().replace("[pipeline]", '[pipeline]\ntarget = "gpu"')
    (with_model / "hello.toml").write_text(text)
    found = commands("github", read_yaml(written("github", with_model, "--runtime", "onnxruntime")))
    assert "tpgen verify hello.toml --target cpu --isolated" in found
    assert found[-2:] == [
        "tpgen build hello.toml 'my models/two.toml' -o gpu_repository --runtime onnxruntime --target gpu",
        "tpgen check gpu_repository",
    ]


@pytest.mark.parametrize("label", ["", "a b", "$(x)"])
def test_a_label_is_one_word(label: str, checkout: Path) -> None:
    assert run_command(["ci", "github", str(checkout / "hello.toml"), "--gpu", label]) == 2


@pytest.mark.slow
@pytest.mark.triton
def test_steps_of_the_job_work_in_a_clean_clone(checkout: Path, tmp_path: Path) -> None:
    write_models(checkout)
    net = '[net]\nbackend = "TensorrtTensor"\nmodel = "rgb.onnx"\nmax = 4\n'
    (checkout / "my models" / "two.toml").write_text(TWO + net.replace("rgb", "../rgb"))
    path = written("github", checkout, "--cores", "2", "--gpu", "l4", "--install", f"{examples.ROOT}[serve]")
    git = ["git", "-C", str(checkout), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Add pipelines"], check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(checkout), str(clone)], check=True)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    document = read_yaml(path)
    environment = clean_environment(
        PATH=f"{venv / 'bin'}:{os.environ['PATH']}", PIP_DISABLE_PIP_VERSION_CHECK="1", **document["env"]
    )
    for step in document["jobs"]["cpu"]["steps"]:
        if "run" in step:
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            done = subprocess.run(
                shell, cwd=clone, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{step['name']}\n{done.stdout}\n{done.stderr}"
    record = json.loads((clone / "model_repository" / "tpgen.json").read_text())
    assert sorted(record["pipelines"]) == ["hello", "two"]
    assert len(list(clone.glob("gpu_repository/*/1/engine.json"))) == 1
