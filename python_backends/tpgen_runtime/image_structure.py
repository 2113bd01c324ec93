"""What must hold of an encoded image before OpenCV decodes it.

Some of its decoders take the process down or take gigabytes where a file is broken (seen in 4.11): a JP2
file with a bad header, a PNG chunk that says it has a gigabyte. Others fill up a file that was cut off. Only
the structure is looked at here, which costs little beside decoding.
"""

import struct

from .errors import ItemError
from .image_header import jpeg_segments

_PNG_SIGNATURE = 8
_SRGB, _GREY = 16, 17  # enumerated colour spaces of a JP2 file
_OTHER_JP2 = "a JPEG 2000 file with a palette, reordered channels or a colour space other than sRGB or grey"


def sound(data, form):
    """The bytes to hand to the decoder; raises ItemError if it must not see them. ``form`` as in `Header`."""
    if form == "JPEG" and not _is_complete_jpeg(data):
        raise ItemError(f"a truncated JPEG ({len(data)} bytes, no end-of-image marker)")
    if form == "PNG" and not _is_complete_png(data):
        raise ItemError(f"a truncated PNG ({len(data)} bytes, no end of the last chunk)")
    if form == "JPEG 2000" and data.startswith(b"\x00"):
        return _codestream(data)
    return data


def _is_complete_jpeg(data):
    """False if the end-of-image marker is missing behind the first scan: the file was cut off."""
    try:
        for marker, start in jpeg_segments(data):
            if marker == 0xDA:
                return data.rfind(b"\xff\xd9", start) >= 0
    except struct.error:
        pass
    return False


def _is_complete_png(data):
    """True if the chunks, each with its length in front, end with IEND inside the file."""
    position = _PNG_SIGNATURE
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position <= len(data)
    return False


def _codestream(data):
    """The JPEG 2000 codestream inside a JP2 file, if the boxes around it change nothing about the colours.

    OpenCV rejects a broken codestream, and crashes on the same one in a JP2 file.
    """
    try:
        for kind, content in _boxes(data):
            if kind == b"jp2h":
                _check_colours(dict(_boxes(content)))
            if kind == b"jp2c":
                return content
    except (struct.error, IndexError):
        pass
    raise ItemError("a broken or truncated JPEG 2000 file")


def _check_colours(boxes):
    channels = boxes.get(b"cdef", b"\x00\x00")
    (count,) = struct.unpack_from(">H", channels)
    colours = (struct.unpack_from(">HHH", channels, 2 + 6 * entry) for entry in range(count))
    in_order = all(kind != 0 or association == channel + 1 for channel, kind, association in colours)
    colour = boxes.get(b"colr", b"")
    is_named = colour[:1] == b"\x01"  # otherwise by an ICC profile, which OpenCV does not apply
    plain = not is_named or struct.unpack_from(">I", colour, 3)[0] in (_SRGB, _GREY)
    if b"pclr" in boxes or not in_order or not plain:
        raise ItemError(f"{_OTHER_JP2}: convert it to JPEG 2000 with plain colours, or to PNG")


def _boxes(data):
    """The boxes of a JP2 file, or within one: kind and content. A length of 0 goes to the end."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = position + length if length else len(data)
        if end < start or end > len(data):
            return
        yield kind, data[start:end]
        position = end
