"""What a node asks of the Triton model that it runs in: its GPUs, queue, cache, warm-up, accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..source import Span

GPUS, RATE_LIMITER = "gpus", "rate_limiter"
LEVELS, DEFAULT_LEVEL, LEVEL_POLICY = (
    "priority_levels",
    "default_priority_level",
    "priority_queue_policy",
)
QUEUE_SIZE, TIMEOUT_ACTION, QUEUE_POLICY = "max_queue_size", "timeout_action", "default_queue_policy"
CACHE, WARMUP = "response_cache", "warmup"
PROVIDER, PROVIDER_OPTIONS = "execution_provider", "execution_provider_options"

# The keys whose values are tables, with the fields of Triton's ModelConfig (or names of inputs).
TABLES = (RATE_LIMITER, LEVEL_POLICY, QUEUE_POLICY, WARMUP, PROVIDER_OPTIONS)
KEYS = (
    *(GPUS, RATE_LIMITER, LEVELS, DEFAULT_LEVEL, LEVEL_POLICY, QUEUE_SIZE, TIMEOUT_ACTION, QUEUE_POLICY),
    *(CACHE, WARMUP, PROVIDER, PROVIDER_OPTIONS),
)
CPU_PROVIDERS = ("cpu", "openvino")


@dataclass(frozen=True)
class Asked:
    """The value of such a key. ``is_own``: the node has it; else it stands above the first node, for all.

    ``span`` is the key's place, ``places`` those of keys inside a table, by path.
    """

    value: Any
    span: Span
    is_own: bool = True
    places: Mapping[tuple[str, ...], Span] = field(default_factory=dict)


Serving = Mapping[str, Asked]


def files_of(asked: Any) -> tuple[str, ...]:
    """The files that a value of ``warmup`` names."""
    if isinstance(asked, dict):
        return tuple(map(str, asked.values()))
    return (asked,) if isinstance(asked, str) else ()
