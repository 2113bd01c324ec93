"""A curl command line that a served model answers."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..services.model_spec import ModelSpec, TensorSpec

# More numbers than this make no line that anybody wants to read.
_INLINE = 64
_VARYING = 4
_SIZES = {"BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "BF16": 2}
_SIZES |= {"UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8}
_RAW = "Inference-Header-Content-Length"


def curl_line(url: str, model: ModelSpec) -> str:
    """A request for one item, to be pasted into a shell.

    A model whose only input is bytes gets the file ``image.jpg``, as it is; the answer is binary and goes to
    a file. Others get zeros, in JSON, and answer in JSON; large inputs follow the JSON as raw bytes.
    """
    place = shlex.quote(f"{url}/v2/models/{model.name}/infer")
    needed = [spec for spec in model.inputs.values() if not spec.optional]
    if len(model.inputs) == len(needed) == 1 and needed[0].datatype == "BYTES" and needed[0].is_scalar:
        raw = f"-H '{_RAW}: 0' --data-binary @image.jpg"
        return f"curl -sS {place} {raw} -o answer.bin -w '%{{http_code}}\\n'"
    shapes = {spec.name: _shape(model, spec) for spec in needed}
    if all(math.prod(shape) <= _INLINE or _is_text(model, name) for name, shape in shapes.items()):
        return f"curl -sS {place} -d {shlex.quote(_dumped(_inline(model, shapes)))}"
    return _binary(place, model, shapes)


def _shape(model: ModelSpec, spec: TensorSpec) -> list[int]:
    dims = [_VARYING if dim < 0 else dim for dim in spec.dims]
    return [1, *dims] if model.is_batching else dims


def _is_text(model: ModelSpec, name: str) -> bool:
    return model.inputs[name].datatype == "BYTES"


def _inline(model: ModelSpec, shapes: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    fillers: dict[str, Any] = {"BYTES": "text", "BOOL": False}
    return [
        {
            **_head(model, name, shape),
            "data": [fillers.get(model.inputs[name].datatype, 0)] * math.prod(shape),
        }
        for name, shape in shapes.items()
    ]


def _head(model: ModelSpec, name: str, shape: Sequence[int]) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": model.inputs[name].datatype}


def _dumped(inputs: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"inputs": inputs}, separators=(",", ":"))


def _binary(place: str, model: ModelSpec, shapes: Mapping[str, Sequence[int]]) -> str:
    """The JSON, then as many zero bytes as all inputs hold."""
    inputs = []
    total = 0
    for name, shape in shapes.items():
        # Zeros are an empty string, too: each string stands behind its length, in four bytes.
        size = math.prod(shape) * _SIZES.get(model.inputs[name].datatype, 4)
        inputs.append({**_head(model, name, shape), "parameters": {"binary_data_size": size}})
        total += size
    header = _dumped(inputs)
    body = f"{{ printf %s {shlex.quote(header)}; head -c {total} /dev/zero; }}"
    return f"{body} | curl -sS {place} -H '{_RAW}: {len(header.encode())}' --data-binary @-"
