"""Building and checking: compile, plan, write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from .. import __version__
from ..diagnostics import Bag, Diagnostic
from ..emit.config_pbtxt import parse
from ..emit.dali import serialized
from ..emit.overrides import Override
from ..emit.plan import Inputs, plan
from ..emit.repo_plan import JSON, ModelPlan, RepoPlan
from ..emit.serving import serving_override
from ..emit.write import WriteResult, recover, write
from ..engines.plan_files import PLAN, REQUEST
from ..ir.graph import DALI
from ..source import Span
from . import warmups
from .calibration import calibration_samples
from .compile import AfterPass, Compiled, compile_pipeline
from .encrypted import note_encrypted, scratch_folder
from .engines import plan_engines
from .files import file_contents, named_files
from .gpu_turns import note_turns
from .lowered import Lowered
from .models import model_contents
from .needs import cuda_pool_of
from .options import BuildOptions
from .packages import note_missing_packages
from .precision import TENSORRT, lower_models, note_builder_keys, note_default, sample_hashes
from .refused import report_refused
from .shown import counted

DEFAULT_DIRECTORY = "model_repository"
PROCESSES_PER_CORE = 4  # with more, cores are shared so many ways that only memory is used up


@dataclass(frozen=True)
class BuildResult:
    """What a build (or a check) found and did. ``written`` is None for a check."""

    pipelines: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    directory: Path | None = None
    written: WriteResult | None = None
    compiled: tuple[Compiled, ...] = ()

    @property
    def changed(self) -> bool:
        return self.written is not None and self.written.changed

    def __repr__(self) -> str:
        done = "checked"
        if self.written is not None:
            files = len(self.written.written)
            done = f"built into {self.directory} ({files} file{'s' * (files != 1)} written)"
        return f"<BuildResult: {', '.join(self.pipelines)} {done}; {counted(self.diagnostics)}>"


def check(
    pipelines: str | Path | Sequence[str | Path],
    options: BuildOptions | None = None,
    *,
    after: AfterPass | None = None,
) -> BuildResult:
    """All that `build` checks, writing nothing.

    Raises:
        PipelineError: a pipeline is wrong; all findings are in it.
    """
    bag = Bag()
    with scratch_folder() as scratch:
        plans, compiled = _plan_all(
            _listed(pipelines), options or BuildOptions(), bag, scratch, after, write_models=False
        )
    bag.raise_if_errors()
    _note_pending(plans, None, bag)
    note_turns(plans, None, bag)
    return BuildResult(tuple(p.pipeline for p in plans), tuple(bag.diagnostics), compiled=tuple(compiled))


def build(
    pipelines: str | Path | Sequence[str | Path],
    directory: str | Path = DEFAULT_DIRECTORY,
    options: BuildOptions | None = None,
    *,
    after: AfterPass | None = None,
) -> BuildResult:
    """Compile pipelines into a model repository.

    Raises:
        PipelineError: a pipeline is wrong, or the directory cannot be written; nothing was changed then.
    """
    bag = Bag()
    target = Path(directory)
    recover(target)
    with scratch_folder() as scratch:
        plans, compiled = _plan_all(_listed(pipelines), options or BuildOptions(), bag, scratch, after)
        bag.raise_if_errors()
        written = write(plans, target)
    _note_pending(plans, target, bag)
    note_turns(plans, target, bag)
    return BuildResult(
        tuple(p.pipeline for p in plans),
        (*bag.diagnostics, *written.diagnostics),
        target,
        written,
        tuple(compiled),
    )


def _listed(pipelines: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [pipelines] if isinstance(pipelines, str | PurePath) else list(pipelines)


def _plan_all(
    paths: Sequence[str | Path],
    options: BuildOptions,
    bag: Bag,
    scratch: Path,
    after: AfterPass | None,
    *,
    write_models: bool = True,
) -> tuple[list[RepoPlan], list[Compiled]]:
    plans: list[RepoPlan] = []
    compiled: list[Compiled] = []
    for path in paths:
        own = Bag()  # so that an error in one file hides nothing in the next
        one = compile_pipeline(path, options, own, scratch, after)
        if one is not None:
            compiled.append(one)
            planned = make_plan(one, scratch, own, write_models=write_models)
            plans.append(planned)
            _note_processes(one, own)
            note_missing_packages(one, planned.requirements, own)
            note_encrypted(one.graph, one.options.runtime, own)
            if one.options.runtime == TENSORRT:
                note_builder_keys(one.graph, one.loaded.ignored, own)
        bag.extend(own.diagnostics)
    return plans, compiled


def _note_processes(compiled: Compiled, bag: Bag) -> None:
    """Each instance of a Python model is a process with memory of its own, whatever little it does."""
    stages, cores = compiled.graph.stages, compiled.options.cores
    processes = sum(stage.instances for stage in stages if stage.is_python)
    if processes <= PROCESSES_PER_CORE * cores:
        return
    if compiled.options.instances == "as-written":
        way_out = 'less instance_num, or [pipeline] instances = "auto", a process per core'
    else:
        way_out = '[pipeline] instances = "as-written", which takes each node\'s instance_num (1)'
    if compiled.options.fuse == "none":
        way_out += "; or --fuse auto, which runs all nodes in the same processes"
    message = f"{len(stages)} models make {processes} processes for {cores} core{'s' * (cores > 1)}"
    way_out += "; tpgen explain says how much memory they need"
    bag.note("TP903", message, hint=way_out, file=compiled.source.path)


def make_plan(compiled: Compiled, scratch: Path, bag: Bag, *, write_models: bool = True) -> RepoPlan:
    """The repository of a compiled pipeline; rewritten models lie in ``scratch`` until it is written."""
    overrides = _overrides(compiled)
    extended = {node for node, override in overrides.items() if "model_operations" in override.fields}
    report_refused(compiled, extended, bag)
    contents = model_contents(compiled.graph, compiled.models, scratch, bag, write=write_models)
    lowered: dict[str, Lowered] = {}
    if not bag.has_errors:
        read = partial(calibration_samples, compiled)
        contents, lowered = lower_models(
            compiled.graph,
            contents,
            compiled.base,
            scratch,
            bag,
            reference=compiled.reference,
            read=read,
            write=write_models,
        )
    samples = warmups.sample_contents(compiled.graph, compiled.base, bag)
    warmups.check_images(compiled.graph, samples, bag)
    engines = plan_engines(compiled, contents, lowered, bag) if not bag.has_errors else {}
    if engines:
        note_default(compiled.graph, bag)
    inputs = Inputs(
        version=__version__,
        source=compiled.source.path,
        fingerprint=fingerprint(compiled),
        batching=compiled.options.batching,
        target_triton=compiled.loaded.table.keys.target_triton,
        contents={**contents, **file_contents(compiled.graph, compiled.base)},
        user_files=_user_files(compiled),
        overrides=overrides,
        record=_record(compiled, lowered),
        engines=engines,
        samples=samples,
        serialize=serialized if _serializes(compiled, bag) and write_models else None,
    )
    planned = plan(compiled.graph, inputs, bag)
    if not bag.has_errors:
        _lint_overridden(planned, compiled, inputs, scratch, bag)
    return planned


def _serializes(compiled: Compiled, bag: Bag) -> bool:
    """True if DALI's pipelines are wanted serialised; a wish that means nothing here is told."""
    table = compiled.loaded.table
    has_dali = any(stage.backend == DALI for stage in compiled.graph.stages)
    if table.keys.serialize_dali and not has_dali and compiled.options.runtime != "python":
        message = "'serialize_dali' has no effect: DALI prepares no images here"
        hint = 'preprocess = "dali" lets it prepare those of a straight pipeline'
        bag.warning("TP922", message, table.spans.get("serialize_dali"), hint=hint)
    return table.keys.serialize_dali


def _note_pending(plans: Sequence[RepoPlan], directory: Path | None, bag: Bag) -> None:
    """Engines are built where the GPU is; until then no server loads the repository."""
    for planned in plans:
        folders = {
            f"{model.name}/{path.removesuffix(REQUEST)}": model.name
            for model in planned.models
            for path in model.files
            if path.endswith(f"/{REQUEST}")
        }
        names = sorted(
            name
            for folder, name in folders.items()
            if directory is None or not (directory / folder / PLAN).is_file()
        )
        if names:
            count = f"{len(names)} TensorRT engine{'s' * (len(names) > 1)}"
            bag.warning(
                "TP906",
                f"{count} still to be built, from model.onnx beside engine.json: {', '.join(names)}",
                hint=f"where the GPU is: tpgen engines build {directory or 'DIR'};"
                " --runtime onnxruntime needs none",
                file=planned.source,
            )


def _lint_overridden(planned: RepoPlan, compiled: Compiled, inputs: Inputs, scratch: Path, bag: Bag) -> None:
    """What a server would refuse, or not run as written, of the fields that the user put into a model."""
    models = {model.name: model for model in planned.models}
    for stage in compiled.graph.stages:
        titles = compiled.graph.titles(stage.nodes)
        overrides = [inputs.overrides[node] for node in titles if node in inputs.overrides]
        if stage.serving:
            config = parse(_text_of(models[stage.name]))
            own = serving_override(stage, titles[0], config)
            overrides = [*([own] if own is not None else []), *overrides]
        if overrides:
            from ..emit.lint.merged import lint_merged  # with the rules, which most builds have no use for

            bag.extend(lint_merged(models[stage.name], overrides, inputs.target_triton, scratch))
        if stage.is_python and parse(_text_of(models[stage.name])).response_cache.enable:
            _warn_of_cache(overrides, bag)


def _warn_of_cache(overrides: Sequence[Override], bag: Bag) -> None:
    """A raw field switches the cache on in front of a Python stage; the key of the node does not."""
    path = ("response_cache", "enable")
    depth, span, node = max(((*one.nearest(path), one.node) for one in overrides), key=lambda one: one[0])
    if depth:
        message = f"'response_cache' of '{node}' answers a bad item as an empty one the second time"
        hint = (
            "Triton 24.10 keeps an answer that is an error without the error; leave it out of Python stages"
        )
        bag.warning("TP922", message, span, hint=hint, node=node)


def _text_of(model: ModelPlan) -> str:
    content = model.files["config.pbtxt"]
    assert isinstance(content, bytes), "written by the planner"
    return content.decode()


def _overrides(compiled: Compiled) -> dict[str, Override]:
    table = compiled.loaded.table
    places: dict[str, dict[tuple[str, ...], Span]] = {node: {} for node in table.triton}
    for path, span in table.triton_places.items():
        if path and path[0] in places:
            places[path[0]][path[1:]] = span
    return {node: Override(node, fields, places[node]) for node, fields in table.triton.items()}


def _user_files(compiled: Compiled) -> dict[str, dict[str, bytes]]:
    """The user's modules of each call, by path relative to the TOML's folder."""
    base = compiled.base
    return {
        label: {file.relative_to(base).as_posix(): file.read_bytes() for file in files}
        for label, files in compiled.loaded.user_files.items()
    }


def _record(compiled: Compiled, lowered: Mapping[str, Lowered]) -> dict[str, JSON]:
    options = compiled.options
    cuda_pool = cuda_pool_of(compiled.graph)
    return {
        **({"cuda_memory_pool": cuda_pool} if cuda_pool else {}),
        "target_triton": compiled.loaded.table.keys.target_triton,
        "options": {
            "target": options.target,
            "runtime": options.runtime,
            "fuse": options.fuse,
            "cores": options.cores,
            "batching": options.batching,
            "instances": options.instances,
            **compiled.given.given_record(compiled.base),
        },
        "decisions": [
            *compiled.decisions,
            *(f"{stage}: {line}" for stage, one in lowered.items() for line in one.report),
        ],
    }


def fingerprint(compiled: Compiled) -> str:
    """A hash of everything the repository is a function of."""
    options = replace(compiled.options, inputs={}, entry_inputs={}, outputs_span=None)
    parts: list[Any] = [
        __version__,
        compiled.source.text,
        PurePath(compiled.source.path).name,
        asdict(options),
        sorted([*place, value] for place, value in compiled.given.values.items()),
        sorted((label, *(file.sha256 for file in files)) for label, files in compiled.models.items()),
        sample_hashes(compiled.graph, compiled.base),
        warmups.sample_hashes(compiled.graph, compiled.base),
        sorted(
            (call.label, attribute, hashlib.sha256(path.read_bytes()).hexdigest())
            for _, call, attribute, path in named_files(compiled.graph, compiled.base)
        ),
        sorted(
            (path, hashlib.sha256(data).hexdigest())
            for files in _user_files(compiled).values()
            for path, data in files.items()
        ),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
