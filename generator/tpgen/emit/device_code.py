"""What the code of a stage on a GPU says otherwise: kernels on torch, and how values get there and back."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.graph import Call
from ..ir.op import Trait
from ..passes.device import ANYWHERE, LOWERINGS, MODELS, may_lie_on_device
from .names import literal
from .stage_parts import StageParts

_DEVICE = "device=self.device"
_DECODERS = frozenset({"image:decode_mat", "image:decode_tensor"})


@dataclass(frozen=True)
class KernelCode:
    """The kernel of a call, ``module:name``. ``at_load``: it is constructed then, with ``arguments``, too."""

    name: str
    at_load: bool
    arguments: tuple[str, ...] = ()


def kernel_of(parts: StageParts, call: Call) -> KernelCode:
    """The kernel that runs a call in a stage."""
    kernel, at_load = call.op.kernel, call.op.has(Trait.STATEFUL)
    if parts.device is None:
        return KernelCode(kernel, at_load)
    if call.label in parts.device.on_device:
        lowering = LOWERINGS[kernel]
        return KernelCode(lowering.kernel, lowering.at_load, (_DEVICE,) if lowering.at_load else ())
    if kernel in MODELS:
        return KernelCode(MODELS[kernel], at_load, tuple(model_arguments(parts, call)))
    return KernelCode(kernel, at_load)


def model_arguments(parts: StageParts, call: Call) -> list[str]:
    """What a model of a stage on a GPU is told besides what it always is."""
    if parts.device is None:
        return []
    return [_DEVICE, *(["stays=True"] if call.label in parts.device.stays else [])]


def in_threads(parts: StageParts, call: Call) -> bool:
    """True for a call that decodes images: the one process of a stage on a GPU does that in threads."""
    return parts.device is not None and call.op.kernel in _DECODERS


def is_batched(parts: StageParts, call: Call) -> bool:
    """True for a call whose kernel works on lists, one entry per item."""
    return call.op.has(Trait.BATCHED) or in_threads(parts, call)


def on_lists(parts: StageParts, call: Call, kernel: str) -> str:
    """The expression of a kernel on lists, which gets arrays where it knows nothing else."""
    is_foreign = call.label not in parts.remote and call.op.kernel not in {*MODELS, *_DECODERS}
    return f"torch_device.on_host({kernel})" if parts.device is not None and is_foreign else kernel


def on_host(parts: StageParts, call: Call, key: str, value: str) -> str:
    """The expression of a value that a call reads, brought to the host if it may lie elsewhere."""
    if parts.device is None or call.label in parts.device.on_device or call.op.kernel in ANYWHERE:
        return value
    assert parts.graph.types is not None
    state = parts.graph.types.before.get(call.label, {}).get(key)
    return f"torch_device.to_host({value})" if state is None or may_lie_on_device(state.type) else value


@dataclass
class Brought:
    """Follows an item through consecutive calls: which of its keys lie on the device for certain."""

    parts: StageParts
    keys: frozenset[str] = frozenset()

    def before(self, call: Call) -> list[str]:
        """The statement that brings there what a call reads."""
        work = self.parts.device
        if work is None or call.label not in work.on_device:
            return []
        key = call.op.inputs()[0]
        return [] if key in self.keys else [f"torch_device.bring(item, self.device, {literal(key)})"]

    def behind(self, call: Call, targets: list[str]) -> None:
        """Note what a call wrote; ``targets`` are the keys that its outputs went to."""
        work = self.parts.device
        if work is None:
            return
        read = call.op.inputs()[:1]
        self.keys |= set(read) if call.label in work.on_device else set()
        self.keys -= set(targets)
        self.keys |= set(targets[:1]) if call.label in work.on_device else set()

    def handed_on(self, source: str, targets: list[str]) -> None:
        """Note that some keys hold now what another one does."""
        self.keys = self.keys | set(targets) if source in self.keys else self.keys - set(targets)
