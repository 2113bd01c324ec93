"""What is computed for nothing: pixels around images, and rows that fill up a batch.

Operators note what they padded; their node takes the figures over behind the call. They are kept by thread,
as nodes of several branches run at the same time.
"""

import threading


class _Figures(threading.local):
    pixels = 0
    padding_pixels = 0
    rows = 0
    padding_rows = 0


_here = _Figures()


def note_pixels(pixels, padding):
    """An image of so many pixels was made, so many of which are padding."""
    _here.pixels += pixels
    _here.padding_pixels += padding


def note_rows(rows, padding):
    """A model computed so many rows, so many of which only fill up its batch."""
    _here.rows += rows
    _here.padding_rows += padding


def count(node):
    """Add to a node's figures what was noted in this thread since the last time."""
    here = _here
    if here.pixels:
        node.pixels += here.pixels
        node.padding_pixels += here.padding_pixels
        here.pixels = here.padding_pixels = 0
    if here.rows:
        node.rows += here.rows
        node.padding_rows += here.padding_rows
        here.rows = here.padding_rows = 0
