"""Pipelines in this process: the generated stage as `tpgen.pipe`, and the reference interpreter."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..diagnostics import Bag
from ..runner.encryption import forget
from ..runner.generated import Pipe
from ..runner.interpreter import Interpreter
from ..runner.loading import user_errors
from .build import build
from .compile import Compiled, compile_pipeline
from .encrypted import scratch_folder
from .entries import choose_entry
from .kernel_files import kernel_files
from .options import BuildOptions, usable_cores
from .refused import refused_models


def pipe(path: str | Path, options: BuildOptions | None = None, *, entry: str | None = None) -> Pipe:
    """Compile a pipeline and load its generated stage here; see `Pipe`.

    Args:
        path: the TOML file.
        options: of the build; everything runs in one stage, whatever they say of fusing, and models on ONNX
            Runtime in this process, whatever the target.
        entry: the entry to run; by default the only one that no node goes on to.

    Raises:
        PipelineError: the pipeline is wrong, its user code can't be loaded, or it has several entries and
            none is chosen.
    """
    folder = tempfile.TemporaryDirectory(prefix="tpgen-pipe-")
    try:
        loaded = _load(path, Path(folder.name) / "repository", options or BuildOptions(), entry)
    except BaseException:
        folder.cleanup()
        raise
    weakref.finalize(loaded, folder.cleanup)
    return loaded


def _load(path: str | Path, repository: Path, options: BuildOptions, wanted: str | None) -> Pipe:
    result = build(path, repository, replace(options, fuse="max", target="cpu", runtime="python"))
    (compiled,) = result.compiled
    entry = choose_entry(compiled.graph.entries, wanted, path)
    version = repository / entry.name / "1"
    with refused_models(compiled), user_errors(version / "user", Path(path).parent):
        return Pipe(version, entry.max_batch, workers=usable_cores(), threads=1)


def reference(path: str | Path, options: BuildOptions | None = None) -> tuple[Compiled, Interpreter]:
    """The reference interpreter of a pipeline, with what it was compiled to.

    Raises:
        PipelineError: the pipeline is wrong, or its user code can't be loaded.
    """
    bag = Bag()
    opened = ExitStack()
    scratch = opened.enter_context(scratch_folder())
    try:
        compiled = compile_pipeline(path, options or BuildOptions(), bag, scratch)
        bag.raise_if_errors()
        assert compiled is not None
        interpreter = load_interpreter(compiled)
    except BaseException:
        opened.close()
        raise
    weakref.finalize(interpreter, opened.close)
    forget(scratch)  # what was encrypted is loaded
    return compiled, interpreter


def load_interpreter(compiled: Compiled) -> Interpreter:
    """The interpreter of a compiled pipeline; its files are read where the user has them."""
    files = kernel_files(compiled)
    with refused_models(compiled), user_errors(compiled.base, compiled.base):
        return Interpreter.load(compiled.reference, files, threads=usable_cores(), user=compiled.base)
