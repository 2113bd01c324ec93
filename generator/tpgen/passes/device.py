"""Stages on a GPU: which calls run there, on torch, and which stay on the CPU.

A kernel of the CPU stage has a counterpart on torch or it has none (`LOWERINGS`), so what stays is known
while compiling, and said. Encoded images are decoded on the CPU and brought to the GPU once, as uint8; boxes,
matrices and texts never go there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir.filters import DATA, RESULT, SWAP, UserStatus
from ..ir.graph import Call, Graph, Stage
from ..ir.op import Trait
from ..types import Array, DType, ListOf, Opaque, TupleOf, Type
from .base import Context
from .looks import tagged_writers

GPU = "gpu"
_OTHERS = frozenset({Trait.FORWARDS, Trait.CALLS})  # no kernels of their own
# Kernels that only hand values on, wherever they lie.
ANYWHERE = frozenset({"keys:select", "keys:add_texts", "keys:add_numbers", "tensor:identity", "tensor:sleep"})
_IMAGE_DTYPES = (DType.UINT8, DType.FLOAT16, DType.FLOAT32)


@dataclass(frozen=True)
class Lowering:
    """How torch computes what a kernel of the CPU stage does.

    ``kernel`` is its counterpart in the runtime; ``tolerance`` the largest difference that is allowed for, in
    grey levels of its result. ``at_load``: it is made at load, with numbers that lie on the GPU from then on.
    """

    kernel: str
    tolerance: float = 0.0
    at_load: bool = False


def _table() -> Iterator[tuple[str, Lowering]]:
    exact = {
        "image": ("convert_color", "mat_to_tensor", "mat_to_chw", "tensor_to_mat", "float_mat"),
        "geometry": ("batch_fix_h_limit_w", "align_mat"),
        "compat": ("copy_make_border", "copy_make_border_of_item"),
        "crop": ("crop",),
        "tensor": ("channels_first", "float_tensor", "float_channels_first", "contiguous"),
    }
    half_pixel = {
        "geometry": (
            "resize_mat",
            "dynamic_resize_mat",
            "resize_pad_mat",
            "resize_center_pad_mat",
            "fix_ratio_resize_mat",
            "letter_box_mat",
            "top_left_resize_mat",
            "fix_h_resize_pad_mat",
            "dynamic_fix_h_resize_pad_mat",
        ),
        "compat": ("resize_tensor_linear", "resize_pad_linear", "resize_center_pad_linear"),
        "crop": ("crop_resize_mat", "perspective_transform_mat", "perspective_transform_mats"),
    }
    aligned = {"bilinear": ("resize_tensor", "dynamic_resize_tensor", "resize_pad_tensor")}
    homes = {"image": "torch_image", "tensor": "torch_image", "crop": "torch_crop"}
    for kernels, tolerance in ((exact, 0.0), (half_pixel, 1.0), (aligned, 0.15)):
        for module, names in kernels.items():
            for name in names:
                yield f"{module}:{name}", Lowering(f"{homes.get(module, 'torch_geometry')}:{name}", tolerance)
    yield "compat:warp_affine", Lowering("torch_warp:warp_affine", 1.0)
    yield "image:normalize", Lowering("torch_image:Normalize", 0.001, at_load=True)
    yield "image:pack_image", Lowering("torch_image:PackImage", at_load=True)


LOWERINGS: Mapping[str, Lowering] = dict(_table())


# Kernels that run models in the stage itself, with those that do so on its device.
MODELS: Mapping[str, str] = {
    "torchscript:TorchScriptModel": "torch_model:DeviceTorchScript",
    "torchscript:EagerModel": "torch_model:DeviceEager",
}


@dataclass(frozen=True)
class DeviceWork:
    """What a stage does on its GPU, by labels of calls.

    ``on_device`` run on torch. ``stays`` are models whose answer such a call works on.
    """

    on_device: frozenset[str]
    stays: frozenset[str]


def device_work(graph: Graph, stage: Stage) -> DeviceWork | None:
    """What a stage does on its GPU; None for one that has none."""
    if not (stage.on_gpu and stage.is_python):
        return None
    calls = [call for name in stage.nodes for call in graph.nodes[name].calls]
    on_device = frozenset(call.label for call in calls if _is_lowered(graph, call))
    stays = frozenset(call.label for call in calls if _is_worked_on(graph, call, on_device))
    return DeviceWork(on_device, stays)


def put_on_gpu(
    graph: Graph, entry: str, stages: list[Stage], others: Iterable[Stage], context: Context
) -> list[Stage]:
    """The stages of an entry, one of them on the GPU if ``preprocess = "gpu"`` asks for that and it can be.

    ``others`` are the stages of the entries before.
    """
    if context.options.preprocess != GPU:
        return stages
    if context.options.target != GPU:
        context.decisions.append('preprocess = "gpu" has no effect: this is built for the cpu target')
        return stages
    own = [stage for stage in stages if stage.is_python and not stage.runs]
    if not own:
        context.decisions.append(f'preprocess = "gpu" has no effect on {entry}: it is a model alone')
        return stages
    reason: str | None = "another stage of the pipeline is there: a second process would take turns with it"
    if context.options.fuse == "none" and len(own) > 1:
        reason = "--fuse none makes a process of each node, and a GPU has room for one"
    elif not any(stage.is_python and stage.on_gpu for stage in others):
        reasons = [_reason_against(graph, stage.nodes) for stage in own]
        if None in reasons:
            place = stages.index(own[reasons.index(None)])
            _note_instances(graph, stages[place], context)
            chosen = replace(stages[place], on_gpu=True, instances=1)
            elsewhere = frozenset(label for stage in stages for label in stage.runs)
            context.decisions.extend(_decisions(graph, chosen, elsewhere))
            return [*stages[:place], chosen, *stages[place + 1 :]]
        reason = reasons[0]
    (root,) = (one.root for one in graph.entries if one.name == entry)
    context.bag.warning(
        "TP917",
        f"the images of '{entry}' stay on the CPU: {reason}",
        graph.nodes[root].span,
        hint='preprocess = "opencv" says that this is meant',
        node=graph.title(root),
    )
    return stages


def _note_instances(graph: Graph, stage: Stage, context: Context) -> None:
    """Say that a stage on a GPU has one instance there, whatever its nodes ask for."""
    if context.options.instances != "as-written":
        return
    for node in (graph.nodes[name] for name in stage.nodes):
        number = node.settings.instance_num
        if number > 1 and "instance_num" in node.spans:
            message = f"'{node.title}' has one instance on each GPU, not {number}: processes take turns there"
            hint = 'leave it out; preprocess = "opencv" prepares the images in as many processes as you say'
            context.bag.warning("TP917", message, node.spans["instance_num"], hint=hint, node=node.title)


def _reason_against(graph: Graph, names: Sequence[str]) -> str | None:
    """Why nodes cannot be a stage on a GPU, if they cannot."""
    calls = [call for name in names for call in graph.nodes[name].calls]
    if not any(_is_lowered(graph, call) for call in calls):
        return "no operator of its stage is known to torch"
    if tagged_writers(graph):
        return "its images come in several layouts or colour orders"
    for call in calls:
        verdict = call.filter.verdict
        if isinstance(verdict, UserStatus) and any(
            _may_be_image(graph, call, key) for key in (*verdict.reads, *verdict.optional)
        ):
            return f"the filter '{verdict.function}' reads an image"
    return None


def _decisions(graph: Graph, stage: Stage, elsewhere: frozenset[str]) -> Iterator[str]:
    """What of a stage runs where, for people; ``elsewhere`` are the calls of models of their own."""
    work = device_work(graph, stage)
    if work is None:
        return
    on_device: dict[str, float] = {}
    on_host: dict[str, None] = {}
    for name in stage.nodes:
        for call in graph.nodes[name].calls:
            if call.label in work.on_device:
                on_device[call.op.name] = LOWERINGS[call.op.kernel].tolerance
            elif call.op.kernel in MODELS and call.label not in elsewhere:
                on_device[f"the model of {graph.title(name)}"] = 0.0
            elif call.op.kernel not in {"", *ANYWHERE} and not (
                _OTHERS & call.op.traits or call.label in elsewhere
            ):
                on_host[call.op.name] = None
    shown = ", ".join(f"{name} (within {limit:g})" if limit else name for name, limit in on_device.items())
    yield f"on the GPU, in the stage '{stage.name}': {shown}; compared on torch's CPU, unverified on GPU"
    if on_host:
        yield f"on the CPU, in the same stage: {', '.join(on_host)}"
    names = dict.fromkeys(name for name, call in _left(graph, stage, work) if _reads_image(graph, call))
    if names:
        yield f"brought back to the CPU, where it lies on the GPU: what {', '.join(names)} read"


def _left(graph: Graph, stage: Stage, work: DeviceWork) -> Iterator[tuple[str, Call]]:
    """The calls that run on the CPU, models apart, each with the operator's name."""
    for name in stage.nodes:
        for call in graph.nodes[name].calls:
            if call.label not in work.on_device and not call.op.has(Trait.INFERENCE):
                yield call.op.name, call


def _before(graph: Graph, call: Call, key: str) -> Type | None:
    assert graph.types is not None
    state = graph.types.before.get(call.label, {}).get(key)
    return state.type if state is not None else None


def _is_image(type_: Type | None) -> bool:
    """True for what torch may work on: an array of three dimensions."""
    return isinstance(type_, Array) and len(type_.shape) == 3 and type_.dtype in _IMAGE_DTYPES


def _may_be_image(graph: Graph, call: Call, key: str) -> bool:
    """True if the filter in front of a call may find an image under a key, which it may then move."""
    assert graph.types is not None
    node = graph.nodes[call.node]
    earlier = node.calls[: node.calls.index(call)]
    states = graph.types.entering.get(call.node, {})
    found = [states[key].type if key in states else None]
    found += [graph.types.written.get(one.label, {}).get(key) for one in earlier]
    return any(map(_is_image, found))


def may_lie_on_device(type_: Type | None) -> bool:
    """True for what may be, or hold, a tensor of torch in a stage on a GPU."""
    if isinstance(type_, ListOf):
        return may_lie_on_device(type_.item)
    return type_ is None or _is_image(type_) or isinstance(type_, Opaque | TupleOf)


def _is_lowered(graph: Graph, call: Call) -> bool:
    if call.op.kernel not in LOWERINGS or call.op.has(Trait.BATCHED) or call.op.has(Trait.FORWARDS):
        return False
    return _is_image(_before(graph, call, call.op.inputs()[0]))


def _reads_image(graph: Graph, call: Call) -> bool:
    does_work = call.op.kernel not in {"", *ANYWHERE} and not call.op.has(Trait.FORWARDS)
    return does_work and any(may_lie_on_device(_before(graph, call, key)) for key in call.op.inputs())


def _is_worked_on(graph: Graph, call: Call, on_device: frozenset[str]) -> bool:
    """True if all that follows a model at once works on its answer on the GPU."""
    assert graph.types is not None
    written = graph.types.written.get(call.label, {})
    if not call.op.has(Trait.INFERENCE) or len(written) != 1 or not _is_image(written.get(RESULT)):
        return False
    node = graph.nodes[call.node]
    position = node.calls.index(call) + 1
    following = node.calls[position : position + 1] or [graph.nodes[name].calls[0] for name in node.next]
    return bool(following) and all(
        one.label in on_device and one.filter == SWAP and one.op.inputs() == (DATA,) for one in following
    )
