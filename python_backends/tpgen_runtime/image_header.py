"""Sizes of encoded images from their headers, so that an oversized one is refused before it is decoded."""

import re
import struct
from collections import namedtuple

# width, height; channels: colour components in the file, None where the header does not say
Header = namedtuple("Header", "format width height channels", defaults=(None,))

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers; the three are tables
_STANDALONE = frozenset((0x01, 0xFF, *range(0xD0, 0xD9)))  # markers (and fill bytes) without a length


def read_header(data):
    """The header of an encoded image (bytes), or None if the format is not known or the header is broken."""
    for signature, parse in _FORMATS:
        if data.startswith(signature):
            try:
                header = parse(data)
            except (struct.error, IndexError, ValueError, OverflowError):
                return None
            return header if header is not None and header.width > 0 and header.height > 0 else None
    return None


def _jpeg(data):
    for marker, start in jpeg_segments(data):
        if marker in _FRAMES:
            height, width, channels = struct.unpack_from(">HHB", data, start + 3)
            return Header("JPEG", width, height, channels)
    return None


def jpeg_segments(data):
    """Markers before the first scan, each with the offset of its length field; ends with the scan (0xDA)."""
    position = 2
    while position < len(data):
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            return
        marker = data[position + 1]
        if marker in _STANDALONE or marker == 0:
            position += 1 if marker == 0xFF else 2
            continue
        yield marker, position + 2
        if marker == 0xDA:
            return
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]


def _png(data):
    if data[12:16] != b"IHDR":
        return None
    return Header("PNG", *struct.unpack_from(">II", data, 16))


def _gif(data):
    return Header("GIF", *struct.unpack_from("<HH", data, 6))


def _bmp(data):
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height))


def _webp(data):
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return Header("WebP", width, height)


def _tiff(data):
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    (directory,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, data, directory)
    sides = {}
    first = directory + struct.calcsize(order + count)
    for position in range(first, first + min(entries, 4096) * entry, entry):
        tag, kind = struct.unpack_from(order + "HH", data, position)
        if tag in (256, 257):  # ImageWidth, ImageLength
            form = {3: "H", 4: "I", 16: "Q"}[kind] if kind in (3, 4, 16) else None
            if form is None:
                return None
            (sides[tag],) = struct.unpack_from(order + form, data, position + (12 if big else 8))
    return Header("TIFF", sides.get(256, 0), sides.get(257, 0))


def _jpeg2000(data):
    # The size marker may stand there more than once, and only a decoder knows which counts: take the largest.
    sizes = []
    position = data.find(_JPEG2000_SIZE)
    while position >= 0:
        width, height, left, top = struct.unpack_from(">IIII", data, position + 8)
        (channels,) = struct.unpack_from(">H", data, position + 40)
        sizes.append((width - left, height - top, channels))
        position = data.find(_JPEG2000_SIZE, position + 1)
    return Header("JPEG 2000", *max(sizes, key=lambda size: size[0] * size[1])) if sizes else None


def _avif(data):
    if data[4:8] != b"ftyp" or data[8:12] not in (b"avif", b"avis"):
        return None
    sizes = [struct.unpack_from(">II", data, m.end() + 4) for m in re.finditer(b"ispe", data[: 1 << 20])]
    return Header("AVIF", *max(sizes, key=lambda size: size[0] * size[1])) if sizes else None


def _netpbm(data):
    head = re.sub(rb"#[^\n]*\n", b"\n", data[:4096])
    if data.startswith(b"P7"):
        fields = dict(re.findall(rb"(WIDTH|HEIGHT)\s+(\d{1,9})", head))
        return Header("PAM", int(fields.get(b"WIDTH", 0)), int(fields.get(b"HEIGHT", 0)))
    match = re.match(rb"P[1-6fF]\s+(\d{1,9})\s+(\d{1,9})\s", head)
    return Header("Netpbm", int(match[1]), int(match[2])) if match else None


def _radiance(data):
    match = re.search(rb"\n[-+]([XY]) (\d{1,9}) [-+][XY] (\d{1,9})\n", data[:65536])
    if match is None:
        return None
    sides = (int(match[2]), int(match[3]))
    return Header("Radiance HDR", *(sides if match[1] == b"X" else sides[::-1]))


def _sun_raster(data):
    return Header("Sun raster", *struct.unpack_from(">II", data, 4))


_FORMATS = (
    (b"\xff\xd8\xff", _jpeg),
    (_PNG, _png),
    (b"RIFF", _webp),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"II*\x00", _tiff),
    (b"MM\x00*", _tiff),
    (b"II+\x00", _tiff),
    (b"MM\x00+", _tiff),
    (b"\x00\x00\x00\x0cjP  ", _jpeg2000),
    (_JPEG2000_SIZE, _jpeg2000),
    (b"#?RADIANCE", _radiance),
    (b"#?RGBE", _radiance),
    (b"\x59\xa6\x6a\x95", _sun_raster),
    (b"\x00\x00\x00", _avif),
    *((b"P" + bytes([kind]), _netpbm) for kind in b"1234567fF"),
)
