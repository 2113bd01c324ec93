"""Boxes that nothing maps back to the source, and advice on the sizes of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, check

PREPARE = '[prepare]\nbackend = "S[DecodeMat,{resize},Mat2Tensor]"\nnext = "yolo"\n'
YOLO = '[yolo]\nbackend = "OnnxTensor"\nmodel = "yolo.onnx"\nnext = "post"\n'
POST = '[post]\nbackend = "S[YoloDecode,NMS]"\nformat = "yolov8"\n'
LETTER_BOX = PREPARE.replace("{resize}", "LetterBoxMat(resize_h=8,resize_w=8)")
PADDED = PREPARE.replace("{resize}", "ResizePadMat(max_h=8,max_w=8)")


def write_yolo(folder: Path) -> None:
    """``[N,3,8,8]`` to ``[N,6,32]``."""
    steps = [node("Reshape", "image shape", "boxes")]
    made = model(
        steps,
        [tensor("image", ["N", 3, 8, 8])],
        [tensor("boxes", ["N", 6, 32])],
        {"shape": [0, 6, 32]},
    )
    save(made, folder / "yolo.onnx")


def warnings(folder: Path, toml: str) -> list[tuple[str, str | None]]:
    write_yolo(folder)
    (folder / "p.toml").write_text(toml)
    found = check(folder / "p.toml", BuildOptions(cores=1, target="cpu")).diagnostics
    return [(one.message, one.hint) for one in found if one.code == "TP314"]


def test_a_letter_box_writes_no_matrix(tmp_path: Path) -> None:
    ((message, hint),) = warnings(tmp_path, LETTER_BOX + YOLO + POST)
    assert message.startswith("YoloDecode: the boxes are in pixels of the model's input, not of the source")
    assert message.endswith("LetterBoxMat in [prepare] writes 'scale' and 'offset', but no 'inverse_trans'")
    assert hint is not None and hint.startswith("ResizeCenterPadMat") and 'inverse_trans = ""' in hint


def test_a_map_that_leaves_the_matrix_behind(tmp_path: Path) -> None:
    ((message, hint),) = warnings(tmp_path, PADDED + YOLO + POST + 'map = "yolo[result:data]"\n')
    assert message.endswith("the 'inverse_trans' that ResizePadMat in [prepare] writes does not get here")
    assert hint is not None and "prepare[inverse_trans:inverse_trans]" in hint


@pytest.mark.parametrize(
    "toml",
    [
        PADDED + YOLO + POST,
        PADDED + YOLO + POST + 'map = "yolo[result:data],prepare[inverse_trans:inverse_trans]"\n',
        LETTER_BOX + YOLO + POST + 'inverse_trans = ""\n',
        PREPARE.replace("{resize}", "ResizeMat(resize_h=8,resize_w=8)") + YOLO + POST,
        YOLO + POST,
    ],
)
def test_boxes_that_are_as_they_are_meant(tmp_path: Path, toml: str) -> None:
    assert warnings(tmp_path, toml) == []


@pytest.mark.parametrize(
    ("steps", "hint"),
    [
        ("ResizeMat(resize_h=9,resize_w=8)", "set resize_h = 8 on ResizeMat in [net]"),
        (
            "ResizePadMat(max_h=9,max_w=7),cvtColorMat(color=rgb)",
            "set max_h = 8, max_w = 8 on ResizePadMat in [net]",
        ),
        (
            "BatchFixHLimitW(resize_h=9,max_w=32),DynamicFixHResizePadMat",
            "resize the image to it: resize_h = 8, resize_w = 8 on ResizeMat in front",
        ),
        (
            "FixRatioResizeMat(max_h=9,max_w=9)",
            "resize the image to it: resize_h = 8, resize_w = 8 on ResizeMat in front",
        ),
        (
            "ResizeMat(resize_h=9,resize_w=9),CropMat",
            "resize the image to it: resize_h = 8, resize_w = 8 on ResizeMat in front",
        ),
    ],
)
def test_advice_on_sizes_names_what_made_them(tmp_path: Path, steps: str, hint: str) -> None:
    write_yolo(tmp_path)
    text = f'[net]\nbackend = "S[DecodeMat,{steps},Mat2Tensor,OnnxTensor]"\nmodel = "yolo.onnx"\n'
    assert advice(tmp_path, text) == hint


def test_advice_on_a_height_alone_names_its_key(tmp_path: Path) -> None:
    steps = [node("Relu", "image", "maps")]
    sides = ["N", 3, 8, "W"]
    save(model(steps, [tensor("image", sides)], [tensor("maps", sides)]), tmp_path / "line.onnx")
    text = '[net]\nbackend = "S[DecodeMat,{},Mat2Tensor,OnnxTensor]"\nmodel = "line.onnx"\n'
    bucket = text.format("BatchFixHLimitW(resize_h=9,max_w=32),DynamicFixHResizePadMat")
    assert advice(tmp_path, bucket) == "set resize_h = 8 on BatchFixHLimitW in [net]"
    assert advice(tmp_path, text.format("Identity")) == (
        "resize the image to it: resize_h = 8 on an operator that resizes, in front"
    )


def advice(folder: Path, toml: str) -> str | None:
    (folder / "p.toml").write_text(toml)
    with pytest.raises(PipelineError) as caught:
        check(folder / "p.toml", BuildOptions(cores=1, target="cpu"))
    (found,) = caught.value.diagnostics
    assert found.code == "TP304"
    return found.hint
