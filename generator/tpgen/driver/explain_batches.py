"""How a node's batches are cut into calls of its models, and what is padded, as data for explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ..ir.graph import Call, Node
from ..ir.op import Trait
from ..ir.settings import Profile


@dataclass(frozen=True)
class SizesFacts:
    """A model of an instance group, and the batches of its calls."""

    model: str
    min_batch: int
    max_batch: int


@dataclass(frozen=True)
class ProfileFacts:
    """A TensorRT profile, as the TOML has it: shapes of the inputs, ``4x3x224x224``, the batch first.

    ``group``: the instance group that it belongs to, from 1.
    """

    group: int
    low: str
    high: str


@dataclass(frozen=True)
class BatchFacts:
    """The batches that a node takes; ``instances`` as the TOML has them, of all groups together."""

    min_batch: int
    max_batch: int
    instances: int
    calls: tuple[SizesFacts, ...]
    profiles: tuple[ProfileFacts, ...]


def batches_of(node: Node) -> BatchFacts | None:
    """The batches of a node that runs a model; None for another."""
    models: list[Any] = [call.op for call in node.calls if call.op.has(Trait.INFERENCE)]
    if not models:
        return None
    settings = node.settings
    return BatchFacts(
        settings.min_batch,
        settings.max_batch,
        settings.instance_num,
        tuple(
            SizesFacts(PurePath(part.model).name, part.min_batch, part.max_batch)
            for model in models
            for part in model.parts()
        ),
        tuple(
            ProfileFacts(number, _shapes(profile.low), _shapes(profile.high))
            for number, group in enumerate(settings.groups, 1)
            for profile in group.profiles
            if len(settings.groups) + len(group.profiles) > 2 or _has_dims(profile)
        ),
    )


def padding_of(call: Call, node: Node) -> str:
    """What a call pads, or the sizes that it pads to; "" if nothing."""
    if not call.op.has(Trait.PADS):
        return call.op.buckets()
    labels = f'{{node="{node.title}"}}'
    return f"pads: tpgen_node_padding_pixels_total / tpgen_node_image_pixels_total{labels} is the waste"


def _has_dims(profile: Profile) -> bool:
    return any(len(shape) > 1 for shape in (*profile.low, *profile.high))


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ",".join("x".join(map(str, shape)) for shape in shapes)
