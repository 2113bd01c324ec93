"""The pages of the example detect_classify, its user code, and how well the plain reference reads them."""

from __future__ import annotations

import tomllib

import cv2
import numpy as np
import pytest

from examples import pipeline, script

pages, reference = script("detect_classify", "pages"), script("detect_classify", "reference")
boxes, text = script("detect_classify", "boxes"), script("detect_classify", "text")


def decoded(seed: int, count: int | None = None) -> np.ndarray:
    encoded = pages.make_page(seed, count).image
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)


def test_the_reference_reads_pages() -> None:
    read = reference.reader()
    made = [pages.make_page(seed) for seed in range(60)]
    assert reference.share_right((read(page.image)[0], page.text) for page in made) >= 0.97


def test_pages_hold_from_no_digit_to_forty() -> None:
    counts = [len(pages.make_page(seed).text.replace("\n", "")) for seed in range(60)]
    assert min(counts) <= 3 and max(counts) >= 38 and len(set(counts)) > 20
    assert pages.make_page(1, 40).text.count("\n") == 4
    assert pages.make_page(1, 0).text == ""


def test_a_seed_gives_one_page() -> None:
    assert pages.make_page(5) == pages.make_page(5)
    assert pages.make_page(5).image != pages.make_page(6).image
    assert pages.make_page(3).image.startswith(b"\x89PNG")
    assert pages.make_page(4).image.startswith(b"\xff\xd8")


@pytest.mark.parametrize("count", [0, 1, 17, 40])
def test_every_digit_is_found_once(count: int) -> None:
    for seed in range(5):
        assert len(boxes.find(decoded(seed, count))) == count


def test_boxes_are_in_reading_order_on_the_page() -> None:
    page = decoded(2, 40)
    found = np.array(boxes.find(page))
    assert found.dtype == np.int32
    assert (
        (found >= 0).all() and (found[:, 2] <= page.shape[1]).all() and (found[:, 3] <= page.shape[0]).all()
    )
    rows = found.reshape(5, 8, 4)
    assert (np.diff(rows[..., 0], axis=1) > 0).all()
    assert (rows[1:, :, 1].min(axis=1) > rows[:-1, :, 1].max(axis=1)).all()


def test_swapped_channels_find_nothing() -> None:
    assert boxes.find(np.ascontiguousarray(decoded(2, 40)[..., ::-1])) == []


def test_lines_of_text_follow_the_lines_of_boxes() -> None:
    where = [np.array(box, np.int32) for box in ([0, 0, 9, 9], [20, 2, 29, 11], [40, 30, 49, 39])]
    assert text.join([np.int64(7), np.int64(0), np.int64(4)], where) == "70\n4"
    assert text.join([], []) == ""


def test_edit_distance_counts_characters() -> None:
    assert [reference.edit_distance(a, "123") for a in ("123", "12", "1x3", "0123", "")] == [0, 1, 1, 1, 3]
    assert reference.share_right([("12", "12"), ("1", "12")]) == 0.75


def test_the_pipeline_says_what_the_reference_does() -> None:
    nodes = tomllib.loads(pipeline("detect_classify").read_text())
    reader = nodes["reader"]
    assert (pipeline("detect_classify").parent / reader["model"]).resolve() == reference.MODEL
    assert [float(v) for v in reader["mean"].split(",")] == reference.MEAN.reshape(-1).tolist()
    assert [float(v) for v in reader["std"].split(",")] == reference.STD.reshape(-1).tolist()
    assert nodes["crop"]["resize_h"] == nodes["crop"]["resize_w"] == reference.SIDE
