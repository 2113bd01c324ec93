"""TensorRT engines that a repository needs: planned here, built where TensorRT and the GPU are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..diagnostics import Bag
from ..emit.native_model import Engine
from ..emit.repo_plan import CopyFrom
from ..engines.commands import polygraphy, trtexec
from ..engines.plan_files import MODEL, PLAN
from ..engines.profiles import Declared, PlanProblem, Profile, ProfilePlan, Shapes, plan_profiles
from ..engines.requests import EngineRequest, Flags, Hardware
from ..frontend.batches import parse_shapes
from ..frontend.values import ValueProblem
from ..ir.graph import Call, Graph, Node, Stage
from ..ir.signature import ModelSignature
from ..types import Array
from .compile import Compiled
from .lowered import Lowered
from .precision import Contents, engine_calls, tensor_of


def plan_engines(
    compiled: Compiled, contents: Contents, lowered: Mapping[str, Lowered], bag: Bag
) -> dict[str, Engine]:
    """The engine of each stage that runs on TensorRT, by stage; what cannot be planned is reported."""
    found: dict[str, Engine] = {}
    graph = compiled.graph
    for stage, node, call in engine_calls(graph):
        op: Any = call.op
        try:
            flags, workspace = _flags(op), _workspace(op)
        except ValueError as problem:
            key = "max_workspace_size" if "max_workspace" in str(problem) else "hardware_compatibility"
            bag.error("TP412", f"no engine can be planned: {problem}", call.spans.get(key, call.span))
            continue
        try:
            profiles = _profiles(graph, stage, node, call)
        except (PlanProblem, ValueProblem) as problem:
            key = problem.key if isinstance(problem, PlanProblem) else "opt"
            span = call.spans.get(key) or node.spans.get(key) or node.spans.get("max", call.span)
            message = f"no engine can be planned: {problem}"
            bag.error("TP412", message, span, hint=problem.hint, node=node.title)
            continue
        for note in profiles.notes:
            bag.note("TP907", note, node.spans.get("max", call.span), node=node.title)
        model = next(iter(contents[stage.runs[0], "model"][1].values()), b"")
        request = EngineRequest(
            model_sha256=model.sha256 if isinstance(model, CopyFrom) else "",
            inputs=tuple(map(tensor_of, stage.inputs)),
            outputs=tuple(map(tensor_of, stage.outputs)),
            profiles=profiles.profiles,
            precision=lowered[stage.name].precision,
            flags=flags,
            workspace_mib=workspace,
        )
        lines = {tool.__name__: tool(request, MODEL, PLAN) for tool in (trtexec, polygraphy)}
        cache = "" if _would_be_secret(node, call, bag) else op.model_cache
        about = {"notes": profiles.notes, "report": lowered[stage.name].report, "cache": cache}
        text = request.text(lines, {name: value for name, value in about.items() if value})
        found[stage.name] = Engine(profiles.indices, profiles.allocation, text)
    return found


def _would_be_secret(node: Node, call: Call, bag: Bag) -> bool:
    """True, and said, if the name of a cache promises what an engine in it would not keep."""
    op: Any = call.op
    if not op.model_cache.lower().endswith((".encrypted", ".enc")):
        return False
    message = (
        "no engine is kept in 'model::cache': its name is that of an encrypted file, and engines are in plain"
    )
    hint = 'name a plain file, such as "engines/net.plan"; it holds the weights of the model'
    bag.warning("TP922", message, call.spans.get("model_cache", call.span), hint=hint, node=node.title)
    return True


def _flags(op: Any) -> Flags:
    levels: dict[str, Hardware] = {
        "": "none",
        "none": "none",
        "ampere_plus": "ampere_plus",
        "same_compute_capability": "same_compute_capability",
    }
    level = levels.get(op.hardware_compatibility.strip().lower())
    if level is None:
        raise ValueError(
            "'hardward_compatibility' is NONE, SAME_COMPUTE_CAPABILITY or AMPERE_PLUS,"
            f" not {op.hardware_compatibility!r}"
        )
    return Flags(
        tf32=op.tf32,
        version_compatible=op.version_compatible,
        hardware_compatibility=level,
        refit=op.refit,
        strip=op.strip_plan,
        optimization_level=op.optimization_level,
    )


def _workspace(op: Any) -> int | None:
    text = op.max_workspace_size.strip()
    if text and not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"'max_workspace_size' is a number of MiB, not {text!r}")
    return int(text) if text else None


def _profiles(graph: Graph, stage: Stage, node: Node, call: Call) -> ProfilePlan:
    """The profiles of a call's engine; what is said of them is in the order that the TOML has.

    Raises:
        PlanProblem: they can't be planned.
        ValueProblem: 'opt' is no shape.
    """
    op: Any = call.op
    is_turned = call.rewrite is not None and call.rewrite.layout == "HWC"  # the passes moved the channels
    signature = _channels_first(op.signature) if is_turned else op.signature
    arriving = _arriving(graph, call)
    if is_turned:
        arriving = tuple(shape and _first(shape) for shape in arriving)
    profiles = [one for group in node.settings.groups for one in group.profiles]
    declared = []
    for one, opt in zip(profiles, _opts(op.opt, len(profiles)), strict=True):
        low, high = one.low, one.high
        if is_turned:
            low, high = (tuple(_first(s) if len(s) == 4 else s for s in sizes) for sizes in (low, high))
        high = _completed(high, arriving)
        # A smallest size that is a batch alone is no larger than the largest, whatever arrives.
        least = tuple(_least(sizes, shape[1:]) for sizes, shape in zip(arriving, high, strict=False))
        declared.append(Declared(_completed(low, least), high, _completed(opt, arriving) if opt else ()))
    is_known = bool(arriving) and all(shape is not None for shape in arriving)
    buckets = [tuple(shape for shape in arriving if shape is not None)] if is_known else []
    found = plan_profiles(signature, declared, max_batch=stage.max_batch, buckets=buckets)
    return replace(found, profiles=tuple(map(_last_in, found.profiles))) if is_turned else found


def _least(arriving: tuple[int, ...] | None, most: tuple[int, ...]) -> tuple[int, ...] | None:
    if arriving is None or len(arriving) != len(most):
        return arriving
    return tuple(map(min, arriving, most))


def _first(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """A shape whose channels came last, with the channels where the model's file has them."""
    return (*shape[:-3], shape[-1], *shape[-3:-1])


def _last_in(profile: Profile) -> Profile:
    def last(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], *shape[2:], shape[1])

    return tuple(replace(one, low=last(one.low), opt=last(one.opt), high=last(one.high)) for one in profile)


def _channels_first(signature: ModelSignature) -> ModelSignature:
    (info,) = signature.inputs
    return replace(signature, inputs=(replace(info, shape=_first(info.shape)),))


def _arriving(graph: Graph, call: Call) -> tuple[tuple[int, ...] | None, ...]:
    """The shapes of items that arrive, per input; None where they vary."""
    assert graph.types is not None
    read = graph.types.read_by(call.label)
    found: list[tuple[int, ...] | None] = []
    for key in call.op.inputs():
        type_ = read[key]
        shape = type_.shape if isinstance(type_, Array) else ()
        sizes = tuple(dim for dim in shape if isinstance(dim, int))
        found.append(sizes if len(sizes) == len(shape) else None)
    return tuple(found)


def _completed(shapes: Shapes, arriving: tuple[tuple[int, ...] | None, ...]) -> Shapes:
    """A batch alone with the shape that arrives, where that is fixed."""
    given = [*shapes, *[shapes[-1][:1]] * (len(arriving) - len(shapes))]
    return tuple(
        (*shape, *sizes) if len(shape) == 1 and sizes is not None else shape
        for shape, sizes in zip(given, arriving, strict=False)
    )


def _opts(text: str, count: int) -> Sequence[Shapes]:
    """The shapes in 'opt' for each profile; nothing where it is not given."""
    found = parse_shapes("opt", text) if text else ((),)
    if len(found) not in (1, count):
        message = f"'opt' is for {len(found)} profiles (;), but 'min' and 'max' for {count}"
        raise PlanProblem(message, "opt", "give one value for all, or one for each")
    return found * count if len(found) == 1 else found
