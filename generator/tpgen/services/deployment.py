"""The compiled pipelines behind a target, for what is written or run around its repository."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..diagnostics import Diagnostic, Severity
from ..driver import BuildOptions, Compiled, build, check
from ..driver.deploy import deployment_of
from ..emit.deployment import PROGRAMS, Deployment, check_folder, deployment_files
from ..emit.features import features_of
from ..emit.owned_files import write_owned
from .engines import find_engines
from .sources import check_unchanged, sources_of

REPOSITORY = "model_repository"


def compiled_of(directory: Path) -> tuple[Compiled, ...]:
    """The pipelines of a repository, compiled as it was.

    Raises:
        PipelineError: TP711, a TOML file isn't found, or makes something else by now; or a pipeline is wrong.
    """
    sources = sources_of(directory)
    compiled = tuple(one for path, options in sources for one in check(path, options).compiled)
    for one in compiled:
        check_unchanged(directory, one)
    return compiled


def write_deployment(
    target: Path, folder: Path, options: BuildOptions | None = None, *, force: bool = False
) -> tuple[Deployment, tuple[str, ...], Sequence[Diagnostic]]:
    """Writes the container files of a repository.

    Args:
        target: the repository; or a pipeline, which is built into ``FOLDER/model_repository``.
        folder: where the files go.
        options: those of the build of a pipeline.
        force: replace files that tpgen did not write.

    Returns:
        What was decided, the paths that were written, and what the build found, or of a repository the
        engines that are still to be built.

    Raises:
        PipelineError: as in `check_folder`, `compiled_of`, `build` and `write_owned`.
    """
    found: Sequence[Diagnostic] = ()
    check_folder(folder, force=force)
    if target.is_dir():
        repository, compiled = target, compiled_of(target)
        found = tuple(_pending(repository))
    else:
        repository = folder / REPOSITORY
        result = build(target, repository, options)
        compiled, found = result.compiled, result.diagnostics
    inside = Path(os.path.relpath(repository.resolve(), folder.resolve())).as_posix()
    deployment = deployment_of(compiled, inside, features_of(repository))
    written = write_owned(folder, deployment_files(deployment), programs=PROGRAMS, force=force)
    return deployment, written, found


def _pending(repository: Path) -> Iterator[Diagnostic]:
    """A warning of engines without which the container's server does not start."""
    missing = [one.model for one in find_engines(repository, read=False) if one.state != "built"]
    if missing:
        message = f"the server does not start yet: no engine, or a stale one, of {', '.join(missing)}"
        hint = f"before that, where the GPU is: {shlex.join(['tpgen', 'engines', 'build', str(repository)])}"
        yield Diagnostic("TP906", Severity.WARNING, message, hint=hint, file=str(repository))
