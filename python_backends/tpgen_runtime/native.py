"""Tensors of models on Triton's own backends: rows of one shape, and nothing that travels with them."""

import numpy as np


class Tensor:
    """One input or output. ``is_scalar``: one number per item, to which Triton gives a dimension."""

    def __init__(self, name, dtype, *, is_scalar=False):
        self.key = name
        self.dtype = np.dtype(dtype)
        self.is_scalar = is_scalar

    def encode(self, values):
        """The values of some items, all of one shape, as ``{name: array}``."""
        rows = np.stack([np.asarray(value, self.dtype) for value in values])
        return {self.key: rows[:, np.newaxis] if self.is_scalar else rows}

    def decode(self, tensors):
        """A value per item."""
        rows = tensors[self.key]
        return list(rows[:, 0] if self.is_scalar else rows)
