"""What serve, verify and perf can be pointed at: a repository, or a pipeline that is built for them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..diagnostics import Diagnostic, PipelineError, Severity
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions


@contextmanager
def repository_of(target: Path, report: Report, options: BuildOptions | None = None) -> Iterator[Path]:
    """The repository to serve: the directory itself, or a temporary one that a pipeline is built into.

    Raises:
        PipelineError: the pipeline is wrong.
        ToolMissing: it is a pipeline with engines, which nobody could build into the temporary one.
    """
    from ..driver import build
    from ..emit.write import recover
    from ..services.engines import require_engines

    if target.is_dir():
        recover(target)
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="tpgen-") as folder:
        directory = Path(folder) / "model_repository"
        result = build(target, directory, options)
        report.findings(one for one in result.diagnostics if one.code != "TP906")  # it says where to build
        require_engines(directory, target)
        report.progress(f"built {', '.join(result.pipelines)}")
        yield directory


def fail(code: str, message: str, *, hint: str | None = None, model: str | None = None) -> NoReturn:
    """Ends the command with one error that has no place in a file."""
    raise PipelineError([Diagnostic(code, Severity.ERROR, message, hint=hint, model=model)])


@contextmanager
def no_server_is_an_error() -> Iterator[None]:
    """Within it, a server that can't be asked ends the command with status 1."""
    from ..services.model_spec import RequestError

    try:
        yield
    except RequestError as problem:
        hint = "tpgen serve prints the URL of a server" if problem.status is None else None
        code = "TP720" if problem.status is None else "TP708"
        fail(code, problem.message, hint=hint)
