"""Compare the kernel of an operator with its oracle, on random inputs.

As a script (``python tests/ops/compare.py ResizeMat …``) it is the judge of the mutation job: exit 0 if
all named operators agree with their oracles, 1 if one does not, 2 if something else went wrong. Whichever
``tpgen_runtime`` stands first on ``sys.path`` is judged.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tpgen.ops  # noqa: F401 - fills the registry
from oracles.harness import FAILED, Case, Oracle, Tolerance, all_oracles, same
from tpgen.ir.op import REGISTRY, Op, SizeKey, Trait
from tpgen.type_joins import join_types
from tpgen.types import (
    Array,
    Bytes,
    Color,
    Dim,
    DType,
    Layout,
    ListOf,
    Opaque,
    State,
    Symbol,
    Text,
    TupleOf,
    Type,
    present,
    turned,
)


class Call:
    """The compiler's side of one operator call, for types alone (an `InferCall`)."""

    def __init__(self, types: dict[str, Type]) -> None:
        self.types = types

    def type(self, key: str) -> Type:
        return self.types[key]

    def state(self, key: str) -> State:
        return present(self.types[key])

    def symbol(self, name: str) -> Symbol:
        return Symbol(name)

    def turn(self, key: str, *, layout: Layout | None = None, color: Color | None = None) -> Type:
        self.types = {**self.types, key: turned(self.types[key], layout, color)}
        return self.types[key]

    def size_keys(self, key: str) -> tuple[SizeKey | None, SizeKey | None]:
        return None, None

    def equate(self, left: Dim, right: Dim) -> bool:
        return left == right or isinstance(left, Symbol) or isinstance(right, Symbol)


def type_of(value: Any, layout: str = "none", color: str = "none") -> Type:
    """The type of a run-time value."""
    if isinstance(value, bytes):
        return Bytes()
    if isinstance(value, str):
        return Text()
    if isinstance(value, list):
        return ListOf(common_type(value, layout, color)) if value else Opaque("an empty list")
    if isinstance(value, np.ndarray | np.generic):
        return Array(DType(str(value.dtype)), value.shape, Layout(layout), Color(color))
    return Opaque(type(value).__name__)


def common_type(values: list[Any], layout: str, color: str) -> Type:
    """The type of every element; dimensions that differ are symbols."""
    types = [type_of(value, layout, color) for value in values]
    return functools.reduce(lambda left, right: join_types(left, right, "list"), types)


def make_operator(case: Case, name: str) -> tuple[Op, dict[str, Type]]:
    """The operator with the case's attributes, and the types of the keys that it reads."""
    operator = REGISTRY[name](**case.attributes, **case.compile)
    types: dict[str, Type] = {}
    for index, (key, value) in enumerate(zip(operator.inputs(), case.values, strict=True)):
        layout, color = (case.layout, case.color) if index == 0 else ("none", "none")
        describe_value = common_type if operator.has(Trait.BATCHED) else type_of
        types[key] = describe_value(value, layout, color)
    return operator, types


def load_kernel(operator: Op) -> Any:
    module, _, function = operator.kernel.partition(":")
    return getattr(importlib.import_module(f"tpgen_runtime.{module}"), function)


def run_kernel(operator: Op, types: dict[str, Type], values: tuple[Any, ...]) -> Any:
    """What the kernel answers; FAILED for an ItemError.

    Raises:
        AssertionError: the kernel changed its inputs.
    """
    errors = importlib.import_module("tpgen_runtime.errors")
    kernel, arguments = load_kernel(operator), operator.kernel_arguments(types)
    before = copy.deepcopy(values)
    try:
        if operator.has(Trait.STATEFUL):
            answer = kernel(**arguments)(*values)
        else:
            answer = kernel(*values, **arguments)
    except errors.ItemError as error:
        answer = FAILED if str(error) else "an ItemError without a message"
    assert difference(same, before, values) is None, "the kernel changed its input"
    return answer


def difference(tolerance: Tolerance, expected: Any, got: Any) -> str | None:
    """None if ``got`` is what was expected, else what differs; lists and tuples element by element."""
    if expected is FAILED:
        is_error = got is FAILED or type(got).__name__ == "ItemError"
        return None if is_error else f"expected an ItemError, got {got!r}"
    if got is FAILED or isinstance(got, Exception):
        return f"unexpected ItemError {got}"
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return f"expected {len(expected)} values, got {got!r}"
        problems = (difference(tolerance, e, g) for e, g in zip(expected, got, strict=True))
        return next((f"[{i}] {p}" for i, p in enumerate(problems) if p), None)
    if expected is None or got is None:
        return None if expected is got else f"expected {expected!r}, got {got!r}"
    return tolerance(expected, got)


def compare_case(name: str, entry: Oracle, case: Case) -> str | None:
    """None if the kernel answers this case as the oracle does, else what differs."""
    operator, types = make_operator(case, name)
    inferred = operator.infer(Call(types))  # a case must be one that the compiler accepts
    got = run_kernel(operator, types, case.values)
    problem = misfit(operator, inferred, got)
    if problem is not None:
        return problem
    expected = entry.expect(*copy.deepcopy(case.values), **case.attributes, **case.told)
    keys = operator.outputs()
    if len(keys) == 1 or expected is FAILED or expected is None:
        rule = entry.tolerance[0] if isinstance(entry.tolerance, tuple) else entry.tolerance
        return difference(rule, expected, got)
    if not isinstance(got, tuple) or len(got) != len(keys):
        return f"expected {len(keys)} values ({', '.join(keys)}), got {got!r}"
    rules = entry.tolerance if isinstance(entry.tolerance, tuple) else (entry.tolerance,) * len(keys)
    problems = (difference(rule, e, g) for rule, e, g in zip(rules, expected, got, strict=True))
    return next((f"{key}: {p}" for key, p in zip(keys, problems, strict=True) if p), None)


def misfit(operator: Op, inferred: Mapping[str, Type], got: Any) -> str | None:
    """None if the answer has the inferred types, else what differs."""
    if got is FAILED or got is None:
        return None
    keys = operator.outputs()
    for key, value in zip(keys, got if len(keys) > 1 else (got,), strict=True):
        for one in value if operator.has(Trait.BATCHED) else [value]:
            if not isinstance(one, Exception) and not fits(one, inferred[key]):
                shown = f"{one.dtype}{list(one.shape)}" if hasattr(one, "dtype") else repr(one)
                return f"'{key}' is {shown}, which is not the inferred {inferred[key]}"
    return None


def fits(value: Any, type_: Type) -> bool:
    """True if a value has the type."""
    if isinstance(type_, ListOf):
        return isinstance(value, list) and all(fits(one, type_.item) for one in value)
    if isinstance(type_, TupleOf):
        return isinstance(value, tuple) and all(map(fits, value, type_.items))
    if not isinstance(type_, Array):
        return isinstance(type_, Opaque) or isinstance(value, str if isinstance(type_, Text) else bytes)
    if not isinstance(value, np.ndarray | np.generic) or len(value.shape) != len(type_.shape):
        return False
    sizes = zip(value.shape, type_.shape, strict=True)
    same_dtype = type_.dtype is DType.STRING or str(value.dtype) == type_.dtype.value
    return same_dtype and all(isinstance(dim, Symbol) or dim == size for size, dim in sizes)


def compare(name: str, count: int | None = None) -> str | None:
    """None if the operator agrees with its oracle on all random cases, else the first disagreement."""
    entry = all_oracles()[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for number in range(count or entry.count):
        case = entry.generate(rng)
        problem = compare_case(name, entry, case)
        if problem is not None:
            return f"{name}, case {number} ({describe(case)}): {problem}"
    return None


def describe(case: Case) -> str:
    values = ", ".join(
        f"{v.dtype}{list(v.shape)}" if isinstance(v, np.ndarray) else f"{type(v).__name__}"
        for v in case.values
    )
    return f"{values}; {case.attributes}{case.told or ''}"


def main(names: list[str]) -> int:
    for name in names:
        try:
            problem = compare(name)
        except Exception as error:  # noqa: BLE001 - a kernel that breaks down disagrees with its oracle
            problem = f"{name}: {type(error).__name__}: {error}"
        if problem is not None:
            print(problem)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
