"""The batch sizes in ``min``, ``max``, ``range`` and ``force_range``: profiles and ranges from their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..ir.settings import Profile
from .shown import shown
from .values import ValueProblem

Shapes = tuple[tuple[int, ...], ...]
BAD_RANGE = "TP291"
MOST_PROFILES = 1024
LARGEST_BATCH = 65_536  # as [pipeline] max_batch
LARGEST_DIMENSION = 2**31 - 1  # of a tensor, for TensorRT


def parse_shapes(key: str, value: Any) -> tuple[Shapes, ...]:
    """The shapes in a ``min`` or ``max`` value, per TensorRT profile (``;``) and per model input (``,``).

    A shape is a batch size (``4``), or all dimensions (``1x3x224x224``, the first is the batch).

    Raises:
        ValueProblem: TP103 or TP104.
    """
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, bool) or not isinstance(part, str | int) for part in parts):
        raise _no_shape(key, value)
    text = ",".join(map(str, parts))
    profiles = tuple(
        tuple(
            tuple(_dimension(key, value, dim) for dim in shape.lower().split("x"))
            for shape in part.split(",")
        )
        for part in text.split(";")
    )
    if len(profiles) > MOST_PROFILES:
        raise ValueProblem("TP104", f"'{key}' has {len(profiles)} profiles, more than {MOST_PROFILES}")
    for shape in (shape for shapes in profiles for shape in shapes):
        if shape[0] < 1:
            message = f"'{key}' is {shown(value)}: a batch of {shape[0]}, at least 1 is needed"
            raise ValueProblem("TP104", message)
        if min(shape) < 1:
            message = f"'{key}' is {shown(value)}: a dimension of {min(shape)}, at least 1 is needed"
            raise ValueProblem("TP104", message)
        if shape[0] > LARGEST_BATCH:
            message = f"'{key}' is {shown(value)}: a batch of {shape[0]}, at most {LARGEST_BATCH} is allowed"
            raise ValueProblem("TP104", message)
        if max(shape) > LARGEST_DIMENSION:
            message = f"'{key}' is {shown(value)}: a dimension of {max(shape)} is more than a tensor can have"
            raise ValueProblem("TP104", message)
    return profiles


def profiles_of(low: tuple[Shapes, ...], high: tuple[Shapes, ...]) -> tuple[Profile, ...]:
    """The profiles of a ``min`` and a ``max``; a single value stands for all of the other one's.

    Raises:
        ValueProblem: TP104: a smallest size is more than the largest, or there is not one for each.
    """
    found = []
    for smallest, largest in _paired(low, high, "profiles (;)"):
        pairs = _paired(smallest, largest, "inputs (,)")
        for small, large in pairs:
            for position, (one, other) in enumerate(zip(small, large, strict=False)):
                if one > other:
                    what = "'min'" if position == 0 else f"dimension {position} of 'min'"
                    raise ValueProblem("TP104", f"{what} is {one}, more than 'max', which is {other}")
        found.append(Profile(tuple(small for small, _ in pairs), tuple(large for _, large in pairs)))
    return tuple(found)


def range_of(profiles: Sequence[Profile]) -> tuple[int, int]:
    """The smallest and the largest batch of profiles."""
    low = min(shape[0] for profile in profiles for shape in profile.low)
    return low, max(shape[0] for profile in profiles for shape in profile.high)


def parse_range(key: str, value: Any) -> tuple[int, int]:
    """A batch range, ``"1,8"``.

    Raises:
        ValueProblem: TP291.
    """
    parts = value if isinstance(value, list) else str(value).split(",")
    try:
        low, high = (int(str(part).strip()) for part in parts)
    except ValueError:
        message = f"'{key}' is {shown(value)}, but the smallest and the largest batch are needed"
        raise ValueProblem(BAD_RANGE, message, f'for example {key} = "1,8"') from None
    if not 1 <= low <= high <= LARGEST_BATCH:
        message = f"'{key}' is {shown(value)}: 1 ≤ smallest ≤ largest ≤ {LARGEST_BATCH} is needed"
        raise ValueProblem(BAD_RANGE, message, f'for example {key} = "1,8"')
    return low, high


def parse_forced(value: Any, numbers: Sequence[int]) -> tuple[int, int]:
    """The batch range of a ``force_range``, ``"1,8;1,16"``: one for all instances, or one for each.

    ``numbers``: how many profiles there are, and how many instances.

    Raises:
        ValueProblem: TP291.
    """
    parts = str(value).split(";") if isinstance(value, str) else [value]
    ranges = [parse_range("force_range", part) for part in parts]
    if len(ranges) > 1 and len(ranges) not in numbers:
        counted = " or ".join(str(number) for number in dict.fromkeys(numbers))
        message = f"'force_range' has {len(ranges)} ranges, but the node has {counted} profiles or instances"
        raise ValueProblem(BAD_RANGE, message, "give one range for all, or one for each")
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def unreachable(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """The first batch sizes that no calls in these ranges add up to."""
    if any(low == 1 for low, _ in ranges):
        return []
    return list(range(1, min(low for low, _ in ranges)))[:4]


_Item = TypeVar("_Item")


def _paired(low: Sequence[_Item], high: Sequence[_Item], what: str) -> list[tuple[_Item, _Item]]:
    if len(low) != len(high) and 1 not in (len(low), len(high)):
        message = f"'min' is for {len(low)} {what}, but 'max' for {len(high)}"
        raise ValueProblem("TP104", message, "give one value for all, or one for each")
    count = max(len(low), len(high))
    return list(
        zip(low if len(low) > 1 else [*low] * count, high if len(high) > 1 else [*high] * count, strict=True)
    )


def _dimension(key: str, value: Any, part: str) -> int:
    try:
        return int(part.strip())
    except ValueError:
        raise _no_shape(key, value) from None


def _no_shape(key: str, value: Any) -> ValueProblem:
    message = f"'{key}' is {shown(value)}, but a batch size or a shape is needed"
    return ValueProblem("TP103", message, f'for example {key} = 4 or "1x3x224x224"')
