"""User code that fails while it is loaded: a finding about the user's file, never a bug of tpgen."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import tpgen
from tpgen.cli import run_command
from tpgen.driver import reference

HEAD = """from pathlib import Path
from tpgen_runtime import Tensor, op
"""
ADD = """
@op(inputs={"data": Tensor("int32", [])}, outputs={"result": Tensor("int32", [])})
class Add:
    def __init__(self, value=1):
        if value > 5:
            raise ValueError("too much")
        self.value = value

    def __call__(self, data):
        return data + self.value
"""
CASES = {
    "a missing package": ("import no_such_package\n", "", 3, "No module named 'no_such_package'", "install"),
    "a missing file": ('X = open("labels.txt").read()\n', "", 3, "No such file", "with_name('labels.txt')"),
    "a class that can't be made": ("", "value = 7\n", 8, "ValueError: too much", "loaded"),
    "the end of the program": ("raise SystemExit(3)\n", "", 3, "SystemExit: 3", "loaded"),
    "a number": ("X = 1 / 0\n", "", 3, "ZeroDivisionError: division by zero", "loaded"),
}


def write(folder: Path, code: str, keys: str = "") -> Path:
    (folder / "mine.py").write_text(HEAD + code + ADD)
    path = folder / "sum.toml"
    path.write_text(f'[add]\nbackend = "Python[mine:Add]"\n{keys}')
    return path


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_where_and_what(case: str, tmp_path: Path) -> None:
    code, keys, line, message, hint = CASES[case]
    pipeline = write(tmp_path, code, keys)
    for load in (tpgen.pipe, reference):
        with pytest.raises(tpgen.PipelineError) as caught:
            load(pipeline)
        (finding,) = caught.value.diagnostics
        record = finding.to_json()
        assert (record["code"], record["severity"]) == ("TP508", "error")
        assert (record["file"], record["line"]) == (str(tmp_path / "mine.py"), line)
        assert message in finding.message
        assert hint in (finding.hint or "")


@pytest.mark.parametrize("options", [[], ["--reference"]])
def test_run_ends_with_status_1(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = write(tmp_path, "import no_such_package\n")
    out = io.StringIO()
    assert run_command(["run", str(pipeline), "--input", "data=1", *options, "--json"], out) == 1
    assert [record["code"] for record in json.loads(out.getvalue())["diagnostics"]] == ["TP508"]
    assert "bug" not in capsys.readouterr().err


def test_a_file_that_is_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("\n\nimport no_such_package\n")
    with pytest.raises(tpgen.PipelineError) as caught:
        tpgen.pipe(write(tmp_path, "import helper\n"))
    record = caught.value.diagnostics[0].to_json()
    assert (record["file"], record["line"]) == (str(tmp_path / "helper.py"), 3)


def test_what_is_not_the_users_passes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = write(tmp_path, "")

    def fails(*_arguments: object, **_options: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("tpgen.driver.local.Pipe", fails)
    with pytest.raises(KeyError, match="oops"):
        tpgen.pipe(pipeline)
