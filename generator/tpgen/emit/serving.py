"""What nodes ask of their Triton models, as fields of the configuration.

They are merged like the raw fields of ``[pipeline.triton.NODE]``, before these, so that what is wrong with
them is found by the same checks, and reported at the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.graph import Stage
from ..ir.serving import (
    CACHE,
    CPU_PROVIDERS,
    DEFAULT_LEVEL,
    GPUS,
    LEVEL_POLICY,
    LEVELS,
    PROVIDER,
    PROVIDER_OPTIONS,
    QUEUE_POLICY,
    QUEUE_SIZE,
    RATE_LIMITER,
    TIMEOUT_ACTION,
    WARMUP,
    Asked,
)
from ..source import Span
from .config_pbtxt import ModelConfig
from .overrides import FieldPath, Override

_BATCHING = "dynamic_batching"
_POLICY = (_BATCHING, QUEUE_POLICY)
_ACCELERATORS = ("optimization", "execution_accelerators")
# Where each key's value stands in a configuration.
_FIELDS: Mapping[str, FieldPath] = {
    LEVELS: (_BATCHING, LEVELS),
    DEFAULT_LEVEL: (_BATCHING, DEFAULT_LEVEL),
    LEVEL_POLICY: (_BATCHING, LEVEL_POLICY),
    QUEUE_POLICY: _POLICY,
    QUEUE_SIZE: (*_POLICY, QUEUE_SIZE),
    TIMEOUT_ACTION: (*_POLICY, TIMEOUT_ACTION),
    CACHE: (CACHE, "enable"),
}


def serving_override(
    stage: Stage, title: str, config: ModelConfig, samples: Sequence[Mapping[str, Any]] = ()
) -> Override | None:
    """The fields that a stage's nodes ask for, as of the first node; None if they ask for nothing.

    Args:
        stage: with what its nodes ask of it.
        title: of its first node.
        config: of the stage so far; the groups of instances stay as they are in it, but for what is asked.
        samples: the warm-up samples in JSON form.
    """
    if not stage.serving:
        return None
    fields: dict[str, Any] = {}
    places: dict[FieldPath, Span] = {(): next(iter(stage.serving.values())).span}
    for key in _FIELDS:  # a table first, then what stands beside it
        if key in stage.serving:
            _put(fields, _FIELDS[key], _copied(stage.serving[key].value))
            _place(places, _FIELDS[key], stage.serving[key])
    if LEVELS in stage.serving and DEFAULT_LEVEL not in stage.serving:
        # Who names no level goes behind those that do.
        _put(fields, _FIELDS[DEFAULT_LEVEL], stage.serving[LEVELS].value)
        places[_FIELDS[DEFAULT_LEVEL]] = stage.serving[LEVELS].span
    _put_groups(stage, config, fields, places)
    _put_accelerator(stage, fields, places)
    if samples:
        fields["model_warmup"] = list(samples)
    if WARMUP in stage.serving:
        places["model_warmup",] = stage.serving[WARMUP].span
    return Override(title, fields, places)


def _put_groups(
    stage: Stage, config: ModelConfig, fields: dict[str, Any], places: dict[FieldPath, Span]
) -> None:
    """GPUs and the rate limiter, in each group of instances."""
    from google.protobuf.json_format import MessageToDict

    asked = {key: stage.serving[key] for key in (GPUS, RATE_LIMITER) if key in stage.serving}
    if not asked:
        return
    added = {key: _copied(one.value) for key, one in asked.items()}
    groups = [MessageToDict(group, preserving_proto_field_name=True) for group in config.instance_group]
    fields["instance_group"] = [{**group, **added} for group in groups or [{}]]
    for index in range(len(fields["instance_group"])):
        for key, one in asked.items():
            _place(places, ("instance_group", str(index), key), one)


def _put_accelerator(stage: Stage, fields: dict[str, Any], places: dict[FieldPath, Span]) -> None:
    asked = stage.serving.get(PROVIDER)
    if asked is None or asked.value == "cpu" or (asked.value in CPU_PROVIDERS) is stage.on_gpu:
        return
    options = stage.serving.get(PROVIDER_OPTIONS)
    accelerator: dict[str, Any] = {"name": asked.value}
    if options is not None:
        accelerator["parameters"] = {key: _text(value) for key, value in options.value.items()}
    kind = "gpu_execution_accelerator" if stage.on_gpu else "cpu_execution_accelerator"
    path = (*_ACCELERATORS, kind)
    _put(fields, path, [accelerator])
    _place(places, (*path, "0"), asked)
    if options is not None:
        _place(places, (*path, "0", "parameters"), options)


def _text(value: Any) -> str:
    """Options are text in a configuration."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put(fields: dict[str, Any], path: FieldPath, value: Any) -> None:
    for part in path[:-1]:
        fields = fields.setdefault(part, {})
    if isinstance(value, dict):
        fields.setdefault(path[-1], {}).update(value)
    else:
        fields[path[-1]] = value


def _place(places: dict[FieldPath, Span], path: FieldPath, asked: Asked) -> None:
    places[path] = asked.span
    places.update({(*path, *inner): span for inner, span in asked.places.items()})


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list | tuple) else value
