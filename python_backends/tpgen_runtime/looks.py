"""Images that say which layout and colour order they have, where that differs from item to item.

The compiler knows both for what every operator writes. Only where two ways meet that bring different ones do
the values have to say it themselves: what was written on these ways gets a *look* (`tagged`), and who depends
on it brings the image to what it needs (`turned`). Lists are worked on element by element.
"""

import numpy as np

from .image import convert_color, to_chw


class Tagged(np.ndarray):
    """An image with its look: ("HWC" or "CHW", "bgr" or "rgb").

    Only `tagged` gives one. What numpy or OpenCV derive from it has none: nobody knows what they changed.
    """

    look = None


def tagged(value, layout, color, like=None):
    """The image with this look; None is what it has itself, or ``like`` which it was made from.

    Other values (None, an ``ItemError``) are given back as they are.
    """
    if isinstance(value, list):
        models = like if isinstance(like, list) else [like] * len(value)
        return [tagged(one, layout, color, of) for one, of in zip(value, models, strict=True)]
    if not isinstance(value, np.ndarray):
        return value
    if layout is None or color is None:
        own, other = look_of(value if getattr(value, "look", None) else like)
        layout, color = layout or own, color or other
    made = value.view(Tagged)
    made.look = (layout, color)
    return made


def turned(value, layout, color):
    """The image brought to a layout and colour order; None: it stays as it is. Contiguous, without a look."""
    if isinstance(value, list):
        return [turned(one, layout, color) for one in value]
    from_layout, from_color = look_of(value)
    image = value.view(np.ndarray)
    if color is not None:
        image = convert_color(image, source=from_color, color=color, layout=from_layout)
    if layout is None or layout == from_layout:
        return image
    return to_chw(image) if layout == "CHW" else to_hwc(image)


def to_hwc(image):
    """One CHW image as a contiguous HWC array."""
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def look_of(value):
    """The layout and colour order that an image says it has."""
    look = getattr(value, "look", None)
    if look is None:
        raise TypeError(f"a {type(value).__name__} that does not say its layout and colour order")
    return look


def laid_out(value, layout):
    """The image in a layout, with its look. One that says nothing is in it: its layout never differs."""
    if isinstance(value, list):
        return [laid_out(one, layout) for one in value]
    if getattr(value, "look", None) is None:
        return value
    own, color = value.look
    return value if own == layout else tagged(turned(value, layout, None), layout, color)


def made(value, dtype, look):
    """An image from numbers, with its look; lists of such from lists, where ``dtype`` is in a list."""
    if isinstance(dtype, list):
        return [made(element, dtype[0], look) for element in value]
    return tagged(np.asarray(value, dtype), *look)


def tag_of(value):
    """The look as text, ``CHW rgb``; of a list, those of its elements."""
    if isinstance(value, list):
        return [tag_of(one) for one in value]
    return " ".join(look_of(value))


def around(kernel, takes, gives):
    """A kernel on lists whose images are turned before and tagged behind it.

    ``takes`` and ``gives`` have an entry per key that it reads or writes, None where nothing is to do: the
    arguments of `turned`; of `tagged`, with the position of the key that is ``like``.
    """

    def run(*columns):
        likes = columns
        columns = [
            column if look is None else [turned(value, *look) for value in column]
            for column, look in zip(columns, takes, strict=True)
        ]
        found = kernel(*columns)
        results = found if len(gives) > 1 else (found,)
        results = tuple(
            column if look is None else _tagged_column(column, likes, *look)
            for column, look in zip(results, gives, strict=True)
        )
        return results if len(gives) > 1 else results[0]

    return run


def _tagged_column(column, likes, layout, color, like=None):
    models = [None] * len(column) if like is None else likes[like]
    return [tagged(value, layout, color, of) for value, of in zip(column, models, strict=True)]
