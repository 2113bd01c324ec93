"""What a pass asks of a model file. `engines.rewrite` carries it out; passes never open a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..types import DType

ImageLayout: TypeAlias = Literal["CHW", "HWC"]


TailKind: TypeAlias = Literal["index", "best", "at_least"]


@dataclass(frozen=True)
class Tail:
    """What is appended to a model with one output, which it makes smaller. ``name`` is the new output's.

    ``index``: the index of the largest element along ``axis``, int64, the axis gone. ``best``: over the last
    axis, float32 ``[..., 2]``: index and value of the largest element, of its softmax with ``softmax``.
    ``at_least``: bool, where an element is ``threshold`` or more. Axes are those of an item.
    """

    kind: TailKind
    name: str
    axis: int = -1
    softmax: bool = False
    threshold: float = 0.0


@dataclass(frozen=True)
class ModelRewrite:
    """A change of what one input of a model takes; every output stays the same, but for a ``tail``.

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
    tail: Tail | None = None

    @property
    def is_empty(self) -> bool:
        """True if nothing is asked for."""
        return not (
            self.scale or self.mean or self.channel_reverse or self.layout not in (None, self.model_layout)
        ) and (self.input_dtype is None and self.tail is None)


@dataclass(frozen=True)
class FoldPlan:
    """How a model would take a rewrite: what goes into weights, at no cost, and what becomes nodes.

    ``folded`` and ``inserted`` hold the names of the steps: ``dtype``, ``layout``, ``channels``,
    ``mean``, ``scale``. ``why`` says for each inserted mean, scale or channels step what prevents folding.
    """

    folded: tuple[str, ...] = ()
    inserted: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
