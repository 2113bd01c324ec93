"""Wrong pipelines and exactly what is said about them.

``NAME.toml`` is a pipeline, ``NAME.txt`` the rendered findings. A first line ``#: {...}`` holds options of
the build as JSON. The models that the pipelines name are made here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_models
from engines.onnx_build import FLOAT, model, node, save, tensor
from golden import Golden
from tpgen.codes import CODES
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.toml"))


def write_models(folder: Path) -> None:
    """The models that the pipelines name."""
    small_models.write_models(folder)
    small_models.write_torchscript(folder / "net.pt")
    (folder / "three.txt").write_text("a\nb\nc\n")
    (folder / "latin1.txt").write_bytes("a\né\n".encode("latin-1"))
    weighted = [node("MatMul", "x w", "y")]
    built = model(
        weighted, [tensor("x", ["N", 4])], [tensor("y", ["N", 4])], {"w": np.eye(4, dtype=np.float32)}
    )
    built.graph.initializer[0].ClearField("raw_data")
    built.graph.initializer[0].data_location = 1
    entry = built.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    (folder / "external.onnx").write_bytes(built.SerializeToString())
    sequence = [node("SequenceConstruct", "x", "y")]
    from onnx import helper

    listed = helper.make_tensor_sequence_value_info("y", FLOAT, ["N", 4])
    save(model(sequence, [tensor("x", ["N", 4])], [listed]), folder / "sequence.onnx")
    mixing = [node("ReduceMax", "x", "y", axes=[0], keepdims=1)]
    save(model(mixing, [tensor("x", [1, 4])], [tensor("y", [1, 4])]), folder / "mixing.onnx")
    counting = [node("Flatten", "x", "flat"), node("Transpose", "flat", "y", perm=[1, 0])]
    save(model(counting, [tensor("x", ["N", 3, 8, 8])], [tensor("y", [192, "N"])]), folder / "turning.onnx")
    gray = [node("GlobalAveragePool", "x", "mean"), node("Flatten", "mean", "y")]
    save(model(gray, [tensor("x", ["N", 1, 8, 8])], [tensor("y", ["N", 1])]), folder / "gray.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wrong")
    for path in HERE.iterdir():
        if path.suffix in (".toml", ".py"):
            shutil.copy(path, made)
    write_models(made)
    return made


def options_of(path: Path) -> BuildOptions:
    first = path.read_bytes().partition(b"\n")[0]
    if not first.startswith(b"#:"):
        return BuildOptions(cores=2)
    given: dict[str, Any] = json.loads(first[2:])
    values = {tuple(key.split(".", 1)): value for key, value in given.pop("values", {}).items()}
    return BuildOptions(cores=2, values=values, **given)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said(name: str, folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = Path(f"{name}.toml")
    with pytest.raises(PipelineError) as caught:
        check(path, options_of(path))
    text = str(caught.value) + "\n"
    golden.file(HERE / f"{name}.txt", text)
    assert "Traceback" not in text
    assert str(folder) not in text, "a path that is not as the user wrote it"
    assert all(d.span or d.file or d.code == "TP116" for d in caught.value.diagnostics), "no place"
    code = name.partition("-")[0].partition(" ")[0]
    assert not code.startswith("TP") or f"[{code}]" in text


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = Path(f"{name}.toml")
    before = sorted(folder.iterdir())
    with pytest.raises(PipelineError):
        build(path, folder / "repository", options_of(path))
    assert sorted(folder.iterdir()) == before


def test_every_golden_has_its_pipeline() -> None:
    assert sorted(path.stem for path in HERE.glob("*.txt")) == NAMES


def test_every_code_has_a_golden() -> None:
    seen = {code for path in HERE.glob("*.txt") for code in re.findall(r"\[(TP\d+)\]", path.read_text())}
    wanted = {code for code in CODES if code < "TP400"}
    assert wanted - seen - set(ELSEWHERE) == set()


# Codes without a pipeline that shows them here, and the test that does.
ELSEWHERE = {
    "TP001": "test_files_that_cannot_be_read",
    "TP119": "tests/driver: an operator package must be installed to be broken",
    "TP212": "tests/passes: only an operator package can have an operator that writes nothing",
    "TP309": "tests/driver/test_doubled.py: a warning stops no build",
    "TP313": "tests/driver/test_scales.py: likewise",
    "TP314": "tests/driver/test_coordinates.py: likewise",
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.toml", "nowhere.toml: error[TP001]: can't read this file: No such file or directory"),
        (".", ".: error[TP001]: this is a folder, not a file\n  help: name the TOML file inside it"),
        ("no\0where.toml", "no\N{REPLACEMENT CHARACTER}where.toml: error[TP001]: can't read this file"),
    ],
)
def test_files_that_cannot_be_read(
    name: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(PipelineError) as caught:
        check(name)
    assert str(caught.value).startswith(message)


def test_the_command_ends_with_1_and_no_traceback(folder: Path) -> None:
    command = [sys.executable, "-m", "tpgen", "check", "several-at-once.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    expected = (HERE / "several-at-once.txt").read_text()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(expected)


def test_one_wrong_file_does_not_hide_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names = ("TP202-two", "TP304-resize")
    with pytest.raises(PipelineError) as caught:
        check([f"{name}.toml" for name in names])
    assert str(caught.value) + "\n" == "".join((HERE / f"{name}.txt").read_text() for name in names)
