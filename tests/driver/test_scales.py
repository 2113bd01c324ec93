"""``mean`` and ``std`` for values of 0 to 1, where images of 0 to 255 arrive or others."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.driver import BuildOptions, check

BYTES = '[pipeline.inputs]\ndata = "uint8[3,8,8] chw rgb"\n'
FLOATS = '[pipeline.inputs]\ndata = "float32[3,8,8] chw rgb"\n'
SMALL = 'mean = "0.485, 0.456, 0.406"\nstd = "0.229, 0.224, 0.225"\n'


def net(steps: str, numbers: str = SMALL) -> str:
    return f'[net]\nbackend = "Sequential[{steps}]"\nmodel = "convolution.onnx"\n{numbers}'


def warnings(folder: Path, toml: str) -> list[tuple[str, str | None, int | None]]:
    write_models(folder)
    (folder / "p.toml").write_text(toml)
    found = check(folder / "p.toml", BuildOptions(cores=1, target="cpu")).diagnostics
    return [(one.message, one.hint, one.span and one.span.line) for one in found if one.code == "TP313"]


@pytest.mark.parametrize(
    "toml",
    [
        BYTES + net("OnnxTensor"),
        BYTES + net("FloatTensor,OnnxTensor"),
        net("DecodeMat,ResizeMat(resize_h=8,resize_w=8),FloatMat,Mat2Tensor,OnnxTensor"),
        BYTES
        + net("Normalize,ResizeTensor(resize_h=8,resize_w=8),OnnxTensor")
        .replace("mean", '"Normalize::mean"')
        .replace("std", '"Normalize::std"'),
    ],
)
def test_an_image_of_bytes_is_warned_of(tmp_path: Path, toml: str) -> None:
    ((message, hint, line),) = warnings(tmp_path, toml)
    assert "are for values of 0 to 1, but the image has those of 0 to 255" in message
    assert hint is not None
    assert 'mean = "123.675, 116.28, 103.53" and std = "58.395, 57.12, 57.375"' in hint
    assert line == toml.count("\n") - 1


@pytest.mark.parametrize(
    "toml",
    [
        FLOATS + net("OnnxTensor"),
        BYTES + net("Normalize(mean=[0,0,0],std=[255,255,255]),OnnxTensor"),
        BYTES + net("OnnxTensor", 'mean = "0, 0, 0"\nstd = "1, 1, 1"\n'),
        BYTES + net("OnnxTensor", 'mean = "0, 0, 0"\nstd = "255, 255, 255"\n'),
        BYTES + net("OnnxTensor", 'mean = "0.5, 0.5, 0.5"\n'),
        BYTES + net("OnnxTensor", 'mean = "0.5, 0.5, 103"\nstd = "1, 1, 1"\n'),
    ],
)
def test_other_scales_are_taken_as_meant(tmp_path: Path, toml: str) -> None:
    assert warnings(tmp_path, toml) == []
