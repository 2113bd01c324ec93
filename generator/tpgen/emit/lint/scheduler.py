"""Rules about dynamic batching, its queues, and the response cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages
from . import backends
from .model import Model
from .scan import Key, Step

_BATCHING = "dynamic_batching"
_SHORTEST_WAIT = 50  # microseconds that a request spends in a queue in any case
# Backends that batch only if the configuration says so; others add it themselves.
_ASK_FOR_BATCHING = frozenset({backends.PYTHON, backends.ONNX, "openvino", "pytorch", "tensorflow"})


def _policies(model: Model) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """The queue policies, each with its path."""
    batching = model.config.dynamic_batching
    if batching.HasField("default_queue_policy"):
        yield (_BATCHING, "default_queue_policy"), batching.default_queue_policy
    for level in sorted(batching.priority_queue_policy):
        path = (_BATCHING, "priority_queue_policy", Key(str(level)), "value")
        yield path, batching.priority_queue_policy[level]


def preferred_sizes_fit(model: Model) -> Iterator[Diagnostic]:
    """TP840: preferred batch sizes are 1 to max_batch_size, for sequences too."""
    config = model.config
    yield from _preferred(model, config.dynamic_batching.preferred_batch_size, (_BATCHING,))
    oldest = config.sequence_batching.oldest
    yield from _preferred(model, oldest.preferred_batch_size, ("sequence_batching", "oldest"))


def _preferred(model: Model, sizes: Sequence[int], path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    largest = model.config.max_batch_size
    for index, size in enumerate(sizes):
        if not 1 <= size <= largest:
            message = f"preferred_batch_size of '{model.name}' has {size}, and max_batch_size is {largest}"
            hint = "leave preferred_batch_size out: batches grow to max_batch_size then"
            yield model.error("TP840", message, *path, "preferred_batch_size", index, hint=hint)


def priorities_fit(model: Model) -> Iterator[Diagnostic]:
    """TP841: the default level, and the levels with a policy, are 1 to priority_levels."""
    batching = model.config.dynamic_batching
    levels, default = batching.priority_levels, batching.default_priority_level
    if not levels:
        return
    if not 1 <= default <= levels:
        what = f"is {default}" if default else "is missing"
        message = f"default_priority_level of '{model.name}' {what}, and there are {levels} priority_levels"
        hint = f"write default_priority_level: 1 (the highest) to {levels}"
        yield model.error("TP841", message, _BATCHING, "default_priority_level", hint=hint)
    for level in sorted(batching.priority_queue_policy):
        if not 1 <= level <= levels:
            message = f"priority_queue_policy of '{model.name}' is for level {level} of {levels}"
            path = (_BATCHING, "priority_queue_policy", Key(str(level)), "key")
            yield model.error("TP841", message, *path, hint=f"use levels 1 to {levels}")


def ordering_can_be_preserved(model: Model) -> Iterator[Diagnostic]:
    """TP842: priorities, and delayed requests, overtake others."""
    batching = model.config.dynamic_batching
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        message = f"preserve_ordering of '{model.name}' excludes {batching.priority_levels} priority_levels"
        hint = "leave one of the two out"
        yield model.error("TP842", message, _BATCHING, "preserve_ordering", hint=hint)
    for path, policy in _policies(model):
        if policy.timeout_action == messages().ModelQueuePolicy.DELAY and policy.default_timeout_microseconds:
            message = f"preserve_ordering of '{model.name}' excludes the timeout_action DELAY"
            yield model.error("TP842", message, *path, "timeout_action", hint="use REJECT")


def cache_is_possible(model: Model) -> Iterator[Diagnostic]:
    """TP844: answers of sequences, and of decoupled models, can't be cached."""
    config = model.config
    if not config.response_cache.enable:
        return
    for field, used in (
        ("sequence_batching", config.HasField("sequence_batching")),
        ("decoupled", config.model_transaction_policy.decoupled),
    ):
        if used:
            message = f"response_cache of '{model.name}' does not go with {field}"
            yield model.error("TP844", message, "response_cache", "enable", hint="leave response_cache out")


def batching_has_an_effect(model: Model) -> Iterator[Diagnostic]:
    """TP848: a model that does not batch ignores dynamic_batching."""
    config = model.config
    if config.HasField(_BATCHING) and config.max_batch_size == 0 and not model.is_ensemble:
        message = f"dynamic_batching of '{model.name}' has no effect: max_batch_size is 0"
        hint = "set max_batch_size, and take the batch dimension out of dims; or leave dynamic_batching out"
        yield model.warning("TP848", message, _BATCHING, hint=hint)


def batches_are_formed(model: Model) -> Iterator[Diagnostic]:
    """TP849: without a scheduler that batches, each request runs alone, whatever max_batch_size is."""
    config = model.config
    if config.max_batch_size < 2 or config.WhichOneof("scheduling_choice") is not None:
        return
    if model.backend == backends.ONNX and not model.knows_tensors:
        return  # the backend completes the configuration, with batching
    if model.backend in _ASK_FOR_BATCHING:
        message = f"'{model.name}' takes batches of {config.max_batch_size}, but the server will form none"
        hint = "add dynamic_batching { }"
        yield model.warning("TP849", message, "max_batch_size", hint=hint)


def preferred_sizes_do_not_cap(model: Model) -> Iterator[Diagnostic]:
    """TP850: the batcher stops at the largest preferred size that it reaches."""
    config = model.config
    sizes = config.dynamic_batching.preferred_batch_size
    if not sizes or not 0 < max(sizes) < config.max_batch_size:
        return
    message = (
        f"preferred_batch_size {max(sizes)} keeps batches of '{model.name}' below {config.max_batch_size}"
    )
    hint = "leave preferred_batch_size out, unless an engine was built for these sizes"
    yield model.warning("TP850", message, _BATCHING, "preferred_batch_size", hint=hint)


def timeouts_can_be_overridden(model: Model) -> Iterator[Diagnostic]:
    """TP851: a request's own timeout only ever shortens the default one."""
    for path, policy in _policies(model):
        if policy.allow_timeout_override and not policy.default_timeout_microseconds:
            message = f"allow_timeout_override of '{model.name}' has no effect without a default timeout"
            hint = "add default_timeout_microseconds, the longest that a request may ask for"
            yield model.warning("TP851", message, *path, "allow_timeout_override", hint=hint)


def requests_outlast_the_delay(model: Model) -> Iterator[Diagnostic]:
    """TP925: a request that waits for others to form a batch does not time out meanwhile."""
    delay = model.config.dynamic_batching.max_queue_delay_microseconds
    reject = messages().ModelQueuePolicy.REJECT
    for path, policy in _policies(model):
        timeout = policy.default_timeout_microseconds
        if not timeout or policy.timeout_action != reject or timeout > max(delay, _SHORTEST_WAIT):
            continue
        place = (*path, "default_timeout_microseconds")
        what = f"waits up to {delay} µs for others" if delay >= timeout else "is hardly in the queue by then"
        message = f"requests to '{model.name}' time out after {timeout} µs, and a lone one {what}"
        hint = "give it more microseconds (1 ms is 1000)"
        yield model.warning("TP925", message, *place, hint=hint)


def priorities_have_levels(model: Model) -> Iterator[Diagnostic]:
    """TP852: without priority_levels, what is said about levels is ignored."""
    batching = model.config.dynamic_batching
    if batching.priority_levels:
        return
    for field in ("default_priority_level", "priority_queue_policy"):
        if getattr(batching, field):
            message = f"{field} of '{model.name}' has no effect without priority_levels"
            yield model.warning("TP852", message, _BATCHING, field, hint="add priority_levels, or remove it")
