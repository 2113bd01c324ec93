"""The shapes of TensorRT profiles against the model that they are for."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Bag
from ..ir.graph import Node
from ..ir.signature import ModelSignature

CODE = "TP411"


def profiles_fit(node: Node, signature: ModelSignature, bag: Bag) -> bool:
    """True if the model takes the shapes of all profiles; else the first that it doesn't is reported."""
    for group in node.settings.groups:
        for profile in group.profiles:
            for key, shapes in (("min", profile.low), ("max", profile.high)):
                problem = _problem(shapes, signature)
                if problem is not None:
                    # Of the two, the one that is written says what the other one is.
                    span = node.spans.get(key) or node.spans.get("max") or node.spans.get("min", node.span)
                    hint = "a shape is the batch size, then the model's dimensions; the batch size alone does"
                    written = key if key in node.spans else "max"
                    message = f"'{written}' does not fit the model: {problem}"
                    bag.error(CODE, message, span, hint=hint, node=node.title)
                    return False
    return True


def _problem(shapes: Sequence[tuple[int, ...]], signature: ModelSignature) -> str | None:
    if len(shapes) > len(signature.inputs):
        count = len(signature.inputs)
        return f"{len(shapes)} shapes (,) for {count} input{'s' * (count != 1)}"
    for shape, info in zip(shapes, signature.inputs, strict=False):
        wanted = signature.item_shape(info)
        if len(shape) == 1:
            continue
        written = "x".join(map(str, shape))
        if len(shape) - 1 != len(wanted):
            dims = ", ".join(str(dim or "?") for dim in wanted)
            return f"{written} has {len(shape) - 1} dimensions behind the batch, '{info.name}' is [{dims}]"
        for given, dim in zip(shape[1:], wanted, strict=True):
            if isinstance(dim, int) and dim != given:
                return f"{written} has {given} where '{info.name}' has {dim}"
    return None
