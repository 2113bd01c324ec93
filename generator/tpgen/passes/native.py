"""Models that run on Triton's own backends: which inference calls can, and the tensors that they take.

Such a model knows neither the names of keys nor companions: its tensors are those of its file, and a batch
holds rows of one shape.
"""

from __future__ import annotations

from typing import Any

from ..ir.graph import PYTHON, Call, Graph, Node, Port
from ..ir.op import Trait
from ..ir.serving import CPU_PROVIDERS, PROVIDER
from ..ir.signature import BatchAxis
from ..types import Array, DType, Symbol, present
from .base import Options
from .fold import crossing_dtype, is_foldable


def is_native(options: Options) -> bool:
    """True if models are to run on Triton's own backends."""
    return options.runtime != PYTHON


def backend_of(node: Node, call: Call, options: Options) -> str:
    """The backend of Triton that runs a node's call of a model.

    Who names a provider wants ONNX Runtime, and no engine is made of an encrypted model.
    """
    if not call.op.has(Trait.REWRITABLE):
        return "pytorch"
    op: Any = call.op
    is_engine = options.runtime == "tensorrt" and not (_provider(node) or op.signature.is_encrypted)
    return "tensorrt" if is_engine else "onnxruntime"


def is_on_gpu(node: Node, options: Options) -> bool:
    """True if a node's model runs on a GPU where it has a backend of its own."""
    return options.target == "gpu" and _provider(node) not in CPU_PROVIDERS


def _provider(node: Node) -> str:
    return str(node.serving[PROVIDER].value) if PROVIDER in node.serving else ""


def reason_to_stay(graph: Graph, call: Call) -> str | None:
    """Why a call's model cannot run on a backend of its own, if it cannot."""
    assert graph.types is not None
    op: Any = call.op
    if op.has(Trait.USER_CODE):
        return "its network is Python code; TorchScriptTensor runs a file of torch.jit.script elsewhere"
    if op.signature.batch is not BatchAxis.DYNAMIC:
        return "its batch size is fixed; --dynamic-batch makes it dynamic where that can be proven"
    if getattr(op, "groups", ()):
        return "its instance groups have models of their own"
    if len(op.inputs()) != len(op.signature.inputs):
        return "its inputs arrive as a tuple; map them to keys with the names of the inputs"
    if (op.mean or op.std) and not is_foldable(graph, call):
        return "mean and std cannot move into its graph; normalise inside the model"
    dtypes = {info.dtype for info in (*op.signature.inputs, *op.signature.outputs)}
    if DType.STRING in dtypes:
        return "it reads or writes text"
    read = graph.types.read_by(call.label)
    if not all(isinstance(read.get(key), Array) for key in op.inputs()):
        return "what arrives is no array"
    return None


def ports_of(graph: Graph, call: Call) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The tensors of a call's model, inputs and outputs, each as a port of that name.

    An ONNX model takes images in the dtype in which they arrive: the cast moves into its graph.
    """
    assert graph.types is not None
    op: Any = call.op
    names, answers = tensor_names(call)
    inputs = []
    for key, info, name in zip(op.inputs(), op.signature.inputs, names, strict=True):
        arriving = graph.types.read_by(call.label)[key]
        assert isinstance(arriving, Array)
        dtype = crossing_dtype(arriving.dtype, info.dtype) if is_foldable(graph, call) else info.dtype
        inputs.append(_port(op.signature.item_shape(info), name, dtype))
    outputs = [
        _port(op.signature.item_shape(info), name, info.dtype)
        for info, name in zip(op.signature.outputs, answers, strict=True)
    ]
    return tuple(inputs), tuple(outputs)


def tensor_names(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the backend calls the inputs and outputs of a model.

    TorchScript files name none: Triton's PyTorch backend goes by the numbers behind two underscores.
    """
    op: Any = call.op
    if not op.has(Trait.REWRITABLE):
        inputs, outputs = range(len(op.signature.inputs)), range(len(op.signature.outputs))
        return tuple(f"INPUT__{i}" for i in inputs), tuple(f"OUTPUT__{i}" for i in outputs)
    return tuple(info.name for info in op.signature.inputs), tuple(info.name for info in op.signature.outputs)


def _port(shape: tuple[int | str | None, ...], name: str, dtype: DType) -> Port:
    dims = tuple(
        dim if isinstance(dim, int) else Symbol(dim or f"{name}.{axis}") for axis, dim in enumerate(shape)
    )
    return Port(name, present(Array(dtype, dims)))
