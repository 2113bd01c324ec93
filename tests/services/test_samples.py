"""Samples made from given ones: the same kind and size, another content."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tpgen.ir.graph import Entry, Port
from tpgen.services.samples import Sample, enough_samples, vary
from tpgen.types import Bytes, Text, Type, present

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
    assert varied[1] != "text"


def entry(type_: Type) -> Entry:
    return Entry("e", "root", inputs=(Port("data", present(type_)),))


@pytest.mark.parametrize("given", [[], [{"data": "a few words"}], [{"data": ""}]])
def test_text_comes_in_all_kinds(given: list[Sample]) -> None:
    texts = [sample["data"] for sample in enough_samples(entry(Text()), given, 16)]
    assert len(set(texts)) >= 14
    assert "" in texts
    assert any(ord(character) > 0xFFFF for text in texts for character in text)
    assert 1_000 < max(map(len, texts)) <= 10_000
    assert texts[: len(given)] == [sample["data"] for sample in given]
    assert texts == [sample["data"] for sample in enough_samples(entry(Text()), given, 16)], "one seed"


@pytest.mark.parametrize("data", [b"no image at all", b"", b"\0"])
def test_plain_bytes_vary_every_other_time(data: bytes) -> None:
    found = [sample["data"] for sample in enough_samples(entry(Bytes()), [{"data": data}], 16)]
    assert found.count(data) >= 8, "what only the pipeline can read is still sent in batches"
    assert len(set(found)) >= 6
    assert 65_536 < max(map(len, found)) < 2**20


def test_strings_in_an_array_vary() -> None:
    array = np.array([[b"a", b"b"], [b"c", b"\xff"]], object)
    varied = vary(array, np.random.default_rng(0))
    assert varied.shape == (2, 2)
    assert all(isinstance(text, bytes) for text in varied.flat)
    assert not np.array_equal(varied, array)


def test_truths_vary() -> None:
    found = {bool(vary(np.array(True), np.random.default_rng(seed))) for seed in range(8)}
    assert found == {True, False}
