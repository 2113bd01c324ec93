"""TensorRT profiles from `min`, `max`, `opt`: complete, and together without a hole.

Triton sends an engine any batch up to the model's largest, in any shape that the pipeline makes. A request
that no profile holds fails there: Triton then takes the first profile, and TensorRT refuses the shape. So
minima are widened until every batch of every bucket lies in a profile; what was changed is noted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from ..ir.signature import BatchAxis, ModelSignature, TensorInfo
from .tensorrt_api import DTYPES

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]  # one per model input


_WHOLE = 'write the smallest and the largest shape, as min = "1x3x32x32" and max = "8x3x32x512"'
_MOST_CELLS = 20_000  # combinations of sizes that are looked at together


class PlanProblem(Exception):
    """Sizes or types that no engine can be built for; the text names the input and the values.

    Attributes:
        key: the key of the TOML that is wrong: ``min``, ``max``, ``opt`` or ``model``.
        hint: the way out, where the text doesn't say it.
    """

    def __init__(self, message: str, key: str = "max", hint: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.hint = hint


@dataclass(frozen=True)
class Declared:
    """One profile as the TOML gives it: shapes per model input, the batch first; a batch alone is enough.

    Where there are fewer shapes than inputs, the last batch stands for the rest. ``opt`` is ``high`` if it
    is not given.
    """

    low: Shapes
    high: Shapes
    opt: Shapes = ()


@dataclass(frozen=True)
class InputRange:
    """What one input may be in one profile; shapes with the batch axis."""

    name: str
    low: Shape
    opt: Shape
    high: Shape

    def holds(self, shape: Shape) -> bool:
        return len(shape) == len(self.low) and all(
            a <= size <= b for a, size, b in zip(self.low, shape, self.high, strict=True)
        )


Profile = tuple[InputRange, ...]


@dataclass(frozen=True)
class ProfilePlan:
    """The profiles of an engine; none where every shape is fixed.

    Attributes:
        profiles: in the order in which the engine has them.
        notes: what differs from what the TOML says, and what the caller has to do.
    """

    profiles: tuple[Profile, ...]
    notes: tuple[str, ...] = ()

    @property
    def indices(self) -> tuple[str, ...]:
        """What `instance_group.profile` lists; nothing where there is one: Triton takes that by itself."""
        return tuple(str(i) for i in range(len(self.profiles))) if len(self.profiles) > 1 else ()

    @property
    def allocation(self) -> str | None:
        """`execution_context_allocation_strategy`: a context per profile must not hold memory for all."""
        return "ON_PROFILE_CHANGE" if len(self.profiles) > 1 else None

    def holding(self, shapes: Shapes) -> list[int]:
        """The profiles that hold a request; shapes per input, with the batch."""
        return [
            i
            for i, profile in enumerate(self.profiles)
            if all(one.holds(shape) for one, shape in zip(profile, shapes, strict=True))
        ]


def plan_profiles(
    signature: ModelSignature,
    declared: Sequence[Declared],
    *,
    max_batch: int | None = None,
    buckets: Sequence[Shapes] = (),
    caller_splits: bool = False,
) -> ProfilePlan:
    """The profiles of an engine for a model.

    ``max_batch``: the largest batch that is sent; default: the largest of the profiles. ``buckets``: the
    shapes that the pipeline makes, per input and without the batch; default: all that the profiles hold.
    ``caller_splits``: the caller never sends more of a shape than its profiles hold, so that their maxima
    need not be raised (which costs memory); the notes say how much that is.

    Raises:
        PlanProblem: a size is missing, or does not fit the model, or a bucket is too large; or TensorRT has
            no such element type.
    """
    _check_types(signature)
    if not any(_is_dynamic(info) for info in signature.inputs):
        return ProfilePlan(())
    notes: list[str] = []
    ones = Declared(((1,),), ((1,),))
    boxes = _merged([_completed(signature, one) for one in declared or [ones]], notes)
    first = 1 if signature.batch is BatchAxis.DYNAMIC else 0
    _include_buckets(boxes, buckets, first, notes)
    if not buckets:
        _close_gaps(boxes, first, notes)
    if first == 1:
        _lower_batches(boxes, notes)
        largest = max([max_batch or 1, *(_batch(box)[1] for box in boxes)])
        _raise_batches(boxes, largest, buckets, caller_splits, notes)
    return ProfilePlan(tuple(_merged(boxes, notes)), tuple(notes))


def _check_types(signature: ModelSignature) -> None:
    for info in (*signature.inputs, *signature.outputs):
        if info.dtype.value not in DTYPES.values():
            hint = "export the model in float32; --runtime onnxruntime runs it as it is, without an engine"
            raise PlanProblem(f"'{info.name}' is {info.dtype.value}, which TensorRT lacks", "model", hint)


# --- what the TOML leaves out ---


def _is_dynamic(info: TensorInfo) -> bool:
    return any(not isinstance(size, int) for size in info.shape)


def _completed(signature: ModelSignature, one: Declared) -> Profile:
    batched = signature.batch is BatchAxis.DYNAMIC
    ranges = []
    for position, info in enumerate(signature.inputs):
        high = _shape(info, one.high, position, "max", batched)
        low = _shape(info, one.low, position, "min", batched)
        opt = _shape(info, one.opt, position, "opt", batched, high) if one.opt else high
        if not all(a <= b <= c for a, b, c in zip(low, opt, high, strict=True)):
            sizes = " ≤ ".join(_text(shape) for shape in (low, opt, high))
            key = "opt" if one.opt and all(a <= c for a, c in zip(low, high, strict=True)) else "max"
            hint = 'several profiles may have one each, as opt = "2;8"' if key == "opt" else None
            raise PlanProblem(f"input '{info.name}': min ≤ opt ≤ max is needed, not {sizes}", key, hint)
        ranges.append(InputRange(info.name, low, opt, high))
    if batched and len({(r.low[0], r.opt[0], r.high[0]) for r in ranges}) > 1:
        found = ", ".join(f"'{r.name}' {r.low[0]} to {r.high[0]}" for r in ranges)
        raise PlanProblem(f"the inputs of one call have one batch, but these differ: {found}")
    return tuple(ranges)


def _shape(
    info: TensorInfo, shapes: Shapes, position: int, key: str, batched: bool, default: Shape = ()
) -> Shape:
    """The shape that `key` gives an input; what a batch alone leaves out, the model or ``default`` gives."""
    given = shapes[position] if position < len(shapes) else shapes[-1][:1]
    if len(given) == 1 and not (len(info.shape) == 1 and not batched):
        rest = (
            default[1:] if default else tuple(_fixed(info, axis, key) for axis in range(1, len(info.shape)))
        )
        first = given[0] if batched else _fixed(info, 0, key)
        return (first, *rest)
    model = "x".join(str(size) if size is not None else "?" for size in info.shape)
    fits = len(given) == len(info.shape) and all(
        not isinstance(want, int) or want == size for want, size in zip(info.shape, given, strict=True)
    )
    if not fits:
        message = f"'{key}' of input '{info.name}' is {_text(given)}, but the model takes {model}"
        raise PlanProblem(message, key, _WHOLE)
    return given


def _fixed(info: TensorInfo, axis: int, key: str) -> int:
    size = info.shape[axis]
    if isinstance(size, int):
        return size
    name = f" ({size})" if size else ""
    whole = "x".join("1" if not isinstance(s, int) else str(s) for s in info.shape)
    raise PlanProblem(
        f"dimension {axis}{name} of input '{info.name}' varies, and '{key}' does not say how much: "
        f'write the whole shape, as {key} = "{whole}"',
        key,
        _WHOLE,
    )


# --- no holes ---


def _batch(box: Profile) -> tuple[int, int]:
    return box[0].low[0], box[0].high[0]


def _with_batch(box: Profile, low: int, high: int) -> Profile:
    return tuple(
        replace(r, low=(low, *r.low[1:]), opt=(min(r.opt[0], high), *r.opt[1:]), high=(high, *r.high[1:]))
        for r in box
    )


def _merged(boxes: Sequence[Profile], notes: list[str]) -> list[Profile]:
    """Without those that are there already: each would cost a context per instance and give nothing."""
    kept: list[Profile] = []
    for box in boxes:
        if box in kept:
            note = f"two profiles are the same ({_described(box)}): the engine has it once"
            notes += [note] if note not in notes else []
        else:
            kept.append(box)
    return kept


def _include_buckets(boxes: list[Profile], buckets: Sequence[Shapes], first: int, notes: list[str]) -> None:
    """Lower minima until each bucket lies in a profile."""
    for bucket in buckets:
        if any(_within(box, bucket, bucket, first) for box in boxes):
            continue
        large = [i for i, box in enumerate(boxes) if _at_most(bucket, [r.high[first:] for r in box])]
        if not large:
            sizes = ", ".join(_text(shape) for shape in bucket)
            raise PlanProblem(f"no profile is large enough for {sizes}: raise 'max'")
        chosen = min(large, key=lambda i: [r.high[first:] for r in boxes[i]])
        before = boxes[chosen]
        boxes[chosen] = tuple(
            replace(r, low=(*r.low[:first], *map(min, r.low[first:], shape)))
            for r, shape in zip(before, bucket, strict=True)
        )
        sizes = ", ".join(_text(shape) for shape in bucket)
        notes.append(f"{_lowered(before, boxes[chosen])}: {sizes} arrives")


_Axis = tuple[int, int]  # an input's position, and an axis of it
_Span = tuple[int, int]  # from and to, both included


def _close_gaps(boxes: list[Profile], first: int, notes: list[str]) -> None:
    """Lower minima until no size lies between profiles, where nothing is known of the sizes that come.

    What only larger maxima could hold is named: they would take memory that nobody may need.
    """
    axes = [
        (position, axis)
        for position, one in enumerate(boxes[0])
        for axis in range(first, len(one.low))
        if len({_span(box, (position, axis)) for box in boxes}) > 1
    ]
    if not axes:
        return
    before, open_ = list(boxes), []
    are_few = math.prod(len(_cuts(boxes, axis)) for axis in axes) <= _MOST_CELLS
    for together in [axes] if are_few else [[axis] for axis in axes]:
        for cell in product(*(_cuts(before, axis) for axis in together)):
            if any(_reaches(box, together, cell) and _starts(box, together, cell) for box in boxes):
                continue
            large = [i for i, box in enumerate(boxes) if _reaches(box, together, cell)]
            if not large:
                open_.append(_named_cell(boxes[0], together, cell))
                continue
            chosen = min(large, key=lambda i: [r.high[first:] for r in boxes[i]])
            boxes[chosen] = _down_to(boxes[chosen], together, cell)
    for old, new in zip(before, boxes, strict=True):
        if old != new:
            notes.append(f"{_lowered(old, new)}: sizes between profiles were in none")
    notes += [f"no profile holds {cell}: raise 'max' if such sizes come" for cell in open_[:3]]
    if len(open_) > 3:
        notes.append(f"{len(open_) - 3} more combinations of sizes are in no profile")


def _span(box: Profile, axis: _Axis) -> _Span:
    return box[axis[0]].low[axis[1]], box[axis[0]].high[axis[1]]


def _cuts(boxes: Sequence[Profile], axis: _Axis) -> list[_Span]:
    """The sizes of an axis from the smallest to the largest, cut wherever a profile begins or ends."""
    spans = [_span(box, axis) for box in boxes]
    cuts = sorted({cut for low, high in spans for cut in (low, high + 1)})
    return [(low, after - 1) for low, after in pairwise(cuts)]


def _reaches(box: Profile, axes: Sequence[_Axis], cell: Sequence[_Span]) -> bool:
    return all(high <= _span(box, axis)[1] for axis, (_, high) in zip(axes, cell, strict=True))


def _starts(box: Profile, axes: Sequence[_Axis], cell: Sequence[_Span]) -> bool:
    return all(_span(box, axis)[0] <= low for axis, (low, _) in zip(axes, cell, strict=True))


def _down_to(box: Profile, axes: Sequence[_Axis], cell: Sequence[_Span]) -> Profile:
    found = list(box)
    for (position, axis), (low, _) in zip(axes, cell, strict=True):
        lows = list(found[position].low)
        lows[axis] = min(lows[axis], low)
        found[position] = replace(found[position], low=tuple(lows))
    return tuple(found)


def _named_cell(box: Profile, axes: Sequence[_Axis], cell: Sequence[_Span]) -> str:
    return " and ".join(
        f"'{box[position].name}' with {f'{low} to {high}' if low < high else low} in dimension {axis}"
        for (position, axis), (low, high) in zip(axes, cell, strict=True)
    )


def _lower_batches(boxes: list[Profile], notes: list[str]) -> None:
    """Lower minima of profiles of the same other sizes until they hold every batch from 1."""
    groups: dict[tuple[tuple[Shape, Shape], ...], list[int]] = {}
    for i, box in enumerate(boxes):
        groups.setdefault(tuple((r.low[1:], r.high[1:]) for r in box), []).append(i)
    for members in groups.values():
        reached = 0
        for i in sorted(members, key=lambda i: _batch(boxes[i])[::-1]):
            low, high = _batch(boxes[i])
            if low > reached + 1:
                boxes[i] = _with_batch(boxes[i], reached + 1, high)
                several = f"batches {reached + 1} to {low - 1} were"
                missing = several if low > reached + 2 else f"batch {reached + 1} was"
                notes.append(f"{missing} in no profile: min {low} is {reached + 1} now")
            reached = max(reached, high)


def _raise_batches(
    boxes: list[Profile], largest: int, buckets: Sequence[Shapes], caller_splits: bool, notes: list[str]
) -> None:
    """Raise maxima until every batch up to the largest lies in a profile, whatever its other sizes."""
    wanted = [(bucket, bucket) for bucket in buckets] or [
        (tuple(r.low[1:] for r in box), tuple(r.high[1:] for r in box)) for box in boxes
    ]
    for low, high in wanted:
        holders = [i for i, box in enumerate(boxes) if _within(box, low, high, 1)]
        missing = _missing([_batch(boxes[i]) for i in holders], largest)
        if missing is None:
            continue
        sizes = ", ".join(_text(shape) for shape in high)
        if caller_splits and missing > 1:
            notes.append(
                f"at most {missing - 1} of {sizes} go into one call: the caller splits larger batches"
            )
            continue
        chosen = max(holders, key=lambda i: _batch(boxes[i])[1])
        least, most = _batch(boxes[chosen])
        boxes[chosen] = _with_batch(boxes[chosen], min(least, missing), largest)
        notes.append(f"raised max {most} of {sizes} to {largest}: Triton sends any batch up to that")


def _missing(ranges: Sequence[tuple[int, int]], largest: int) -> int | None:
    """The first batch from 1 to the largest that is in no range."""
    reached = 0
    for low, high in sorted(ranges):
        if low > reached + 1:
            break
        reached = max(reached, high)
    return reached + 1 if reached < largest else None


def _within(box: Profile, low: Shapes, high: Shapes, first: int) -> bool:
    """True if a profile holds all sizes from low to high, apart from the batch."""
    return _at_most([r.low[first:] for r in box], low) and _at_most(high, [r.high[first:] for r in box])


def _at_most(one: Sequence[Shape], other: Sequence[Shape]) -> bool:
    return all(
        len(a) == len(b) and all(x <= y for x, y in zip(a, b, strict=True))
        for a, b in zip(one, other, strict=True)
    )


# --- text ---


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _lowered(before: Profile, after: Profile) -> str:
    lows = (", ".join(_text(one.low) for one in box) for box in (before, after))
    return "min {} is {} now".format(*lows)


def _described(box: Profile) -> str:
    return ", ".join(f"{_text(r.low)} to {_text(r.high)}" for r in box)
