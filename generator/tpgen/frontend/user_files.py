"""Which files a user's module needs beside it: what it imports from there, however deep."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..diagnostics import Bag, PipelineError
from ..source import Span
from .user_source import UserSource, is_taken, read_python, taken_message

SOURCE = ".py"
BINARIES = (".so", ".pyd")  # extension modules, such as fast.cpython-311-x86_64-linux-gnu.so


@dataclass(frozen=True)
class UserCode:
    """Where user modules lie, and the files that each call needs (filled while calls are built).

    ``includes`` are the files that all of them need besides their modules; ``files`` stand under the labels
    of calls, those of a filter's function under that of its `UserStatus`.
    """

    base: Path
    node_keys: frozenset[str]
    includes: tuple[Path, ...]
    files: dict[str, tuple[Path, ...]]


def find_module(directory: Path, module: str) -> Path | None:
    """The file of a (dotted) module below a directory; None if there is none."""
    base = directory.joinpath(*module.split("."))
    for path in (base.parent / f"{base.name}{SOURCE}", base / "__init__.py"):
        if path.is_file():
            return path
    return None


def vendored_files(
    path: Path, includes: Iterable[Path] = (), *, base: Path | None = None
) -> tuple[Path, ...]:
    """A module's file, the files that it imports from ``base`` (its folder), and the ``includes``.

    Of a package that is imported, all files are taken.

    Raises:
        PipelineError: one of the files is not Python, or has a name that it must not have.
    """
    collector = _Collector(base or path.parent)
    collector.add_module(path)
    top = path.relative_to(collector.base).parts[0].removesuffix(SOURCE)
    if is_taken(top):
        collector.bag.error("TP507", taken_message(top), file=str(path), hint="give it another name")
    collector.files.update(includes)
    if collector.bag.has_errors:
        raise PipelineError(collector.bag.diagnostics)
    return tuple(sorted(collector.files))


def included_files(base: Path, names: Iterable[str], span: Span | None, bag: Bag) -> tuple[Path, ...]:
    """The files that ``[pipeline] include`` names, those of folders with all that is in them.

    What is not there, or lies outside the TOML's folder ``base``, is reported at ``span``.
    """
    found: list[Path] = []
    for name in names:
        path = base / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            hint = "name files beside the TOML file, or in folders there"
            bag.error("TP118", f"'{name}' lies outside the TOML's folder", span, hint=hint)
        elif not path.exists():
            bag.error("TP118", f"there is no file {path}", span, hint="paths are relative to the TOML file")
        else:
            found += _tree(path) if path.is_dir() else [path]
    return tuple(found)


class _Collector:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.files: set[Path] = set()
        self.bag = Bag()
        self._seen: set[Path] = set()

    def add_module(self, path: Path) -> None:
        """A source file with all that it imports; without recursion, as chains of imports can be long."""
        waiting = [path]
        while waiting:
            current = waiting.pop()
            if current in self._seen:
                continue
            self._seen.add(current)
            self.files.add(current)
            waiting += self._packages_of(current)
            if current.suffix != SOURCE:
                continue
            try:
                user = read_python(current)
            except PipelineError as problem:
                self.bag.extend(problem.diagnostics)
                continue
            for node in _imports_of(user.tree):
                waiting += self._imported(user, node)

    def _packages_of(self, path: Path) -> Iterator[Path]:
        """All files of the outermost package around a module."""
        outermost = None
        folder = path.parent
        while folder != self.base and self.base in folder.parents:
            if (folder / "__init__.py").is_file():
                outermost = folder
            folder = folder.parent
        if outermost is not None:
            yield from _tree(outermost)

    def _imported(self, user: UserSource, node: ast.AST) -> Iterator[Path]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from self._named(user, node, self.base, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = (
                self.base
                if not node.level
                else user.path.parents[min(node.level, len(user.path.parents)) - 1]
            )
            parts = node.module.split(".") if node.module else []
            yield from self._named(user, node, start, parts)
            for alias in node.names:
                yield from _files_of(start, [*parts, alias.name])
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            yield from self._named(user, node, self.base, name.split("."))

    def _named(self, user: UserSource, node: ast.AST, start: Path, parts: list[str]) -> Iterator[Path]:
        found = [path for length in range(1, len(parts) + 1) for path in _files_of(start, parts[:length])]
        if found and start == self.base and is_taken(parts[0]):
            self._report_taken(user, node, parts[0])
            return
        yield from found

    def _report_taken(self, user: UserSource, node: ast.AST, name: str) -> None:
        hint = (
            f"rename {name}{SOURCE}, which lies beside it"
            if find_module(self.base, name)
            else f"rename '{name}'"
        )
        self.bag.error("TP507", taken_message(name), user.span(node), hint=hint)


@lru_cache(maxsize=64)  # a tree is shared by all who read its file
def _imports_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """What may import something: the statements, and the calls that name a module."""
    return tuple(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Call) and _imported_by_call(node) is not None)
    )


def _imported_by_call(call: ast.Call) -> str | None:
    """The module that ``importlib.import_module("x")`` or ``__import__("x")`` names, if it is written out."""
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in ("import_module", "__import__") or not call.args:
        return None
    first = call.args[0]
    name = first.value if isinstance(first, ast.Constant) else None
    return name if isinstance(name, str) and not name.startswith(".") else None


def _files_of(start: Path, parts: list[str]) -> list[Path]:
    """The files of one module below a folder: its source, or its extension modules."""
    path = find_module(start, ".".join(parts))
    if path is not None:
        return [path]
    folder = start.joinpath(*parts[:-1])
    if not folder.is_dir():
        return []
    return [f for f in folder.glob(f"{parts[-1]}.*") if f.suffix in BINARIES and f.is_file()]


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield path
