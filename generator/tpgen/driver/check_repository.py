"""Checking a model repository, whoever wrote it: what `tpgen check DIR` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import Diagnostic
from ..emit.versions import DEFAULT_TARGET
from .shown import counted


@dataclass(frozen=True)
class RepositoryCheck:
    """What a check of a repository found, model by model."""

    directory: Path
    diagnostics: tuple[Diagnostic, ...]

    def __repr__(self) -> str:
        return f"<RepositoryCheck: {self.directory}; {counted(self.diagnostics)}>"


def check_repository(path: str | Path, target: str = DEFAULT_TARGET) -> RepositoryCheck:
    """Lints a model repository for the server of a Triton release; nothing is started, run or written.

    Raises:
        ValueError: `target` is no release, or an unsupported one.
        ToolMissing: without tritonclient, which brings the protobuf of configurations.
    """
    from ..emit.lint import lint_repository  # a score of modules that only this needs

    directory = Path(path)
    return RepositoryCheck(directory, tuple(lint_repository(directory, target)))
