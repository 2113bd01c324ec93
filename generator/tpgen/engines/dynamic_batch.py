"""Giving a model that was exported for one item a batch axis: in a copy, and only with a proof."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..ir.signature import BatchAxis, ModelSignature
from .batch_graft import Graft
from .batch_walk import BatchWalk, Stacked, Value, blocked
from .errors import BLOCKED_BATCH, ModelError
from .external import THRESHOLD, WrittenModel, externalize
from .graph import GraphEditor
from .loading import load_model
from .probe import Items, prove_batches, sample_items
from .session import open_session
from .signature import explain_batch, read_signature

BATCHES = (2, 3)  # what the proof computes; batches of one are the original
_AXIS_NAME = "batch"


@dataclass(frozen=True)
class DynamicBatchResult:
    """The copy: what was changed in it, the batch sizes that were compared with single items, its files."""

    edits: tuple[str, ...]
    proven: tuple[int, ...]
    written: WrittenModel


def make_batch_dynamic(path: Path, out_path: Path, *, threshold: int = THRESHOLD) -> DynamicBatchResult:
    """Write a copy of a model of batch 1 that takes any batch.

    On random inputs, batches of 2 and 3 of the copy are compared with what the original gives for each item:
    equal, or for floats within 1e-4 of the largest value. From ``threshold`` bytes of weights on, they lie in
    ``<out_path>.data``. The bytes written are a function of the model alone.

    Raises:
        ModelError: the model can't be read, its batch isn't fixed at 1, or a node prevents batches (`node`).
            Nothing is written then.
    """
    signature = read_signature(path)
    if signature.batch is not BatchAxis.FIXED or signature.batch_size != 1:
        raise ModelError(BLOCKED_BATCH, f"model '{path}' can't get a batch axis: {explain_batch(path)}")
    original = open_session(path)
    try:
        items = sample_items(original, signature, max(BATCHES))
        editor = GraphEditor(load_model(path), path)
        edits = _free_first_axes(editor, signature)
        if _proof(editor, path, signature, items, out_path.parent) is not None:
            edits += _rewrite_nodes(editor, signature, items)
            problem = _proof(editor, path, signature, items, out_path.parent)
            if problem is not None:
                raise ModelError(BLOCKED_BATCH, problem)
    except ModelError as error:
        message = f"model '{path}' can't get a batch axis: {error.message}"
        hint = "export the model with a first axis that varies, or set max = 1"
        raise ModelError(error.code, message, hint, node=error.node) from None
    written = externalize(
        editor.model, out_path.parent, out_path.name, source_dir=path.parent, threshold=threshold
    )
    return DynamicBatchResult(tuple(edits), BATCHES, written)


def _proof(
    editor: GraphEditor, path: Path, signature: ModelSignature, items: Items, place: Path
) -> str | None:
    """What is wrong with the model as it is edited; None: batches give what single items do.

    The copy that is tried lies where the result will: an encrypted model is in no other folder.
    """
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tpgen-batch-", dir=place) as folder:
        trial = externalize(editor.model, Path(folder), "trial.onnx", source_dir=path.parent)
        try:
            session = open_session(trial.model)
        except ModelError as error:
            return error.message
        return prove_batches(session, signature, items, BATCHES)


def _free_first_axes(editor: GraphEditor, signature: ModelSignature) -> list[str]:
    """Name the first axis of inputs and outputs; forget the shapes in between, which held the old one."""
    editor.model.graph.ClearField("value_info")
    edits = []
    for role, values in (("input", editor.graph.input), ("output", editor.graph.output)):
        for value in values:
            dims = value.type.tensor_type.shape.dim
            if dims and dims[0].dim_param != _AXIS_NAME:
                dims[0].dim_param = _AXIS_NAME
                edits.append(f"{role} '{value.name}': the first axis")
    for output, info in zip(editor.graph.output, signature.outputs, strict=True):
        if not output.type.tensor_type.HasField("shape"):
            for size in (_AXIS_NAME, *info.shape[1:]):
                dim = output.type.tensor_type.shape.dim.add()
                if isinstance(size, int):
                    dim.dim_value = size
                elif size:
                    dim.dim_param = size
    return edits


def _rewrite_nodes(editor: GraphEditor, signature: ModelSignature, items: Items) -> list[str]:
    walk = BatchWalk(editor, items.feeds[:2])
    walk.run()
    graft = Graft(editor, signature.inputs[0].name)
    edits = [graft.take(node, walk.changes.get(i, ())) for i, node in enumerate(editor.graph.node)]
    edits += [_free_output(graft, output.name, walk.values) for output in editor.graph.output]
    graft.finish()
    return [edit for part in edits for edit in part]


def _free_output(graft: Graft, name: str, values: dict[str, Value]) -> list[str]:
    """Check that an output has the items side by side; one that is the same for all is repeated."""
    producer = graft.editor.producer(name)
    if producer is None or name not in values:
        raise ModelError(BLOCKED_BATCH, f"output '{name}' is not computed from the inputs")
    value = values[name]
    if value.layout == Stacked(0):
        return []
    if value.is_constant and value.alone[0].shape[:1] == (1,):
        graft.repeat_output(name, value.alone[0].ndim)
        return [f"output '{name}': repeated for each item"]
    where = "nowhere" if value.layout is None else f"on axis {value.layout.axis}"
    raise blocked(producer, f"output '{name}' has the items of a batch {where} instead of on the first axis")
