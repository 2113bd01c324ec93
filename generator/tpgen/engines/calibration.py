"""Samples of a model's inputs in a folder, for int8 and for finding layers that overflow.

``.npy`` files hold the only input, ``.npz`` files the inputs by name, each as the pipeline gives it to the
engine; with or without the batch axis. Or the files are images: what the pipeline gets, which has to prepare
them first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .requests import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 1000  # files that are read
_ARRAYS = (".npy", ".npz")
_IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


class BadSamples(Exception):
    """A folder that can't be calibrated with; the text names the file and what is wrong with it."""


def sample_files(folder: Path) -> list[Path]:
    """The files of samples, by name, at most `MOST`: all of them arrays, or all of them images.

    Raises:
        BadSamples: there is no such folder, nothing to read in it, or both kinds.
    """
    if not folder.is_dir():
        raise BadSamples(f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}")
    present = sorted(path for path in folder.iterdir() if path.is_file())
    arrays = [path for path in present if path.suffix.lower() in _ARRAYS]
    images = [path for path in present if is_image(path)]
    if arrays and images:
        both = f"{images[0].name} is an image, {arrays[0].name} holds arrays"
        raise BadSamples(f"{folder} holds samples of two kinds: {both}; keep one kind in the folder")
    if not arrays and not images:
        others = f", only {present[0].name}" if present else ""
        raise BadSamples(f"{folder} holds no .npy or .npz file and no image{others}")
    return (arrays or images)[:MOST]


def is_image(path: Path) -> bool:
    """True for a file that a pipeline gets, rather than its model."""
    return path.suffix.lower() in _IMAGES


def read_samples(folder: Path, inputs: Sequence[Tensor]) -> list[dict[str, NDArray[np.generic]]]:
    """The samples of a folder as the model takes them: by input, with the batch axis.

    ``inputs`` are the engine's, the first dimension of each being the batch.

    Raises:
        BadSamples: as in `sample_files`, or a file doesn't fit the inputs.
    """
    return [_sample(path, inputs) for path in sample_files(folder)]


def _sample(path: Path, inputs: Sequence[Tensor]) -> dict[str, NDArray[np.generic]]:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadSamples(f"{path} can't be read: {error}") from None
    if isinstance(loaded, np.ndarray):
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs)
            raise BadSamples(f"{path} holds one array, and the model takes {names}: save them as .npz")
        arrays = {inputs[0].name: loaded}
    else:
        with loaded:
            missing = [one.name for one in inputs if one.name not in loaded.files]
            if missing:
                raise BadSamples(f"{path} has no '{missing[0]}', only {', '.join(loaded.files) or 'nothing'}")
            arrays = {one.name: loaded[one.name] for one in inputs}
    return {one.name: fitted(path, arrays[one.name], one) for one in inputs}


def fitted(path: Path, array: NDArray[np.generic], wanted: Tensor) -> NDArray[np.generic]:
    """An array of a sample in the dtype of an input, and with the batch axis.

    Raises:
        BadSamples: it does not fit; ``path`` is the file that it comes from.
    """
    import numpy as np

    if array.ndim == len(wanted.shape) - 1:
        array = array[np.newaxis]
    sizes = zip(array.shape[1:], wanted.shape[1:], strict=False)
    fits = array.ndim == len(wanted.shape) and all(right in (None, size) for size, right in sizes)
    if not fits or not np.can_cast(array.dtype, wanted.dtype, "same_kind"):
        shape = ",".join("?" if size is None else str(size) for size in wanted.shape)
        message = f"{path} is {array.dtype}{list(array.shape)}, and '{wanted.name}' of the engine"
        raise BadSamples(f"{message} {wanted.dtype}[{shape}]")
    if not array.size:
        raise BadSamples(f"{path} holds no values ({array.dtype}{list(array.shape)})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadSamples(f"{path} holds NaN or infinite values, which say nothing of the ranges of others")
    return array.astype(wanted.dtype, copy=False)
