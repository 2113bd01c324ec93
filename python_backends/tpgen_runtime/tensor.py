"""Tensor kernels: casts, axes, files. Arrays have no batch axis and are never changed in place."""

import contextlib
import itertools
import os
import sys
import time

import numpy as np

from .errors import ItemError

SHOWN_ENDS = 5  # elements that print_tensor shows of each end
SHOWN_WHOLE = 60  # arrays up to this size are shown whole


def identity(value):
    """The value itself."""
    return value


def sleep(value, *, milliseconds):
    """Wait, then hand the value on."""
    time.sleep(milliseconds / 1000.0)
    return value


def fail(_data, *, message):
    """Refuse every item.

    Raises:
        ItemError: always.
    """
    raise ItemError(message)


def float_tensor(array):
    """To float32; values kept (no scaling)."""
    return array.astype(np.float32, copy=False)


def channels_first(image, *, layout):
    """An image of ``layout`` "HWC" or "CHW" as CHW."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)) if layout == "HWC" else image


def float_channels_first(image, *, layout):
    """An image of ``layout`` "HWC" or "CHW" as float32 CHW; values kept."""
    return channels_first(image, layout=layout).astype(np.float32, copy=False)


def contiguous(array):
    """The same values in one C-ordered block of memory."""
    return np.ascontiguousarray(array).reshape(array.shape)  # ascontiguousarray makes a scalar rank 1


def long_item(array):
    """The only element as an int64 scalar; fractions are cut off.

    Raises:
        ItemError: there are several elements or none, or it is not a number.
    """
    if array.size != 1:
        raise ItemError(f"{array.size} elements, where exactly one is needed")
    value = array.reshape(())
    if not np.isfinite(value):
        raise ItemError(f"{value} is not a whole number")
    return value.astype(np.int64)


def flatten(array):
    """All elements in C order, ``[N]``."""
    return array.reshape(-1)


class CreateTensor:
    """Zeros of one shape. Every call answers the same array, which cannot be written to."""

    def __init__(self, *, shape, dtype):
        self.array = np.zeros(shape, dtype)
        self.array.setflags(write=False)

    def __call__(self):
        return self.array


class LoadTensor:
    """The array of a ``.npy`` file. Every call answers the same array, which cannot be written to."""

    def __init__(self, *, tensor_name, shape, dtype):
        self.array = _load(tensor_name)
        if self.array.shape != tuple(shape) or str(self.array.dtype) != dtype:
            declared = f"{dtype}{list(shape)}"
            found = f"{self.array.dtype}{list(self.array.shape)}"
            raise ValueError(f"{tensor_name} holds {found}, but the pipeline declares {declared}")
        self.array.setflags(write=False)

    def __call__(self):
        return self.array


class IndexSelect:
    """Picks rows of a matrix ``[N,D]`` from a ``.npy`` file."""

    def __init__(self, *, weight, columns, dtype):
        self.rows = _load(weight)
        if self.rows.ndim != 2 or self.rows.shape[1] != columns or str(self.rows.dtype) != dtype:
            found = f"{self.rows.dtype}{list(self.rows.shape)}"
            raise ValueError(f"{weight} holds {found}, but the pipeline declares {dtype}[N, {columns}]")

    def __call__(self, index):
        """``[...]`` integers to ``[...,D]``.

        Raises:
            ItemError: an index is negative or past the last row.
        """
        wrong = index[(index < 0) | (index >= len(self.rows))]
        if wrong.size:
            raise ItemError(f"index {wrong.flat[0]} is outside the {len(self.rows)} rows")
        return self.rows[index]


_save_numbers = itertools.count()


class SaveTensor:
    """Writes each array to ``save_dir/tensor_<process>_<number>.npy``, a new file, and hands it on."""

    def __init__(self, *, save_dir):
        if not os.path.isdir(save_dir):
            raise FileNotFoundError(f"save_dir {save_dir!r} is not a folder; create it, or name another one")
        self.prefix = os.path.join(save_dir, f"tensor_{os.getpid()}_")

    def __call__(self, array):
        with self._new_file() as file:
            np.save(file, array)
        return array

    def _new_file(self):
        """A file that was not there: a server that was started before may have had the same process id."""
        for number in _save_numbers:
            with contextlib.suppress(FileExistsError):
                return open(f"{self.prefix}{number}.npy", "xb")
        raise AssertionError("the numbers never end")


def print_tensor(value):
    """Write dtype, shape and values to standard error (the server's log), and hand the value on."""
    array = np.asarray(value)
    flat = array.reshape(-1)
    shown = f"{flat[:SHOWN_ENDS]} ... {flat[-SHOWN_ENDS:]}" if array.size > SHOWN_WHOLE else array
    sys.stderr.write(f"PrintTensor: {array.dtype}{list(array.shape)} {shown}\n")
    sys.stderr.flush()
    return value


def _load(path):
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a .npy file of plain numbers ({error}); write it with numpy.save"
        ) from None
