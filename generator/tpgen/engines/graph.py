"""Reading and changing the graph of an ONNX model in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..types import DType
from .external import payload
from .loading import dtype_of, external_range, load_model, subgraphs
from .wire import LEFT_OUT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_STANDARD_DOMAINS = ("", "ai.onnx")


class GraphEditor:
    """A model's main graph with the look-ups that rewriting needs.

    ``model`` is changed in place. It was read from ``path``: external data lies beside that, and what a
    skeleton leaves out is fetched from there once it is asked for. Initializers that are listed as inputs
    too become plain constants: nothing in a repository ever sets them.
    """

    def __init__(self, model: ModelProto, path: Path) -> None:
        self.model = model
        self.graph: GraphProto = model.graph
        self._path = path
        self._initializers: dict[str, TensorProto] = {t.name: t for t in self.graph.initializer}
        self._names = set(_all_names(self.graph))
        self._drop_overridable_inputs()

    @property
    def opset(self) -> int:
        return opset_of(self.model)

    def fresh(self, name: str) -> str:
        """A name that nothing in the graph has: ``name`` itself, or with a number."""
        chosen, number = name, 1
        while chosen in self._names:
            number += 1
            chosen = f"{name}_{number}"
        self._names.add(chosen)
        return chosen

    def free(self, name: str) -> None:
        """Give what has a name inside the graph another one, so that an output can have it."""
        other = self.fresh(name)
        for node in self.graph.node:
            _replace(node.output, name, other)
        self.redirect(name, other)
        for named in (*self.graph.node, *self.graph.initializer, *self.graph.value_info):
            if named.name == name:
                named.name = other
        self._initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self._names.add(name)

    def producer(self, value: str) -> NodeProto | None:
        """The node that computes a value; None for inputs and initializers."""
        return next((node for node in self.graph.node if value in node.output), None)

    def readers(self, value: str) -> list[NodeProto]:
        """The nodes of the main graph that read a value directly, in order."""
        return [node for node in self.graph.node if value in node.input]

    def leaks(self, value: str) -> str | None:
        """How a value is read other than by nodes of the main graph; None if it isn't."""
        if any(output.name == value for output in self.graph.output):
            return "it is an output of the model"
        for node in self.graph.node:
            if any(value in _names_read(sub) for sub in subgraphs(node)):
                return f"a sub-graph of {describe(node)} reads it"
        return None

    def constant(self, value: str) -> NDArray[Any] | None:
        """A constant's value, also behind Constant, Identity and Cast nodes; None if it isn't constant."""
        tensor = self._initializers.get(value)
        if tensor is not None:
            return self._read(tensor)
        node = self.producer(value)
        if node is None or not is_standard(node):
            return None
        if node.op_type == "Constant":
            held = attribute(node, "value", None)
            return self._read(held) if held is not None else _plain_constant(node)
        if not _hands_on(node):
            return None
        inner = self.constant(node.input[0])
        target = cast_target(node)
        return inner if inner is None or target is None else inner.astype(target.value)

    def constant_type(self, value: str) -> tuple[DType | None, tuple[int, ...]] | None:
        """Element type and shape of what `constant` would give, without reading weights."""
        tensor = self._initializers.get(value)
        if tensor is not None:
            return dtype_of(tensor.data_type), tuple(tensor.dims)
        node = self.producer(value)
        if node is None or not is_standard(node):
            return None
        if _hands_on(node):
            inner = self.constant_type(node.input[0])
            return (cast_target(node) or inner[0], inner[1]) if inner else None
        array = self.constant(value)
        return None if array is None else (DType(array.dtype.name), array.shape)

    def is_constant(self, value: str) -> bool:
        """True if `constant` would give an array; no weights are read."""
        return self.constant_type(value) is not None

    def add_constant(self, name: str, array: NDArray[np.generic]) -> str:
        """Add an initializer; returns the name it got."""
        from onnx import numpy_helper

        chosen = self.fresh(name)
        tensor = self.graph.initializer.add()
        tensor.CopyFrom(numpy_helper.from_array(array, chosen))
        self._initializers[chosen] = tensor
        return chosen

    def redirect(self, old: str, new: str) -> None:
        """Let every node that reads ``old`` read ``new``, in sub-graphs too."""
        _redirect(self.graph, old, new)

    def replace_nodes(self, nodes: Sequence[NodeProto]) -> None:
        """Let the graph have these nodes, in this order; they may be its own."""
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(copies)

    def drop_unused(self, value: str) -> None:
        """Remove a constant that nothing reads any more, and the nodes that only led to it."""
        if self.readers(value) or self.leaks(value):
            return
        if value in self._initializers:
            self.graph.initializer.remove(self._initializers.pop(value))
            return
        node = self.producer(value)
        if node is not None and len(node.output) == 1:
            inputs = list(node.input)
            self.graph.node.remove(node)
            for name in inputs:
                self.drop_unused(name)

    def _read(self, tensor: TensorProto) -> NDArray[Any]:
        from onnx import numpy_helper

        if tensor.data_location != tensor.EXTERNAL:
            return numpy_helper.to_array(tensor)
        if external_range(tensor)[0] == LEFT_OUT:
            return self._complete._values(tensor.name)
        copy = type(tensor)(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        copy.raw_data = payload(tensor, self._path.parent)
        return numpy_helper.to_array(copy)

    def _values(self, initializer: str) -> NDArray[Any]:
        return self._read(self._initializers[initializer])

    @cached_property
    def _complete(self) -> GraphEditor:
        """The same model with its values."""
        return GraphEditor(load_model(self._path), self._path)

    def _drop_overridable_inputs(self) -> None:
        kept = [value for value in self.graph.input if value.name not in self._initializers]
        if len(kept) < len(self.graph.input):
            del self.graph.input[:]
            self.graph.input.extend(kept)
            # Up to version 3 of the format every initializer has to be an input as well.
            self.model.ir_version = max(self.model.ir_version, 4)


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that a model is written in."""
    return max((o.version for o in model.opset_import if o.domain in _STANDARD_DOMAINS), default=1)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The value of a node's attribute; ``default`` if it is left out."""
    from onnx import helper

    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Give a node's attribute a value, whether it was there or not."""
    from onnx import helper

    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def is_standard(node: NodeProto) -> bool:
    """True for operators of ONNX itself."""
    return node.domain in _STANDARD_DOMAINS


def cast_target(node: NodeProto) -> DType | None:
    """What a Cast node casts to; None for other nodes and for types that Triton lacks."""
    return dtype_of(attribute(node, "to", 0)) if node.op_type == "Cast" else None


def describe(node: NodeProto) -> str:
    """``Conv 'stem'``: how messages name a node; unnamed ones by their first output."""
    name = f"'{node.name}'" if node.name else f"that computes '{next(iter(node.output), '')}'"
    return f"{node.op_type} {name}"


def outer_names(node: NodeProto) -> set[str]:
    """The names that a node's sub-graphs read from around it."""
    return {name for sub in subgraphs(node) for name in _names_read(sub) - _names_defined(sub)}


def _names_read(graph: GraphProto) -> set[str]:
    names = {output.name for output in graph.output}
    for node in graph.node:
        names.update(node.input)
        for sub in subgraphs(node):
            names |= _names_read(sub) - _names_defined(sub)
    return names - {""}


def _names_defined(graph: GraphProto) -> set[str]:
    names = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    return names.union(*(node.output for node in graph.node))


def _all_names(graph: GraphProto) -> Iterator[str]:
    yield from _names_defined(graph)
    yield from (value.name for value in graph.value_info)
    for node in graph.node:
        yield node.name
        for sub in subgraphs(node):
            yield from _all_names(sub)


def _redirect(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        _replace(node.input, old, new)
        for sub in subgraphs(node):
            if old not in _names_defined(sub):
                _redirect(sub, old, new)


def _hands_on(node: NodeProto) -> bool:
    """True for nodes that give their input as it is, or in another numeric type."""
    return node.op_type == "Identity" or cast_target(node) not in (None, DType.BFLOAT16, DType.STRING)


def _replace(names: Any, old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def _plain_constant(node: NodeProto) -> NDArray[Any] | None:
    """The value of a Constant that holds numbers instead of a tensor."""
    import numpy as np

    types: Sequence[tuple[str, type[np.generic]]] = (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    )
    for name, dtype in types:
        value = attribute(node, name, None)
        if value is not None:
            return np.asarray(value, dtype)
    return None
