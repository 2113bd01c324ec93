"""What became of the layers of an engine's model, and saying it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..diagnostics import Bag, did_you_mean
from ..ir.graph import Call, Node
from ..ir.op import attributes_of
from ..ops.inference import TensorrtTensor
from ..source import Span

if TYPE_CHECKING:
    from ..engines.gates import Gate

_MOST_NAMED = 12  # layers
_RANDOM_HINT = "samples in calibrate_input show what is lost on real data, and which layers overflow there"
_GATE_HINT = "precision::fp32 keeps the layers that matter in fp32"


@dataclass(frozen=True)
class Lowered:
    """The precision that an engine's ONNX file is in now, and what became of its layers, line by line.

    Attributes:
        compared: how its answers compare with the original's, line by line.
        failed: the limits that it does not keep.
        on_samples: both are of the user's samples, and stand in ``report``, too; else of random inputs.
        unmatched: what `precision::fp32` or `precision::fp16` name, and no layer's name holds.
        layers: the names of all layers.
    """

    precision: str
    report: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    failed: tuple[Gate, ...] = ()
    on_samples: bool = False
    unmatched: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


def tell(node: Node, call: Call, lowered: Lowered, span: Span, bag: Bag) -> None:
    """Say how the answers compare; an error if too much is lost on samples, a warning on random inputs."""
    _tell_unmatched(node, call, lowered, bag)
    where = "on the samples" if lowered.on_samples else "on random inputs"
    if lowered.compared:
        message = f"'{node.title}' in {lowered.precision}, {where}: {'; '.join(lowered.compared)}"
        bag.note("TP920", message, span, node=node.title)
    for gate in lowered.failed if not lowered.on_samples else ():
        message = f"'{node.title}' in {lowered.precision}, {where}: {gate.figure}"
        bag.warning("TP920", message, span, hint=_RANDOM_HINT, node=node.title)
    for gate in lowered.failed if lowered.on_samples else ():
        more = "more samples set the ranges better; " if lowered.precision == "int8" else ""
        hint = f"{more}{_GATE_HINT}; max_precision_loss = {gate.accepts:g} accepts this"
        bag.error(
            "TP910", f"'{node.title}' in {lowered.precision}: {gate.figure}", span, hint=hint, node=node.title
        )


def _tell_unmatched(node: Node, call: Call, lowered: Lowered, bag: Bag) -> None:
    """Warn of layers that are named and not there: a typing error costs what they were to keep."""
    op: Any = call.op
    for name in ("precision_fp32", "output_fp32", "precision_fp16"):
        key = next(one.key for one in attributes_of(TensorrtTensor) if one.name == name)
        for part in (one for one in names_in(getattr(op, name)) if one in lowered.unmatched):
            near = did_you_mean(part, lowered.layers)
            known = ", ".join(lowered.layers[:_MOST_NAMED])
            more = " …" if len(lowered.layers) > _MOST_NAMED else ""
            hint = f"did you mean '{near}'?" if near else f"the layers are {known}{more}"
            message = f"'{key}' names '{part}', which no layer's name holds"
            bag.warning("TP922", message, call.spans.get(name, call.span), hint=hint, node=node.title)


def names_in(text: str) -> tuple[str, ...]:
    """The parts of layer names in a key of the TOML."""
    return tuple(name for part in text.split(",") if (name := part.strip()))
