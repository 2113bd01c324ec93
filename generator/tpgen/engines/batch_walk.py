"""Finding what has to change in a graph made for one item, node by node.

Every node is computed alone, with onnxruntime: for each of two items, then for both together. Together it has
to give the two answers side by side on some axis; where it doesn't, changes of its inputs are tried that
exporters make necessary (a size that is written into the graph, a constant that has to be repeated for each
item). The first node for which none helps is the one that prevents batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import BLOCKED_BATCH, ModelError
from .graph import GraphEditor, describe, is_standard, outer_names
from .probe import Feeds, close
from .session import RunFailed, open_session, run

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto
    from onnxruntime import InferenceSession

BATCH = 2  # the items that are computed together

# Which input of an operator is a shape.
_SHAPE_INPUTS = {"Reshape": 1, "Expand": 1, "Resize": 3, "AffineGrid": 1}
_RANDOM = ("Random", "Multinomial", "Bernoulli")


@dataclass(frozen=True)
class Stacked:
    """The items' values side by side on ``axis``, of whose size ``outer`` parts lie around the items."""

    axis: int
    outer: int = 1


@dataclass(frozen=True)
class Value:
    """A value of the graph: for each item alone, for both together, and how these relate.

    ``layout`` is None where the value is the same for every item. ``is_size``: it is computed from the sizes
    of other values, so its value together is what it is.
    """

    alone: tuple[NDArray[Any], ...]
    together: NDArray[Any]
    layout: Stacked | None = None
    is_size: bool = False

    @property
    def is_constant(self) -> bool:
        return self.layout is None and not self.is_size


@dataclass(frozen=True)
class Multiply:
    """Multiply entry ``entry`` of the shape that is input ``index`` of a node by the batch size."""

    index: int
    entry: int
    length: int


@dataclass(frozen=True)
class Repeat:
    """Repeat input ``index`` of a node on an axis, once for each item."""

    index: int
    axis: int
    rank: int


Change: TypeAlias = Multiply | Repeat


@dataclass
class BatchWalk:
    """One pass over a graph. ``changes`` holds, by position of the node, what has to be changed.

    Raises (from `run`):
        ModelError: a node prevents batches; ``node`` names it.
    """

    editor: GraphEditor
    items: Sequence[Feeds]
    changes: dict[int, tuple[Change, ...]] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def run(self) -> None:
        """Go through all nodes."""
        for name in self.items[0]:
            alone = tuple(item[name] for item in self.items)
            self.values[name] = Value(alone, _stack(alone, Stacked(0)), Stacked(0))
        uses = _last_uses(self.editor)
        for position, node in enumerate(self.editor.graph.node):
            self._visit(position, node)
            for name in uses.get(position, ()):
                self.values.pop(name, None)

    def _visit(self, position: int, node: NodeProto) -> None:
        if node.op_type == "Constant" and is_standard(node):
            return  # read where it is needed
        read = dict.fromkeys([*node.input, *sorted(outer_names(node))])
        inputs = {name: self.values[name] for name in read if name in self.values}
        step = _Step(self.editor, node, inputs)
        alone = step.compute_alone()
        if all(value.is_constant for value in inputs.values()):
            self._keep(node, [_constant(node, answers) for answers in zip(*alone, strict=True)])
            return
        self._keep(node, self._choose(position, step, alone))

    def _choose(self, position: int, step: _Step, alone: Sequence[Sequence[NDArray[Any]]]) -> list[Value]:
        """The outputs with the changes that leave the items on the plainest axis; none if none are needed."""
        found, problem = step.compare(alone, ())
        rank = 9 if found is None else max(_rank(value) for value in found)
        for changes in step.resizes() if rank > 0 else ():
            other, _ = step.compare(alone, changes)
            if other is not None and max(_rank(value) for value in other) < rank:
                found, rank = other, max(_rank(value) for value in other)
                self.changes[position] = changes
        for changes in step.repeats() if found is None else ():
            found, _ = step.compare(alone, changes)
            if found is not None:
                self.changes[position] = changes
                break
        if found is None:
            raise blocked(step.node, problem)
        return found

    def _keep(self, node: NodeProto, values: Sequence[Value]) -> None:
        named = [name for name in node.output if name]
        self.values.update(zip(named, values, strict=True))


@dataclass
class _Step:
    """One node, computed by itself."""

    editor: GraphEditor
    node: NodeProto
    inputs: Mapping[str, Value]

    def __post_init__(self) -> None:
        self._fed = {name for name, value in self.inputs.items() if not value.is_constant}
        self._session = self._open({})

    def compute_alone(self) -> list[list[NDArray[Any]]]:
        """The outputs for each item."""
        try:
            return [self._run({n: self.inputs[n].alone[i] for n in self._fed}) for i in range(BATCH)]
        except RunFailed as problem:
            raise blocked(self.node, f"it can't be computed by itself ({problem.reason})") from None

    def compare(
        self, alone: Sequence[Sequence[NDArray[Any]]], changes: Sequence[Change]
    ) -> tuple[list[Value] | None, str]:
        """Compute the items together; the outputs if they fit the items' own, else what is wrong."""
        feeds = {name: self.inputs[name].together for name in self._fed}
        constants: dict[str, NDArray[Any]] = {}
        for change in changes:
            name = self.node.input[change.index]
            constants[name] = _changed(self._constant(name), change)
        try:
            together = self._run(feeds, self._open(constants) if constants else None)
        except RunFailed as problem:
            return None, f"it fails on a batch: {problem.reason}"
        sizes_only = all(v.is_constant or v.is_size for v in self.inputs.values())
        found = []
        for given, answers in zip(together, zip(*alone, strict=True), strict=True):
            value = _relate(answers, given, sizes_only or self.node.op_type in ("Shape", "Size"))
            if value is None:
                return None, _difference(answers, given)
            found.append(value)
        return found, ""

    def resizes(self) -> Iterator[tuple[Change, ...]]:
        """Ways to let an entry of the node's shape input follow the batch."""
        index = _SHAPE_INPUTS.get(self.node.op_type) if is_standard(self.node) else None
        if index is None or index >= len(self.node.input) or not self.node.input[index]:
            return
        shape = self._fixed_input(index)
        if shape is not None and shape.ndim == 1:
            yield from ((Multiply(index, i, len(shape)),) for i in range(len(shape)) if shape[i] > 0)

    def repeats(self) -> Iterator[tuple[Change, ...]]:
        """Ways to repeat constants for each item: all that can be on one axis first, then one by one."""
        repeats = [
            Repeat(index, axis, array.ndim)
            for index, name in enumerate(self.node.input)
            if name and (array := self._fixed_input(index)) is not None
            for axis in range(array.ndim)
            if array.shape[axis] == 1
        ]
        by_axis = itertools.groupby(sorted(repeats, key=lambda r: (r.axis, r.index)), key=lambda r: r.axis)
        groups = [tuple(group) for _, group in by_axis]
        yield from groups
        yield from ((change,) for group in groups if len(group) > 1 for change in group)

    def _fixed_input(self, index: int) -> NDArray[Any] | None:
        """The value of an input that doesn't depend on the items."""
        name = self.node.input[index]
        return None if name in self._fed else self._constant(name)

    def _constant(self, name: str) -> NDArray[Any]:
        if name in self.inputs:
            return self.inputs[name].alone[0]
        value = self.editor.constant(name)
        if value is None:
            raise blocked(self.node, f"its input '{name}' can't be examined")
        return value

    def _run(
        self, feeds: Mapping[str, NDArray[Any]], session: InferenceSession | None = None
    ) -> list[NDArray[Any]]:
        return run(session or self._session, [name for name in self.node.output if name], feeds)

    def _open(self, changed: Mapping[str, NDArray[Any]]) -> InferenceSession:
        """A session for this node alone, with its constants, some of them changed."""
        from onnx import ModelProto, helper, numpy_helper

        model = ModelProto(ir_version=self.editor.model.ir_version)
        model.opset_import.extend(self.editor.model.opset_import)
        model.functions.extend(self.editor.model.functions)
        model.graph.name = "node"
        model.graph.node.append(self.node)
        for name in dict.fromkeys([*self.node.input, *sorted(outer_names(self.node))]):
            if name in self._fed:
                number = helper.np_dtype_to_tensor_dtype(self.inputs[name].together.dtype)
                model.graph.input.append(helper.make_tensor_value_info(name, number, None))
            elif name:
                array = changed[name] if name in changed else self._constant(name)
                model.graph.initializer.append(numpy_helper.from_array(array, name))
        model.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in self.node.output if n)
        return open_session(model.SerializeToString(), optimize=False)


def blocked(node: NodeProto, why: str) -> ModelError:
    """The error that names the node which prevents batches."""
    name = node.name or node.output[0]
    if is_standard(node) and node.op_type.startswith(_RANDOM):
        why = "it draws random numbers"
    return ModelError(BLOCKED_BATCH, f"{describe(node)} prevents batches: {why}", node=name)


def _relate(alone: Sequence[NDArray[Any]], together: NDArray[Any], sizes_only: bool) -> Value | None:
    """How an output for all items relates to those for each; None if it doesn't."""
    values = tuple(alone)
    shape = values[0].shape
    if any(v.shape != shape for v in values):
        return None
    if together.shape == shape and all(_equal(v, together) for v in values):
        return Value(values, together)
    if together.ndim == len(shape):
        grown = [axis for axis, size in enumerate(shape) if together.shape[axis] != size]
        if len(grown) == 1 and together.shape[grown[0]] == BATCH * shape[grown[0]]:
            for outer in _divisors(shape[grown[0]]):
                layout = Stacked(grown[0], outer)
                stacked = _stack(values, layout)
                if close(together, stacked):
                    # What the next nodes get is exact, so that differences don't add up.
                    return Value(values, stacked, layout)
    return Value(values, together, is_size=True) if sizes_only else None


def _rank(value: Value) -> int:
    """How plainly a value holds the items; 0 is best.

    On an axis of their own the next nodes can't mistake them for anything else; around an axis' other
    entries they are where exporters put batch and heads; inside of one only some graphs have them.
    """
    if value.layout is None or value.alone[0].shape[value.layout.axis] == 1:
        return 0
    return 1 if value.layout.outer == 1 else 2


def _stack(alone: Sequence[NDArray[Any]], layout: Stacked) -> NDArray[Any]:
    import numpy as np

    shape = alone[0].shape
    before, size, behind = shape[: layout.axis], shape[layout.axis], shape[layout.axis + 1 :]
    split = (*before, layout.outer, size // layout.outer, *behind)
    stacked: NDArray[Any] = np.stack([value.reshape(split) for value in alone], axis=layout.axis + 1)
    return stacked.reshape(*before, size * len(alone), *behind)


def _divisors(size: int) -> list[int]:
    """Ways to divide an axis around the items: not at all, fully, then the rest."""
    between = [n for n in range(2, size) if size % n == 0]
    return [1, size, *between] if size > 1 else [1]


def _constant(node: NodeProto, answers: Sequence[NDArray[Any]]) -> Value:
    if any(not _equal(answer, answers[0]) for answer in answers):
        raise blocked(node, "it gives another value each time (a random number)")
    return Value(tuple(answers), answers[0])


def _equal(left: NDArray[Any], right: NDArray[Any]) -> bool:
    import numpy as np

    return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")


def _changed(value: NDArray[Any], change: Change) -> NDArray[Any]:
    import numpy as np

    if isinstance(change, Repeat):
        return np.repeat(value, BATCH, axis=change.axis)
    shape = value.copy()
    shape[change.entry] *= BATCH
    return shape


def _difference(alone: Sequence[NDArray[Any]], together: NDArray[Any]) -> str:
    if any(value.shape != alone[0].shape for value in alone):
        return "the size of its output depends on the item's content"
    if together.shape == alone[0].shape:
        return f"it gives one answer of shape {list(together.shape)} for the whole batch"
    expected = f"{list(alone[0].shape)} for one item and {list(together.shape)} for two"
    if together.size == BATCH * alone[0].size and together.ndim == alone[0].ndim:
        return f"the items of a batch influence each other (its output is {expected})"
    return f"its output is {expected}"


def _last_uses(editor: GraphEditor) -> dict[int, list[str]]:
    """By position of a node: the values that nothing behind it reads."""
    last: dict[str, int] = {}
    for position, node in enumerate(editor.graph.node):
        for name in (*node.input, *outer_names(node)):
            last[name] = position
    kept = {output.name for output in editor.graph.output}
    uses: dict[int, list[str]] = {}
    for name, position in last.items():
        if name not in kept:
            uses.setdefault(position, []).append(name)
    return uses
