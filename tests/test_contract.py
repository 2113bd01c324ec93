"""The seam between the compiler and the kernels is a name: operator and kernel must agree on arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tpgen.ops  # noqa: F401 - fills the registry
from tpgen.ir.op import REGISTRY, Op, Trait, attributes_of

RUNTIME = Path(__file__).parents[1] / "python_backends" / "tpgen_runtime"
OPERATORS = sorted({cls.names[0]: cls for cls in REGISTRY.values() if cls.kernel}.items())


def kernel_definition(cls: type[Op]) -> ast.FunctionDef | ast.ClassDef:
    """The syntax tree of an operator's kernel."""
    return definition(*cls.kernel.split(":"))


def definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    """The syntax tree of a function or a class of the runtime."""
    tree = ast.parse((RUNTIME / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise AssertionError(f"tpgen_runtime/{module}.py has no '{name}'")


def method(owner: ast.ClassDef, name: str) -> ast.FunctionDef:
    """A method of a class."""
    for node in owner.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise AssertionError(f"class {owner.name} has no {name}")


def expected_keywords(cls: type[Op]) -> set[str]:
    names = {f.name for f in attributes_of(cls) if not f.declared.compile_only} | set(cls.derived)
    if cls.traits & {Trait.THREADED}:
        names.add("threads")
    if cls.traits & {Trait.USER_CODE}:
        names.add("directory")
    return names


def keywords(module: str, name: str) -> set[str]:
    """The keyword arguments of a kernel; a model hands on to its base class those that it does not name."""
    node = definition(module, name)
    arguments = method(node, "__init__").args if isinstance(node, ast.ClassDef) else node.args
    names = {argument.arg for argument in arguments.kwonlyargs}
    if arguments.kwarg is None:
        return names
    # One that the base class does not know is an error there; without a base it would be dropped in silence.
    assert isinstance(node, ast.ClassDef) and len(node.bases) == 1
    base = ast.unparse(node.bases[0])
    return names | keywords("inference" if base == "Model" else module, base)


@pytest.mark.parametrize(("name", "cls"), OPERATORS, ids=[name for name, _ in OPERATORS])
def test_keywords_of_kernel_are_attributes(name: str, cls: type[Op]) -> None:
    node = kernel_definition(cls)
    is_class = isinstance(node, ast.ClassDef)
    assert is_class == (Trait.STATEFUL in cls.traits), "a STATEFUL kernel is a class, any other a function"
    assert keywords(*cls.kernel.split(":")) == expected_keywords(cls)


FIXED_KEYS = [(name, cls) for name, cls in OPERATORS if cls.inputs is Op.inputs]


@pytest.mark.parametrize(("name", "cls"), FIXED_KEYS, ids=[name for name, _ in FIXED_KEYS])
def test_kernel_takes_one_value_per_key(name: str, cls: type[Op]) -> None:
    node = kernel_definition(cls)
    arguments = method(node, "__call__").args if isinstance(node, ast.ClassDef) else node.args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args if argument.arg != "self"]
    assert arguments.vararg or len(names) == len(cls.reads)


def test_derived_arguments_are_derived() -> None:
    for name, cls in OPERATORS:
        assert not cls.derived or cls.derive is not Op.derive, (
            f"{name} declares {cls.derived} and derives none"
        )


def refuses_items(module: str, name: str, seen: set[tuple[str, str]]) -> bool:
    """True if a function or class of the runtime, or one that it names, makes an ItemError."""
    path = RUNTIME / f"{module}.py"
    if (module, name) in seen or not path.exists():
        return False
    seen.add((module, name))
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and name in {one.name for one in node.names}:
            return refuses_items(node.module, name, seen)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return any(_refuses(module, part, seen) for part in ast.walk(node))
    return False


def _refuses(module: str, node: ast.AST, seen: set[tuple[str, str]]) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ItemError":
        return True
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return refuses_items(node.value.id, node.attr, seen)
    return isinstance(node, ast.Name) and refuses_items(module, node.id, seen)


@pytest.mark.parametrize(("name", "cls"), OPERATORS, ids=[name for name, _ in OPERATORS])
def test_what_refuses_items_says_so(name: str, cls: type[Op]) -> None:
    """Type inference takes it that behind any other operator every item has what it writes."""
    if Trait.FAILS not in cls.traits:
        assert not refuses_items(*cls.kernel.split(":"), set())


def test_some_kernels_refuse_items() -> None:
    found = {name for name, cls in OPERATORS if refuses_items(*cls.kernel.split(":"), set())}
    assert {"DecodeMat", "CropMat", "TensorrtTensor"} <= found


def test_runtime_never_imports_the_compiler() -> None:
    for path in RUNTIME.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert "tpgen" not in [name.split(".")[0] for name in names], path.name
