"""How a node is run: its batches, instances and time limits, and what becomes of items that it fails on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Span


@dataclass(frozen=True)
class OnError:
    """What becomes of items that an operator of a node cannot work on, or breaks on: they go on as they came.

    With ``has_default``, ``default`` (a TOML value) becomes their ``result``.
    """

    span: Span
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True)
class Profile:
    """The smallest and largest shapes of one TensorRT profile: per model input, the batch size first.

    Dimensions that the TOML leaves out, the network decides.
    """

    low: tuple[tuple[int, ...], ...]
    high: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class InstanceGroup:
    """Instances of a node that take batches of one range, with the profiles of their engine."""

    min_batch: int = 1
    max_batch: int = 1
    instance_num: int = 1
    profiles: tuple[Profile, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Scheduling keys of a node, as the TOML gives them.

    The node takes batches of ``min_batch`` to ``max_batch``, and its model is called with those that one of
    the ``groups`` takes.
    """

    min_batch: int = 1
    max_batch: int = 1
    instance_num: int = 1
    batching_timeout_ms: float | None = None
    timeout_ms: float | None = None
    retry: int = 0
    groups: tuple[InstanceGroup, ...] = (InstanceGroup(),)
