"""A function that the user's file does not have is wrong where the TOML names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.diagnostics import PipelineError
from tpgen.driver import check


def test_a_missing_function_is_shown_at_the_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[first]\nbackend = "Identity"\nnext = "a"\n[a]\nbackend = "Python[ops:scal]"\n'
    )
    (tmp_path / "ops.py").write_text("def scale(data):\n    return data\n")
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "p.toml")
    (found,) = raised.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.line, found.node) == ("TP503", 5, "a")
    assert Path(found.span.file.path).name == "p.toml"
    assert found.message == "there is no function or class 'scal' in ops.py"
    assert found.hint == "did you mean 'scale'?"
