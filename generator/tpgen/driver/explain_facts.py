"""What `tpgen explain` says of a pipeline, as data: its entries, stages, nodes and calls."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .explain_batches import BatchFacts
from .explain_cost import CostFacts
from .needs import Needs


@dataclass(frozen=True)
class TensorFacts:
    """A tensor on the wire; ``dims`` without the batch dimension, -1 varies."""

    name: str
    datatype: str
    dims: tuple[int, ...]


@dataclass(frozen=True)
class PortFacts:
    """An input or output: its type inside the pipeline, and its tensors.

    ``can_be_absent``: an item may end without it, which is not an error.
    """

    key: str
    type: str
    optional: bool
    can_be_absent: bool
    tensors: tuple[TensorFacts, ...]


@dataclass(frozen=True)
class EntryFacts:
    """A model that clients call; ``root`` is its first node. ``is_added``: ``[pipeline] entries`` adds it."""

    name: str
    root: str
    is_added: bool
    max_batch: int
    inputs: tuple[PortFacts, ...]
    outputs: tuple[PortFacts, ...]


@dataclass(frozen=True)
class StageFacts:
    """A Triton model that runs nodes; ``threads`` is what each instance uses on this machine.

    ``runs_on`` is a backend of Triton's own that runs it, and the device ("" for a Python stage on the CPU).
    ``parallel`` are branches that run at the same time, each by its first node.
    """

    name: str
    nodes: tuple[str, ...]
    instances: int
    threads: int
    max_batch: int
    why: str
    inputs: tuple[PortFacts, ...]
    outputs: tuple[PortFacts, ...]
    runs_on: str = ""
    parallel: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class CallFacts:
    """One use of an operator. ``condition`` says which items its filter lets run.

    ``became`` is what the passes made of it, empty if it runs as written; ``way`` says which items get
    here, if a container took them apart before; ``padding`` what it pads, or to which sizes.
    """

    operator: str
    filter: str
    condition: str
    keys: dict[str, Any]
    reads: dict[str, str]
    writes: dict[str, str]
    became: str
    note: str
    way: str = ""
    padding: str = ""


@dataclass(frozen=True)
class NodeFacts:
    """A node as the TOML has it; ``place`` is ``file:line``. ``within`` says where a copy of it runs.

    ``map`` are its new keys, each with the node and key that it comes from; ``on_error`` says what becomes of
    items that it fails on ("" for: they fail), ``passes_by`` which nodes items may pass by.
    """

    name: str
    place: str
    next: tuple[str, ...]
    calls: tuple[CallFacts, ...]
    map: dict[str, str]
    on_error: str
    passes_by: dict[str, tuple[str, ...]]
    within: str = ""
    batches: BatchFacts | None = None


@dataclass(frozen=True)
class IgnoredKey:
    """A key that changes nothing in this build; ``place`` is ``file:line:column``."""

    key: str
    place: str
    why: str


@dataclass(frozen=True)
class Explanation:
    """All of it; field by field what `tpgen explain PIPELINE.toml` prints."""

    pipeline: str
    file: str
    options: dict[str, str | int]
    entries: tuple[EntryFacts, ...]
    stages: tuple[StageFacts, ...]
    nodes: tuple[NodeFacts, ...]
    decisions: tuple[str, ...]
    ignored: tuple[IgnoredKey, ...]
    needs: Needs
    cost: CostFacts

    def to_json(self) -> dict[str, Any]:
        """The explanation as plain data."""
        return asdict(self)
