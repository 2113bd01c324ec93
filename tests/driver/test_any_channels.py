"""mean and std of any number of channels and any size move into the graph of a model that a backend runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.onnx_build import model, node, save, tensor
from tpgen.diagnostics import PipelineError, Severity
from tpgen.driver import BuildOptions, build, pipe

TEXT = """
[pipeline]
name = "p"
inputs = {data = "uint8[%d,8,8]"}
[a]
backend = "TensorrtTensor"
model = "m.onnx"
max = 4
mean = "%s"
std = "%s"
"""


def _pipeline(folder: Path, channels: int, mean: str, std: str) -> Path:
    random = np.random.default_rng(channels)
    weight = random.normal(size=(3, channels, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "image w", "maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "maps", "mean"),
        node("Flatten", "mean", "logits"),
    ]
    takes = [tensor("image", ["N", channels, 8, 8])]
    save(model(nodes, takes, [tensor("logits", ["N", 3])], {"w": weight}), folder / "m.onnx")
    (folder / "p.toml").write_text(TEXT % (channels, mean, std))
    return folder / "p.toml"


@pytest.mark.parametrize(
    ("channels", "mean", "std"),
    [
        (1, "7", "-3"),
        (2, "-1, 2", "2, 0.5"),
        (3, "1, 2, 3", "0.25, 1, 300"),
        (4, "1, 2, 3, 4", "1, -2, 0.5, 1e-3"),
        (6, "", "1, 2, 3, 4, 5, 6"),
        (5, "1, 2, 3, 4, 5", ""),
    ],
)
def test_any_channels(tmp_path: Path, channels: int, mean: str, std: str) -> None:
    path = _pipeline(tmp_path, channels, mean, std)
    found = build(path, tmp_path / "repository", BuildOptions(target="gpu", cores=2))
    assert not any(one.code == "TP905" for one in found.diagnostics)
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 8, 8)).astype(np.uint8)
    (written,) = (tmp_path / "repository").glob("*/1/model.onnx")
    (engine,) = onnxruntime.InferenceSession(str(written)).run(None, {"image": images})
    means, stds = (
        np.array([float(one) for one in text.split(",")] if text else [other] * channels, np.float32)
        for text, other in ((mean, 0), (std, 1))
    )
    normalised = (images.astype(np.float32) - means[:, None, None]) / stds[:, None, None]
    original = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    (wanted,) = original.run(None, {"image": normalised})
    limit = 1e-5 * float(np.abs(wanted).max())
    np.testing.assert_allclose(engine, wanted, atol=limit)
    item = {"data": images[0]}
    pipe(path, BuildOptions(cores=1))(item)
    np.testing.assert_allclose(item["result"], wanted[0], atol=limit)


@pytest.mark.parametrize("runtime", ["python", "onnxruntime", "tensorrt"])
def test_a_graph_that_cannot_be_changed_is_told_on_every_backend(tmp_path: Path, runtime: str) -> None:
    path = _pipeline(tmp_path, 3, "1, 2, 3", "")
    made = onnx.load(tmp_path / "m.onnx")
    made.graph.output.append(made.graph.input[0])
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(PipelineError) as caught:
        build(path, tmp_path / "repository", BuildOptions(target="gpu", runtime=runtime, cores=2))
    (problem,) = (one for one in caught.value.diagnostics if one.severity is Severity.ERROR)
    assert problem.code == "TP407" and "put an Identity node between them" in problem.message
    assert problem.span is not None


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [("1, 2, 3", "1, 0, 1", "'std' holds a 0"), ("1, 2", "", "'mean' has 2 values for 3 channels")],
)
def test_what_cannot_be_meant(tmp_path: Path, mean: str, std: str, said: str) -> None:
    with pytest.raises(PipelineError) as caught:
        build(_pipeline(tmp_path, 3, mean, std), tmp_path / "repository", BuildOptions(target="gpu", cores=2))
    (problem,) = caught.value.diagnostics
    assert said in problem.message
    assert problem.span is not None
