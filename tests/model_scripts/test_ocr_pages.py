"""The pages and networks of the example ocr, its user code, and how well the plain reference reads."""

from __future__ import annotations

import tomllib
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from examples import EXAMPLES, pipeline, script

pages, reference = script("ocr", "pages"), script("ocr", "reference")
detector, upright = script("ocr", "detector"), script("ocr", "upright")
FOLDER = EXAMPLES / "ocr"
COUNT = 40

Page = tuple[Any, list[Any]]


@pytest.fixture(scope="module")
def readings() -> list[Page]:
    """Pages, and what the reference reads on each."""
    read = reference.Reader()
    return [(page, read(page.image)) for page in map(pages.make_page, range(COUNT))]


def nearest(page: Any, reading: Any) -> Any:
    middle = reading.box.mean(axis=0)
    return min(page.words, key=lambda word: float(np.hypot(*(middle - word.middle))))


def test_the_reference_reads_pages(readings: list[Page]) -> None:
    words = [([r.text for r in found], [w.text for w in page.words]) for page, found in readings]
    assert reference.share_right(words) >= 0.95


def test_every_word_is_found_once(readings: list[Page]) -> None:
    for page, found in readings:
        assert len(found) == len(page.words)
        assert len({id(nearest(page, reading)) for reading in found}) == len(found)


def test_the_classifier_sees_what_is_upside_down(readings: list[Page]) -> None:
    right = [r.upside_down == nearest(page, r).upside_down for page, found in readings for r in found]
    assert np.mean(right) >= 0.97
    assert 0.15 < np.mean([r.upside_down for _, found in readings for r in found]) < 0.45


def test_the_numbers_of_pages_are_read(readings: list[Page]) -> None:
    right = [f"P{page.number:06}" in [r.text for r in found] for page, found in readings]
    assert np.mean(right) >= 0.9


def test_words_come_from_the_top(readings: list[Page]) -> None:
    for _, found in readings:
        tops = [int(reading.box[0, 1]) for reading in found]
        assert tops == sorted(tops)


def test_an_empty_page_has_no_words() -> None:
    _, paper = cv2.imencode(".png", np.full((480, 640, 3), 220, np.uint8))
    assert reference.Reader()(paper.tobytes()) == []


def test_a_page_says_what_it_was_asked_to() -> None:
    page = pages.make_page(3, number=42, count=4)
    assert page.number == 42 and len(page.words) == 4
    assert [word.text for word in page.words].count("P000042") == 1
    assert pages.make_page(3, number=42, count=4) == page
    assert pages.make_page(4, number=42, count=4).image != page.image
    assert all(set(word.text) <= set(pages.CHARACTERS) for word in page.words)


def test_words_are_turned_by_user_code() -> None:
    word = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert (upright.turn(np.float32([0.4, 0.6]), word) == word[::-1, ::-1]).all()
    assert (upright.turn(np.float32([0.6, 0.4]), word) == word).all()
    assert (upright.turn(np.float32([0.4, 0.6]), word, at_least=0.9) == word).all()


def test_the_detector_in_the_repository_is_the_one_that_is_made(tmp_path: Any) -> None:
    made = onnx.load(detector.build(tmp_path / "detector.onnx"))
    assert made.graph == onnx.load(FOLDER / "detector.onnx").graph


@pytest.mark.parametrize("name", ["detector", "classifier", "recogniser"])
def test_networks_are_small_and_take_batches(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    assert path.stat().st_size < 1_000_000
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    widths = {"classifier": [128], "recogniser": [32, 160, 320], "detector": [64, 640]}[name]
    for width in widths:
        batch = np.random.default_rng(0).uniform(-1, 1, (3, 3, 32, width)).astype(np.float32)
        (whole,) = session.run(None, {"image": batch})
        for i in range(3):
            (single,) = session.run(None, {"image": batch[i : i + 1]})
            np.testing.assert_allclose(whole[i : i + 1], single, atol=1e-5)


def test_the_recogniser_hardly_minds_filling(readings: list[Page]) -> None:
    """A wider bucket gives the same text: the network was trained with fillings of any width."""
    read = reference.Reader()
    same = total = 0
    for page, _ in readings[:10]:
        image = cv2.imdecode(np.frombuffer(page.image, np.uint8), cv2.IMREAD_COLOR)
        for box in reference.find_boxes(read._detector, image):
            crop = reference.straighten(image, box)
            texts = []
            for more in (0, 64):
                width = reference.bucket_width(crop) + more
                batch = reference.to_input(reference.fit(crop, width))[np.newaxis]
                (steps,) = read._recogniser.run(None, {"image": batch})
                texts.append(read._decode(steps[0].argmax(axis=1)))
            same += texts[0] == texts[1]
            total += 1
    assert same / total >= 0.97


def test_the_pipeline_says_what_the_reference_does() -> None:
    nodes = tomllib.loads(pipeline("ocr").read_text())
    for node in ("detector", "angle", "recogniser"):
        for key in ("mean", "std"):
            assert [float(part) for part in nodes[node][key].split(",")] == [reference.MEAN] * 3
    boxes = nodes["boxes"]
    assert (boxes["threshold"], boxes["box_threshold"], boxes["unclip_ratio"], boxes["min_size"]) == (
        reference.TEXT_PROBABILITY,
        reference.BOX_PROBABILITY,
        reference.UNCLIP,
        reference.SMALLEST,
    )
    assert nodes["page"]["max_h"] == nodes["page"]["max_w"] == reference.DETECTOR_SIDE
    assert (nodes["word"]["resize_h"], nodes["word"]["max_w"]) == (reference.HEIGHT, reference.ANGLE_WIDTH)
    recogniser = nodes["recogniser"]
    assert (recogniser["resize_h"], recogniser["max_w"]) == (reference.HEIGHT, reference.LARGEST_WIDTH)
    assert recogniser["align"] == reference.WIDTH_STEP
