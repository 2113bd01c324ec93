"""What is asked of a model's precision, and what became of each layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Half = Literal["fp16", "bf16"]


@dataclass(frozen=True)
class PrecisionRequest:
    """The precision of a model's layers; inputs and outputs stay as they are.

    Attributes:
        half: the type that layers are put in.
        keep: parts of layer names that stay in fp32 (``precision::fp32``).
        only: parts of layer names; if given, no other layer is put in half (``precision::fp16``).
        layer_norm_fp32: layer normalisations stay in fp32 (``force_layer_norm_pattern_fp32``).
    """

    half: Half
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    layer_norm_fp32: bool = False


@dataclass(frozen=True)
class Layer:
    """One node of the graph; ``reason`` says why it stays in fp32, and is empty where it does not."""

    name: str
    operator: str
    reason: str = ""


@dataclass(frozen=True)
class PrecisionReport:
    """What a conversion did.

    Attributes:
        precision: what the model is in now: ``fp16``, ``bf16``, ``int8``.
        converted: layers that compute in that precision.
        kept: layers that compute in fp32 although they could be asked for less.
        notes: what else the user should know.
        doubts: notes that a build says, too, not its record alone.
        unmatched: parts of layer names that were asked for and that no layer's name holds.
    """

    precision: str
    converted: tuple[Layer, ...]
    kept: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all layers."""
        return tuple(layer.name for layer in (*self.converted, *self.kept))

    def text(self) -> str:
        """The report in lines: counts, then the layers that stay, by reason."""
        lines = [f"{self.precision}: {len(self.converted)} layers ({_counted(self.converted)})"]
        reasons: dict[str, list[Layer]] = {}
        for layer in self.kept:
            reasons.setdefault(layer.reason, []).append(layer)
        for reason, layers in reasons.items():
            lines.append(f"fp32: {', '.join(f'{x.operator} {x.name!r}' for x in layers)}: {reason}")
        unmatched = [f"no layer's name holds '{pattern}'" for pattern in self.unmatched]
        return (
            "\n".join([*lines, *(f"note: {note}" for note in (*self.notes, *self.doubts, *unmatched))]) + "\n"
        )


def _counted(layers: Iterable[Layer]) -> str:
    return ", ".join(f"{n} {operator}" for operator, n in sorted(Counter(x.operator for x in layers).items()))
