"""One ``mean`` that two operators read normalises an image twice, which nobody means."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.diagnostics import Diagnostic
from tpgen.driver import BuildOptions, check

INPUT = '[pipeline.inputs]\ndata = "uint8[3,8,8] chw"\n'
MODEL = 'model = "convolution.onnx"\n'
NET = f'[net]\n{MODEL}backend = "Sequential[Normalize,OnnxTensor]"\n'
MEAN = "mean = [1, 2, 3]\n"
STD = "std = [4, 5, 6]\n"
APART = f'[a]\nbackend = "Normalize"\nnext = "net"\n[net]\n{MODEL}backend = "OnnxTensor"\n'
TWO_MODELS = (
    '[pipeline.inputs]\ndata = "float32[3,4,4] chw"\n[a]\nmodel = "same.onnx"\nbackend = "OnnxTensor"\n'
    'next = "net"\n[net]\nmodel = "same.onnx"\nbackend = "OnnxTensor"\n'
)


def found(folder: Path, toml: str) -> tuple[Diagnostic, ...]:
    write_models(folder)
    (folder / "p.toml").write_text(toml)
    return check(folder / "p.toml", BuildOptions(cores=1)).diagnostics


@pytest.mark.parametrize(
    ("toml", "line", "keys"),
    [
        (INPUT + NET + MEAN + STD, 6, "'mean' and 'std'"),
        (INPUT + NET + '"Normalize::mean" = "1,2,3"\n' + STD, 7, "'std'"),
        (MEAN + STD + INPUT + APART, 1, "'mean' and 'std'"),
    ],
)
def test_one_key_for_two_operators_is_pointed_at(tmp_path: Path, toml: str, line: int, keys: str) -> None:
    (warning,) = found(tmp_path, toml)
    assert (warning.code, warning.severity.value) == ("TP309", "warning")
    assert warning.message.startswith(f"Normalize and OnnxTensor both take {keys}")
    assert warning.span is not None and warning.span.line == line
    assert warning.hint is not None and '"OnnxTensor::' in warning.hint and '"Normalize::' in warning.hint


@pytest.mark.parametrize(
    "toml",
    [
        INPUT + NET + '"Normalize::mean" = "1,2,3"\n"Normalize::std" = "4,5,6"\n',
        INPUT
        + NET
        + '"Normalize::mean" = "1,2,3"\n"Normalize::std" = "4,5,6"\n"OnnxTensor::mean" = "1,2,3"\n',
        INPUT + NET + 'mean = "1,2,3|4,5,6"\nstd = "1,2,3|4,5,6"\n',
        INPUT + NET + 'mean = "1,2,3|"\nstd = "4,5,6|"\n',
        INPUT + f'[net]\n{MODEL}backend = "OnnxTensor"\n' + MEAN + STD,
    ],
)
def test_values_of_their_own_are_taken_as_meant(tmp_path: Path, toml: str) -> None:
    assert found(tmp_path, toml) == ()


def test_two_models_may_share_a_global_value(tmp_path: Path) -> None:
    from engines.onnx_build import model, node, save, tensor

    sides = ["N", 3, 4, 4]
    save(model([node("Relu", "x", "y")], [tensor("x", sides)], [tensor("y", sides)]), tmp_path / "same.onnx")
    assert found(tmp_path, MEAN + STD + TWO_MODELS) == ()
