"""What nodes ask of the Triton models that they run in: which model gets it, and what has no effect there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..ir.graph import DALI, Graph, Node, Stage
from ..ir.op import Trait
from ..ir.serving import (
    CACHE,
    CPU_PROVIDERS,
    DEFAULT_LEVEL,
    GPUS,
    KEYS,
    LEVEL_POLICY,
    LEVELS,
    PROVIDER,
    PROVIDER_OPTIONS,
    TABLES,
    WARMUP,
    Asked,
    Serving,
)
from ..source import Span
from .base import Context

_ONNX = "onnxruntime"
_PROVIDED = (PROVIDER, PROVIDER_OPTIONS)
_PRIORITIES = (DEFAULT_LEVEL, LEVEL_POLICY)  # beside LEVELS, which is before them in KEYS
_NAME_PROVIDER = 'write execution_provider beside it: execution_provider = "cuda"'
_WITHOUT_DALI = 'preprocess = "opencv" prepares the images in a stage that takes them'
_ABOVE = (
    "leave it out, or write it above the first node, where it holds for models that it says something about"
)
_ITS_MODEL = "a model's graph does its work; write it in that model's node if it is meant for that"
_OWN_QUEUE = "write it above the first node if that is meant; with --fuse none nodes have queues of their own"
_OWN_BACKEND = "--target gpu or --runtime onnxruntime gives models a backend of their own"


def assign(graph: Graph, stages: Sequence[Stage], context: Context) -> list[Stage]:
    """The stages, each with what its nodes ask of it.

    A node whose model is a stage of its own asks of that. What nodes of one stage want differently, and what
    cannot work where it was written for this node alone, is reported.
    """
    graph = replace(graph, stages=tuple(stages))
    found = []
    for stage in stages:
        serving = _merged(graph, stage, context)
        said = [*_timeout(graph, stage, context), *([shown(serving)] if serving else [])]
        if said:
            context.decisions.append(f"model {stage.name}: {', '.join(said)}")
        found.append(replace(stage, serving=serving))
    _report(replace(graph, stages=tuple(found)), context)
    return found


def _merged(graph: Graph, stage: Stage, context: Context) -> Serving:
    """What holds for a stage: the first value that a node has of its own, else what stands above all nodes.

    The keys about priorities say something together only, so they come from one node.
    """
    found: dict[str, Asked] = {}
    leading: Node | None = None  # whose number of priorities holds
    for key in KEYS:
        asking = [
            node
            for node in _asking(graph, stage)
            if key in node.serving and why_without_effect(graph, stage, node, key) is None
        ]
        if not asking:
            continue
        own = [node for node in asking if node.serving[key].is_own]
        holder = (own or asking)[0]
        if key in _PRIORITIES and leading is not None:
            holder = leading
        if key in holder.serving:
            found[key] = holder.serving[key]
        if key == LEVELS:
            leading = holder
        for node in own:
            if key not in found:
                _report_loser(node, holder, LEVELS, key, context)
            elif node.serving[key].value != found[key].value:
                _report_loser(node, holder, key, key, context)
    return found


def _report_loser(node: Node, holder: Node, holding: str, key: str, context: Context) -> None:
    """TP921 for a key of a node, in whose place another node's holds."""
    message = f"'{node.title}' runs in one model with '{holder.title}', whose '{holding}' holds"
    hint = f"give both the same {key}" + ("" if key in TABLES else ", or write it above the first node")
    context.bag.warning("TP921", message, node.serving[key].span, hint=hint, node=node.title)


def _timeout(graph: Graph, stage: Stage, context: Context) -> Iterator[str]:
    """The shortest of what the nodes write, which the queue has; others are reported."""
    asking = [(node.settings.timeout_ms, node) for node in graph.queued(stage) if node.settings.timeout_ms]
    if not asking:
        return
    least, first = min(asking, key=lambda one: one[0])
    losing = [node for value, node in asking if value != least]
    for node in (one for one in losing if "timeout_ms" in one.spans):
        message = f"'{node.title}' runs in one model with '{first.title}', whose shorter 'timeout_ms' holds"
        hint = "give both the same timeout_ms, or write it above the first node"
        context.bag.warning("TP921", message, node.spans["timeout_ms"], hint=hint, node=node.title)
    others = ", ".join(f"'{one.title}'" for one in losing if "timeout_ms" not in one.spans)
    if others:
        message = f"'{first.title}' runs in one model with {others}, for which its shorter 'timeout_ms' holds"
        span = first.spans.get("timeout_ms", first.span)
        context.bag.warning("TP921", message, span, hint=_OWN_QUEUE, node=first.title)
    yield f"timeout_ms = {least:g}"


def report_gone(before: Graph, after: Graph, context: Context) -> None:
    """What somebody wrote for nodes that are left out of a graph because models around them do their work."""
    for node in (node for name, node in before.nodes.items() if name not in after.nodes):
        own = {key: asked.span for key, asked in node.serving.items() if asked.is_own and asked.value}
        if node.settings.timeout_ms and "timeout_ms" in node.spans:
            own["timeout_ms"] = node.spans["timeout_ms"]
        for key, span in own.items():
            if key in _PROVIDED:
                _report_no_model(node, key, span, context)
                continue
            message = f"'{key}' of '{node.title}' has no effect: nothing is left to run for this node"
            context.bag.warning("TP922", message, span, hint=_ITS_MODEL, node=node.title)


def shown(serving: Serving) -> str:
    """The keys as somebody would write them."""
    return ", ".join(f"{key} = {_literal(asked.value)}" for key, asked in serving.items())


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def asked_in_vain(graph: Graph) -> Iterator[tuple[str, Span, str]]:
    """The keys that have no effect in this build: key, place and reason."""
    for stage in graph.stages:
        for node in _asking(graph, stage):
            for key, asked in node.serving.items():
                why = why_without_effect(graph, stage, node, key)
                if why is not None and asked.value not in (False, ""):
                    yield key, asked.span, why


def why_without_effect(graph: Graph, stage: Stage, node: Node, key: str) -> str | None:
    """Why a key says nothing about the model that a node runs in, if it doesn't."""
    asked = node.serving[key]
    if stage.backend == DALI:
        return f"DALI's model has no settings of its own; {_WITHOUT_DALI}"
    if key == GPUS and not stage.on_gpu:
        return "its model runs on the CPU"
    if key in _PROVIDED:
        provider = node.serving[PROVIDER].value if PROVIDER in node.serving else ""
        if key == PROVIDER_OPTIONS and not provider:
            return f"the node has no {PROVIDER} to give them to; {_NAME_PROVIDER}"
        if key == PROVIDER_OPTIONS and provider == "cpu":
            return "the provider cpu takes none"
        if provider == "cpu" and not stage.on_gpu:  # the model does what is asked, whatever runs it
            return None
        if stage.backend != _ONNX:
            return f"ONNX Runtime is no backend of its own here; {_OWN_BACKEND}"
        if provider and (provider in CPU_PROVIDERS) is stage.on_gpu and provider != "cpu":
            return f"{provider} computes on the {'CPU' if stage.on_gpu else 'GPU'}"
    if key == CACHE and stage.is_python:
        return f"the server would answer a bad item as an empty one the second time; {_OWN_BACKEND}"
    if key == WARMUP and asked.value and _calls_models(graph, stage):
        return "its model calls others, which need not be there while it is loaded"
    return None


def _calls_models(graph: Graph, stage: Stage) -> bool:
    if stage.runs:
        return False
    elsewhere = graph.called_models()
    return any(call.label in elsewhere for name in stage.nodes for call in graph.nodes[name].calls)


def _asking(graph: Graph, stage: Stage) -> list[Node]:
    """The nodes that ask of a stage: all, but for those whose model is another one."""
    models = {name for other in graph.stages if other.runs for name in graph.titles(other.nodes)}
    nodes = [graph.nodes[name] for name in stage.nodes]
    return nodes if stage.runs else [node for node in nodes if node.title not in models]


def _report(graph: Graph, context: Context) -> None:
    """What somebody wrote for a node, and does not get; once, however many entries the node is in."""
    own = {
        (key, asked.span): (stage, node)
        for stage in graph.stages
        for node in _asking(graph, stage)
        for key, asked in node.serving.items()
        if asked.is_own and asked.value
    }
    for (key, span), (stage, node) in own.items():
        why = why_without_effect(graph, stage, node, key)
        runs_model = any(call.op.has(Trait.INFERENCE) for call in node.calls)
        if key in _PROVIDED and not runs_model:
            _report_no_model(node, key, span, context)
        elif why is not None:
            what, _, hint = f"'{key}' of '{node.title}' has no effect: {why}".partition("; ")
            hint = hint or ("leave it out" if key in TABLES else _ABOVE)
            context.bag.warning("TP922", what, span, hint=hint, node=node.title)
        elif key == LEVELS and stage.is_called:
            message = f"all requests to '{stage.name}' have the default_priority_level"
            hint = "the stage that calls it cannot give a request a priority"
            context.bag.warning("TP922", message, span, hint=hint, node=node.title)


def _report_no_model(node: Node, key: str, span: Span, context: Context) -> None:
    message = f"'{key}' of '{node.title}' says nothing: the node runs no model"
    hint = "write it in the node with the model"
    context.bag.error("TP922", message, span, hint=hint, node=node.title)
