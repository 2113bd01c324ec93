"""The digit reader in the repository: its accuracy on held-out pictures, what preprocessing errors cost."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from examples import EXAMPLES, script

train = script("digits", "train")
Wrong = dict[str, object]
READER = EXAMPLES / "digits" / "digits.onnx"


@pytest.fixture(scope="module")
def pictures() -> list[tuple[bytes, int]]:
    return train.held_out_jpegs()


@pytest.fixture(scope="module")
def read(pictures: list[tuple[bytes, int]]) -> Callable[..., np.ndarray]:
    """Logits of all held-out pictures, by code that shares nothing with the script's own preprocessing."""
    session = ort.InferenceSession(str(READER), providers=["CPUExecutionProvider"])

    def logits(**wrong: object) -> np.ndarray:
        batch = np.stack([preprocess(jpeg, **wrong) for jpeg, _ in pictures])  # type: ignore[arg-type]
        return session.run(None, {"image": batch})[0]

    return logits


def preprocess(
    jpeg: bytes,
    *,
    rgb: bool = True,
    mean: tuple[float, ...] = train.MEAN,
    std: tuple[float, ...] = train.STD,
    interpolation: int = cv2.INTER_LINEAR,
    flip: bool = False,
) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.resize(image, (32, 32), interpolation=interpolation)
    image = image[:, ::-1] if flip else image
    image = image[..., ::-1] if rgb else image
    return ((image.astype(np.float32) - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)


def share_right(logits: np.ndarray, pictures: list[tuple[bytes, int]]) -> float:
    return float((logits.argmax(axis=1) == [label for _, label in pictures]).mean())


def test_it_reads_held_out_pictures(
    read: Callable[..., np.ndarray], pictures: list[tuple[bytes, int]]
) -> None:
    assert len(pictures) >= 350
    assert share_right(read(), pictures) >= 0.98
    assert train.accuracy() == share_right(read(), pictures)


@pytest.mark.parametrize(
    ("wrong", "at_most"), [({"rgb": False}, 0.3), ({"flip": True}, 0.6), ({"mean": (0.0, 0.0, 0.0)}, 0.8)]
)
def test_errors_that_make_it_read_wrong(
    read: Callable[..., np.ndarray], pictures: list[tuple[bytes, int]], wrong: Wrong, at_most: float
) -> None:
    assert share_right(read(**wrong), pictures) <= at_most


@pytest.mark.parametrize(
    ("wrong", "moves"),
    [
        ({"mean": train.MEAN[::-1]}, 0.1),
        ({"mean": (123.675, 116.28, 103.53)}, 0.5),
        ({"std": (255.0, 255.0, 255.0)}, 1.0),
        ({"std": train.STD[::-1]}, 0.3),
        ({"interpolation": cv2.INTER_NEAREST}, 0.1),
        ({"interpolation": cv2.INTER_AREA}, 0.02),
        ({"interpolation": cv2.INTER_CUBIC}, 0.008),
    ],
)
def test_errors_that_move_every_answer(read: Callable[..., np.ndarray], wrong: Wrong, moves: float) -> None:
    """By more than the tolerance of verify: 1e-4 of the largest logit."""
    right = read()
    moved = np.abs(read(**wrong) - right).max(axis=1)
    assert moved.min() > moves > 10 * 1e-4 * np.abs(right).max()


def test_the_file_is_small_and_takes_batches() -> None:
    assert READER.stat().st_size < 500_000
    (taken,) = onnx.load(READER).graph.input
    assert [d.dim_param or d.dim_value for d in taken.type.tensor_type.shape.dim] == ["N", 3, 32, 32]


def test_the_pipeline_normalises_as_in_training() -> None:
    pipeline = tomllib.loads(READER.with_name("pipeline.toml").read_text())
    reader = next(node for node in pipeline.values() if node.get("model") == "digits.onnx")
    for key, value in (("mean", train.MEAN), ("std", train.STD)):
        assert tuple(float(part) for part in reader[key].split(",")) == value


def test_held_out_digits_are_not_trained_on() -> None:
    (strokes, _), (held_out, _) = train.split_digits()
    seen = {stroke.tobytes() for stroke in strokes}
    assert sum(stroke.tobytes() in seen for stroke in held_out) == 0
    assert train.held_out_jpegs()[7] == train.held_out_jpegs()[7]


def test_training_learns(tmp_path: Path) -> None:
    """Two epochs of the script are enough to be far better than chance, through the exported file."""
    train.export(train.train(epochs=2), tmp_path / "two_epochs.onnx")
    assert train.accuracy(tmp_path / "two_epochs.onnx") > 0.4
