"""`tpgen check DIR`: exit status and JSON; and what tpgen itself builds has no findings."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import examples
from lint_cases import CASES
from lint_repositories import write
from tpgen import cli
from tpgen.driver import BuildOptions, build, check_repository


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    out = io.StringIO()
    status = cli.run_command(arguments, out)
    return status, out.getvalue(), capsys.readouterr().err


def _write(root: Path, *names: str) -> None:
    write(root, [case for case in CASES if case.name in names])


def test_errors_end_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "dims_0", "count_0", "works")
    status, out, err = run(capsys, "check", str(tmp_path))
    assert status == 1 and out == ""
    assert "error[TP821]" in err and "warning[TP858]" in err and "1 error, 1 warning" in err


def test_warnings_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "count_0", "works")
    status, out, err = run(capsys, "check", str(tmp_path))
    assert status == 0 and "no errors" in out and "1 warning" in err


def test_the_document_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, "dims_0")
    status, out, _ = run(capsys, "check", str(tmp_path), "--json")
    (record,) = json.loads(out)["diagnostics"]
    assert status == 1
    assert record["code"] == "TP821" and record["severity"] == "error" and record["model"] == "dims_0"
    assert record["file"].endswith("dims_0/config.pbtxt") and record["line"] == 4 and record["column"] == 50
    assert record["node"] is None and record["hint"]


@pytest.mark.parametrize("fuse", ["auto", "none"])
@pytest.mark.parametrize("example", examples.NAMES)
def test_what_tpgen_builds_has_no_findings(example: str, fuse: str, tmp_path: Path) -> None:
    models = {"resnet50": str(examples.small_resnet(tmp_path))} if example == "resnet50" else {}
    repository = tmp_path / "a repository"
    build(examples.pipeline(example), repository, BuildOptions(fuse=fuse, models=models))
    assert check_repository(repository).diagnostics == ()


def test_a_release_is_checked_for(tmp_path: Path) -> None:
    _write(tmp_path, "field_newer")
    found = {target: check_repository(tmp_path, target).diagnostics for target in ("24.10", "25.11")}
    assert [diagnostic.code for diagnostic in found["24.10"]] == ["TP812"] and found["25.11"] == ()
    with pytest.raises(ValueError, match=r"20\.01 is too old"):
        check_repository(tmp_path, "20.01")
