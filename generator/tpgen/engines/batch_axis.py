"""Whether a model takes batches: what its first axes say, and what shape inference proves about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..ir.signature import BatchAxis, TensorInfo

Shape: TypeAlias = tuple[int | str | None, ...]

BATCH = "__batch__"  # the name under which the inputs' first axis is followed through the graph


@dataclass(frozen=True)
class BatchVerdict:
    """How a model treats its first axes; ``size`` where fixed; ``why`` in one sentence."""

    axis: BatchAxis
    size: int | None
    why: str


def decide(
    inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], inferred: Mapping[str, Shape | None]
) -> BatchVerdict:
    """Decide from the declared shapes, and from the outputs' shapes inferred with `BATCH` as first axis.

    Dynamic: the first axis of every input and output varies. Fixed: it is the same number in all, or varies
    in some and is one in others. None: the model works on one item at a time.
    """
    if not inputs:
        return _none("the model has no inputs")
    for tensor in (*inputs, *outputs):
        if not tensor.shape:
            return _none(f"'{tensor.name}' is a scalar, so there is no batch axis")
    fixed = {t.name: t.shape[0] for t in (*inputs, *outputs) if isinstance(t.shape[0], int)}
    for output in outputs:
        first = _first(inferred.get(output.name))
        if output.name not in fixed and isinstance(first, int):
            fixed[output.name] = first
    if fixed:
        return _decide_fixed(inputs, outputs, fixed)
    return _decide_dynamic(inputs, outputs, inferred)


def _decide_fixed(
    inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], fixed: Mapping[str, int]
) -> BatchVerdict:
    name, size = next(iter(fixed.items()))
    other = next((other for other in fixed if fixed[other] != size), None)
    if other is not None:
        return _none(f"the first axis of '{name}' is {size} and that of '{other}' is {fixed[other]}")
    if size > 1 and all(len(tensor.shape) == 1 for tensor in (*inputs, *outputs)):
        return _none(f"all tensors are vectors of {size}, which are items rather than batches of scalars")
    free_inputs = [tensor.name for tensor in inputs if tensor.name not in fixed]
    free_outputs = [tensor.name for tensor in outputs if tensor.name not in fixed]
    if free_outputs and not free_inputs:
        return _none(
            f"the inputs hold {size}, and the first axis of output '{free_outputs[0]}' counts something else"
        )
    if size != 1 and free_inputs:
        return _none(f"the first axis of '{name}' is {size}, and that of '{free_inputs[0]}' varies")
    made = f"the graph makes the first axis of output '{name}' {size}, whatever the inputs hold"
    declared = f"the first axis of '{name}' is fixed at {size}"
    return BatchVerdict(BatchAxis.FIXED, size, made if len(free_inputs) == len(inputs) else declared)


def _decide_dynamic(
    inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], inferred: Mapping[str, Shape | None]
) -> BatchVerdict:
    unproven = [output for output in outputs if _first(inferred.get(output.name)) != BATCH]
    if not unproven:
        return BatchVerdict(BatchAxis.DYNAMIC, None, "shape inference follows the batch axis to every output")
    taken = {tensor.shape[0] for tensor in inputs}
    for output in unproven:
        own = str(output.shape[0] or "")
        if own and None not in taken and own not in taken and not _looks_generated(own):
            counted = ", ".join(sorted(f"'{name}'" for name in taken))
            return _none(
                f"output '{output.name}' has '{own}' rows and the inputs {counted}: not one for each item"
            )
    return BatchVerdict(
        BatchAxis.DYNAMIC, None, "the first axis of every input and output is declared to vary"
    )


def _none(why: str) -> BatchVerdict:
    return BatchVerdict(BatchAxis.NONE, None, why)


def _first(shape: Shape | None) -> int | str | None:
    return shape[0] if shape else None


def _looks_generated(name: str) -> bool:
    """True for names that exporters make up: they say nothing about two dimensions being different."""
    lowered = name.lower()
    return any(
        mark in lowered for mark in ("unk__", "_dim_", "dynamic_axes", "dynamicdimension", "batch", "?")
    )
