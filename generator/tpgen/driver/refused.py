"""Models that no runtime can load: an error of the pipeline's, at the line that names the model."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..diagnostics import Bag, PipelineError, ToolMissing
from ..emit.vendor import REQUIREMENTS
from ..engines.errors import REFUSED, ModelError
from ..engines.known_operators import check_loads, doubts_about
from ..ir.graph import PYTHON, Call, Node, Stage
from ..runner.loading import Refusal, refusal_of
from .compile import Compiled
from .encrypted import decrypted, scratch_folder
from .models import ModelFile

_ONNX = "onnxruntime"


def report_refused(compiled: Compiled, extended: Container[str], bag: Bag) -> None:
    """Report the models that ONNX Runtime does not load where it runs them, and those TensorRT may not know.

    ``extended`` are the nodes that bring operators of their own to the backend of their model.
    """
    runners = {label: stage for stage in compiled.graph.stages for label in stage.runs}
    for node, call, file in _models(compiled):
        runner = runners.get(call.label)
        backend = runner.backend if runner is not None else PYTHON
        try:
            if backend == PYTHON or (backend == _ONNX and node.title not in extended):
                if not _on_gpu(runner) or doubts_about(file.path):
                    check_loads(file.path)
            elif backend != _ONNX and (doubts := doubts_about(file.path)):
                message = f"TensorRT's parser may not know {', '.join(doubts.unknown[:3])}"
                span = call.spans.get("model", call.span)
                hint = f"{doubts.hint}; a plugin of TensorRT's can bring operators"
                bag.warning("TP405", message, span, hint=hint, node=node.title)
        except ModelError as problem:
            _report(node, call, file, problem, bag)


@contextmanager
def refused_models(compiled: Compiled) -> Iterator[None]:
    """Within it, what breaks because a runtime does not load a model ends as TP405 at that model.

    Raises:
        PipelineError: such a model; what else breaks passes through.
        ToolMissing: a package is not installed that operators, or models of PyTorch, need.
    """
    _require_torch(compiled)
    try:
        yield
    except PipelineError:
        raise
    except Exception as problem:
        bag = Bag()
        if isinstance(problem, ModuleNotFoundError) and problem.name in REQUIREMENTS:
            requirement = REQUIREMENTS[problem.name]
            raise ToolMissing(
                f"operators of '{compiled.source.path}' need {requirement}, which is not installed",
                shlex.join(["pip", "install", requirement]),
            ) from problem
        if (refusal := refusal_of(problem)) is not None:
            _report_torch(compiled, refusal, bag)
            raise PipelineError(bag.diagnostics) from problem
        with scratch_folder() as scratch:
            for node, call, file in _models(compiled):
                _try(node, call, file, scratch, bag)
        if not bag.has_errors:
            raise
        raise PipelineError(bag.diagnostics) from problem


def _require_torch(compiled: Compiled) -> None:
    files = [
        (node.title, one)
        for node, call in compiled.graph.calls()
        for one in compiled.models.get(call.label, ())
    ]
    names = list(dict.fromkeys(title for title, file in files if not file.is_onnx))
    if names and importlib.util.find_spec("torch") is None:
        raise ToolMissing(f"the models of {', '.join(names)} need PyTorch", "pip install 'tpgen[torch]'")


def _try(node: Node, call: Call, file: ModelFile, scratch: Path, bag: Bag) -> None:
    from ..engines.session import open_session

    path = file.path
    try:
        if file.encrypted is not None and not path.is_file():  # what a build decrypts goes with it
            path = decrypted(file.encrypted, scratch)
        if path.is_file():  # not a copy of which only the build knew
            open_session(path)
    except ModelError as problem:
        _report(node, call, replace(file, path=path), problem, bag)


def _report_torch(compiled: Compiled, refusal: Refusal, bag: Bag) -> None:
    """At the node whose file it is; where several may be it, without a place."""
    found = [
        (node, call)
        for node, call in compiled.graph.calls()
        for file in compiled.models.get(call.label, ())
        if not file.is_onnx and refusal.file in (None, file.path.name, (file.encrypted or file.path).name)
    ]
    if len({call.label for _, call in found}) == 1:
        node, call = found[0]
        span = call.spans.get("model", call.span)
        bag.error(REFUSED, refusal.message, span, hint=refusal.hint, node=node.title)
    else:
        bag.error(REFUSED, refusal.message, hint=refusal.hint, file=str(compiled.source.path))


def _models(compiled: Compiled) -> Iterator[tuple[Node, Call, ModelFile]]:
    for node, call in compiled.graph.calls():
        for file in compiled.models.get(call.label, ()):
            if file.is_onnx:
                yield node, call, file


def _on_gpu(stage: Stage | None) -> bool:
    return stage is not None and stage.on_gpu


def _report(node: Node, call: Call, file: ModelFile, problem: ModelError, bag: Bag) -> None:
    message = str(problem).replace(str(file.path), str(file.encrypted or file.path))
    span = call.spans.get("model", call.span)
    bag.error(problem.code, message, span, hint=problem.hint, node=node.title)
