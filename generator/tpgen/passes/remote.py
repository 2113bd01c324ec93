"""Models that a stage calls: inference inside control flow, where one model per node was asked for.

Control flow stays in one stage, which holds the items. Each of its inference calls becomes a Triton model of
its own, with its own instances and batcher; the stage calls it with the items that arrive, in batches (BLS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.graph import PYTHON, Call, Entry, Graph, Node, Port, Stage
from ..ir.op import Trait
from ..types import Array, Color, TupleOf, Type, crosses_wire, present
from . import native
from .base import Context


def called_models(graph: Graph, entry: Entry, context: Context) -> list[Stage]:
    """The models of an entry's inference calls; nodes of one physical node share one, if it fits both."""
    stages: dict[tuple[str, str], Stage] = {}
    for name in graph.members(entry.root):
        node = graph.nodes[name]
        models = [call for call in node.calls if call.op.has(Trait.INFERENCE)]
        for number, call in enumerate(models, 1):
            backend = _backend(graph, node, call, context)
            if backend is None:
                continue
            ports = _ports(graph, call) if backend == PYTHON else native.ports_of(graph, call)
            if ports is None:
                continue
            inputs, outputs = ports
            key = (node.physical or name, call.label.rpartition(".")[2])
            known = stages.get(key)
            if known is not None and (known.inputs, known.outputs) == ports:
                stages[key] = replace(known, runs=(*known.runs, call.label))
                continue
            if known is not None:  # other dtypes arrive here, so its graph is another
                key = (name, key[1])
            suffix = f"__{number}" if number > 1 else ""
            # Elsewhere the model may be a step of an ensemble, which has other tensors and no caller.
            is_own = backend != PYTHON and entry.is_added
            stages[key] = Stage(
                f"{graph.name}__{name if is_own else key[0]}{suffix}",
                entry.name,
                (name,),
                inputs,
                outputs,
                max_batch=node.settings.max_batch,
                instances=native_instances(graph, name, context),
                why="the stage calls it with the items of all requests that are there",
                runs=(call.label,),
                backend=backend,
                on_gpu=backend != PYTHON and native.is_on_gpu(node, context.options),
            )
    return list(stages.values())


def _backend(graph: Graph, node: Node, call: Call, context: Context) -> str | None:
    """The backend that a model runs on; None: it stays where it is called, which is said."""
    if not native.is_native(context.options):
        return PYTHON
    reason = native.reason_to_stay(graph, call)
    if reason is None:
        return native.backend_of(node, call, context.options)
    context.bag.warning(
        "TP905",
        f"the model of '{node.title}' stays in the Python stage: {reason}",
        call.span,
        node=node.title,
    )
    return None


def _ports(graph: Graph, call: Call) -> tuple[tuple[Port, ...], tuple[Port, ...]] | None:
    """The tensors of a call as a model's; None if one of them cannot travel."""
    assert graph.types is not None
    if call.label not in graph.types.before:
        return None
    written = graph.types.written[call.label]
    read = graph.types.read_by(call.label)
    arriving = {key: _plain(read[key]) for key in call.op.inputs()}
    leaving: dict[str, Type | None] = {
        key: type_ for key, type_ in written.items() if not isinstance(type_, TupleOf)
    }
    if not all(
        type_ is not None and crosses_wire(type_) for type_ in (*arriving.values(), *leaving.values())
    ):
        return None
    return _as_ports(arriving), _as_ports(leaving)


def _plain(type_: Type) -> Type:
    """The type of what a model reads: whatever its colour order, where the model takes any."""
    if isinstance(type_, Array) and type_.color is Color.VARIES:
        return replace(type_, color=Color.UNKNOWN)
    return type_


def _as_ports(types: Mapping[str, Type | None]) -> tuple[Port, ...]:
    return tuple(Port(key, present(type_)) for key, type_ in types.items() if type_ is not None)


def native_instances(graph: Graph, name: str, context: Context) -> int:
    """Instances of a model of its own: one per core on the CPU, one on each GPU, or what the TOML says."""
    node = graph.nodes[name]
    if context.options.instances == "as-written":
        return node.settings.instance_num
    return 1 if native.is_on_gpu(node, context.options) else context.options.cores
