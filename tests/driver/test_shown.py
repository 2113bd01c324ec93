"""What a user sees who prints a result."""

from __future__ import annotations

from pathlib import Path

import pytest

import tpgen
from tpgen.driver import check_repository

PIPELINE = '[resize]\nbackend = "ResizeMat"\nresize_h = 8\nresize_w = 8\n'


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(PIPELINE)
    return path


def test_results_are_one_short_line(pipeline: Path, tmp_path: Path) -> None:
    checked = tpgen.check(pipeline)
    assert repr(checked) == "<BuildResult: small checked; no findings>"
    assert repr(checked.compiled[0]) == f"<Compiled: small from {pipeline}>"
    built = tpgen.build(pipeline, tmp_path / "repository")
    assert built.written is not None
    count = len(built.written.written)
    where = f"{tmp_path / 'repository'} ({count} files written)"
    assert str(built) == f"<BuildResult: small built into {where}; no findings>"
    assert "(0 files written)" in repr(tpgen.build(pipeline, tmp_path / "repository"))
    (tmp_path / "repository/small/1/stage.py").unlink()
    found = repr(check_repository(tmp_path / "repository"))
    assert found == f"<RepositoryCheck: {tmp_path / 'repository'}; 1 error>"


def test_findings_show_their_first_line(pipeline: Path) -> None:
    pipeline.write_text(PIPELINE.replace("resize_w", "resize_v"))
    with pytest.raises(tpgen.PipelineError) as caught:
        tpgen.check(pipeline)
    (finding, *_) = caught.value.diagnostics
    assert repr(finding).startswith(f"<Diagnostic {pipeline}:")
    assert "error[TP102]" in repr(finding) and "\n" not in repr(finding)
