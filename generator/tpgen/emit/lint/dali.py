"""Rules about DALI models: the file of the pipeline, and its inputs and outputs as far as code shows them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages, parse
from . import backends
from .model import Model
from .read import Unreadable, read_text


def pipeline_is_there(model: Model) -> Iterator[Diagnostic]:
    """TP809: a serialised pipeline, or dali.py which makes one."""
    if model.backend != backends.DALI or model.config.cc_model_filenames:
        return
    file = model.config.default_model_filename or "model.dali"
    for version in model.loaded:
        here = f"{version.number}/{file}", f"{version.number}/dali.py"
        if not any(model.path_of(path).is_file() for path in here):
            message = f"version {version.number} of '{model.name}' has neither {file} nor dali.py"
            hint = "serialise the pipeline into it, or put dali.py with an @autoserialize pipeline there"
            yield model.error_in("TP809", message, f"{version.number}/{file}", hint=hint)


def inputs_are_numbers(model: Model) -> Iterator[Diagnostic]:
    """TP878: DALI gets bytes as they are on the wire, which for strings begin with their length."""
    if model.backend != backends.DALI:
        return
    for kind in ("input", "output"):
        for index, tensor in enumerate(getattr(model.config, kind)):
            if tensor.data_type == messages().TYPE_STRING:
                message = f"{kind} '{tensor.name}' of the DALI model '{model.name}' is TYPE_STRING"
                hint = "use TYPE_UINT8 with dims: [-1], one image per item"
                yield model.error("TP878", message, kind, index, "data_type", hint=hint)


def code_fits_configuration(model: Model) -> Iterator[Diagnostic]:
    """TP878: dali.py has one pipeline, with the configuration's inputs by name and as many outputs."""
    for version in model.loaded if model.backend == backends.DALI else ():
        if model.path_of(f"{version.number}/model.dali").is_file() or model.config.default_model_filename:
            continue
        file = f"{version.number}/dali.py"
        try:
            tree = ast.parse(read_text(model.path_of(file))[0])
        except (Unreadable, SyntaxError, ValueError, RecursionError):
            continue
        pipelines = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _serialises(node)
        ]
        if len(pipelines) != 1:
            message = f"{file} of '{model.name}' has {len(pipelines)} pipelines with @autoserialize, not 1"
            hint = "write @autoserialize above @pipeline_def(...), once"
            yield model.error_in("TP878", message, file, hint=hint)
        elif model.knows_tensors:
            yield from _compare(model, pipelines[0], file)


def variants_have_the_same_batch(model: Model) -> Iterator[Diagnostic]:
    """TP878: DALI reads max_batch_size of config.pbtxt, whatever --model-config-name says."""
    folder = model.path_of("configs")
    for path in sorted(folder.glob("*.pbtxt")) if model.backend == backends.DALI else ():
        try:
            size = parse(read_text(path)[0]).max_batch_size
        except (Unreadable, ValueError):
            continue
        if size != model.config.max_batch_size:
            message = (
                f"configs/{path.name} of '{model.name}' has max_batch_size {size}, "
                f"but DALI reads {model.config.max_batch_size} in config.pbtxt"
            )
            yield model.warning_in("TP878", message, f"configs/{path.name}", hint="write the same in both")


def _serialises(function: ast.FunctionDef) -> bool:
    return any("autoserialize" in ast.unparse(decorator) for decorator in function.decorator_list)


def _compare(model: Model, pipeline: ast.FunctionDef, file: str) -> Iterator[Diagnostic]:
    sources = _sources(pipeline)
    for index, tensor in enumerate(model.config.input) if sources else ():
        if tensor.name not in sources:
            message = f"the pipeline of '{model.name}' has no external_source '{tensor.name}'"
            hint = f"{file} has {', '.join(sorted(sources))}"
            yield model.error("TP878", message, "input", index, "name", hint=hint)
    names = {tensor.name for tensor in model.config.input}
    for name in sorted(sources - names):
        message = f"the pipeline of '{model.name}' reads '{name}', which is no input of the configuration"
        yield model.error("TP878", message, "input", hint=f'add input [{{ name: "{name}" … }}]')
    outputs = {
        len(node.value.elts)
        for node in ast.walk(pipeline)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
    }
    wanted = len(model.config.output)
    if len(outputs) == 1 and (count := outputs.pop()) != wanted:
        message = f"the pipeline of '{model.name}' returns {count} tensors, the configuration has {wanted}"
        hint = "outputs are taken by position: write all of them"
        yield model.error("TP878", message, "output", hint=hint)


def _sources(pipeline: ast.FunctionDef) -> set[str]:
    """The names of all sources; nothing if one of them has a name that only running tells."""
    names = set()
    for node in ast.walk(pipeline):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("external_source"):
            continue
        name = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return set()
        names.add(name.value)
    return names
