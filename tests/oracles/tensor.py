"""Tensor utilities: casts, axes, files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from oracles.harness import FAILED, Case, oracle, same

FOLDER = tempfile.TemporaryDirectory(prefix="tensor_oracles_")
MATRIX = Path(FOLDER.name) / "matrix.npy"
LOADED = Path(FOLDER.name) / "loaded.npy"
np.save(MATRIX, np.random.default_rng(1).normal(size=(17, 5)).astype(np.float32))
np.save(LOADED, np.random.default_rng(2).integers(-9, 9, (2, 3, 4)).astype(np.int16))
DTYPES = ("uint8", "int8", "uint16", "int32", "int64", "float16", "float32", "float64", "bool")


def random_array(
    rng: np.random.Generator, *, rank: int | None = None, dtype: str | None = None
) -> np.ndarray:
    """Values over the range of the type, rank 0 to 4; at times not contiguous."""
    shape = tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(0, 5)) if rank is None else rank))
    kind = np.dtype(dtype or str(rng.choice(DTYPES)))
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        array = rng.integers(max(limits.min, -(2**52)), min(limits.max, 2**52), shape, endpoint=True)
    else:
        array = rng.normal(scale=50, size=shape)
    array = np.asarray(array > 0 if kind.kind == "b" else array).astype(kind)
    return array.T if rng.integers(2) else array


def _any(rng: np.random.Generator) -> Case:
    return Case((random_array(rng),))


def _values(array: np.ndarray) -> list:
    """All elements in C order, as Python numbers."""
    return [array[index].item() for index in np.ndindex(array.shape)]


@oracle(
    "Identity", "SyncTensor", "GpuTensor", "ContiguousTensor", "PrintTensor", generate=_any, tolerance=same
)
def identity(array: np.ndarray) -> np.ndarray:
    return array


@oracle("Sleep", generate=lambda rng: Case((random_array(rng),), {"milliseconds": 0.0}), tolerance=same)
def sleep(array: np.ndarray, *, milliseconds: float) -> np.ndarray:
    assert milliseconds == 0
    return array


@oracle(
    "SaveTensor",
    generate=lambda rng: Case((random_array(rng),), {"save_dir": FOLDER.name}),
    tolerance=same,
)
def save(array: np.ndarray, *, save_dir: str) -> np.ndarray:
    """What was written last is the array itself."""
    newest = max(Path(save_dir).glob("tensor_*.npy"), key=lambda path: path.stat().st_mtime_ns)
    written = np.load(newest)
    newest.unlink()
    return written if written.dtype == array.dtype else array[..., None]


@oracle("RuntimeError", generate=_any, tolerance=same)
def fail(array: np.ndarray) -> object:
    return FAILED


@oracle("FloatTensor", generate=_any, tolerance=same)
def to_float(array: np.ndarray) -> np.ndarray:
    return np.array([float(v) for v in _values(array)], np.float32).reshape(array.shape)


def _image(rng: np.random.Generator) -> Case:
    layout = str(rng.choice(["HWC", "CHW"]))
    channels, height, width = int(rng.choice([1, 3])), int(rng.integers(1, 9)), int(rng.integers(1, 9))
    shape = (channels, height, width) if layout == "CHW" else (height, width, channels)
    dtype = str(rng.choice(["uint8", "float32"]))
    image = rng.integers(0, 256, shape).astype(dtype)
    return Case((image,), layout=layout, color=str(rng.choice(["bgr", "rgb"])), told={"layout": layout})


@oracle("NCHWTensor", generate=_image, tolerance=same)
def channels_first(image: np.ndarray, *, layout: str) -> np.ndarray:
    if layout == "CHW":
        return image
    return np.stack([image[:, :, channel] for channel in range(image.shape[2])])


@oracle("FloatNCHWTensor", generate=_image, tolerance=same)
def float_channels_first(image: np.ndarray, *, layout: str) -> np.ndarray:
    return channels_first(image, layout=layout).astype(np.float32)


def _one(rng: np.random.Generator) -> Case:
    array = random_array(rng, rank=0).reshape((1,) * int(rng.integers(0, 4)))
    if array.dtype.kind == "f" and not rng.integers(4):
        array = np.full_like(array, rng.choice([np.nan, np.inf, -np.inf]))
    return Case((array,))


@oracle("LongItemTensor", generate=_one, tolerance=same)
def long_item(array: np.ndarray) -> object:
    value = array.item()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return FAILED
    return np.int64(int(value))


@oracle("Tensor2Vector", generate=lambda rng: Case((random_array(rng, dtype="float32"),)), tolerance=same)
def flatten(array: np.ndarray) -> np.ndarray:
    return np.array(_values(array), np.float32)


def _shape(rng: np.random.Generator) -> Case:
    shape = tuple(int(n) for n in rng.integers(1, 6, int(rng.integers(1, 5))))
    return Case((), {"shape": shape, "element": str(rng.choice(["byte", "char", "float"]))})


@oracle("CreateTensor", generate=_shape, tolerance=same)
def create(*, shape: tuple[int, ...], element: str) -> np.ndarray:
    count = int(np.prod(shape))
    return np.array([0] * count, "f4" if element == "float" else "u1").reshape(shape)


@oracle(
    "LoadTensor",
    generate=lambda _: Case((), {"tensor_name": str(LOADED), "shape": (2, 3, 4), "dtype": "int16"}),
    tolerance=same,
)
def load(*, tensor_name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(2).integers(-9, 9, shape).astype(dtype)


def _index(rng: np.random.Generator) -> Case:
    low, high = (0, 17) if rng.integers(4) else (-2, 19)
    shape = tuple(int(n) for n in rng.integers(1, 5, int(rng.integers(0, 3))))
    index = rng.integers(low, high, shape).astype(str(rng.choice(["int64", "int32"])))
    return Case((np.asarray(index),), {"weight": str(MATRIX), "columns": 5, "dtype": "float32"})


@oracle("IndexSelectTensor", generate=_index, tolerance=same)
def index_select(index: np.ndarray, *, weight: str, columns: int, dtype: str) -> object:
    matrix = np.random.default_rng(1).normal(size=(17, columns)).astype(dtype)
    rows = [matrix[i] for i in _values(index) if 0 <= i < 17]
    return np.array(rows).reshape(*index.shape, columns) if len(rows) == index.size else FAILED
