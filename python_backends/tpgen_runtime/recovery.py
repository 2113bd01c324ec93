"""What becomes of items that a node could not work on, where the TOML says it: ``on_error``."""

import numpy as np

from .stage import RESULT


class Recovery:
    """What makes up for failures: items go on as they came, with a default result if there is one.

    ``dtype`` is that of a default array; of a list, in a list.
    """

    def __init__(self, *default, dtype=None):
        self._default = default
        self._dtype = dtype

    @staticmethod
    def remember(item):
        """Keep how an item came to a node; gives the item."""
        item.came = dict(item), item.reason
        return item

    def apply(self, item):
        """Put the item back to what it was; it passes by what is left of the node."""
        values, item.reason = item.came
        item.clear()
        item.update(values)
        item.left = True
        if self._default:
            item[RESULT] = _default_value(self._default[0], self._dtype)
            item.reason = None


def _default_value(value, dtype):
    if isinstance(dtype, list):  # of a list: of its elements
        return [_default_value(element, dtype[0]) for element in value]
    return value if dtype is None else np.asarray(value, dtype)
