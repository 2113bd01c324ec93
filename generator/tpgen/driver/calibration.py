"""Samples of an engine's inputs: arrays as they are, images through the nodes in front of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import Bag, Diagnostic, PipelineError, Severity, did_you_mean
from ..engines.calibration import MOST, BadSamples, fitted, is_image, read_samples, sample_files
from ..engines.requests import Tensor
from ..ir.graph import Call, Entry, Graph, Port
from ..ir.op import Trait
from ..ir.rewrite import ModelRewrite
from ..runner.interpreter import ItemError
from ..runner.loading import user_errors
from ..runner.reaching import Reaching, gets_to, user_code_before
from ..types import Bytes, Layout
from .compile import Compiled, compile_pipeline
from .encrypted import scratch_folder
from .kernel_files import kernel_files
from .options import BuildOptions, usable_cores
from .values import item_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..engines.ranges import Sample

_ARRAYS = "save what arrives there as .npy (tpgen engines samples does)"


def calibration_samples(
    compiled: Compiled, call: Call, inputs: tuple[Tensor, ...], folder: Path
) -> list[Sample]:
    """The samples of a folder as the engine of a call takes them: its inputs by name, with the batch axis.

    Images are prepared by the pipeline's own operators, as the reference runs them, up to the model. What
    arrives there by the TOML is brought into the layout and colour order that the model's graph takes now.

    Raises:
        BadSamples: nothing can be read there, or a file does not fit; the text names it.
    """
    rewrite = call.rewrite
    if rewrite is None or rewrite.layout != Layout.HWC.value:
        return _arriving(compiled, call, inputs, folder)
    (one,) = inputs
    batch, height, width, channels = one.shape
    written = replace(one, shape=(batch, channels, height, width))
    found = _arriving(compiled, call, (written,), folder)
    return [{one.name: _turned(sample[one.name], rewrite)} for sample in found]


def _turned(images: NDArray[np.generic], rewrite: ModelRewrite) -> NDArray[np.generic]:
    """``[N,C,H,W]`` as a graph that begins with the turn takes it."""
    turned = images.transpose(0, 2, 3, 1)
    return turned[..., ::-1] if rewrite.channel_reverse else turned


def _arriving(compiled: Compiled, call: Call, inputs: tuple[Tensor, ...], folder: Path) -> list[Sample]:
    """The samples of a folder as they arrive at a call by the TOML."""
    files = sample_files(folder)
    if not is_image(files[0]):
        return list(read_samples(folder, inputs))
    ways = _ways_to(compiled.reference, call)
    if not ways:
        raise BadSamples(f"{folder} holds images, and nothing that the pipeline takes gets to this model")
    entry, label = next((way for way in ways if _takes_image(way[0])), ways[0])
    port = _image_input(entry, folder)
    user = user_code_before(compiled.reference, label)
    if user is not None:
        raise BadSamples(
            f"{folder} holds images, and '{compiled.reference.title(user.node)}' in front of the model runs"
            f" Python code of yours, which a build doesn't: {_ARRAYS}"
        )
    reaching = Reaching.load(compiled.reference, entry, label, kernel_files(compiled), threads=usable_cores())
    prepared = chain.from_iterable(_prepared(reaching, port, file, inputs) for file in files)
    found = list(islice(prepared, MOST))  # of one image many parts may arrive
    if not found:
        raise BadSamples(f"of none of the {len(files)} images in {folder} anything arrives at the model")
    return found


def _ways_to(graph: Graph, call: Call) -> list[tuple[Entry, str]]:
    """The entries whose items get to the model of a call, each with the label of the call there.

    Entries within the graph, and loops, have copies of the call: what arrives at one is what the others get.
    The call itself comes first.
    """
    title = {one.label: node.title for node, one in graph.calls()}.get(call.label)
    place = call.label.removeprefix(call.node)
    labels = [f"{node.name}{place}" for node in graph.nodes.values() if node.title == title]
    labels.sort(key=lambda label: label != call.label)
    return [(entry, label) for label in labels for entry in graph.entries if gets_to(graph, entry, label)]


def _takes_image(entry: Entry) -> bool:
    ports = [port for port in entry.inputs if not port.optional]
    return len(ports) == 1 and isinstance(ports[0].type, Bytes)


def _image_input(entry: Entry, folder: Path) -> Port:
    ports = [port for port in entry.inputs if not port.optional]
    if not _takes_image(entry):
        takes = ", ".join(f"'{port.key}' ({port.type})" for port in ports)
        raise BadSamples(f"{folder} holds images, and the pipeline takes {takes}: {_ARRAYS}")
    return ports[0]


def _prepared(reaching: Reaching, port: Port, file: Path, inputs: tuple[Tensor, ...]) -> list[Any]:
    arrived = reaching.run({port.key: file.read_bytes()})
    if isinstance(arrived, ItemError):
        raise BadSamples(f"{file} never gets to the model: {arrived}")
    return [
        {one.name: fitted(file, value, one) for one, value in zip(inputs, values, strict=True)}
        for values in arrived
    ]


def save_samples(
    path: str | Path, node: str, folder: Path, samples: Sequence[Mapping[str, Any]], options: BuildOptions
) -> int:
    """Save what arrives at a node's model for samples of the pipeline, as `calibrate_input` takes it.

    The nodes in front of the model run, code of users included. Returns the number of files: one for each
    item that arrives, ``.npy``, or ``.npz`` for models of several inputs.

    Raises:
        PipelineError: the pipeline is wrong, has no such node, or a sample fails before it gets there.
    """
    import numpy as np

    bag = Bag()
    with scratch_folder() as scratch:
        compiled = compile_pipeline(path, options, bag, scratch)
        bag.raise_if_errors()
        assert compiled is not None
        graph = compiled.reference
        call = _model_of(graph, node, compiled.source.path)
        ways = _ways_to(graph, call)
        if not ways:
            message = f"nothing that the pipeline takes gets to the model of '{node}'"
            raise PipelineError([Diagnostic("TP413", Severity.ERROR, message, file=compiled.source.path)])
        entry, label = ways[0]
        with user_errors(compiled.base, compiled.base):
            reaching = Reaching.load(
                graph,
                entry,
                label,
                kernel_files(compiled),
                threads=usable_cores(),
                user=compiled.base,
            )
        arrived = [
            _arrived(reaching, item_for(entry, sample), number) for number, sample in enumerate(samples)
        ]
    op: Any = call.op
    names = [info.name for info in op.signature.inputs]
    found = [values for some in arrived for values in some]
    for number, values in enumerate(found):
        file = folder / f"{number:06d}"
        if len(names) == 1:
            np.save(file.with_suffix(".npy"), values[0])
        else:
            np.savez(file.with_suffix(".npz"), **dict(zip(names, values, strict=True)))
    return len(found)


def _model_of(graph: Graph, node: str, file: str) -> Call:
    """The first model of a node."""
    models = {one.title: call for one, call in graph.calls() if call.op.has(Trait.INFERENCE)}
    if node not in models:
        near = did_you_mean(node, models)
        known = f"did you mean '{near}'?" if near else f"nodes with a model: {', '.join(models) or 'none'}"
        problem = Diagnostic("TP201", Severity.ERROR, f"no node '{node}' runs a model", hint=known, file=file)
        raise PipelineError([problem])
    return models[node]


def _arrived(reaching: Reaching, item: Mapping[str, Any], number: int) -> Sequence[tuple[Any, ...]]:
    arrived = reaching.run(item)
    if isinstance(arrived, ItemError):
        message = f"sample {number} never gets to the model: {arrived}"
        raise PipelineError([Diagnostic("TP413", Severity.ERROR, message)])
    return arrived
