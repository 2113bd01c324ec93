"""Lint of a Triton model repository: what its server would refuse, hang on, or quietly run otherwise.

An error is what the server of the target refuses, hangs on or dies of, or what fails every request; a warning
is what runs, but not as written or slower than it looks. No server is started and no code of a model is run.
Where tpgen built the repository, a file of it that is not there is an error, and a changed one a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...diagnostics import Diagnostic, Severity
from ..versions import DEFAULT_TARGET, parse_release
from .built import files_are_as_built
from .model import CONFIG, Entry, Model, Repository
from .read import read_repository
from .rules import DIRECTORY_RULES, MODEL_RULES

__all__ = ["DIRECTORY_RULES", "MODEL_RULES", "lint_repository"]

_SHOWN = 8  # directories that are no models; who lints the wrong directory needs no list of all


def lint_repository(directory: Path, target: str = DEFAULT_TARGET) -> list[Diagnostic]:
    """Checks each model of a repository against the server of a Triton release.

    Whatever the directory holds, the answer is a list of findings, model by model.

    Raises:
        ValueError: `target` is no release, or an unsupported one.
        ToolMissing: without tritonclient, which brings the protobuf of configurations.
    """
    parse_release(target)
    repository = read_repository(directory, target)
    found = list(_about_repository(repository))
    if CONFIG not in repository.entries:
        found += _about_models(repository)
        found += files_are_as_built(directory)
    return found


def _about_repository(repository: Repository) -> Iterator[Diagnostic]:
    root = str(repository.root)
    if repository.problem is not None:
        message = f"'{root}' can't be read as a model repository: {repository.problem}"
        hint = "name a directory of model directories"
        yield Diagnostic("TP800", Severity.ERROR, message, hint=hint, file=root)
    elif CONFIG in repository.entries:
        message = f"'{root}' is a model, and no model repository"
        hint = f"name the directory around it: {repository.root.absolute().parent}"
        yield Diagnostic("TP800", Severity.ERROR, message, hint=hint, file=root)
    elif not repository.models:
        message = f"'{root}' holds no model directories, so the server serves nothing"
        hint = "name a directory of model directories"
        yield Diagnostic("TP800", Severity.ERROR, message, hint=hint, file=root)
    for name, kind in repository.entries.items():
        if kind is Entry.BROKEN:
            message = f"the link '{name}' leads nowhere: the server loads none of the models beside it"
            path = str(repository.root / name)
            yield Diagnostic("TP802", Severity.ERROR, message, hint="remove or mend the link", file=path)


def _about_models(repository: Repository) -> Iterator[Diagnostic]:
    strangers = []
    for model in repository.models.values():
        found = [diagnostic for rule in DIRECTORY_RULES for diagnostic in rule(model)]
        if any(diagnostic.code == "TP801" for diagnostic in found):
            strangers.append(model)
            if len(strangers) <= _SHOWN:
                yield from (diagnostic for diagnostic in found if diagnostic.code == "TP801")
            continue
        yield from found
        if model.is_parsed and model.problem is None:
            for rule in MODEL_RULES:
                yield from rule(model)
    if len(strangers) > _SHOWN:
        yield _more(repository, strangers[_SHOWN:])


def _more(repository: Repository, strangers: list[Model]) -> Diagnostic:
    message = (
        f"{len(strangers)} more directories of '{repository.root}' are no models, '{strangers[0].name}' first"
    )
    hint = "is this a model repository? Each directory in it has to be a model"
    return Diagnostic("TP801", Severity.ERROR, message, hint=hint, file=str(repository.root))
