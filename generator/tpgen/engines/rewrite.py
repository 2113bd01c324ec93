"""Carrying out what a pass asks of a model: another dtype, layout, channel order, mean or scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..ir.rewrite import FoldPlan, ModelRewrite
from ..ir.signature import BatchAxis, TensorInfo
from ..types import DType
from . import folding
from .errors import REWRITE, ModelError
from .external import THRESHOLD, WrittenModel, externalize
from .folding import NotFoldable, Reader
from .graph import GraphEditor
from .loading import load_model, load_skeleton, number_of
from .signature import read_signature
from .tails import append_tail, check_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Vector = NDArray[np.float64]

_FLOATS = (DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64)
_HALF = (DType.FLOAT16, DType.BFLOAT16)
_OLDEST_OPSET = 7  # from there on Sub and Mul broadcast as they do today


@dataclass(frozen=True)
class RewriteReport:
    """What was done: the steps in the weights, the steps that became nodes (and why), the files."""

    folded: tuple[str, ...]
    inserted: tuple[str, ...]
    why: tuple[str, ...]
    written: WrittenModel


def can_fold(path: Path, rewrite: ModelRewrite) -> FoldPlan:
    """How the model would take the rewrite; nothing is written.

    Raises:
        ModelError: the model can't be read, or the rewrite doesn't fit it (no such input, another number of
            channels, a scale for an integer input ...).
    """
    return _Job.open(path, load_skeleton(path), rewrite).plan.public


def apply_rewrite(
    path: Path, rewrite: ModelRewrite, out_path: Path, *, threshold: int = THRESHOLD
) -> RewriteReport:
    """Write a copy of the model that takes what the rewrite says and answers the same.

    Scale, channel order and mean go into the weights of the input's readers where that is exact; the rest
    becomes nodes in front. From ``threshold`` bytes of weights on, they lie in ``<out_path>.data``. The bytes
    written are a function of the model and the rewrite.

    Raises:
        ModelError: as `can_fold`.
    """
    job = _Job.open(path, load_model(path), rewrite)
    job.fold()
    job.insert()
    for tail in rewrite.tails:
        append_tail(job.editor, tail, path)
    written = externalize(
        job.editor.model, out_path.parent, out_path.name, source_dir=path.parent, threshold=threshold
    )
    plan = job.plan.public
    return RewriteReport(plan.folded, plan.inserted, plan.why, written)


Step = Literal["dtype", "layout", "channels", "mean", "scale"]


@dataclass
class _Plan:
    """The steps that are needed, and where each goes."""

    readers: list[Reader] = field(default_factory=list)
    folded: list[Step] = field(default_factory=list)
    inserted: list[Step] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    @property
    def public(self) -> FoldPlan:
        return FoldPlan(tuple(self.folded), tuple(self.inserted), tuple(self.why))


@dataclass
class _Job:
    """One rewrite of one model."""

    path: Path
    rewrite: ModelRewrite
    editor: GraphEditor
    info: TensorInfo
    channel_axis: int
    channels: int | None
    plan: _Plan

    @classmethod
    def open(cls, path: Path, model: ModelProto, rewrite: ModelRewrite) -> _Job:
        signature = read_signature(path)
        info = next((i for i in signature.inputs if i.name == rewrite.input_name), None)
        if info is None:
            known = ", ".join(f"'{i.name}'" for i in signature.inputs)
            raise ModelError(REWRITE, f"model '{path}' has no input '{rewrite.input_name}'; it has {known}")
        batched = signature.batch is not BatchAxis.NONE
        axis = _channel_axis(rewrite, len(info.shape), batched)
        job = cls(path, rewrite, GraphEditor(model, path), info, axis, None, _Plan())
        job._check(batched)
        job._decide()
        return job

    def _check(self, batched: bool) -> None:
        for tail in self.rewrite.tails:
            check_tail(self.editor, tail, self.path)
        rank, wanted = len(self.info.shape), self.rewrite
        if any(output.name == self.info.name for output in self.editor.graph.output):
            raise self._misfit("is an output of the model too; put an Identity node between them")
        if self._moves_layout() and rank != 3 + batched:
            shape = "×".join(str(d) for d in self.info.shape)
            raise self._misfit(f"is no image ({shape}), so it has no layout to change")
        if (wanted.mean or wanted.scale) and self.info.dtype not in _FLOATS:
            raise self._misfit(f"is {self.info.dtype.value}: mean and std need a model that takes floats")
        if DType.STRING in (wanted.input_dtype, self.info.dtype) and not wanted.is_empty:
            raise self._misfit("holds strings, which can't be converted in a model")
        if (wanted.mean or wanted.scale) and self.editor.opset < _OLDEST_OPSET:
            raise self._misfit(f"belongs to a model of opset {self.editor.opset}; export it with 7 or later")
        size = self.info.shape[self.channel_axis] if rank else None
        self.channels = size if isinstance(size, int) else None

    def _decide(self) -> None:
        wanted = self.rewrite
        if wanted.input_dtype not in (None, self.info.dtype):
            self.plan.inserted.append("dtype")
        if self._moves_layout():
            self.plan.inserted.append("layout")
        steps: list[Step] = []
        if wanted.channel_reverse:
            steps.append("channels")
        if wanted.mean and any(wanted.mean):
            steps.append("mean")
        if wanted.scale and any(value != 1 for value in wanted.scale):
            steps.append("scale")
        if not steps:
            return
        try:
            self._find_readers()
        except NotFoldable as reason:
            self.plan.inserted += steps
            self.plan.why.append(f"{' and '.join(steps)}: {reason}")
        self._check_channels()
        if self.plan.readers:
            for step in reversed(steps):  # the scale first: the mean follows it
                self._place(step)
            self.plan.folded.sort(key=steps.index)
            self.plan.inserted.sort(key=("dtype", "layout", *steps).index)

    def _find_readers(self) -> None:
        name, rank = self.info.name, len(self.info.shape)
        self.plan.readers = folding.find_readers(self.editor, name, self.channel_axis, rank)
        if not self.plan.readers:
            raise NotFoldable("nothing reads it")
        if self.channels is None:
            self.channels = folding.channel_count(self.editor, self.plan.readers[0])

    def _place(self, step: Step) -> None:
        readers = self.plan.readers
        try:
            if step == "scale":
                folding.check_scale(self.editor, readers, self._vector(self.rewrite.scale))
            elif step == "channels":
                folding.check_reversal(readers)
            else:
                folding.check_shift(self.editor, readers)
                if "scale" in self.plan.inserted:
                    raise NotFoldable("the scale, which comes after it, stays a node")
            self.plan.folded.append(step)
        except NotFoldable as reason:
            self.plan.inserted.append(step)
            self.plan.why.append(f"{step}: {reason}")

    def _check_channels(self) -> None:
        for name, values in (("mean", self.rewrite.mean), ("scale", self.rewrite.scale)):
            if values and len(values) > 1 and self.channels is None:
                self.channels = len(values)
            if values and len(values) not in (1, self.channels or 1):
                raise self._misfit(f"has {self.channels} channels, and {name} has {len(values)} values")
        if self.rewrite.channel_reverse and self.channels is None:
            raise self._misfit("has an unknown number of channels, so they can't be reversed")

    def fold(self) -> None:
        """Put the folded steps into the weights."""
        folded = self.plan.folded
        if folded:
            folding.fold(
                self.editor,
                self.plan.readers,
                scale=self._vector(self.rewrite.scale) if "scale" in folded else None,
                shift=self._vector(self.rewrite.mean) if "mean" in folded else None,
                reverse="channels" in folded,
            )

    def insert(self) -> None:
        """Put the other steps in front as nodes, and give the graph's input its new type."""
        nodes = self._nodes()
        name = self.info.name
        if nodes:
            prepared = self.editor.fresh(f"{name}.prepared")
            self.editor.redirect(name, prepared)
            nodes[-1].output[0] = prepared
            for node in reversed(nodes):
                self.editor.graph.node.insert(0, node)
        self._retype_input()

    def _nodes(self) -> list[NodeProto]:
        from onnx import helper

        inserted, rank = self.plan.inserted, len(self.info.shape)
        arithmetic = "mean" in inserted or "scale" in inserted
        compute = DType.FLOAT32 if arithmetic and self.info.dtype in _HALF else self.info.dtype
        nodes: list[NodeProto] = []
        value = self.info.name

        def add(kind: str, *constants: str, **attributes: Any) -> None:
            nonlocal value
            out = self.editor.fresh(f"{self.info.name}.{kind.lower()}")
            nodes.append(helper.make_node(kind, [value, *constants], [out], out, **attributes))
            value = out

        if (self.rewrite.input_dtype or self.info.dtype) is not compute:
            add("Cast", to=number_of(compute))
        if "layout" in inserted:
            lead = list(range(rank - 3))
            order = (2, 0, 1) if self.rewrite.layout == "HWC" else (1, 2, 0)
            add("Transpose", perm=[*lead, *(rank - 3 + axis for axis in order)])
        if "channels" in inserted:
            add("Gather", self._indices(), axis=self.channel_axis)
        if "mean" in inserted:
            add("Sub", self._broadcast("mean", self.rewrite.mean, compute))
        if "scale" in inserted:
            add("Mul", self._broadcast("scale", self.rewrite.scale, compute))
        if compute is not self.info.dtype:
            add("Cast", to=number_of(self.info.dtype))
        return nodes

    def _indices(self) -> str:
        import numpy as np

        assert self.channels is not None
        return self.editor.add_constant(f"{self.info.name}.reversed", np.arange(self.channels)[::-1].copy())

    def _broadcast(self, name: str, values: tuple[float, ...] | None, dtype: DType) -> str:
        """A constant along the channel axis, in the order in which its node sees the channels."""
        import numpy as np

        vector = self._vector(values)
        if "channels" in self.plan.folded:
            vector = vector[::-1]
        shape = [1] * len(self.info.shape)
        shape[self.channel_axis] = -1
        array = vector.astype(np.dtype(dtype.value)).reshape(shape)
        return self.editor.add_constant(f"{self.info.name}.{name}", array)

    def _vector(self, values: tuple[float, ...] | None) -> Vector:
        import numpy as np

        assert values is not None
        vector = np.asarray(values, np.float64)
        return np.broadcast_to(vector, (self.channels,)) if self.channels else vector

    def _retype_input(self) -> None:
        from onnx import TensorShapeProto

        value = next(v for v in self.editor.graph.input if v.name == self.info.name)
        tensor = value.type.tensor_type
        tensor.elem_type = number_of(self.rewrite.input_dtype or self.info.dtype)
        if self._moves_layout():
            dims = list(tensor.shape.dim)
            lead, (a, b, c) = dims[:-3], dims[-3:]
            order = [b, c, a] if self.rewrite.layout == "HWC" else [c, a, b]
            tensor.shape.CopyFrom(TensorShapeProto(dim=[*lead, *order]))

    def _moves_layout(self) -> bool:
        return self.rewrite.layout not in (None, self.rewrite.model_layout)

    def _misfit(self, what: str) -> ModelError:
        return ModelError(REWRITE, f"model '{self.path}': input '{self.info.name}' {what}")


def _channel_axis(rewrite: ModelRewrite, rank: int, batched: bool) -> int:
    if rewrite.model_layout == "HWC" or rank < 2:
        return max(rank - 1, 0)
    return 1 if batched or rank == 2 else rank - 3
