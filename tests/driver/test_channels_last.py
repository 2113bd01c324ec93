"""Models that take ``[H,W,C]``: mean and std go along the last axis, as numpy and onnxruntime have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.onnx_build import compute, model, node, save, tensor
from tpgen.diagnostics import PipelineError
from tpgen.driver import check, pipe, reference

MEAN, STD = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
WEIGHT = np.float32([0.5, -1.5, 2.5])
IMAGE = '[pipeline.inputs]\ndata = "uint8[H,W,3] rgb"\n'
NET = '[net]\nbackend = "OnnxTensor"\nmodel = "net.onnx"\nmax = {}\nmean = [10, 20, 30]\nstd = [2, 4, 8]\n'


def write_model(folder: Path, shape: list[Any]) -> Path:
    """``y = x * weight``, the weight being one per channel of the last axis."""
    nodes = [node("Mul", "x w", "y")]
    return save(model(nodes, [tensor("x", shape)], [tensor("y", shape)], {"w": WEIGHT}), folder / "net.onnx")


def images(rng: np.random.Generator, *sizes: tuple[int, int]) -> list[np.ndarray]:
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in sizes]


def expected(path: Path, image: np.ndarray) -> np.ndarray:
    normalized = (image.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    return compute(path, x=normalized[np.newaxis])[0][0]


@pytest.mark.parametrize(
    ("shape", "largest", "sizes"),
    [
        (["N", "H", "W", 3], 4, [(5, 7), (5, 7), (3, 3), (1, 9), (5, 7)]),
        (["N", 6, 4, 3], 4, [(6, 4), (6, 4), (6, 4)]),
        ([1, 6, 4, 3], 1, [(6, 4), (6, 4)]),
    ],
)
def test_items_and_batches_are_normalised_along_the_last_axis(
    tmp_path: Path, shape: list[Any], largest: int, sizes: list[tuple[int, int]]
) -> None:
    path = write_model(tmp_path, shape)
    image = IMAGE.replace("H,W", "6,4") if shape[1] == 6 else IMAGE
    (tmp_path / "p.toml").write_text(image + NET.format(largest))
    given = images(np.random.default_rng(5), *sizes)
    compiled, interpreter = reference(tmp_path / "p.toml")
    outcomes = interpreter.run(compiled.reference.entries[0], [{"data": image} for image in given])
    with pipe(tmp_path / "p.toml") as run:
        items = [{"data": image} for image in given]
        run(items)
        single = {"data": given[0]}
        run(single)
    for image, outcome, item in zip(given, outcomes, items, strict=True):
        np.testing.assert_allclose(outcome["result"], expected(path, image), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(item["result"], expected(path, image), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(single["result"], expected(path, given[0]), rtol=1e-6, atol=1e-5)


def test_what_could_be_either_is_taken_as_channels_first(tmp_path: Path) -> None:
    write_model(tmp_path, ["N", 3, 4, 3])
    (tmp_path / "p.toml").write_text(IMAGE + NET.format(4))
    with pytest.raises(PipelineError, match="add Mat2Tensor"):
        check(tmp_path / "p.toml")


def test_values_are_counted_along_the_channels(tmp_path: Path) -> None:
    write_model(tmp_path, ["N", 6, 4, 3])
    six = NET.format(4).replace("mean = [10, 20, 30]", "mean = [1, 2, 3, 4, 5, 6]")
    (tmp_path / "p.toml").write_text(IMAGE + six)
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "p.toml")
    (found,) = raised.value.diagnostics
    assert found.code == "TP304" and "6 values for 3 channels" in found.message


def test_another_size_is_named_by_its_side(tmp_path: Path) -> None:
    write_model(tmp_path, ["N", 6, 4, 3])
    resize = 'backend = "S[ResizeMat,OnnxTensor]"\nresize_h = 6\nresize_w = 5'
    (tmp_path / "p.toml").write_text(IMAGE + NET.format(4).replace('backend = "OnnxTensor"', resize))
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "p.toml")
    (found,) = raised.value.diagnostics
    assert found.code == "TP304" and "width must be 4, but width 5 arrives" in found.message
    assert found.hint == "set resize_w = 4 on ResizeMat in [net]"


def test_the_colour_order_counts_for_them_too(tmp_path: Path) -> None:
    write_model(tmp_path, ["N", 6, 4, 3])
    (tmp_path / "p.toml").write_text(
        IMAGE.replace("rgb", "bgr").replace("H,W", "6,4") + NET.format(4) + 'input_color = "rgb"\n'
    )
    with pytest.raises(PipelineError) as raised:
        check(tmp_path / "p.toml")
    assert [found.code for found in raised.value.diagnostics] == ["TP303"]
