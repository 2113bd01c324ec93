"""A chain as a Triton model: the code of its pipeline, its configuration, and the serialised pipeline."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ...diagnostics import ToolMissing
from ...resources import templates_dir
from ..code_text import broken_call, safe_name
from ..config_pbtxt import messages
from ..configs import Batching, set_batching
from ..names import Identifiers
from ..render import render_python, render_text
from ..wire_form import WireTensor, wire_tensors
from .lower import DaliChain

CODE, SERIALIZED = "1/dali.py", "1/model.dali"
_MODULE = "tpgen_dali_pipeline"
_INDENT = 4


def dali_code(chain: DaliChain, *, owner: str, source: str, version: str, batch: int, threads: int) -> str:
    """The text of ``dali.py``.

    ``owner`` is the pipeline, ``source`` its file, ``batch`` the largest batch, ``threads`` the CPU threads.
    """
    helpers = _helpers([*(step.code for step in chain.steps), *chain.returned])
    function = Identifiers(frozenset({chain.variable, *_names(chain)})).make("images")
    return render_python(
        "dali.py.j2",
        owner=safe_name(owner),
        source=safe_name(source),
        version=version,
        tolerance=_shown(chain),
        device=chain.device,
        helpers=helpers,
        uses_math=any("math." in helper for helper in helpers),
        batch=batch,
        threads=threads,
        function=function,
        data=chain.variable,
        input=chain.source.key,
        steps=[(step.comment, _lines(step.code) if step.code else []) for step in chain.steps],
        returned=", ".join(chain.returned),
    )


def _lines(statement: str) -> list[str]:
    """An assignment of a call as one line, or one argument a line if that is long."""
    (assigned,) = ast.parse(statement).body
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    targets, call = statement.partition(" = ")[0], assigned.value
    arguments = [statement[one.col_offset : one.end_col_offset] for one in call.args]
    arguments += [statement[one.col_offset : one.end_col_offset] for one in call.keywords]
    first, *others = broken_call(ast.unparse(call.func), arguments, len(targets) + len(" = ") + _INDENT)
    return [f"{targets} = {first}", *others]


def _names(chain: DaliChain) -> list[str]:
    return [name.strip() for step in chain.steps for name in step.code.partition(" = ")[0].split(",")]


def _shown(chain: DaliChain) -> str:
    return f"{chain.tolerance:.3g}" if chain.tolerance else "nothing"


def _helpers(texts: Sequence[str]) -> list[str]:
    """The functions that the texts call, and those that these call, by name."""
    known = {f"_{path.name.partition('.')[0]}": path for path in (templates_dir() / "dali").glob("*.py.j2")}
    found: dict[str, str] = {}
    waiting = list(texts)
    while waiting:
        for name in re.findall(r"\b\w+\b", waiting.pop()):
            if name in known and name not in found:
                found[name] = render_text(f"dali/{known[name].name}")
                waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def dali_config(
    name: str,
    chain: DaliChain,
    *,
    max_batch: int,
    threads: int,
    instances: int = 1,
    batching: Batching | None = None,
) -> Any:
    """The configuration (a ``ModelConfig`` message) of a chain.

    Outputs stand in the order in which the pipeline returns them: DALI knows no names of theirs.
    ``max_batch`` is at most the batch size that the pipeline was written with.
    """
    pb = messages()
    config = pb.ModelConfig(name=name, backend="dali", max_batch_size=max_batch)
    (tensor,) = wire_tensors(chain.source)
    config.input.add(**_described(tensor), allow_ragged_batch=True)
    for port in chain.outputs:
        (tensor,) = wire_tensors(port)
        config.output.add(**_described(tensor))
    on_gpu = chain.device == "gpu"
    kind = pb.ModelInstanceGroup.KIND_GPU if on_gpu else pb.ModelInstanceGroup.KIND_CPU
    config.instance_group.add(count=instances, kind=kind)
    set_batching(config, batching or Batching())
    config.parameters["num_threads"].string_value = str(threads)
    return config


def _described(tensor: WireTensor) -> dict[str, Any]:
    return {"name": tensor.name, "data_type": tensor.dtype.triton, "dims": tensor.dims}


def dali_files(code: str, serialized: bytes | None = None) -> Mapping[str, bytes]:
    """The files of the model's folder; the backend takes the serialised pipeline where there is one."""
    files = {CODE: code.encode()}
    return files if serialized is None else {**files, SERIALIZED: serialized}


def serialized(code: str) -> bytes:
    """``model.dali`` of a pipeline's code; the server needs the DALI release that wrote it, or a later one.

    Raises:
        ToolMissing: DALI is not installed here, or the pipeline is for a GPU and there is none.
    """
    try:
        importlib.import_module("nvidia.dali")
    except ImportError as error:
        raise ToolMissing("serialising a DALI pipeline needs DALI", "pip install 'tpgen[dali]'") from error
    module = ModuleType(_MODULE)
    exec(compile(code, "dali.py", "exec", dont_inherit=True), module.__dict__)  # our own text, see dali_code
    (make,) = (value for value in vars(module).values() if getattr(value, "_is_autoserialize", False))
    try:
        found: bytes = make().serialize()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ToolMissing(
            f"DALI cannot make this pipeline here ({reason}); the server makes it of dali.py"
        ) from error
    return found
