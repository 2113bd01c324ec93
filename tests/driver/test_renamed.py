"""Builds of one file into one directory while what it describes gets other names."""

from __future__ import annotations

from pathlib import Path

from tpgen.driver.build import BuildResult, build
from tpgen.driver.options import BuildOptions

_TWO = '[pipeline]\nname = "one"\n[a]\nbackend = "Identity"\n[b]\nbackend = "Identity"\n'


def built(folder: Path, text: str) -> BuildResult:
    (folder / "p.toml").write_text(text)
    return build(folder / "p.toml", folder / "models", BuildOptions(fuse="none", cores=1))


def models(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models").iterdir() if path.is_dir())


def test_an_entry_or_a_node_that_is_gone_takes_its_models_along(tmp_path: Path) -> None:
    built(tmp_path, _TWO)
    assert any(name.startswith("one.b") for name in models(tmp_path))
    result = built(tmp_path, _TWO.replace('[b]\nbackend = "Identity"\n', ""))
    assert result.diagnostics == () and models(tmp_path) == ["one"]


def test_a_pipeline_that_was_renamed_is_said_to_be_there_under_both_names(tmp_path: Path) -> None:
    built(tmp_path, _TWO)
    before = models(tmp_path)
    (found,) = built(tmp_path, _TWO.replace('"one"', '"two"')).diagnostics
    assert (found.code, found.severity.value) == ("TP614", "warning")
    assert all(str(tmp_path / "models" / name) in str(found.hint) for name in before)
    assert set(models(tmp_path)) > set(before)
