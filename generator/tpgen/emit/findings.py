"""Short cuts to the diagnostics of the repository writer."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..diagnostics import Diagnostic, PipelineError, Severity

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_DIRECTORY = {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}


def failure(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    file: Path | str | None = None,
    model: str | None = None,
) -> PipelineError:
    """The exception for one error about a file or a model of the output."""
    path = None if file is None else str(file)
    return PipelineError((Diagnostic(code, Severity.ERROR, message, hint=hint, file=path, model=model),))


def warning(code: str, message: str, *, hint: str | None = None, model: str | None = None) -> Diagnostic:
    """A warning about the output."""
    return Diagnostic(code, Severity.WARNING, message, hint=hint, model=model)


def note(code: str, message: str, *, hint: str | None = None, model: str | None = None) -> Diagnostic:
    """A note about the output."""
    return Diagnostic(code, Severity.NOTE, message, hint=hint, model=model)


@contextmanager
def disk_errors(directory: Path, what: str = "a model repository") -> Iterator[None]:
    """Turns an OSError in the block into a located diagnostic about writing `directory`; ``what`` it is."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        place = f" ('{error.filename}')" if error.filename else ""
        if error.errno in _FULL:
            message = f"the disk is full while writing '{directory}'; nothing was changed"
            hint = "free some space or build into another directory with -o"
            raise failure("TP603", message, hint=hint, file=directory) from error
        if error.errno in _DENIED:
            message = f"'{directory}' can't be written: {reason}{place}"
            hint = "build into a directory that you may write to, with -o"
            raise failure("TP602", message, hint=hint, file=directory) from error
        if error.errno in _NO_DIRECTORY:
            message = f"'{directory}' can't be {what}: {reason}{place}"
            raise failure("TP601", message, hint="name another place with -o", file=directory) from error
        raise failure("TP603", f"'{directory}' can't be written: {reason}{place}", file=directory) from error
