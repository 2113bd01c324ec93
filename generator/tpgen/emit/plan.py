"""From a placed graph to the files of a repository: pure, nothing is written here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import Bag, did_you_mean
from ..ir.filters import UserStatus
from ..ir.graph import DALI, Call, Entry, Graph, Stage
from ..ir.op import attributes_of
from ..ir.serving import WARMUP, files_of
from . import configs
from .called_model import alone
from .code_text import safe_name
from .config_pbtxt import render as render_config
from .dali import Refusal, dali_code, dali_config, dali_files, lower_stage
from .native_model import Engine, native_config, native_files
from .overrides import Override, apply_override
from .render import render_python
from .repo_plan import ENCRYPTED, JSON, Content, ModelPlan, RepoPlan
from .serving import serving_override
from .stage_code import StageCode
from .vendor import REQUIREMENTS, requirements, runtime_files
from .wire_form import wire_tensors

if TYPE_CHECKING:
    from .warmup import WarmUp

MAX_PIXELS = 64_000_000


@dataclass(frozen=True)
class Inputs:
    """What a plan is made from besides the graph.

    ``contents`` are the files of file attributes by call label and attribute name (a model after its
    rewrite, a label file); ``user_files`` the user modules of each call, by path below ``user/``; ``engines``
    those that stages need, by stage; ``samples`` the files of warm-up samples, by name in the TOML.
    ``serialize`` makes ``model.dali`` of the code of a DALI pipeline; None: the server does.
    """

    version: str
    source: str
    fingerprint: str
    batching: str = "adaptive"
    target_triton: str = "24.10"
    contents: Mapping[tuple[str, str], tuple[Path, Mapping[str, Content]]] = field(default_factory=dict)
    user_files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    user_requirements: tuple[str, ...] = ()
    overrides: Mapping[str, Override] = field(default_factory=dict)
    record: Mapping[str, JSON] = field(default_factory=dict)
    engines: Mapping[str, Engine] = field(default_factory=dict)
    samples: Mapping[str, bytes] = field(default_factory=dict)
    serialize: Callable[[str], bytes] | None = None


def plan(graph: Graph, inputs: Inputs, bag: Bag) -> RepoPlan:
    """The repository of a pipeline. Overrides that are refused go to the bag."""
    models: list[ModelPlan] = []
    needed: set[str] = set(inputs.user_requirements)
    for entry in graph.entries:
        stages = [stage for stage in graph.stages if stage.entry == entry.name]
        for stage in stages:
            if stage.backend == DALI:
                models += _dali_model(graph, stage, inputs, bag)
                continue
            if not stage.is_python:
                if (stage.runs[0], "model") not in inputs.contents:
                    continue  # it could not be read or changed, which is told
                model = _native_model(graph, stage, inputs, bag)
                models.append(model)
                if any(path.endswith(ENCRYPTED) for path in model.files):
                    needed.add(REQUIREMENTS["cryptography"])
                continue
            part = alone(graph, stage) if stage.runs else graph
            model, requires = _stage_model(part, stage, entry, inputs, bag)
            models.append(model)
            needed |= set(requires)
        stages = [stage for stage in stages if not stage.is_called]
        if [stage.name for stage in stages] != [entry.name]:
            models.append(_ensemble_model(entry, stages, inputs))
    _check_override_names(graph, inputs, bag)
    return RepoPlan(
        graph.name,
        inputs.source,
        tuple(entry.name for entry in graph.entries),
        tuple(models),
        tuple(sorted(needed)),
        {**inputs.record, "interface": interface(graph)},
        inputs.fingerprint,
    )


def interface(graph: Graph) -> JSON:
    """The entries' tensors, as `tpgen.json` records them."""

    def described(ports: Any) -> list[dict[str, JSON]]:
        return [
            {"name": tensor.name, "datatype": tensor.dtype.triton, "dims": list(tensor.dims)}
            for port in ports
            for tensor in wire_tensors(port)
        ]

    return {
        entry.name: {
            "max_batch_size": entry.max_batch,
            "inputs": described(entry.inputs),
            "outputs": described(entry.outputs),
        }
        for entry in graph.entries
    }


def _stage_model(
    graph: Graph, stage: Stage, entry: Entry, inputs: Inputs, bag: Bag
) -> tuple[ModelPlan, tuple[str, ...]]:
    files: dict[str, Content] = {}
    paths = _place_files(graph, stage, inputs, files)
    code = StageCode(graph, stage, inputs.version, paths, MAX_PIXELS)
    files["1/stage.py"] = code.text().encode()
    warm = _warm_up(graph, stage, inputs, bag)
    files |= _own_samples(warm) if warm else {}
    files["1/model.py"] = _model_py(stage, inputs, is_warm=warm is not None).encode()
    for path, content in runtime_files(code.modules | ({"warmup"} if warm else set())).items():
        files[f"1/{path}"] = content
    for label in _code_labels(graph, stage):
        for path, data in inputs.user_files.get(label, {}).items():
            files[f"1/user/{path}"] = data
    config = configs.stage_config(stage, entry, _batching(graph, stage, inputs))
    config = _with_serving(graph, stage, config, inputs, bag)
    native = {name for other in graph.stages if not other.is_python for name in graph.titles(other.nodes)}
    for name in graph.titles(stage.nodes):
        if name in inputs.overrides and name not in native:
            config = apply_override(config, inputs.overrides[name], inputs.target_triton, bag)
    files["config.pbtxt"] = render_config(config, _header(stage.name, inputs)).encode()
    needed = (*requirements(code.modules, inputs.target_triton), *filter(None, code.packages.values()))
    return ModelPlan(stage.name, files), needed


def _native_model(graph: Graph, stage: Stage, inputs: Inputs, bag: Bag) -> ModelPlan:
    _, contents = inputs.contents[stage.runs[0], "model"]
    engine = inputs.engines.get(stage.name)
    files = native_files(stage, contents, engine)
    config = native_config(stage, _batching(graph, stage, inputs), engine)
    warm = _warm_up(graph, stage, inputs, bag)
    files |= warm.files if warm else {}
    config = _with_serving(graph, stage, config, inputs, bag, warm.samples if warm else ())
    for name in stage.nodes:
        if name in inputs.overrides:
            config = apply_override(config, inputs.overrides[name], inputs.target_triton, bag)
    files["config.pbtxt"] = render_config(config, _header(stage.name, inputs)).encode()
    return ModelPlan(stage.name, files)


def _with_serving(
    graph: Graph,
    stage: Stage,
    config: Any,
    inputs: Inputs,
    bag: Bag,
    samples: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """The configuration with what the stage's nodes ask of it; ``samples`` are those that the server runs."""
    title = graph.title(stage.nodes[0])
    override = serving_override(stage, title, config, samples)
    return config if override is None else apply_override(config, override, inputs.target_triton, bag)


def _warm_up(graph: Graph, stage: Stage, inputs: Inputs, bag: Bag) -> WarmUp | None:
    """The warm-up samples of a stage, and the files with their data; None if it is to run none."""
    if WARMUP not in stage.serving or stage.serving[WARMUP].value is False:
        return None
    from .warmup import BadSample, warm_up  # with numpy, which most builds have no use for

    asked, title = stage.serving[WARMUP], graph.title(stage.nodes[0])
    if not inputs.samples.keys() >= set(files_of(asked.value)):
        return None  # which was reported
    try:
        return warm_up(stage, _encoded(graph, stage), inputs.samples)
    except BadSample as problem:
        message = f"'{title}' cannot be warmed up: {problem}"
        bag.error("TP923", message, asked.span, hint=problem.hint, node=title)
        return None


def _own_samples(warm: WarmUp) -> dict[str, Content]:
    """The files of a Python stage's samples, which it runs itself: the server would die of one that fails."""
    return {
        "1/warmup/samples.json": f"{json.dumps(warm.samples, indent=2)}\n".encode(),
        **{f"1/{path}": content for path, content in warm.files.items()},
    }


def _encoded(graph: Graph, stage: Stage) -> dict[str, bool]:
    """The inputs of bytes that operators on images read."""
    image_calls = [call for call in _calls(graph, stage) if call.op.group == "image"]
    return {key: True for call in image_calls for key in call.op.inputs()}


def _dali_model(graph: Graph, stage: Stage, inputs: Inputs, bag: Bag) -> list[ModelPlan]:
    """A stage as a DALI pipeline; none if DALI cannot hold it, which is reported where it is written."""
    calls = _calls(graph, stage)
    chain = lower_stage(graph, stage)
    if isinstance(chain, Refusal):
        bag.error(
            "TP914",
            f"DALI cannot do this: {chain}",
            chain.place or calls[0].span,
            hint='preprocess = "opencv" prepares the images in a Python stage',
        )
        return []
    bag.note("TP915", "; ".join(chain.notes), calls[0].span, model=stage.name)
    for call in (one for one in calls if "max_pixels" in one.spans):
        message = f"'max_pixels' of '{graph.title(call.node)}' has no effect: DALI decodes whatever it gets"
        hint = 'preprocess = "opencv" refuses larger images before it decodes them'
        bag.warning("TP915", message, call.spans["max_pixels"], hint=hint, node=graph.title(call.node))
    threads = stage.instances
    code = dali_code(
        chain,
        owner=stage.entry,
        source=inputs.source,
        version=inputs.version,
        batch=stage.max_batch,
        threads=threads,
    )
    batching = _batching(graph, stage, inputs)
    config = dali_config(stage.name, chain, max_batch=stage.max_batch, threads=threads, batching=batching)
    serialized = inputs.serialize(code) if inputs.serialize is not None else None
    files: dict[str, Content] = dict(dali_files(code, serialized))
    files["config.pbtxt"] = render_config(config, _header(stage.name, inputs)).encode()
    return [ModelPlan(stage.name, files)]


def _code_labels(graph: Graph, stage: Stage) -> Iterator[str]:
    """What user code is filed under: the calls that run it, and the functions that filters ask."""
    for call in _calls(graph, stage):
        yield call.label
        if isinstance(call.filter.verdict, UserStatus):
            yield call.filter.verdict.label


def _calls(graph: Graph, stage: Stage) -> list[Call]:
    return [call for name in stage.nodes for call in graph.nodes[name].calls]


def _place_files(
    graph: Graph, stage: Stage, inputs: Inputs, files: dict[str, Content]
) -> dict[tuple[str, str], str]:
    """Put the files of the stage's calls into the version directory; returns their paths in there."""
    placed: dict[tuple[str, str], str] = {}
    elsewhere = graph.called_models() if not stage.runs else {}
    taken: dict[str, Path | None] = dict.fromkeys(("model.py", "stage.py", "tpgen_runtime", "user"))
    for node, call in ((graph.title(name), call) for name in stage.nodes for call in graph.nodes[name].calls):
        for slot in (slot for one in attributes_of(type(call.op)) for slot in call.op.files(one.name)):
            key = (call.label, slot)
            if key not in inputs.contents or call.label in elsewhere:
                continue
            origin, contents = inputs.contents[key]
            name = next(iter(contents))
            folder = next(f for f in _folders(node) if taken.setdefault(f + name, origin) == origin)
            placed[key] = folder + name
            for part, content in contents.items():
                files[f"1/{folder}{part}"] = content
    return placed


def _folders(node: str) -> Iterator[str]:
    """Where a file may lie: beside the stage, else in a folder of the node, whose name no module can have."""
    yield ""
    yield from (f"{node}.{number}/" for number in itertools.count(1))


def _batching(graph: Graph, stage: Stage, inputs: Inputs) -> configs.Batching:
    settings = [node.settings for node in graph.queued(stage)]
    waits = [s.batching_timeout_ms for s in settings if s.batching_timeout_ms]
    timeouts = [s.timeout_ms for s in settings if s.timeout_ms]
    delay = max(1, round(max(waits) * 1000)) if inputs.batching == "timed" and waits else None
    timeout = max(1, round(min(timeouts) * 1000)) if timeouts else configs.QUEUE_TIMEOUT_US
    return configs.Batching(delay, timeout)


def _model_py(stage: Stage, inputs: Inputs, *, is_warm: bool) -> str:
    return render_python(
        "model.py.j2",
        stage=stage.name,
        version=inputs.version,
        source=safe_name(inputs.source),
        module="warmup" if is_warm else "triton",
        base="WarmModel" if is_warm else "PythonModel",
    )


def _header(name: str, inputs: Inputs) -> str:
    return f"{name}: generated by tpgen {inputs.version} from {safe_name(inputs.source)}"


def _ensemble_model(entry: Entry, stages: Sequence[Stage], inputs: Inputs) -> ModelPlan:
    config = configs.ensemble_config(entry, stages)
    text = render_config(config, _header(entry.name, inputs))
    # Triton needs a version directory, and version control drops empty ones.
    return ModelPlan(entry.name, {"config.pbtxt": text.encode(), "1/.gitkeep": b""})


def _check_override_names(graph: Graph, inputs: Inputs, bag: Bag) -> None:
    for node, override in inputs.overrides.items():
        if node not in graph.nodes:
            near = did_you_mean(node, graph.nodes)
            bag.error(
                "TP201",
                f"unknown node '{node}' in [pipeline.triton]",
                override.place(()),
                hint=f"did you mean '{near}'?" if near else f"nodes: {', '.join(list(graph.nodes)[:12])}",
            )
