"""The wire form of images that say which layout and colour order they have.

Where the layout differs from item to item, all travel as HWC, so that they can be padded to one shape. Where
the colour order differs, ``key_tag`` BYTES ``[1]`` travels along, such as ``HWC rgb``; of a list, an entry
per element.
"""

import numpy as np

from .errors import ItemError
from .looks import laid_out, tag_of, tagged
from .wire import ABSENT, TAG, Array

_TAGS = {f"{layout} {color}" for layout in ("HWC", "CHW") for color in ("bgr", "rgb", "gray", "unknown")}


class Image(Array):
    """An image whose values say layout and colour order. ``look`` are these; None where they vary."""

    def __init__(self, key, dtype, dims, *, look, **options):
        super().__init__(key, dtype, dims, **options)
        self._look = look
        self._layout = look[0] or "HWC"
        self.has_tag = None in look

    def _encode(self, values):
        values = [value if value is ABSENT else laid_out(value, self._layout) for value in values]
        tensors = super()._encode(values)
        if self.has_tag:
            tags = np.empty((len(values), 1), dtype=np.object_)
            tags[:, 0] = [b"" if value is ABSENT else tag_of(value).encode() for value in values]
            tensors[self.key + TAG] = tags
        return tensors

    def _decode(self, tensors, what):
        values = super()._decode(tensors, what)
        if not self.has_tag:
            return [tagged(value, *self._look) for value in values]
        tags = enumerate(zip(values, tensors[self.key + TAG].reshape(-1), strict=True))
        return [self._tagged(value, tag, f"{what} {index}") for index, (value, tag) in tags]

    def _tagged(self, value, tag, what):
        tag = tag.decode("utf-8", "replace") if isinstance(tag, bytes) else tag
        if tag == "":  # of an absent value
            return value
        if tag not in _TAGS:
            raise ItemError(f"{what}: '{self.key}{TAG}' is {tag!r}, no layout and colour order")
        return tagged(value, *tag.split())
