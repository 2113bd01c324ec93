"""What an item costs, and what limits how many a repository answers: an estimate from declared figures.

Let ``t`` be milliseconds of CPU time for an item, ``R`` what the engines alone answer in a second, ``b`` the
bytes of an item that cross an edge, and ``B`` what crosses it in a second. A pipeline answers at most
``min(1000 * cores / sum of t, R, B / b ...)`` items a second; the least of these is its limit. Whether images
are better prepared elsewhere than on the cores follows from it (`prepare`), and `explain` prints it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ..ir.filters import OR, RESULT
from ..ir.graph import DALI, Call, Graph, Port, Stage
from ..ir.op import Trait
from ..types import Array, Bytes, Layout, ListOf, Symbol, TupleOf, Type
from .device import device_work
from .figures import BUS, BYTES_PER_PIXEL, CLIENT_MS, HANDOVER_MS, KERNELS, MEMORY, PART, STAGE_MS, WHOLE

_MILLION = 1e6
_GPU = "gpu"
CORES, ENGINE, CLIENT = "cores", "engine", "client"


@dataclass(frozen=True)
class CallCost:
    """A call's milliseconds of CPU time for an item; None: not measured. ``node`` is the node's title."""

    node: str
    operator: str
    ms: float | None


@dataclass(frozen=True)
class StageCost:
    """A stage's milliseconds of CPU time for an item: Triton's (``around``), and those of its calls.

    ``elsewhere``: it computes on a GPU, too, which no figure is known of.
    """

    stage: str
    around: float
    calls: tuple[CallCost, ...]
    elsewhere: bool = False

    @property
    def ms(self) -> float:
        return self.around + sum(call.ms or 0.0 for call in self.calls)


@dataclass(frozen=True)
class EdgeCost:
    """The bytes of an item that go from a stage (or the client) to another.

    ``over``: ``memory``, ``bus`` (to a GPU, or from it), or ``gpu``: they stay there. ``copies``: how often
    they are copied on the way.
    """

    source: str
    target: str
    size: int
    over: str
    copies: int

    @property
    def ms(self) -> float:
        """Milliseconds of CPU time that an item's copies take."""
        if self.over == _GPU:
            return 0.0
        return (CLIENT_MS if CLIENT in (self.source, self.target) else HANDOVER_MS) * self.size / _MILLION

    @property
    def per_second(self) -> float:
        """The items that can cross in a second; no figure is known of a GPU's own memory."""
        if self.over == _GPU:
            return math.inf
        return (BUS if self.over == "bus" else MEMORY) / max(self.size, 1)


@dataclass(frozen=True)
class Cost:
    """The estimate of a repository. ``engine_rate`` is what models alone answer in a second, None: unknown.

    ``shares_cores``: the models run on the same cores as the rest.
    """

    cores: int
    stages: tuple[StageCost, ...]
    edges: tuple[EdgeCost, ...]
    engine_rate: float | None = None
    shares_cores: bool = True
    has_models: bool = False
    assumed: bool = False  # a size that is not known went into it
    fallbacks: tuple[str, ...] = ()  # the nodes with what does not count, as an `or` keeps items from it

    @property
    def ms(self) -> float:
        """Milliseconds of CPU time of an item, models included where they are known and run on the cores."""
        models = 1000 * self.cores / self.engine_rate if self.shares_cores and self.engine_rate else 0.0
        return sum(one.ms for one in self.stages) + sum(one.ms for one in self.edges) + models

    @property
    def rates(self) -> dict[str, float]:
        """The most items in a second that each term allows, of those that are known."""
        found = {CORES: 1000 * self.cores / self.ms} if self.ms else {}
        if self.engine_rate and not self.shares_cores:
            found[ENGINE] = self.engine_rate
        crossing = {f"{one.source} -> {one.target}": one.per_second for one in self.edges if one.over != _GPU}
        return {**found, **crossing}

    @property
    def limit(self) -> str:
        """The term that allows least; "" if none is known."""
        rates = self.rates
        return min(rates, key=rates.__getitem__) if rates else ""

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The calls that no figure is known of, as ``node.Operator``."""
        calls = (call for stage in self.stages for call in stage.calls if call.ms is None)
        return tuple(dict.fromkeys(f"{call.node}.{call.operator}" for call in calls))


def cost_of(graph: Graph, *, cores: int, target: str, engine_rate: float | None) -> Cost:
    """The estimate of a placed and typed graph; all branches count, and one element of each list.

    What stands behind an ``or`` counts nothing: items get there that failed before, of which there are few.
    """
    sizes = _Sizes(graph)
    stages = tuple(_stage(graph, stage, sizes) for stage in graph.stages)
    return Cost(
        cores,
        stages,
        tuple(edge for entry in graph.entries for edge in _edges(graph, entry.name, target, sizes)),
        engine_rate,
        shares_cores=target != _GPU,
        has_models=any(call.op.has(Trait.INFERENCE) for _, call in graph.calls()),
        assumed=sizes.assumed,
        fallbacks=tuple(
            dict.fromkeys(node.title for node, call in graph.calls() if _falls_back(graph, call))
        ),
    )


def _stage(graph: Graph, stage: Stage, sizes: _Sizes) -> StageCost:
    if not stage.is_python:  # its model's time is the engine's
        return StageCost(stage.name, 0.0, (), elsewhere=stage.backend == DALI)
    elsewhere = set(graph.called_models()) if not stage.runs else set()
    own = set(stage.runs) if stage.is_called else None
    calls = [
        (graph.title(name), call)
        for name in stage.nodes
        for call in graph.nodes[name].calls
        if call.label not in elsewhere and (own is None or call.label in own)
    ]
    work = device_work(graph, stage)
    away = work.on_device if work is not None else frozenset()
    found = (
        CallCost(title, call.op.name, _milliseconds(graph, call, sizes))
        for title, call in calls
        if call.label not in away and not _falls_back(graph, call)
    )
    return StageCost(stage.name, STAGE_MS, tuple(found), elsewhere=bool(away))


def _falls_back(graph: Graph, call: Call) -> bool:
    """True if only items without a result get to a call."""
    return OR in (call.filter, graph.nodes[call.node].calls[0].filter)


def _milliseconds(graph: Graph, call: Call, sizes: _Sizes) -> float | None:
    assert graph.types is not None
    free = any(call.op.has(trait) for trait in (Trait.FORWARDS, Trait.INFERENCE, Trait.CALLS))
    if free or not call.op.kernel or call.label not in graph.types.before:
        return 0.0
    figure = KERNELS.get(call.op.kernel)
    if figure is None:
        return None
    read = graph.types.read_by(call.label).get(next(iter(call.op.inputs()), ""))
    written = graph.types.written.get(call.label, {}).get(RESULT)
    return (
        figure.ms
        + figure.read * sizes.numbers(read, per_pixel=True) / _MILLION
        + figure.written * sizes.numbers(written, per_pixel=True) / _MILLION
    )


def _edges(graph: Graph, entry: str, target: str, sizes: _Sizes) -> Iterator[EdgeCost]:
    own = [stage for stage in graph.stages if stage.entry == entry]
    steps = [stage for stage in own if not stage.is_called]
    if not steps:
        return
    yield _edge(None, steps[0], sizes.bytes_of(steps[0].inputs), "memory")
    for before, stage in pairwise(steps):
        yield _edge(before, stage, _read_by(graph, stage, sizes), _over(target, before, stage))
    for stage in own:
        if stage.is_called:
            caller = next((one for one in steps if set(stage.nodes) <= set(one.nodes)), steps[0])
            over = _over(target, caller, stage)
            yield _edge(caller, stage, _read_by(graph, stage, sizes), over)
            yield _edge(stage, caller, sizes.bytes_of(stage.outputs), over)
    yield _edge(steps[-1], None, sizes.bytes_of(steps[-1].outputs), "memory")


def _edge(source: Stage | None, target: Stage | None, size: int, over: str) -> EdgeCost:
    """The edge between two stages; None: the client.

    Python's backend copies a tensor into shared memory before a stage reads it; what a stage answers is
    copied there, and from there into the server's memory. The bus is one more copy.
    """
    copies = 2 * _is_python(source) + _is_python(target) + (over == "bus") if over != _GPU else 0
    start, end = (stage.name if stage is not None else CLIENT for stage in (source, target))
    return EdgeCost(start, end, size, over, copies)


def _is_python(stage: Stage | None) -> bool:
    return stage is not None and stage.is_python


def _read_by(graph: Graph, stage: Stage, sizes: _Sizes) -> int:
    """The bytes of an item that a stage takes; of a model whose sizes vary, those that arrive here."""
    assert graph.types is not None
    if not stage.runs:
        return sizes.bytes_of(stage.inputs)
    call = next(call for _, call in graph.calls() if call.label == stage.runs[0])
    arriving = graph.types.read_by(call.label)
    ports = []
    for key, port in zip(call.op.inputs(), stage.inputs, strict=False):
        type_ = arriving.get(key)
        if isinstance(type_, Array) and isinstance(port.type, Array):
            type_ = replace(type_, dtype=port.type.dtype)
            port = replace(port, state=replace(port.state, type=type_))
        ports.append(port)
    return sizes.bytes_of(ports)


def _over(target: str, one: Stage, other: Stage) -> str:
    if target != _GPU or not (one.on_gpu or other.on_gpu):
        return "memory"
    return _GPU if one.on_gpu and other.on_gpu else "bus"


class _Sizes:
    """Sizes of values; dimensions that are not known are assumed, and that is noted."""

    def __init__(self, graph: Graph) -> None:
        assert graph.types is not None
        self.assumed = False
        decoded = (
            type_
            for _, call in graph.calls()
            if any(isinstance(one, Bytes) for one in graph.types.read_by(call.label).values())
            for type_ in graph.types.written.get(call.label, {}).values()
        )
        sent = (port.type for entry in graph.entries for port in entry.inputs)
        self._whole = {dim for type_ in (*decoded, *sent) for dim in _symbols(type_)}

    def numbers(self, type_: Type | None, *, per_pixel: bool = False) -> float:
        """The numbers of an array, or the pixels of an image; of a list, those of one element."""
        match type_:
            case ListOf():
                return self.numbers(type_.item, per_pixel=per_pixel)
            case TupleOf():
                return sum(self.numbers(item, per_pixel=per_pixel) for item in type_.items)
            case Bytes():
                self.assumed = True
                return float(math.prod(WHOLE))
            case Array():
                sides = self._sides(type_)
                if per_pixel and type_.is_image and len(sides) == 3:
                    sides = sides[1:] if type_.layout is Layout.CHW else sides[:2]
                return float(math.prod(sides))
            case _:
                return 0.0

    def bytes_of(self, ports: Iterable[Port]) -> int:
        """The bytes of an item that these ports carry."""
        return sum(self._bytes(port.type) for port in ports)

    def _bytes(self, type_: Type) -> int:
        if isinstance(type_, Bytes):
            return round(self.numbers(type_) * BYTES_PER_PIXEL)
        if isinstance(type_, ListOf):
            return self._bytes(type_.item)
        if isinstance(type_, Array):
            return round(self.numbers(type_)) * type_.dtype.itemsize
        return 0

    def _sides(self, type_: Array) -> tuple[int, ...]:
        whole = any(dim in self._whole for dim in type_.shape)
        known = list(type_.shape)
        places = [axis for axis, dim in enumerate(known) if isinstance(dim, Symbol)]
        self.assumed = self.assumed or bool(places)
        height, width = WHOLE if whole else PART
        for number, axis in enumerate(places):
            known[axis] = width if len(places) == 1 or number == 1 else height
        return tuple(dim for dim in known if isinstance(dim, int))


def _symbols(type_: Type) -> Iterator[Symbol]:
    if isinstance(type_, ListOf):
        yield from _symbols(type_.item)
    if isinstance(type_, Array):
        yield from (dim for dim in type_.shape if isinstance(dim, Symbol))
