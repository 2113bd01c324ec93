"""Random inputs for a model, and the proof that a batch gives what its items give one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..ir.signature import ModelSignature, TensorInfo
from ..types import DType
from .errors import BLOCKED_BATCH, ModelError
from .session import RunFailed, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

Feeds: TypeAlias = "dict[str, NDArray[Any]]"

# Sizes for dimensions that vary: most image models want a multiple of 32, some exactly 224.
_SIZES = (64, 224, 32, 16, 8, 128, 256, 7, 1)
_TOLERANCE = 1e-4  # of the largest answer; float16 and bfloat16: see `tolerance_of`


@dataclass(frozen=True)
class Items:
    """Single items (first axis 1) on which the original model was computed, and its answers."""

    feeds: tuple[Feeds, ...]
    answers: tuple[tuple[NDArray[Any], ...], ...]  # per item, per output


def sample_items(session: InferenceSession, signature: ModelSignature, count: int) -> Items:
    """Random items for a model of batch 1, to which it gives different answers.

    Raises:
        ModelError: none were found: every size fails, or the answers never differ.
    """
    try:
        return random_items(session, signature.inputs, [output.name for output in signature.outputs], count)
    except RunFailed as problem:
        message = f"it can't be tried on random inputs ({problem.reason})"
        raise ModelError(BLOCKED_BATCH, message) from None


def random_items(
    session: InferenceSession, inputs: Sequence[TensorInfo], outputs: Sequence[str], count: int
) -> Items:
    """As `sample_items`, of a model whose inputs have the batch as their first axis.

    Raises:
        RunFailed: none were found.
    """
    failure = "it has no inputs"
    for draw in (_normal, _pixels, _wide):
        for size in _SIZES if _varies(inputs) else _SIZES[:1]:
            feeds = tuple(_draw_item(inputs, draw, size, seed) for seed in range(count))
            try:
                answers = tuple(tuple(run(session, outputs, item)) for item in feeds)
            except RunFailed as problem:
                failure = problem.reason
                continue
            if _differ(answers):
                return Items(feeds, answers)
            failure = "its answers are the same for every random input"
            break
    raise RunFailed(failure)


def prove_batches(
    session: InferenceSession, signature: ModelSignature, items: Items, sizes: Sequence[int]
) -> str | None:
    """Compute batches of the items; None if each item gets its own answer, else what is wrong."""
    import numpy as np

    names = [output.name for output in signature.outputs]
    for size in sizes:
        batch = {name: np.concatenate([feed[name] for feed in items.feeds[:size]]) for name in items.feeds[0]}
        try:
            together = run(session, names, batch)
        except RunFailed as problem:
            return f"a batch of {size} fails: {problem.reason}"
        for position, (name, given) in enumerate(zip(names, together, strict=True)):
            alone = np.concatenate([answer[position] for answer in items.answers[:size]])
            if given.shape != alone.shape:
                return f"a batch of {size} gives '{name}' the shape {given.shape} instead of {alone.shape}"
            if not close(given, alone):
                return f"in a batch of {size}, '{name}' differs from what the items give alone"
    return None


def close(given: NDArray[Any], wanted: NDArray[Any]) -> bool:
    """Whether two arrays of one shape are equal: exactly, or for floats to 1e-4 of the largest value."""
    import numpy as np

    if wanted.dtype.kind != "f":
        return bool(np.array_equal(given, wanted))
    finite = np.abs(wanted[np.isfinite(wanted)].astype(np.float64))
    bound = (1e-2 if wanted.dtype.itemsize == 2 else _TOLERANCE) * max(float(finite.max(initial=0)), 1e-6)
    return bool(np.allclose(given, wanted, rtol=0, atol=bound, equal_nan=True))


_Draw: TypeAlias = "Callable[[np.random.Generator, tuple[int, ...], str], NDArray[Any]]"


def _draw_item(inputs: Sequence[TensorInfo], draw: _Draw, size: int, seed: int) -> Feeds:
    import numpy as np

    rng = np.random.default_rng(seed)
    shapes = {i.name: (1, *(d if isinstance(d, int) else size for d in i.shape[1:])) for i in inputs}
    return {i.name: draw(rng, shapes[i.name], i.dtype) for i in inputs}


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Floats around 0; zeros and ones for integers, which may be indices."""
    import numpy as np

    if dtype == DType.STRING:
        return np.array(rng.integers(0, 10, shape).astype(str), object)
    if dtype == DType.UINT8:
        return rng.integers(0, 256, shape).astype(np.uint8)
    if dtype in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def _pixels(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Floats from 0 to 255, for models that normalise by themselves."""
    if dtype in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64):
        return rng.uniform(0, 255, shape).astype(dtype)
    return _normal(rng, shape, dtype)


def _wide(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Floats of any size, and integers up to 9."""
    import numpy as np

    if dtype in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64):
        values: NDArray[Any] = rng.standard_normal(shape) * np.exp(rng.uniform(-3, 3, shape))
        return values.astype(dtype)
    if dtype in (DType.BOOL, DType.STRING):
        return _normal(rng, shape, dtype)
    return rng.integers(0, 10, shape).astype(dtype)


def _varies(inputs: Sequence[TensorInfo]) -> bool:
    return any(not isinstance(d, int) for i in inputs for d in i.shape[1:])


def _differ(answers: Sequence[Sequence[NDArray[Any]]]) -> bool:
    """True if no two items get the same answers."""
    import numpy as np

    for index, left in enumerate(answers):
        for right in answers[:index]:
            if all(np.array_equal(a, b) for a, b in zip(left, right, strict=True)):
                return False
    return True
