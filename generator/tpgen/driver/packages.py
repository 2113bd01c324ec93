"""Packages that user code imports and that the repository's ``requirements.txt`` does not bring."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..diagnostics import Bag, PipelineError
from ..emit.vendor import PACKAGE, REQUIREMENTS
from ..frontend.user_files import SOURCE, find_module
from ..frontend.user_source import read_python
from ..source import Span
from .compile import Compiled

_OF_THE_SERVER = frozenset({PACKAGE, "triton_python_backend_utils", "c_python_backend_utils"})
_ABSENCE = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def note_missing_packages(compiled: Compiled, requirements: Iterable[str], bag: Bag) -> None:
    """Note each package once, at its first import; which of them a server has is not known here."""
    there = _brought(requirements)
    places: dict[str, Span] = {}
    files = {path for paths in compiled.loaded.user_files.values() for path in paths}
    for path in sorted(files):
        for name, span in _imports(path) if path.suffix == SOURCE else ():
            if name not in there and not _is_beside(compiled.base, name):
                places.setdefault(name, span)
    for name, span in places.items():
        known = REQUIREMENTS.get(name)
        command = f'pip install "{known}"' if known else f"pip install with the name of what holds '{name}'"
        bag.note(
            "TP904",
            f"this code imports '{name}', which requirements.txt of the repository does not bring",
            span,
            hint=f"install it into the server's Python as well: {command}",
        )


def _brought(requirements: Iterable[str]) -> set[str]:
    """The modules that can be imported where these requirements are installed."""
    installed = {_distribution(line) for line in requirements}
    named = {module for module, line in REQUIREMENTS.items() if _distribution(line) in installed}
    return {
        *named,
        *(name.replace("-", "_") for name in installed),
        *sys.stdlib_module_names,
        *_OF_THE_SERVER,
    }


def _distribution(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower()


def _is_beside(base: Path, name: str) -> bool:
    """True for a module or a folder of modules of the user's own; extension modules have long endings."""
    return find_module(base, name) is not None or (base / name).is_dir() or any(base.glob(f"{name}.*.so"))


def _imports(path: Path) -> Iterator[tuple[str, Span]]:
    """The top-level modules that a file cannot do without, each with its place."""
    try:
        user = read_python(path)
    except PipelineError:
        return  # of the files that `include` names, some may be Python of another kind
    waiting: list[ast.AST] = [user.tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], user.span(node)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], user.span(node)
        waiting += reversed(list(_needed(node)))


def _needed(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node without those that run where a package is there, or never."""
    if isinstance(node, ast.Try) and any(_catches_absence(handler) for handler in node.handlers):
        yield from (*node.handlers, *node.orelse, *node.finalbody)
    elif isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
        yield from node.orelse
    else:
        yield from ast.iter_child_nodes(node)


def _catches_absence(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(one) in _ABSENCE for one in caught)
