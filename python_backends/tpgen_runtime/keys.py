"""Kernels of the operators that move values between keys; a value itself is never touched."""

import numpy as np


def select(*values, picks):
    """``values[i]`` for each i of ``picks``; bare if there is one."""
    chosen = tuple(values[i] for i in picks)
    return chosen[0] if len(chosen) == 1 else chosen


def add_texts(*values, constants):
    """The constant texts, then the values; bare if there is one in all."""
    found = (*constants, *values)
    return found[0] if len(found) == 1 else found


def add_numbers(*values, constants):
    """The constant numbers as int64 scalars, then the values; bare if there is one in all."""
    found = (*(np.array(constant, np.int64) for constant in constants), *values)
    return found[0] if len(found) == 1 else found
