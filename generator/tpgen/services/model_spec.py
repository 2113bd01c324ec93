"""What a served model takes and returns, and which of its tensors only describe another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Suffix of a companion tensor -> its datatype. A companion exists only beside the tensor that it describes.
_COMPANIONS = {"count": "INT32", "shape": "INT32", "count2": "INT32", "valid": "BOOL", "tag": None}


class RequestError(Exception):
    """A request failed, or cannot be made.

    Attributes:
        message: the server's words, or what does not fit.
        status: the HTTP status; over gRPC the one that Triton gives the same error over HTTP. 400 for a
            request that does not fit the model and was not sent; None if no server answered.
    """

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message if status is None else f"{message} (status {status})")
        self.message = message
        self.status = status


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a model. ``dims`` never holds the batch dimension, -1 is a size that varies."""

    name: str
    datatype: str  # as in the protocol: "FP32", "BYTES"…
    dims: tuple[int, ...]
    optional: bool = False

    @property
    def is_scalar(self) -> bool:
        """True if an item holds exactly one element."""
        return all(dim == 1 for dim in self.dims)

    @property
    def varying_axis(self) -> int:
        """The axis that a ``_count`` companion counts: the (first) one that varies."""
        return self.dims.index(-1) if -1 in self.dims else 0

    def __str__(self) -> str:
        return f"{self.datatype} [{','.join(str(dim) for dim in self.dims)}]"


@dataclass(frozen=True)
class ModelSpec:
    """A model's interface; ``max_batch_size`` 0 means that its tensors have no batch dimension."""

    name: str
    max_batch_size: int
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @property
    def is_batching(self) -> bool:
        return self.max_batch_size > 0


def model_spec(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> ModelSpec:
    """Reads a model's interface from the server's metadata and config documents."""
    batch = int(config.get("max_batch_size", 0))
    optional = {tensor["name"] for tensor in config.get("input", ()) if tensor.get("optional")}

    def read(tensors: list[Mapping[str, Any]]) -> dict[str, TensorSpec]:
        specs = {}
        for tensor in tensors:
            shape = tuple(int(dim) for dim in tensor["shape"])
            dims = shape[1:] if batch else shape
            specs[tensor["name"]] = TensorSpec(
                tensor["name"], tensor["datatype"], dims, tensor["name"] in optional
            )
        return specs

    return ModelSpec(
        metadata["name"], batch, read(metadata.get("inputs", [])), read(metadata.get("outputs", []))
    )


def companions(tensors: Mapping[str, TensorSpec]) -> dict[str, dict[str, TensorSpec]]:
    """Finds the companions: name of a tensor -> what is described ("count", "shape"…) -> the companion."""
    found: dict[str, dict[str, TensorSpec]] = {}
    for tensor in tensors.values():
        base, _, kind = tensor.name.rpartition("_")
        if kind in _COMPANIONS and base in tensors and _COMPANIONS[kind] in (None, tensor.datatype):
            found.setdefault(base, {})[kind] = tensor
    return found
