"""Tensors of models on Triton's own backends: rows of one shape, and nothing that travels with them."""

import numpy as np


class Tensor:
    """One input or output. ``is_scalar``: one number per item, to which Triton gives a dimension."""

    def __init__(self, name, dtype, *, is_scalar=False):
        self._name = name
        self._dtype = np.dtype(dtype)
        self._is_scalar = is_scalar

    def encode(self, values):
        """The values of some items, all of one shape, as ``{name: array}``."""
        rows = np.stack([np.asarray(value, self._dtype) for value in values])
        return {self._name: rows[:, np.newaxis] if self._is_scalar else rows}

    def decode(self, tensors):
        """A value per item."""
        rows = tensors[self._name]
        return list(rows[:, 0] if self._is_scalar else rows)
