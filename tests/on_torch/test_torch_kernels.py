"""Every kernel on torch answers what its counterpart on the CPU does, within the table's tolerance."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

import numpy as np
import pytest

from ops.compare import describe, load_kernel, make_operator
from oracles.harness import Case, all_oracles
from tpgen.ir.op import REGISTRY, Op
from tpgen.passes.device import LOWERINGS, Lowering
from tpgen_runtime import compat
from tpgen_runtime.errors import ItemError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.torch

CASES = 200
NEAREST = 0.001  # of the pixels of a warp without interpolation may be those beside
OPERATORS = sorted(
    {
        cls.names[0]: cls
        for cls in REGISTRY.values()
        if cls.kernel in LOWERINGS and cls.names[0] in all_oracles()
    }
)


def on_torch(image: np.ndarray) -> Any:
    """An image as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(image).reshape(image.shape))


def answer_of(lowering: Lowering, operator: Op, types: Any, values: tuple[Any, ...]) -> Any:
    module, _, name = lowering.kernel.partition(":")
    kernel = getattr(importlib.import_module(f"tpgen_runtime.{module}"), name)
    arguments = operator.kernel_arguments(types)
    image, *others = values
    if lowering.at_load:
        return kernel(**arguments, device="cpu")(on_torch(image), *others)
    return kernel(on_torch(image), *others, **arguments)


def outcome(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ItemError as problem:
        return f"ItemError: {problem}"


def far(expected: Any, got: Any, tolerance: float, *, is_nearest: bool) -> str | None:
    """None if an answer is near enough."""
    if isinstance(expected, tuple | list) and not isinstance(got, str):
        problems = (far(e, g, tolerance, is_nearest=is_nearest) for e, g in zip(expected, got, strict=True))
        return next(filter(None, problems), None)
    if isinstance(got, torch.Tensor):
        got = got.numpy()
    if not isinstance(expected, np.ndarray):
        return None if expected == got else f"{got!r} instead of {expected!r}"
    if (expected.dtype, expected.shape) != (got.dtype, got.shape):
        return f"{got.dtype}{got.shape} instead of {expected.dtype}{expected.shape}"
    difference = np.abs(expected.astype(np.float64) - got.astype(np.float64))
    if is_nearest:
        share = np.mean(difference > 0) if difference.size else 0.0
        return None if share <= NEAREST else f"{share:.2%} of the pixels differ"
    limit = tolerance if expected.dtype != np.float16 else tolerance + 0.13  # its last place, at 255
    worst = difference.max() if difference.size else 0.0
    return None if worst <= limit else f"differs by {worst}"


def case_of(name: str, rng: np.random.Generator) -> Case:
    """A case whose image has a dtype that stages on a GPU take."""
    while True:
        case = all_oracles()[name].generate(rng)
        image = case.values[0]
        if isinstance(image, np.ndarray) and image.dtype in (np.uint8, np.float16, np.float32):
            return case


@pytest.mark.parametrize("name", OPERATORS)
def test_a_kernel_on_torch_answers_as_the_one_on_the_cpu(name: str) -> None:
    lowering = LOWERINGS[REGISTRY[name].kernel]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for number in range(CASES):
        case = case_of(name, rng)
        operator, types = make_operator(case, name)
        expected = outcome(
            lambda o=operator, t=types, c=case: load_kernel(o)(*c.values, **o.kernel_arguments(t))
        )
        got = outcome(answer_of, lowering, operator, types, case.values)
        is_nearest = getattr(operator, "interpolation", "") == "nearest"
        problem = far(expected, got, lowering.tolerance, is_nearest=is_nearest)
        assert problem is None, f"case {number} ({describe(case)}): {problem}"


def test_every_lowering_is_compared() -> None:
    assert {REGISTRY[name].kernel for name in OPERATORS} == set(LOWERINGS)


FAR_AWAY = [
    [1e300, 0, 0, 0, 1, 0],
    [1, 0, 1e9, 0, 1, -1e9],
    [1e8, 0, 0, 0, 1e8, 0],
    [1, 0, 2**21, 0, 1, 2**21],
    [2**20, 2**20, 2**20, -(2**20), 0, 3],
]


@pytest.mark.parametrize("matrix", FAR_AWAY)
def test_affine_places_that_whole_numbers_do_not_hold_are_those_of_the_cpu(matrix: list[float]) -> None:
    image = np.random.default_rng(5).integers(1, 256, (40, 30, 3), dtype=np.uint8)
    values, size = np.array(matrix), {"target_h": 6, "target_w": 7, "layout": "HWC"}
    expected = compat.warp_affine(image, values, **size)
    np.testing.assert_array_equal(torch_warp().warp_affine(on_torch(image), values, **size), expected)


@pytest.mark.parametrize("shape", [(2, 40000, 3), (40000, 2, 3), (0, 5, 3)])
def test_images_that_cannot_be_warped_are_told_as_on_the_cpu(shape: tuple[int, ...]) -> None:
    image, size = np.zeros(shape, np.uint8), {"target_h": 6, "target_w": 7, "layout": "HWC"}
    said = outcome(lambda: compat.warp_affine(image, np.eye(3)[:2], **size))
    assert said == outcome(lambda: torch_warp().warp_affine(on_torch(image), np.eye(3)[:2], **size))
    assert "ItemError: an image of" in said


def torch_warp() -> Any:
    return importlib.import_module("tpgen_runtime.torch_warp")
