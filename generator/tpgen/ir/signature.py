"""A model's inputs and outputs as plain data: what operators know of a model without opening it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..types import DType


class BatchAxis(Enum):
    """How a model treats the first axis of its inputs and outputs."""

    DYNAMIC = "dynamic"
    FIXED = "fixed"
    NONE = "none"


@dataclass(frozen=True)
class TensorInfo:
    """One input or output. ``shape`` is the full shape, batch axis included; None or a name: varies."""

    name: str
    dtype: DType
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class ModelSignature:
    """The interface of a model file; ``batch_size`` is the fixed size where ``batch`` is FIXED.

    ``opset`` is the version of ONNX's operators that it is written in, 0 for other models. ``is_encrypted``:
    the file is, on disk. ``precision``: what most of its weights are in (fp32, fp16, bf16), or int8 where it
    is quantised; of ONNX files only.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    batch: BatchAxis = BatchAxis.DYNAMIC
    batch_size: int | None = None
    opset: int = 0
    is_encrypted: bool = False
    precision: str = "fp32"

    def item_shape(self, info: TensorInfo) -> tuple[int | str | None, ...]:
        """The shape of one item's tensor, without the batch axis.

        A model without one can still write its image as ``[1,C,H,W]`` (detectors that end in NMS do): the
        leading 1 is no part of the item either.
        """
        if self.batch is not BatchAxis.NONE or (len(info.shape) == 4 and info.shape[0] == 1):
            return info.shape[1:]
        return info.shape
