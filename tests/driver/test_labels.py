"""Files of labels against the classes: what stops no build, and what fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, check

READ = '[pipeline.inputs]\ndata = "float32[T,{classes}]"\n[read]\nbackend = "CTCGreedyDecode"\n{keys}'
BEST = '[pipeline.inputs]\ndata = "float32[{classes}]"\n[best]\nbackend = "TopK"\nk = 2\n{keys}'


def said(folder: Path, toml: str, lines: int, target: str = "cpu") -> list[tuple[str, str]]:
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(lines)))
    (folder / "p.toml").write_text(toml.replace("{keys}", 'labels = "labels.txt"\n'))
    found = check(folder / "p.toml", BuildOptions(cores=1, target=target)).diagnostics
    return [(one.severity.value, one.message) for one in found if one.code == "TP312"]


@pytest.mark.parametrize(
    ("toml", "lines"),
    [
        (READ.replace("{classes}", "11"), 10),
        (READ.replace("{classes}", "11") + "space = true\n", 9),
        (READ.replace("{classes}", "11") + "blank = 10\n", 10),
        (READ.replace("{classes}", "C"), 3),
        (BEST.replace("{classes}", "10"), 10),
        (BEST.replace("{classes}", "C"), 1),
    ],
)
def test_files_that_fit(tmp_path: Path, toml: str, lines: int) -> None:
    assert said(tmp_path, toml, lines) == []


def test_more_names_than_classes_are_a_warning(tmp_path: Path) -> None:
    ((severity, message),) = said(tmp_path, BEST.replace("{classes}", "10"), 11)
    assert severity == "warning"
    assert "11 names, but there are 10 classes" in message


@pytest.mark.parametrize("lines", [3, 4])
def test_the_gpu_target_counts_what_moved_into_the_model(tmp_path: Path, lines: int) -> None:
    """There only the best class leaves the model: what the operator itself gets does not tell."""
    steps = [node("Relu", "x", "y")]
    save(model(steps, [tensor("x", ["N", "T", 5])], [tensor("y", ["N", "T", 5])]), tmp_path / "net.onnx")
    toml = '[net]\nbackend = "S[TensorrtTensor,CTCGreedyDecode]"\nmodel = "net.onnx"\nmin = "1x1x5"\n'
    toml += 'max = "2x9x5"\n{keys}'
    if lines == 4:
        assert said(tmp_path, toml, lines, "gpu") == []
        return
    with pytest.raises(
        PipelineError, match="has 3 labels, which with the blank makes 4 classes, but 5 arrive"
    ):
        said(tmp_path, toml, lines, "gpu")
