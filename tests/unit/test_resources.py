"""Where data files are looked for."""

from pathlib import Path

import pytest

from tpgen import resources
from tpgen.diagnostics import ToolMissing


def test_a_checkout_has_its_files() -> None:
    root = Path(__file__).resolve().parents[2]
    assert resources.templates_dir() == root / "templates"
    assert resources.runtime_dir() == root / "python_backends" / "tpgen_runtime"


def test_a_wheels_own_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    (tmp_path / "_templates").mkdir()
    (tmp_path / "_python_backends" / "tpgen_runtime").mkdir(parents=True)
    assert resources.templates_dir() == tmp_path / "_templates"
    assert resources.runtime_dir() == tmp_path / "_python_backends" / "tpgen_runtime"


def test_neither_is_said_with_both_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "site")
    monkeypatch.setattr(resources, "_CHECKOUT", tmp_path / "repo")
    with pytest.raises(ToolMissing) as caught:
        resources.templates_dir()
    assert str(tmp_path / "site" / "_templates") in caught.value.message
    assert str(tmp_path / "repo" / "templates") in caught.value.message
    assert caught.value.command is not None
