"""A lowered chain as a Triton model: its code, its configuration, and that our own check accepts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dali.chains import BATCH, compiled_chain, nodes
from golden import Golden
from tpgen.driver.check_repository import check_repository
from tpgen.emit.config_pbtxt import parse, render
from tpgen.emit.dali import DaliChain, Device, dali_config, dali_files

HERE = Path(__file__).parent
DETECTOR = nodes(
    'backend = "DecodeMat"',
    'backend = "S[LetterBoxMat,cvtColorMat,Mat2Tensor]"\nresize_h = 640\nresize_w = 640\n'
    'pad_val = 114\ncolor = "rgb"',
)
CLASSIFIER = nodes(
    'backend = "S[DecodeTensor,ResizeTensor,cvtColorTensor]"\ncolor = "rgb"\nresize_h = 224\nresize_w = 224',
    'backend = "Normalize"\nmean = "123.675,116.28,103.53"\nstd = "58.395,57.12,57.375"',
)
CHAINS = {"detector": (DETECTOR, ("result", "scale", "offset")), "classifier": (CLASSIFIER, ("result",))}


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("name", CHAINS)
def test_code_and_configuration(name: str, device: Device, golden: Golden, tmp_path: Path) -> None:
    text, outputs = CHAINS[name]
    chain = compiled_chain(tmp_path, text, outputs=outputs)
    lowered = chain.lowered(device=device)
    assert isinstance(lowered, DaliChain), str(lowered)
    config = dali_config(name, lowered, max_batch=BATCH, threads=2)
    assert parse(render(config)) == config
    assert [output.name for output in config.output] == list(outputs)
    golden.file(HERE / "expected" / f"{name}-{device}.py.txt", chain.code(device))
    golden.file(HERE / "expected" / f"{name}-{device}.pbtxt", render(config))


def test_our_own_check_accepts_the_model(tmp_path: Path) -> None:
    chain = compiled_chain(tmp_path, DETECTOR, outputs=("result", "scale", "offset"))
    lowered = chain.lowered()
    assert isinstance(lowered, DaliChain)
    model = tmp_path / "repository" / "images"
    files = dali_files(chain.code())
    assert set(files) == {"1/dali.py"} and set(dali_files("", b"x")) == {"1/dali.py", "1/model.dali"}
    for name, content in files.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content)
    (model / "config.pbtxt").write_text(render(dali_config("images", lowered, max_batch=BATCH, threads=2)))
    found = check_repository(tmp_path / "repository")
    assert not [str(one) for one in found.diagnostics], found.diagnostics


def test_pad_colours_are_rounded_and_follow_the_channels(tmp_path: Path) -> None:
    pad = 'backend = "ResizePadMat"\nmax_h = 8\nmax_w = 9\npad_value = "1,20.7,255"'
    rgb = 'backend = "cvtColorMat"\ncolor = "rgb"'
    as_bgr = compiled_chain(tmp_path, nodes('backend = "DecodeMat"', pad)).code()
    as_rgb = compiled_chain(tmp_path, nodes('backend = "DecodeMat"', rgb, pad)).code()
    assert "[255.0, 21.0, 1.0]" in as_bgr  # the decoder's order is RGB
    assert "[1.0, 21.0, 255.0]" in as_rgb
