"""Chooses who prepares images on the gpu target, and says so: OpenCV on the cores, or DALI.

Images stay on the cores as long as these don't limit the pipeline: there, a broken image fails alone, and
answers are those of the reference. With ``preprocess = "auto"`` DALI takes over where the cost model says
that the cores are the limit, its table holds all operators, and nothing that the TOML asks for gets lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..ir.graph import DALI, Call, Graph, Stage
from ..ir.op import Trait
from .base import Context
from .cost import CORES, ENGINE, Cost, cost_of

_AUTO, _GPU = "auto", "gpu"


@dataclass(frozen=True)
class Prepare:
    """See the module."""

    name: str = "prepare"

    def run(self, graph: Graph, context: Context) -> Graph:
        options = context.options
        if options.target != _GPU:
            if options.preprocess == DALI:
                context.decisions.append('preprocess = "dali" has no effect: the cpu target uses OpenCV')
            return graph
        chosen: dict[str, Stage] = {}
        if options.preprocess == _AUTO:
            cost = cost_of(graph, cores=options.cores, target=_GPU, engine_rate=options.engine_rate)
            for stage in _preparing(graph):
                reason = _reason_against(graph, stage, cost, context)
                if reason is None:
                    reason = _why(cost)
                    chosen[stage.name] = replace(stage, backend=DALI, on_gpu=True, why=reason)
                who = "DALI prepares" if stage.name in chosen else "OpenCV prepares"
                context.decisions.append(f"{who} the images of {stage.entry}: {reason}")
        graph = replace(graph, stages=tuple(chosen.get(one.name, one) for one in graph.stages))
        if options.preprocess == _AUTO:
            _note_gpu_operators(graph, context)
        return graph


def _preparing(graph: Graph) -> Iterator[Stage]:
    """The stages that decode images in front of models, or with them."""
    for stage in graph.stages:
        calls = _calls(graph, stage)
        if stage.is_python and not stage.runs and not stage.on_gpu and any(map(_works_on_images, calls)):
            yield stage


def _works_on_images(call: Call) -> bool:
    return type(call.op).group == "image" and not call.op.has(Trait.FORWARDS)


def _calls(graph: Graph, stage: Stage) -> list[Call]:
    return [call for name in stage.nodes for call in graph.nodes[name].calls]


def _reason_against(graph: Graph, stage: Stage, cost: Cost, context: Context) -> str | None:
    """Why the images of a stage stay on the cores, if they do."""
    if not stage.inputs or any(call.op.has(Trait.INFERENCE) for call in _calls(graph, stage)):
        return "control flow, or sizes that vary, keep them in the stage that calls the models"
    if not cost.has_models:
        return "there is no model that waits for them"
    rates = cost.rates
    if ENGINE not in rates:
        return (
            "whether the cores are the limit is not known: engine_rate in [pipeline] says how many items a"
            " second the models answer alone"
        )
    if cost.limit != CORES:
        return (
            f"the limit is '{cost.limit}', at {rates[cost.limit]:.0f} items/s; the cores answer about"
            f" {rates[CORES]:.0f}"
        )
    promised = next((call for call in _calls(graph, stage) if "max_pixels" in call.spans), None)
    if promised is not None:
        return f"{_why(cost)}, but max_pixels of '{graph.title(promised.node)}' is not checked by DALI"
    refusal = context.against_dali(graph, stage)
    return None if refusal is None else f"{_why(cost)}, but DALI cannot do this: {refusal}"


def _why(cost: Cost) -> str:
    rates = cost.rates
    return (
        f"the cores are the limit, at about {rates[CORES]:.0f} items/s; the engine does {rates[ENGINE]:.0f}"
    )


def _note_gpu_operators(graph: Graph, context: Context) -> None:
    """Name the operators of a GPU that run on the cores all the same: once for the file."""
    found: dict[str, Call] = {}
    for stage in graph.stages:
        if stage.is_python and not stage.on_gpu and not stage.runs:
            found.update(
                {
                    f"{graph.title(call.node)}.{call.op.name}": call
                    for call in _calls(graph, stage)
                    if call.op.has(Trait.GPU_CONVENTION)
                }
            )
    if found:
        context.bag.note(
            "TP930",
            f"operators of the GPU run on the CPU: {', '.join(found)}",
            next(iter(found.values())).span,
            hint='[pipeline] preprocess = "gpu" or "dali" puts them on the GPU, "opencv" says that the CPU is'
            " meant; tpgen explain says what limits the pipeline",
        )
