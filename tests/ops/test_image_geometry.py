"""Edges of the image kernels that random inputs seldom meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from oracles.image_crop import _is_on_an_edge, _positions, _random_quad, is_flat
from oracles.images import sample
from tpgen_runtime import bilinear, compat, crop, geometry, image, pillow
from tpgen_runtime.errors import ItemError

EMPTY = np.zeros((0, 7, 3), np.uint8)
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
INTO = {"resize_h": 8, "resize_w": 9}
FIT = {"max_h": 8, "max_w": 9}


@pytest.mark.parametrize(
    "call",
    [
        lambda empty: geometry.resize_mat(empty, **INTO),
        lambda empty: geometry.resize_pad_mat(empty, **FIT, pad_value=(0,)),
        lambda empty: geometry.resize_center_pad_mat(empty, **FIT, pad_value=(0,), dtype="uint8"),
        lambda empty: geometry.fix_ratio_resize_mat(empty, **FIT),
        lambda empty: geometry.letter_box_mat(empty, **INTO, pad_val=(0,)),
        lambda empty: geometry.fix_h_resize_pad_mat(empty, resize_h=8, max_w=9, pad_value=(0,)),
        lambda empty: pillow.pillow_resize_mat(empty, **INTO),
        lambda empty: bilinear.resize_tensor(empty, **INTO, layout="HWC"),
        lambda empty: bilinear.resize_pad_tensor(empty, **FIT, pad_value=(0,), layout="HWC"),
        lambda empty: compat.resize_tensor_linear(empty, **INTO, layout="HWC"),
        lambda empty: compat.copy_make_border(empty, top=1, bottom=1, left=1, right=1, layout="HWC"),
        lambda empty: compat.warp_affine(empty, np.zeros(6), target_h=2, target_w=2, layout="HWC"),
    ],
)
def test_image_without_pixels_is_refused(call: Callable[[np.ndarray], Any]) -> None:
    with pytest.raises(ItemError, match="an image of 7 × 0 pixels is empty"):
        call(EMPTY)


@pytest.mark.parametrize("shape", [(2, 40000, 3), (40000, 2, 3)])
def test_image_with_more_pixels_in_a_row_than_opencv_can_warp_is_refused(shape: tuple[int, ...]) -> None:
    strip, quad = np.zeros(shape, np.uint8), np.array([[0, 0], [9, 0], [9, 1], [0, 1]], np.float32)
    with pytest.raises(ItemError, match="cannot be warped"):
        compat.warp_affine(strip, np.eye(3)[:2], target_h=2, target_w=2, layout="HWC")
    with pytest.raises(ItemError, match="cannot be warped"):
        crop.perspective_transform_mat(strip, quad, interpolation="linear")


def test_image_without_pixels_passes_where_nothing_is_computed() -> None:
    converted = image.convert_color(EMPTY, source="bgr", color="rgb", layout="HWC")
    assert converted.shape == EMPTY.shape
    assert image.mat_to_chw(EMPTY).shape == (3, 0, 7)
    assert image.pack_image(EMPTY, mean=(1.0, 2.0, 3.0), swap_rb=False).shape == (3, 0, 7)


def test_pack_equals_the_chain_bit_for_bit() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        mean = tuple(float(v) for v in rng.uniform(-300, 300, 3))
        chain = image.convert_color(PIXELS, source="bgr", color="rgb", layout="HWC")
        chain = image.normalize(image.mat_to_chw(chain), mean=mean, std=(1.0, 1.0, 1.0), layout="CHW")
        packed = image.pack_image(PIXELS, mean=mean, swap_rb=True)
        assert np.array_equal(packed, chain)
        assert packed.flags.c_contiguous


@pytest.mark.parametrize(("count", "height", "width"), [(1, 5, 7), (70, 20, 30), (3, 200, 190)])
def test_batch_is_packed_as_each_image_is(count: int, height: int, width: int) -> None:
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]
    for mean in ((), (123.675, 116.28, 103.53)):
        packing = image.Packing(mean=mean, swap_rb=True)
        batch = np.full((count, *packing.shape(images[0])), np.nan, np.float32)
        packing(images, batch)
        assert np.array_equal(batch, [image.pack_image(one, mean=mean, swap_rb=True) for one in images])


def test_pack_equals_opencv() -> None:
    blob = cv2.dnn.blobFromImage(PIXELS, mean=(123.675, 116.28, 103.53), swapRB=True)[0]
    assert np.array_equal(image.pack_image(PIXELS, mean=(123.675, 116.28, 103.53), swap_rb=True), blob)


def test_tensors_are_contiguous() -> None:
    for dtype in ("uint8", "int8", "uint16", "float16", "int32", "float32", "int64", "float64", "bool"):
        tensor = image.mat_to_chw(PIXELS[3:, 5:-2].astype(dtype))
        assert tensor.flags.c_contiguous
        assert np.array_equal(tensor, np.moveaxis(PIXELS[3:, 5:-2].astype(dtype), 2, 0))


def test_inverse_matrix_returns_to_the_source() -> None:
    """The corners of the scaled image in the result are the corners of the source."""
    _, matrix = geometry.resize_center_pad_mat(PIXELS, max_h=100, max_w=90, pad_value=(0,), dtype="uint8")
    left_top, right_bottom = matrix @ (0, 20, 1), matrix @ (90, 80, 1)
    assert np.allclose(left_top, (0, 0))
    assert np.allclose(right_bottom, (60, 40))


def test_letter_box_scale_and_offset_return_to_the_source() -> None:
    _, scale, offset = geometry.letter_box_mat(PIXELS, resize_h=100, resize_w=90, pad_val=(0,))
    assert scale == np.float32(1.5)
    assert offset.tolist() == [0, 20]


@pytest.mark.parametrize(
    ("height", "width"), [("0", "5"), ("-3", "5"), ("9000", "9000"), ("ten", "5"), ("", "5")]
)
def test_sizes_from_items_are_checked(height: str, width: str) -> None:
    with pytest.raises(ItemError, match="resize_h"):
        geometry.dynamic_resize_mat(PIXELS, height, width)


def test_border_of_items_is_checked() -> None:
    for sides in ((-1, 0, 0, 0), (1 << 20, 0, 1 << 20, 0)):
        with pytest.raises(ItemError, match="cannot be added"):
            compat.copy_make_border_of_item(PIXELS, *map(np.int32, sides), layout="HWC")


def test_box_that_reaches_out_is_clipped() -> None:
    box = np.array([-5, -5, 1000, 3], np.int32)
    assert np.array_equal(crop.crop(PIXELS, box, layout="HWC"), PIXELS[:3])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([5, 5, 5, 9], r"box \[5.0, 5.0, 5.0, 9.0\] holds no pixel of the image \(60 × 40\)"),
        ([70, 5, 80, 9], "holds no pixel"),
        ([1, 2, float("nan"), 4], "_box needs four numbers"),
        ([1, 2, 3], "_box needs four numbers"),
    ],
)
def test_boxes_without_pixels_are_refused(box: list[float], message: str) -> None:
    with pytest.raises(ItemError, match=message):
        crop.crop(PIXELS, np.array(box, np.float64), layout="HWC")


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([[0, 0], [0, 0], [0, 0], [0, 0]], "has no area"),
        ([[0, 0], [9, 9], [18, 18], [5, 0]], "has no area"),
        ([[0, 0], [40000, 0], [40000, 9], [0, 9]], "too large: 40000 × 9"),
        ([[0, 0], [30000, 0], [30000, 30000], [0, 30000]], "too large"),
        ([[0, 0], [np.inf, 0], [9, 9], [0, 9]], "four corners"),
    ],
)
def test_quadrilaterals_are_checked(corners: list[list[float]], message: str) -> None:
    with pytest.raises(ItemError, match=message):
        crop.perspective_transform_mat(PIXELS, np.array(corners, np.float64), interpolation="nearest")


def test_failing_quadrilateral_is_named() -> None:
    boxes = np.array([[[0, 0], [9, 0], [9, 9], [0, 9]], [[0, 0], [0, 0], [0, 0], [0, 0]]])
    with pytest.raises(ItemError, match="element 1 of _box"):
        crop.perspective_transform_mats(PIXELS, boxes, interpolation="nearest")
    assert crop.perspective_transform_mats(PIXELS, boxes[:0], interpolation="nearest") == []


def test_linear_interpolation_of_quadrilaterals() -> None:
    """Inside the image: bilinear at the exact positions, but for OpenCV's grid of 1/32 pixel."""
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(40.0) * 2, np.arange(60.0) * 1.5)[:, :, None].astype(np.float32)
    compared = 0
    while compared < 30:
        quad = np.clip(_random_quad(rng, ramp), 1, (58, 38))
        if is_flat(quad) or _is_on_an_edge(quad):
            continue
        upright = crop.perspective_transform_mat(ramp, quad, interpolation="linear")
        places = _positions(quad.astype(np.float64)).reshape(-1, 2)
        expected = [sample(ramp, np.array([y]), np.array([x]))[0, 0, 0] for x, y in places]
        assert np.abs(upright.reshape(-1) - expected).max() < 0.1
        compared += 1


def test_pillow_itself_is_within_one_level() -> None:
    """Newer releases may resize the columns first, and round in between."""
    resized = pillow.pillow_resize_mat(PIXELS, resize_h=2, resize_w=58)
    direct = np.asarray(Image.fromarray(PIXELS).resize((58, 2), Image.Resampling.BILINEAR))
    assert np.abs(resized.astype(int) - direct).max() <= 1


def test_a_bucket_is_the_images_own() -> None:
    wide, narrow = np.zeros((10, 100, 3), np.uint8), np.zeros((10, 10, 3), np.uint8)
    widths = [geometry.align_mat(one, resize_h=10, max_w=320, align=32)[2] for one in (narrow, wide)]
    assert [int(width) for width in widths] == [32, 128]


def test_save_needs_its_folder(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match="save_dir"):
        image.SaveMat(save_dir=str(tmp_path / "missing"), source="bgr")
