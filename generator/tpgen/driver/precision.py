"""The precision of TensorRT engines: put into their ONNX files, as TensorRT 11 takes it from nowhere else.

Numbers change only where the TOML asks for that: without `precision` an engine computes in fp32.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import Bag
from ..emit.repo_plan import Content, CopyFrom
from ..engines.calibration import BadSamples, sample_files
from ..engines.errors import REWRITE, ModelError
from ..engines.external import copy_model
from ..engines.precision_report import Half, PrecisionRequest
from ..engines.requests import Tensor
from ..engines.session import RunFailed
from ..ir.decisive import Decisive
from ..ir.graph import Call, Graph, Node, Port, Stage
from ..ir.op import Trait, attributes_of
from ..ir.serving import PROVIDER
from ..ir.signature import TensorInfo
from ..ops.inference import TensorrtTensor
from ..source import Span
from ..types import Array, DType
from .decisive import decisive_parts
from .lowered import Lowered, names_in, tell

if TYPE_CHECKING:
    from ..engines.ranges import Sample

# The samples of a folder for a call, as inputs of these names and types.
ReadSamples = Callable[[Call, tuple[Tensor, ...], Path], "list[Sample]"]
TENSORRT = "tensorrt"
Contents = Mapping[tuple[str, str], tuple[Path, dict[str, Content]]]  # as `models.model_contents` returns
BUILDER_KEYS = frozenset(f.key for f in attributes_of(TensorrtTensor) if f.declared.target == "gpu")
UNUSED_KEYS = {
    "calibrate_cache": "ranges are found anew with every build, in seconds",
    "log_level": "TensorRT's warnings are printed",
    "model::timingcache": "tpgen engines build --cache keeps timings for each GPU",
    "precision::output::fp16": "layers are converted with their outputs",
    "weight_budget_percentage": "weights are not streamed",
}
_LARGEST_FILE = (1 << 31) - (1 << 16)  # what protobuf can hold


@dataclass(frozen=True)
class Asked:
    """What a node asks of its engine's numbers.

    Attributes:
        precision: fp32, fp16, bf16 or int8.
        why: the key that says so, as a reader of the TOML knows it.
        keep: parts of layer names that stay in fp32.
        only: if given, parts of the names of the only layers that are converted.
        layer_norm_fp32: layer normalisations stay in fp32.
        samples: the folder with samples, as the TOML has it; empty for none.
        most_lost: the largest difference from the original that is accepted; None: the precision's own limit.
    """

    precision: str
    why: str
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    layer_norm_fp32: bool = False
    samples: str = ""
    most_lost: float | None = None


def engine_calls(graph: Graph) -> list[tuple[Stage, Node, Call]]:
    """The stages that run on TensorRT, each with its node and its call."""
    found = []
    for stage in graph.stages:
        if stage.backend == TENSORRT:
            node = graph.nodes[stage.nodes[0]]
            (call,) = (one for one in node.calls if one.label == stage.runs[0])
            found.append((stage, node, call))
    return found


def builder_keys_in_vain(
    graph: Graph, written: Sequence[tuple[str, Span, str]]
) -> Iterator[tuple[str, Span, str]]:
    """The keys for an engine that no engine of this build is for: key, place and reason.

    ``written`` are those of the TOML, as `Loaded.ignored` has them. Which backend runs a model is decided for
    each node.
    """
    used = {span for _, _, call in engine_calls(graph) for span in call.spans.values()}
    reasons = {span: reason for node, call in graph.calls() for span, reason in _without_engine(node, call)}
    for key, span, _ in written:
        if key in BUILDER_KEYS and key in UNUSED_KEYS:
            yield key, span, UNUSED_KEYS[key]
        elif key in BUILDER_KEYS and span not in used:
            yield key, span, reasons.get(span, "no TensorRT engine is made of this node's model")


def _without_engine(node: Node, call: Call) -> Iterator[tuple[Span, str]]:
    if PROVIDER in node.serving:
        why = f'execution_provider = "{node.serving[PROVIDER].value}" runs the model on ONNX Runtime'
        yield from ((span, f"{why}, without an engine of the build") for span in call.spans.values())


def note_builder_keys(graph: Graph, written: Sequence[tuple[str, Span, str]], bag: Bag) -> None:
    """Warn of keys for an engine on nodes that get none, in a build that makes engines.

    That an encrypted model gets none is told once, at the model (TP911).
    """
    secret = {
        span
        for node, call in graph.calls()
        if call.op.has(Trait.INFERENCE) and getattr(call.op.signature, "is_encrypted", False)  # type: ignore[attr-defined]
        for span in call.spans.values()
        if PROVIDER not in node.serving
    }
    for key, span, why in dict.fromkeys(builder_keys_in_vain(graph, written)):
        if key not in UNUSED_KEYS and span not in secret:
            bag.warning("TP922", f"'{key}' has no effect: {why}", span, hint=_NO_ENGINE_HINT)


def asked_of(call: Call) -> Asked:
    """What a call asks of its engine."""
    op: Any = call.op
    keep = (*names_in(op.precision_fp32), *names_in(op.output_fp32))
    only = names_in(op.precision_fp16)
    lost: float | None = op.max_precision_loss
    layer_norm = op.force_layer_norm_pattern_fp32.strip().lower() not in ("", "0", "false")
    if op.precision in ("", "fp32"):
        why = 'precision = "fp32"' if op.precision else "no precision is given"
        if only:
            return Asked("fp16", "precision::fp16", keep, only, layer_norm, op.calibrate_input, lost)
        return Asked("fp32", why)
    precision = "fp16" if op.precision == "best" else op.precision
    return Asked(precision, f'precision = "{op.precision}"', keep, (), layer_norm, op.calibrate_input, lost)


def computes_in_less(graph: Graph) -> bool:
    """True if an engine computes in less than fp32: answers differ from the reference's then."""
    return any(asked_of(call).precision != "fp32" for _, _, call in engine_calls(graph))


def precision_decisions(graph: Graph) -> list[str]:
    """What `explain` says of the engines' precision."""
    lines = []
    for stage, _, call in engine_calls(graph):
        asked, found = asked_of(call), computed_in(call)
        line = f"{stage.name}: the engine computes in {found} ({asked.why})"
        if not call.op.precision and asked.precision == "fp32":  # type: ignore[attr-defined]
            line += ": answers stay those of the ONNX file"
            line += '; precision = "fp16" is faster' if found == "fp32" else f", whose weights are in {found}"
        lines.append(line)
    return lines


def computed_in(call: Call) -> str:
    """What an engine computes in for the most part: what is asked for, else what the weights are in."""
    op: Any = call.op
    asked = asked_of(call).precision
    own: str = op.signature.precision
    return own if asked == "fp32" and not op.precision else asked


def note_default(graph: Graph, bag: Bag) -> None:
    """Say once that engines compute in fp32 because nothing else was asked for."""
    calls = engine_calls(graph)
    plain = [
        node.title
        for _, node, call in calls
        if asked_of(call) == Asked("fp32", "no precision is given") and computed_in(call) == "fp32"
    ]
    if plain:
        names = ", ".join(dict.fromkeys(plain))
        hint = 'precision = "fp16" on the node; tpgen engines plan shows what becomes of each layer'
        message = f"engines in fp32, as no precision is given: {names}"
        bag.note("TP909", message, hint=hint, file=graph.source.path)


def sample_hashes(graph: Graph, base: Path) -> list[tuple[str, str]]:
    """The files that engines are calibrated with, and their hashes: the repository depends on them."""
    found = []
    for _, _, call in engine_calls(graph):
        folder = asked_of(call).samples
        if folder and (base / folder).is_dir():
            paths = sorted(path for path in (base / folder).iterdir() if path.is_file())
            found += [(f"{folder}/{path.name}", _sha256(path)) for path in paths]
    return found


def lower_models(
    graph: Graph,
    contents: Contents,
    base: Path,
    scratch: Path,
    bag: Bag,
    *,
    reference: Graph,
    read: ReadSamples,
    write: bool,
) -> tuple[dict[tuple[str, str], tuple[Path, dict[str, Content]]], dict[str, Lowered]]:
    """The contents with the models of engines each in one file and in its precision; by stage, what was done.

    ``read`` reads samples; ``reference`` is the graph as the TOML has it. Without ``write`` only what can be
    checked without converting is.
    """
    changed = dict(contents)
    done: dict[str, Lowered] = {}
    for stage, node, call in engine_calls(graph):
        asked, place = asked_of(call), (call.label, "model")
        done[stage.name] = Lowered(computed_in(call))
        span = call.spans.get("precision", call.span)
        try:
            if asked.precision == "int8" and not asked.samples and not _brings_ranges(base, call):
                raise BadSamples("int8 needs samples to find ranges with: name a folder in calibrate_input")
            if asked.samples:
                sample_files(base / asked.samples)
            if write and place in contents:
                folder, files = contents[place]
                task = _Task(asked, stage, call, base, scratch, read, decisive_parts(reference, call.label))
                name, file, done[stage.name] = _lowered(files, task)
                changed[place] = (folder, {name: file})
        except BadSamples as problem:
            where = call.spans.get("calibrate_input", span)
            bag.error("TP413", str(problem), where, hint=_SAMPLES_HINT, node=node.title)
        except ModelError as problem:
            bag.error(problem.code, str(problem), span, hint=problem.hint, node=node.title)
        tell(node, call, done[stage.name], span, bag)
    return changed, done


def _brings_ranges(base: Path, call: Call) -> bool:
    """True if a model is quantised already."""
    from ..engines.given_pairs import is_quantised

    op: Any = call.op
    return is_quantised(base / op.model)


_SAMPLES_HINT = (
    "put images that the pipeline takes into a folder (or what arrives at this node as .npy, one file per"
    ' item), and write calibrate_input = "FOLDER"'
)
_NO_ENGINE_HINT = (
    'leave the key out; the provider tensorrt takes precision_mode = "FP16" in execution_provider_options'
)
_RANDOM_COUNT = 2  # inputs


@dataclass(frozen=True)
class _Task:
    """One model to be lowered, with what is needed for it."""

    asked: Asked
    stage: Stage
    call: Call
    base: Path
    scratch: Path
    read: ReadSamples
    decisive: Mapping[str, Decisive]


def _lowered(files: Mapping[str, Content], task: _Task) -> tuple[str, CopyFrom, Lowered]:
    """The name of the model, its file, and what became of it."""
    name, content = next(iter(files.items()))
    assert isinstance(content, CopyFrom), "models are files"
    asked = task.asked
    if len(files) == 1 and asked.precision == "fp32":
        return name, content, Lowered(computed_in(task.call))
    parts = [one.path for one in files.values() if isinstance(one, CopyFrom)]
    if sum(path.stat().st_size for path in parts) > _LARGEST_FILE:
        hint = "--runtime onnxruntime runs it without an engine"
        raise ModelError(REWRITE, "an engine is built from one file of less than 2 GB", hint)
    hashes = [one.sha256 for one in files.values() if isinstance(one, CopyFrom)]
    settings = repr((asked, task.stage.name, hashes))  # stages may be calibrated with different images
    target = task.scratch / hashlib.sha256(settings.encode()).hexdigest()[:16]
    model = copy_model(content.path, target, name, threshold=sys.maxsize).model
    lowered = Lowered(computed_in(task.call))
    if asked.precision != "fp32":
        converted, lowered = _converted(model.read_bytes(), task)
        model.write_bytes(converted)
    return name, CopyFrom(model, _sha256(model)), lowered


def _converted(model: bytes, task: _Task) -> tuple[bytes, Lowered]:
    """The model in the precision that is asked for; compared with the original where there are samples."""
    from ..engines.comparing import compare
    from ..engines.gates import gates_of
    from ..engines.precision import convert_precision
    from ..engines.quantize import Int8Request, quantize_int8

    asked, folder = task.asked, task.base / task.asked.samples
    inputs = tuple(map(tensor_of, task.stage.inputs))
    samples = task.read(task.call, inputs, folder) if asked.samples else None
    try:
        if asked.precision == "int8":
            request = Int8Request(asked.keep, rest="fp16", layer_norm_fp32=asked.layer_norm_fp32)
            done = quantize_int8(model, request, samples or [])
        else:
            half: Half = "bf16" if asked.precision == "bf16" else "fp16"
            wanted = PrecisionRequest(half, asked.keep, asked.only, asked.layer_norm_fp32)
            done = convert_precision(model, wanted, samples)
        pair = _compared(model, done.emulated, task.call)
        tried = samples or _random_inputs(pair[0], inputs)
        comparisons = compare(*pair, tried, task.decisive) if tried else ()
    except RunFailed as problem:
        if not asked.samples:  # the original can
            message = f"in {asked.precision} the model can't be computed: {problem.reason}"
            raise ModelError(REWRITE, message, "keep it in fp32") from None
        message = f"the model can't be computed on the samples in {folder}: {problem.reason}"
        raise BadSamples(message) from None
    gates = gates_of(comparisons, asked.precision, asked.most_lost)
    compared = tuple(one.text() for one in comparisons)
    report = tuple(done.report.text().splitlines())
    if samples:  # figures of random inputs say nothing of the engine, and are not kept
        report += (*compared, *(gate.text() for gate in gates))
    compared += done.report.doubts
    lowered = Lowered(
        asked.precision,
        report,
        compared,
        tuple(gate for gate in gates if not gate.passed),
        bool(samples),
        done.report.unmatched,
        done.report.layers,
    )
    return done.model, lowered


def _random_inputs(model: bytes, inputs: tuple[Tensor, ...]) -> list[Sample]:
    """Inputs to try a conversion on where there are no samples; none if the model takes no random ones."""
    from ..engines.probe import random_items
    from ..engines.session import open_session

    session = open_session(model)
    infos = [TensorInfo(one.name, DType(one.dtype), one.shape) for one in inputs]
    try:
        found = random_items(session, infos, [one.name for one in session.get_outputs()], _RANDOM_COUNT)
    except RunFailed:
        return []
    return list(found.feeds)


def _compared(original: bytes, converted: bytes, call: Call) -> tuple[bytes, bytes]:
    """The models whose answers say how much is lost: what the network itself answers.

    A pass may have appended what sorts it: then a small difference would move whole rows. What is above a
    threshold and what is not, however, is all that is read of it.
    """
    rewrite = call.rewrite
    if rewrite is None or not rewrite.tails or rewrite.tails[-1].kind == "at_least":
        return original, converted
    from ..engines.tails import without_tails

    return without_tails(original, rewrite.output_name), without_tails(converted, rewrite.output_name)


def tensor_of(port: Port) -> Tensor:
    """A tensor of the engine, with the batch in front."""
    type_ = port.type
    assert isinstance(type_, Array)
    dims = (dim if isinstance(dim, int) else None for dim in type_.shape)
    return Tensor(port.key, type_.dtype.value, (None, *dims))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
