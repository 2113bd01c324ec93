"""Operators from other packages, through the entry point group ``tpgen.operators``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ..diagnostics import Diagnostic, PipelineError, Severity
from ..frontend.values import KINDS
from ..ir.op import REGISTRY, Op, attributes_of

GROUP = "tpgen.operators"


@cache
def load_plugins() -> None:
    """Import every installed operator package, once per process.

    Raises:
        PipelineError: a package cannot be imported, or declares a name that is taken.
    """
    for entry in entry_points(group=GROUP):
        before = set(REGISTRY)
        try:
            entry.load()
            for name in sorted(set(REGISTRY) - before):
                _check_attributes(REGISTRY[name])
                REGISTRY[name].requirement = _requirement(entry)
        except Exception as problem:
            raise PipelineError([_broken(entry, problem)]) from problem


def _check_attributes(cls: type[Op]) -> None:
    for f in attributes_of(cls):
        if f.declared.from_toml and f.annotation.removesuffix(" | None") not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise TypeError(f"{cls.__name__}.{f.name} is declared as {f.annotation}; known are {known}")


def _requirement(entry: EntryPoint) -> str:
    return f"{entry.dist.name}=={entry.dist.version}" if entry.dist is not None else ""


def _broken(entry: EntryPoint, problem: Exception) -> Diagnostic:
    package = entry.dist.name if entry.dist is not None else entry.value
    return Diagnostic(
        "TP119",
        Severity.ERROR,
        f"the operator package '{package}' cannot be loaded: {type(problem).__name__}: {problem}",
        hint=f"mend or remove it: pip uninstall {package}",
    )
