"""Decoding refuses what is broken or too large, says why, and reads no more than the header to know it."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tpgen_runtime.errors import ItemError
from tpgen_runtime.image import decode_mat, decode_tensor
from tpgen_runtime.image_header import read_header

LIMIT = 64_000_000
PIXELS = np.arange(31 * 17 * 3, dtype=np.uint32).reshape(17, 31, 3).astype(np.uint8)


def by_pillow(form: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def by_opencv(suffix: str, image: np.ndarray = PIXELS) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def big_endian_tiff() -> bytes:
    entries = [(256, 3, 31), (257, 4, 17)]
    body = b"".join(
        struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in entries
    )
    return b"MM\x00*" + struct.pack(">I", 8) + struct.pack(">H", len(entries)) + body


FILES = {
    "jpeg": by_pillow("JPEG"),
    "jpeg gray": by_pillow("JPEG", "L"),
    "jpeg progressive": by_pillow("JPEG", progressive=True),
    "jpeg with thumbnail": by_pillow("JPEG", exif=b"Exif\x00\x00" + by_pillow("JPEG")[:400]),
    "png": by_pillow("PNG"),
    "bmp": by_pillow("BMP"),
    "gif": by_pillow("GIF"),
    "webp lossy": by_pillow("WEBP"),
    "webp lossless": by_pillow("WEBP", lossless=True),
    "webp extended": by_pillow("WEBP", "RGBA", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"),
    "tiff": by_pillow("TIFF"),
    "tiff big": by_pillow("TIFF", big_tiff=True),
    "tiff big-endian": big_endian_tiff(),
    "jpeg 2000": by_pillow("JPEG2000"),
    "jpeg 2000 codestream": by_pillow("JPEG2000", no_jp2=True),
    "avif": by_pillow("AVIF"),
    "pbm": b"P4 # a comment\n31 17\n" + bytes(4 * 17),
    "ppm": by_pillow("PPM"),
    "pam": by_opencv(".pam"),
    "pfm": by_opencv(".pfm", PIXELS.astype(np.float32)),
    "radiance": by_opencv(".hdr", PIXELS.astype(np.float32)),
    "sun raster": by_opencv(".ras"),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_header_gives_the_size(name: str) -> None:
    header = read_header(FILES[name])
    assert header is not None
    assert (header.width, header.height) == (31, 17)


OPENCV_READS = sorted(set(FILES) - {"gif", "avif", "tiff big-endian", "pbm"})


@pytest.mark.parametrize("name", OPENCV_READS)
def test_known_formats_are_decoded(name: str) -> None:
    image = decode_mat(FILES[name], max_pixels=LIMIT)
    assert image.shape == (17, 31, 3)
    assert image.dtype == np.uint8


def reason(data: bytes, **options: Any) -> str:
    with pytest.raises(ItemError) as caught:
        decode_mat(data, max_pixels=options.get("max_pixels", LIMIT))
    return str(caught.value)


def test_messages() -> None:
    jpeg = FILES["jpeg"]
    assert reason(b"") == "not a decodable image (0 bytes)"
    assert reason(b"hello") == "not a decodable image (5 bytes starting 68 65 6c 6c …)"
    assert reason(b"\xff\xd8\xff") == "not a decodable image (3 bytes starting ff d8 ff)"
    assert reason(jpeg[:-2]) == f"a truncated JPEG ({len(jpeg) - 2} bytes, no end-of-image marker)"
    assert reason(jpeg, max_pixels=526) == "image of 31 × 17 pixels exceeds max_pixels = 526"
    assert reason(FILES["png"][:-30]) == "a truncated PNG (125 bytes, no end of the last chunk)"


def test_limit_is_the_largest_allowed() -> None:
    assert decode_mat(FILES["jpeg"], max_pixels=31 * 17).shape == (17, 31, 3)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims a size; nothing but its header could be decoded."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_bomb_is_refused_by_its_header() -> None:
    assert reason(png_bomb(20000, 20000)) == "image of 20000 × 20000 pixels exceeds max_pixels = 64000000"


def test_second_size_of_a_jpeg_2000_counts() -> None:
    """The first size may stand in a box that the decoder skips."""
    small = FILES["jpeg 2000"]
    at = small.index(b"\xff\x4f\xff\x51")
    large = small[at : at + 8] + struct.pack(">IIII", 50000, 50000, 0, 0) + small[at + 24 :]
    assert reason(small[:at] + small[at : at + 40] + large).startswith("image of 50000 × 50000 pixels")


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", OPENCV_READS)
def test_truncated_files_are_refused(name: str, cut: float) -> None:
    data = FILES[name]
    with pytest.raises(ItemError):
        decode_mat(data[: int(len(data) * cut)], max_pixels=LIMIT)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("form", ["JPEG2000", "PNG"])
def test_the_structure_check_hands_on_what_opencv_reads(form: str, mode: str) -> None:
    data = by_pillow(form, mode)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode_mat(data, max_pixels=LIMIT), expected)


def test_a_grey_codestream_is_read_as_its_file_is() -> None:
    bare = decode_mat(by_pillow("JPEG2000", "L", no_jp2=True), max_pixels=LIMIT)
    assert np.array_equal(bare, decode_mat(by_pillow("JPEG2000", "L"), max_pixels=LIMIT))


def test_jpeg_2000_files_that_crash_opencv() -> None:
    no_box, other_height = bytearray(FILES["jpeg 2000"]), bytearray(FILES["jpeg 2000"])
    no_box[84] = 218  # the kind of the box with the codestream
    with pytest.raises(ItemError, match="a broken or truncated JPEG 2000 file"):
        decode_mat(bytes(no_box), max_pixels=LIMIT)
    other_height[49] = 1  # in the file's header, which the codestream contradicts
    assert decode_mat(bytes(other_height), max_pixels=LIMIT).shape == (17, 31, 3)


def test_jpeg_2000_with_other_colours_is_refused() -> None:
    with pytest.raises(ItemError, match="other than sRGB or grey: convert it"):
        decode_mat(by_pillow("JPEG2000", "YCbCr"), max_pixels=LIMIT)
    data = FILES["jpeg 2000"]
    in_bgr = struct.pack(">I4sH9H", 28, b"cdef", 3, 0, 0, 3, 1, 0, 2, 2, 0, 1)
    start = data.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", data, start)
    header = struct.pack(">I", length + len(in_bgr)) + data[start + 4 : start + length] + in_bgr
    with pytest.raises(ItemError, match="reordered channels"):
        decode_mat(data[:start] + header + data[start + length :], max_pixels=LIMIT)


def test_a_png_chunk_longer_than_the_file_is_not_allocated() -> None:
    data = bytearray(FILES["png"])
    data[8] = 60  # the first chunk says that it has a gigabyte
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ItemError, match="truncated PNG"):
        decode_mat(bytes(data), max_pixels=LIMIT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_bytes_behind_the_end_do_not_matter() -> None:
    assert decode_mat(FILES["jpeg"] + b"\x00" * 100, max_pixels=LIMIT).shape == (17, 31, 3)


@pytest.mark.parametrize("container", [bytearray, memoryview])
def test_other_containers_of_bytes(container: Any) -> None:
    assert decode_mat(container(FILES["png"]), max_pixels=LIMIT).shape == (17, 31, 3)


def test_decode_tensor_says_what_it_does_not_take() -> None:
    options = {"color": "rgb", "data_format": "nchw", "max_pixels": LIMIT}
    with pytest.raises(ItemError, match="not a JPEG but PNG, which only DecodeMat decodes"):
        decode_tensor(FILES["png"], **options)
    with pytest.raises(ItemError, match="four colour components"):
        decode_tensor(by_pillow("JPEG", "CMYK"), **options)


def test_decoders_agree_on_orientation() -> None:
    """One rule on all targets: both decoders turn the image as EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = by_pillow("JPEG", exif=exif)
    upright = decode_mat(data, max_pixels=LIMIT)
    assert upright.shape == (31, 17, 3)
    tensor = decode_tensor(data, color="bgr", data_format="hwc", max_pixels=LIMIT)
    assert np.array_equal(upright, tensor)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=60), st.integers(0, 80))
def test_no_bytes_break_the_header_parser(name: str, noise: bytes, at: int) -> None:
    data = FILES[name]
    header = read_header(data[:at] + noise + data[at + len(noise) :])
    assert header is None or (header.width > 0 and header.height > 0)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(OPENCV_READS), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=5)
)
def test_broken_files_give_an_image_or_a_reason(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[name])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        image = decode_mat(bytes(data), max_pixels=100_000)
    except ItemError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.shape[0] * image.shape[1] <= 100_000
