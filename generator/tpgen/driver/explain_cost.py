"""Where an item's time goes and what limits a pipeline, as data and as text for explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..passes.cost import CORES, ENGINE, Cost, StageCost, cost_of
from ..passes.figures import PART, WHOLE
from .compile import Compiled


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds of CPU time of an item in a stage, by node; ``around`` is Triton and what Python adds."""

    stage: str
    around: float
    nodes: dict[str, float]


@dataclass(frozen=True)
class Crossing:
    """The bytes of an item from a stage (or the client) to another, and the CPU time of their copies.

    ``over`` is memory, the bus to a GPU, or gpu: they stay there.
    """

    source: str
    target: str
    size: int
    copies: int
    ms: float
    over: str


@dataclass(frozen=True)
class CostFacts:
    """An estimate. ``items_per_second`` is what each known term allows at most, ``limit`` the least of them.

    ``remarks`` say what the figures are, and what is not in them.
    """

    ms: float
    stages: tuple[StageTimes, ...]
    crossings: tuple[Crossing, ...]
    items_per_second: dict[str, float]
    limit: str
    remarks: tuple[str, ...]


def cost_facts(compiled: Compiled) -> CostFacts:
    """What an item of a compiled pipeline costs, by the figures that tpgen has."""
    options = compiled.options
    cost = cost_of(
        compiled.graph, cores=options.cores, target=options.target, engine_rate=options.engine_rate
    )
    return CostFacts(
        round(cost.ms, 3),
        tuple(_times(stage) for stage in cost.stages if stage.ms),
        tuple(
            Crossing(one.source, one.target, one.size, one.copies, round(one.ms, 3), one.over)
            for one in cost.edges
        ),
        {name: round(rate, 1) for name, rate in cost.rates.items()},
        cost.limit,
        tuple(_remarks(cost)),
    )


def cost_lines(facts: CostFacts) -> Iterator[str]:
    """The estimate for a terminal."""
    rates = facts.items_per_second
    for times in facts.stages:
        nodes = (f"{name} {ms:.2f}" for name, ms in times.nodes.items() if ms)
        parts = ", ".join([*nodes, f"Triton around it {times.around:.2f}"])
        yield f"{times.stage}: {parts} ms"
    for crossing in facts.crossings:
        way = f"{crossing.source} -> {crossing.target}"
        bus = f" over the bus, at most {rates[way]:.0f} items/s" if crossing.over == "bus" else ""
        often = "once" if crossing.copies == 1 else f"{crossing.copies} times"
        copies = ", on the GPU" if crossing.over == "gpu" else f", copied {often}, {crossing.ms:.2f} ms"
        yield f"{way}: {_size(crossing.size)}{copies}{bus}"
    if CORES in rates:
        yield f"together {facts.ms:.2f} ms of CPU time: at most {rates[CORES]:.0f} items/s"
    if facts.limit:
        yield f"what limits it, of what is known: {facts.limit}, at {rates[facts.limit]:.0f} items/s"
    yield from (f"- {remark}" for remark in facts.remarks)


def _times(stage: StageCost) -> StageTimes:
    nodes: dict[str, float] = {}
    for call in stage.calls:
        nodes[call.node] = nodes.get(call.node, 0.0) + (call.ms or 0.0)
    return StageTimes(stage.stage, stage.around, {name: round(ms, 3) for name, ms in nodes.items()})


def _remarks(cost: Cost) -> Iterator[str]:
    yield (
        "figures of one core of a Xeon (benchmarks/operators.py); what a bus to a GPU carries is assumed,"
        " not measured"
    )
    if cost.has_models and cost.engine_rate is None:
        where = "on the same cores" if cost.shares_cores else "on the GPU"
        yield f"not in it: the models, {where}; engine_rate in [pipeline] says what they answer alone"
    elif cost.has_models:
        yield f"the models alone: {cost.engine_rate:.0f} items/s, as {ENGINE}_rate says"
    if cost.assumed:
        whole, part = (f"{width} x {height}" for height, width in (WHOLE, PART))
        yield f"sizes that are not known: an image is {whole}, a part of one {part}, a list one element"
    if cost.unmeasured:
        yield f"not in it, as nobody measured it: {', '.join(cost.unmeasured)}"
    if cost.fallbacks:
        yield f"not in it: {', '.join(cost.fallbacks)}, where 'or' lets only items that have no result yet"
    for stage in cost.stages:
        if stage.elsewhere:
            yield f"not in it: what {stage.stage} computes on the GPU, of which no figure is known"


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.0f} kB"
