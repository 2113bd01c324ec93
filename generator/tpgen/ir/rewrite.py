"""What a pass asks of a model file. `engines.rewrite` carries it out; passes never open a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..types import DType

ImageLayout: TypeAlias = Literal["CHW", "HWC"]


@dataclass(frozen=True)
class ModelRewrite:
    """A change of what one input of a model takes; every output stays the same.

    With ``x`` what the model takes today and ``v`` what it shall take, the rewritten model computes
    ``x`` from ``v`` in this order: cast to the model's dtype, transpose to the model's layout, reverse
    the channels, subtract ``mean``, multiply by ``scale``. So a node's ``(v - mean) / std`` moves into
    the model as ``mean`` and ``scale = 1 / std``. None (or False) leaves a step out.
    """

    input_name: str
    scale: tuple[float, ...] | None = None  # per channel, in the model's own channel order; one value: all
    mean: tuple[float, ...] | None = None  # likewise; in units of ``v``
    channel_reverse: bool = False  # ``v`` has the channels in the opposite order (BGR for RGB)
    layout: ImageLayout | None = None  # the layout of ``v``, if it is to differ from the model's
    input_dtype: DType | None = None  # the dtype of ``v``, if it is to differ from the model's
    model_layout: ImageLayout = "CHW"  # where the model has its channels: behind the batch axis, or last

    @property
    def is_empty(self) -> bool:
        """True if nothing is asked for."""
        return not (
            self.scale or self.mean or self.channel_reverse or self.layout not in (None, self.model_layout)
        ) and (self.input_dtype is None)


@dataclass(frozen=True)
class FoldPlan:
    """How a model would take a rewrite: what goes into weights, at no cost, and what becomes nodes.

    ``folded`` and ``inserted`` hold the names of the steps: ``dtype``, ``layout``, ``channels``,
    ``mean``, ``scale``. ``why`` says for each inserted mean, scale or channels step what prevents folding.
    """

    folded: tuple[str, ...] = ()
    inserted: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
