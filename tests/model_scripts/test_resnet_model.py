"""The seeded ResNet: a real architecture, the same bytes for a seed, and eyes for preprocessing errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from examples import script

images, make_model = script("resnet50", "images"), script("resnet50", "make_model")
MEAN, STD, build = make_model.MEAN, make_model.STD, make_model.build
synthetic_image, synthetic_jpeg = images.synthetic_image, images.synthetic_jpeg
JPEGS = [synthetic_jpeg(seed) for seed in range(16)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small") / "small.onnx", "small")


def preprocess(
    jpeg: bytes,
    *,
    rgb: bool = True,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
    interpolation: int = cv2.INTER_LINEAR,
    flip: bool = False,
) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.resize(image, (224, 224), interpolation=interpolation)
    image = image[:, ::-1] if flip else image
    image = image[..., ::-1] if rgb else image
    return ((image.astype(np.float32) - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)


@pytest.fixture(scope="module")
def answer(small: Path) -> Callable[..., np.ndarray]:
    session = ort.InferenceSession(str(small), providers=["CPUExecutionProvider"])

    def run(**wrong: object) -> np.ndarray:
        batch = np.stack([preprocess(jpeg, **wrong) for jpeg in JPEGS])  # type: ignore[arg-type]
        return session.run(None, {"input": batch})[0]

    return run


def test_the_same_seed_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again.onnx", "small").read_bytes() == small.read_bytes()
    assert build(tmp_path / "other.onnx", "small", seed=1).read_bytes() != small.read_bytes()


def test_logits_have_unit_spread_on_pictures_never_seen(answer: Callable[..., np.ndarray]) -> None:
    logits = answer()
    assert 0.7 < logits.std(axis=0).mean() < 1.4
    assert abs(logits.mean()) < 0.2
    assert len(set(logits.argmax(axis=1))) >= 8  # pictures differ in their best class


@pytest.mark.parametrize(
    ("wrong", "moves", "flips"),
    [
        ({"rgb": False}, 1.5, 8),
        ({"mean": (0.0, 0.0, 0.0)}, 5.0, 8),
        ({"mean": MEAN[::-1]}, 0.8, 4),
        ({"std": tuple(s * 1.1 for s in STD)}, 0.4, 4),
        ({"std": (255.0, 255.0, 255.0)}, 5.0, 8),
        ({"std": STD[::-1]}, 0.05, 0),
        ({"interpolation": cv2.INTER_NEAREST}, 0.5, 4),
        ({"interpolation": cv2.INTER_AREA}, 0.2, 1),
        ({"interpolation": cv2.INTER_CUBIC}, 0.1, 1),
        ({"flip": True}, 1.5, 8),
    ],
)
def test_preprocessing_errors_show(
    answer: Callable[..., np.ndarray], wrong: dict[str, object], moves: float, flips: int
) -> None:
    """For every picture some logit moves by far more than any tolerance, and best classes change."""
    right, planted = answer(), answer(**wrong)
    assert np.abs(planted - right).max(axis=1).min() > moves
    assert (planted.argmax(axis=1) != right.argmax(axis=1)).sum() >= flips


def test_it_is_not_chaotic(small: Path, answer: Callable[..., np.ndarray]) -> None:
    """Rounding to half precision may not look like an error: below 1 % of the logits' range."""
    model = onnx.load(small)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("weight"):
            halved = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(halved, tensor.name))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = np.stack([preprocess(jpeg) for jpeg in JPEGS]).astype(np.float16).astype(np.float32)
    right = answer()
    assert np.abs(session.run(None, {"input": batch})[0] - right).max() < 0.005 * np.ptp(right)


def test_the_large_one_is_a_resnet_50(tmp_path: Path) -> None:
    model = onnx.load(build(tmp_path / "r50.onnx", "50", calibration_images=2))
    statistics = ("bn.mean", "bn.var")
    parameters = sum(int(np.prod(t.dims)) for t in model.graph.initializer if not t.name.endswith(statistics))
    assert parameters == 25_557_032
    assert sum(n.op_type == "Conv" for n in model.graph.node) == 53
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input]
    assert shapes == [["N", 3, 224, 224]]


def test_pictures_look_like_photos_to_a_codec() -> None:
    sizes = [len(jpeg) for jpeg in JPEGS]
    assert 60_000 < min(sizes) <= max(sizes) < 100_000
    assert cv2.imdecode(np.frombuffer(JPEGS[0], np.uint8), cv2.IMREAD_COLOR).shape == (444, 640, 3)
    assert synthetic_jpeg(3) == synthetic_jpeg(3) != synthetic_jpeg(4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (333, 2), (1920, 1080)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    assert synthetic_image(0, *size).shape == (size[1], size[0], 3)
