"""What a pass asks of a model file. `engines.rewrite` carries it out; passes never open a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..types import DType

ImageLayout: TypeAlias = Literal["CHW", "HWC"]


TailKind: TypeAlias = Literal["index", "best", "at_least", "softmax", "top", "candidates"]
ItemShape: TypeAlias = tuple[int | str | None, ...]

MOST_BEST = 3840  # more rows than these TensorRT does not sort out
_DTYPES = {"index": DType.INT64, "at_least": DType.BOOL}


@dataclass(frozen=True)
class Tail:
    """What is appended to a model with one output. ``name`` is the new output's. Axes are those of an item.

    ``index``: the index of the largest element along ``axis``, int64, the axis gone. ``best``: over the last
    axis, float32 ``[..., 2]``: index and value of the largest element, of its softmax with ``softmax``.
    ``at_least``: bool, where an element is ``threshold`` or more. ``softmax``: along ``axis``, float32.

    ``top``: of ``[C]``, float32 ``[2, count]``: indices, then values of the largest; all values are NaN if
    one of the C is. ``candidates``: of a detector's rows (of its columns with ``is_columns``) of a box's four
    numbers, objectness with ``has_objectness``, and a score for each class: float32 ``[N, 6]``, the four
    numbers as they are, objectness × best score, best class; with a ``count`` the ``[count, 7]`` best rows
    only, each with its number last. A score that is NaN is minus infinity there.
    """

    kind: TailKind
    name: str
    axis: int = -1
    softmax: bool = False
    threshold: float = 0.0
    count: int | None = None
    is_columns: bool = False
    has_objectness: bool = False

    @property
    def dtype(self) -> DType:
        """The dtype of what the model answers then."""
        return _DTYPES.get(self.kind, DType.FLOAT32)

    @property
    def opset(self) -> int:
        """The oldest version of ONNX's operators that it can be written in."""
        if self.kind == "softmax":
            return 7 if self.axis == -1 else 13  # older ones take all axes from there on together
        return 11 if self.kind in ("top", "candidates") else 7

    def shape(self, item: ItemShape) -> ItemShape:
        """The shape of an item of what the model answers then; ``item`` is that of today."""
        if self.kind == "index":
            axis = self.axis % len(item)
            return (*item[:axis], *item[axis + 1 :])
        if self.kind == "best":
            return (*item[:-1], 2)
        if self.kind == "top":
            return (2, self.count)
        if self.kind == "candidates":
            return (item[1 if self.is_columns else 0], 6) if self.count is None else (self.count, 7)
        return item


@dataclass(frozen=True)
class ModelRewrite:
    """A change of what one input of a model takes; every output stays the same, but for ``tails``.

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
    tails: tuple[Tail, ...] = ()  # of a model with one output: what it ends in, one after the other
    output_name: str = ""  # the output that the tails read

    @property
    def is_empty(self) -> bool:
        """True if nothing is asked for."""
        return not (
            self.scale or self.mean or self.channel_reverse or self.layout not in (None, self.model_layout)
        ) and (self.input_dtype is None and not self.tails)


@dataclass(frozen=True)
class FoldPlan:
    """How a model would take a rewrite: what goes into weights, at no cost, and what becomes nodes.

    ``folded`` and ``inserted`` hold the names of the steps: ``dtype``, ``layout``, ``channels``,
    ``mean``, ``scale``. ``why`` says for each inserted mean, scale or channels step what prevents folding.
    """

    folded: tuple[str, ...] = ()
    inserted: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
