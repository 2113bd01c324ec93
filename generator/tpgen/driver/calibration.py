"""Samples of an engine's inputs: arrays as they are, images through the nodes in front of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines.calibration import MOST, BadSamples, fitted, is_image, read_samples, sample_files
from ..engines.requests import Tensor
from ..ir.graph import Call, Entry, Graph, Port
from ..runner.interpreter import ItemError
from ..runner.reaching import Reaching, gets_to, user_code_before
from ..types import Bytes
from .compile import Compiled
from .kernel_files import kernel_files
from .options import usable_cores

if TYPE_CHECKING:
    from ..engines.ranges import Sample

_ARRAYS = "save what arrives there as .npy"


def calibration_samples(
    compiled: Compiled, call: Call, inputs: tuple[Tensor, ...], folder: Path
) -> list[Sample]:
    """The samples of a folder as the engine of a call takes them: its inputs by name, with the batch axis.

    Images are prepared by the pipeline's own operators, as the reference runs them, up to the model.

    Raises:
        BadSamples: nothing can be read there, or a file does not fit; the text names it.
    """
    files = sample_files(folder)
    if not is_image(files[0]):
        return list(read_samples(folder, inputs))
    entry = _entry_of(compiled.reference, call)
    port = _image_input(entry, folder)
    user = user_code_before(compiled.reference, call.label)
    if user is not None:
        raise BadSamples(
            f"{folder} holds images, and '{compiled.reference.title(user.node)}' in front of the model runs"
            f" Python code of yours, which a build doesn't: {_ARRAYS}"
        )
    reaching = Reaching.load(
        compiled.reference, entry, call.label, kernel_files(compiled), threads=usable_cores()
    )
    found = [sample for file in files for sample in _prepared(reaching, port, file, inputs)]
    if not found:
        raise BadSamples(f"of none of the {len(files)} images in {folder} anything arrives at the model")
    return found[:MOST]


def _entry_of(graph: Graph, call: Call) -> Entry:
    """The entry whose images get to a call."""
    return next(entry for entry in graph.entries if gets_to(graph, entry, call.label))


def _image_input(entry: Entry, folder: Path) -> Port:
    ports = [port for port in entry.inputs if not port.optional]
    if len(ports) != 1 or not isinstance(ports[0].type, Bytes):
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
