"""What a stage takes along: the runtime modules it uses, and the packages these need."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache

from ..resources import runtime_dir

PACKAGE = "tpgen_runtime"
# What the runtime imports from outside the standard library, as requirements of the server's Python.
REQUIREMENTS = {
    "numpy": "numpy>=1.24",
    "cryptography": "cryptography>=41",
    "cv2": "opencv-python-headless>=4.8,<5",  # 5 changed the grid of its warps
    "onnxruntime": "onnxruntime>=1.17",
    "PIL": "pillow>=9.4",
    "torch": "torch>=2.2",
}

# Before it, the Python backend's stub dies on its first tensor under numpy 2 (python_backend PR 384).
FIRST_WITH_NUMPY_2 = "24.12"


def runtime_files(modules: Iterable[str]) -> dict[str, bytes]:
    """The runtime's modules that a stage needs, by path inside the version directory.

    ``modules`` are those it names itself; what these import comes along.
    """
    needed = _closure(frozenset(modules) | {"__init__", "stage", "wire", "triton"})
    return {f"{PACKAGE}/{name}.py": (runtime_dir() / f"{name}.py").read_bytes() for name in sorted(needed)}


def program_files(module: str) -> dict[str, bytes]:
    """A module of the runtime that is a program by itself, and what it imports, by path."""
    needed = _closure(frozenset({"__init__", module}))
    return {f"{PACKAGE}/{name}.py": (runtime_dir() / f"{name}.py").read_bytes() for name in sorted(needed)}


def requirements(modules: Iterable[str], target_triton: str) -> tuple[str, ...]:
    """The requirement lines of a stage that uses these runtime modules, for a Triton release."""
    needed = _closure(frozenset(modules) | {"__init__", "stage", "wire", "triton"})
    outside = {name for module in needed for name in _imports(module)[1]}
    found = {REQUIREMENTS[name] for name in outside if name in REQUIREMENTS}
    if target_triton < FIRST_WITH_NUMPY_2:
        found = {f"{line},<2" if line == REQUIREMENTS["numpy"] else line for line in found}
    return tuple(sorted(found))


def _closure(modules: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)[0]
    return frozenset(found)


@cache
def _imports(module: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runtime modules that a module imports, and the packages from outside."""
    path = runtime_dir() / f"{module}.py"
    inside: set[str] = set()
    outside: set[str] = set()
    for node in _walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            outside |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside |= _runtime_modules(node)
            if node.level == 0 and node.module:
                outside.add(node.module.partition(".")[0])
    return tuple(sorted(inside)), tuple(sorted(outside))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers look at."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def _runtime_modules(node: ast.ImportFrom) -> set[str]:
    """``from .errors import X`` and ``from . import errors`` as module names."""
    if node.level != 1:
        return set()
    if node.module:
        return {node.module.partition(".")[0]}
    return {alias.name for alias in node.names if (runtime_dir() / f"{alias.name}.py").is_file()}
