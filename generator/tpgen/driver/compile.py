"""Compiling: a TOML file to its two graphs, the plain one and the optimised one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import ops as _operators  # noqa: F401  (declares them)
from ..diagnostics import Bag, Diagnostic
from ..emit.dali import reason_against
from ..emit.versions import DEFAULT_TARGET, parse_release
from ..frontend.load import Loaded, load
from ..frontend.pipeline_table import DeclaredInput
from ..ir.graph import Graph
from ..passes import ANALYSIS, OPTIMIZE, Context, DeclaredPort, Options, run_passes
from ..source import SourceFile, Span, TomlError, load_toml, read_source
from .coordinates import warn_of_unmapped_boxes
from .doubled import warn_of_doubled_normalisation
from .encrypted import encryption_decisions
from .files import check_files
from .labels import labels_fit
from .models import ModelFile, attach_models
from .options import BuildOptions, usable_cores
from .plugins import load_plugins
from .precision import precision_decisions
from .scales import warn_of_small_scales
from .spelling import promises_engine

AfterPass = Callable[[str, Graph], None]


@dataclass(frozen=True)
class Compiled:
    """A pipeline: ``reference`` is what it means, ``graph`` what is emitted.

    ``given`` is what was asked for, ``options`` what that and the TOML come to.
    """

    source: SourceFile
    reference: Graph
    graph: Graph
    loaded: Loaded
    options: Options
    models: dict[str, tuple[ModelFile, ...]]
    decisions: tuple[str, ...]
    given: BuildOptions

    def __repr__(self) -> str:
        return f"<Compiled: {self.reference.name} from {self.source.path}>"

    @property
    def base(self) -> Path:
        """The folder of the TOML file, to which its paths are relative."""
        return Path(self.source.path).parent


def compile_pipeline(
    path: str | Path,
    options: BuildOptions,
    bag: Bag,
    scratch: Path,
    after: AfterPass | None = None,
) -> Compiled | None:
    """Compile a TOML file; None if the bag got an error.

    ``scratch`` is a folder for rewritten models; ``after`` is called after every pass.
    """
    load_plugins()
    try:
        source = read_source(str(path))
        document = load_toml(source)
    except TomlError as problem:
        bag.diagnostics.append(Diagnostic.from_toml_error(problem))
        return None
    loaded = load(document, options.values, bag)
    if loaded is None:
        return None
    base = Path(source.path).parent
    check_files(loaded.graph, base, bag)
    graph, models = attach_models(loaded.graph, base, options, scratch, bag)
    chosen = _pass_options(loaded, options, bag)
    if bag.has_errors:
        return None
    context = Context(chosen, bag, against_dali=reason_against)
    reference = run_passes(graph, ANALYSIS, context, after)
    if reference is None or not labels_fit(reference, base, bag):
        return None
    optimised = run_passes(reference, OPTIMIZE, context, after)
    if optimised is None:
        return None
    warn_of_doubled_normalisation(reference, bag)
    warn_of_small_scales(reference, bag)
    warn_of_unmapped_boxes(reference, bag)
    if not (options.target or loaded.table.keys.target):
        _say_that_it_is_the_cpu(loaded, bag)
    decisions = (
        *context.decisions,
        *precision_decisions(optimised),
        *encryption_decisions(optimised),
    )
    decisions = tuple(dict.fromkeys(decisions))  # some are taken once for each entry
    return Compiled(source, reference, optimised, loaded, chosen, models, decisions, options)


def _pass_options(loaded: Loaded, options: BuildOptions, bag: Bag) -> Options:
    keys, spans = loaded.table.keys, loaded.table.spans
    target = options.target or keys.target or "cpu"
    runtime = options.runtime or {"cpu": "python", "gpu": "tensorrt"}[target]
    _check_supported(target, runtime, spans.get("target"), bag)
    _check_release(keys.target_triton, spans.get("target_triton"), bag)
    return Options(
        target=target,
        runtime=runtime,
        fuse=options.fuse,
        cores=options.cores or keys.cores or usable_cores(),
        batching=keys.batching,
        instances=keys.instances,
        inputs=_ports(loaded.table.inputs),
        entry_inputs={node: _ports(inputs) for node, inputs in loaded.table.entry_inputs.items()},
        outputs=keys.outputs,
        outputs_span=spans.get("outputs"),
        max_batch=keys.max_batch or None,
        preprocess=keys.preprocess,
        engine_rate=keys.engine_rate or None,
    )


def _ports(inputs: Mapping[str, DeclaredInput]) -> dict[str, DeclaredPort]:
    return {key: DeclaredPort(key, one.type, one.raw, one.span) for key, one in inputs.items()}


def _say_that_it_is_the_cpu(loaded: Loaded, bag: Bag) -> None:
    """Nobody chose a target: whoever expects TensorRT engines must not find out from a profile."""
    nodes = dict.fromkeys(node.title for node, call in loaded.graph.calls() if promises_engine(call))
    if nodes:
        bag.note(
            "TP901",
            f"built for the CPU: {', '.join(nodes)} on ONNX Runtime, no TensorRT engine",
            hint='if this is meant, say so: [pipeline] target = "cpu", or --target cpu',
            file=loaded.graph.source.path,
        )


def _check_supported(target: str, runtime: str, span: Span | None, bag: Bag) -> None:
    if target == "cpu" and runtime in ("tensorrt", "torch"):
        bag.error(
            "TP116",
            f"runtime '{runtime}' is built for the gpu target",
            span,
            hint="--target gpu, or --runtime onnxruntime, which runs on both",
        )


def _check_release(release: str, span: Span | None, bag: Bag) -> None:
    try:
        parse_release(release)
    except ValueError as problem:
        hint = f'for example target_triton = "{DEFAULT_TARGET}"'
        bag.error("TP104", f"'target_triton': {problem}", span, hint=hint)
