"""A repository that tpgen built and somebody changed: `tpgen check DIR` sees it by tpgen.json."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import examples
from tpgen.driver import build, check_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "repository"
    build([examples.pipeline("hello"), examples.pipeline("python_node")], directory)
    assert check_repository(directory).diagnostics == ()
    return directory


def findings(repository: Path) -> list[tuple[str, str, str | None, str]]:
    """Code, severity, model and file (relative) of what is found."""
    return [
        (found.code, found.severity.value, found.model, str(Path(str(found.file)).relative_to(repository)))
        for found in check_repository(repository).diagnostics
    ]


def test_a_missing_file_is_an_error(repository: Path) -> None:
    (repository / "hello/1/stage.py").unlink()
    assert findings(repository) == [("TP873", "error", "hello", "hello/1/stage.py")]
    (found,) = check_repository(repository).diagnostics
    assert found.hint is not None and found.hint.startswith("build it again: tpgen build pipeline.toml -o ")


def test_missing_files_of_a_model_are_one_finding(repository: Path) -> None:
    shutil.rmtree(repository / "python_node/1/user")
    shutil.rmtree(repository / "python_node/1/tpgen_runtime")
    (found,) = check_repository(repository).diagnostics
    assert (found.code, found.model) == ("TP873", "python_node")
    assert "more files of model 'python_node' are not there" in found.message


def test_a_missing_model_is_an_error(repository: Path) -> None:
    shutil.rmtree(repository / "hello")
    assert findings(repository) == [("TP873", "error", "hello", "hello")]


def test_a_changed_file_is_a_warning(repository: Path) -> None:
    path = repository / "hello/1/stage.py"
    path.write_text(path.read_text() + "\n# mine\n")
    assert findings(repository) == [("TP874", "warning", "hello", "hello/1/stage.py")]
    path.write_text(path.read_text().removesuffix("\n# mine\n"))
    assert findings(repository) == []


def test_files_of_the_root_count_and_those_of_others_do_not(repository: Path) -> None:
    (repository / "requirements.txt").write_text("numpy\n")
    (repository / "hello/1/__pycache__").mkdir()
    (repository / "hello/notes.txt").write_text("mine\n")
    assert findings(repository) == [("TP874", "warning", None, "requirements.txt")]


def test_a_record_that_cannot_be_read_stops_no_server(repository: Path) -> None:
    (repository / "tpgen.json").write_text("{")
    assert findings(repository) == [("TP604", "warning", None, "tpgen.json")]
