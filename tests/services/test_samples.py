"""Samples made from given ones: the same kind and size, another content."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tpgen.services.samples import vary

ARRAYS = [np.arange(6, dtype=np.int32), np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)]


@pytest.mark.parametrize("array", [*ARRAYS, np.array([255], np.uint8), np.array(-3, np.int64)])
@pytest.mark.parametrize("seed", range(8))
def test_an_array_becomes_another_of_its_kind(array: np.ndarray, seed: int) -> None:
    varied = np.asarray(vary(array, np.random.default_rng(seed)))
    assert (varied.dtype, varied.shape) == (array.dtype, array.shape)
    assert not np.array_equal(varied, array)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_an_array_without_elements_stays_as_it_is(dtype: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vary(np.zeros((0, 4), dtype), np.random.default_rng(0)).shape == (0, 4)


def test_a_list_varies_in_its_elements() -> None:
    varied = vary([ARRAYS[0], "text"], np.random.default_rng(0))
    assert not np.array_equal(varied[0], ARRAYS[0])
    assert varied[1] == "text"
