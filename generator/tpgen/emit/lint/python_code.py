"""Rules about the code of Python models: what can be told from the syntax tree, nothing is run."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...diagnostics import Diagnostic
from ...source import SourceFile, Span
from ..config_pbtxt import messages
from . import backends
from .model import Model, Version
from .read import Unreadable, read_text

_CLASS = "TritonPythonModel"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Code:
    """A model file: its syntax tree, or why there is none."""

    source: SourceFile
    tree: ast.Module | None
    problem: str | None = None
    line: int = 1
    column: int = 1

    @property
    def model_class(self) -> ast.ClassDef | None:
        """The last definition of the class that the server makes an instance of."""
        classes = [
            node for node in ast.walk(self.tree or ast.Module([], [])) if isinstance(node, ast.ClassDef)
        ]
        return next((node for node in reversed(classes) if node.name == _CLASS), None)

    def span(self, node: ast.stmt | ast.expr) -> Span:
        """The first line of a statement."""
        return self.at(node.lineno, node.col_offset + 1)

    def at(self, line: int, column: int) -> Span:
        """From a line and column to the end of the line."""
        lines = self.source.text.split("\n")
        before = sum(len(text) + 1 for text in lines[: line - 1])
        text = lines[line - 1] if line <= len(lines) else ""
        start = min(column - 1, len(text))
        return Span(self.source, before + start, before + max(start, len(text.rstrip())))


def _codes(model: Model) -> Iterator[tuple[Version, Code]]:
    """The model files of the versions that are loaded."""
    file = backends.model_file(model.backend, model.config)
    if model.backend != backends.PYTHON or file is None:
        return
    for version in model.loaded:
        code = _read(model.path_of(f"{version.number}/{file}"))
        if code is not None:
            yield version, code


def _read(path: Path) -> Code | None:
    """The code in a file; None if it has none to read, about which there is another rule."""
    try:
        state = path.stat()
    except OSError:
        return None
    return _read_state(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _read_state(path: Path, mtime_ns: int, size: int) -> Code | None:
    del mtime_ns, size  # only keys of the cache
    try:
        text, _ = read_text(path)
    except Unreadable:
        return None
    source = SourceFile(str(path), text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's code, such as an invalid escape
            return Code(source, ast.parse(path.read_bytes()))
    except SyntaxError as error:
        return Code(source, None, error.msg, error.lineno or 1, max(1, error.offset or 1))
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return Code(source, None, str(error) or type(error).__name__)


def completes_itself(model: Model) -> bool:
    """True if the code may add to the configuration when the server asks it."""
    return any(
        "auto_complete_config" in code.source.text and not _hands_back(code) for _, code in _codes(model)
    )


def _hands_back(code: Code) -> bool:
    """True if auto_complete_config only returns what it got."""
    method = _method(code.model_class, "auto_complete_config") if code.model_class is not None else None
    return method is not None and all(
        isinstance(node, ast.Return) and isinstance(node.value, ast.Name) for node in method.body
    )


def file_is_a_module(model: Model) -> Iterator[Diagnostic]:
    """TP829: the server imports the file by its path, dots for slashes."""
    file = model.config.default_model_filename
    if model.backend != backends.PYTHON or not file:
        return
    if not file.endswith(".py"):
        message = f"default_model_filename '{file}' of a Python model does not end in .py"
        yield model.error("TP829", message, "default_model_filename", hint="rename the file")
    elif "." in file.removesuffix(".py"):
        message = f"default_model_filename '{file}' can't be imported: a dot begins a submodule"
        hint = "name a file in the version directory, with no other dot than that of .py"
        yield model.error("TP829", message, "default_model_filename", hint=hint)
    elif found := backends.BREAKS_SHELL.search(file):
        message = (
            f"default_model_filename '{file}' has {found[0]!r} in it: the server never finishes to load it"
        )
        hint = "use letters, digits, '_' and '-' only"
        yield model.error("TP829", message, "default_model_filename", hint=hint)


def code_compiles(model: Model) -> Iterator[Diagnostic]:
    """TP832: Python can read the file."""
    for _, code in _codes(model):
        if code.problem is not None:
            message = f"the code of model '{model.name}' is not valid Python: {code.problem}"
            hint = (
                f"it was read as Python {sys.version_info[0]}.{sys.version_info[1]}; the server's may differ"
            )
            yield model.error_at("TP832", message, code.at(code.line, code.column), hint=hint)


def class_exists(model: Model) -> Iterator[Diagnostic]:
    """TP833: the module has the name of the class that the server asks for, in whatever way."""
    for _, code in _codes(model):
        if code.tree is None or _binds(code.tree, _CLASS):
            continue
        message = f"the code of model '{model.name}' defines no class {_CLASS}"
        classes = [node for node in code.tree.body if isinstance(node, ast.ClassDef)]
        likely = [node for node in classes if _method(node, "execute")]
        span = code.span(likely[0]) if likely else code.at(1, 1)
        hint = f"rename {likely[0].name}" if likely else f"define class {_CLASS} with a method execute"
        yield model.error_at("TP833", message, span, hint=hint)


def _binds(tree: ast.Module, name: str) -> bool:
    """True if the module may have this name: by a definition, an import (a star too), an assignment."""
    for node in _at_import(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
            if name in names or "*" in names:
                return True
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.Name) and node.id in ("globals", "exec", "setattr"):
            return True
    return False


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when the module is imported, and what functions may declare to be of the module."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.ClassDef | ast.Lambda):
            continue
        inside = list(ast.iter_child_nodes(node))
        is_function = isinstance(node, _Function)
        if not is_function or any(isinstance(part, ast.Global) for part in ast.walk(node)):
            waiting += inside


def execute_exists(model: Model) -> Iterator[Diagnostic]:
    """TP834: execute(self, requests)."""
    for _, code in _codes(model):
        cls = code.model_class
        if cls is None:
            continue
        method = _method(cls, "execute")
        if method is None and not _is_open(cls, "execute"):
            message = f"{_CLASS} of model '{model.name}' has no method execute: every request fails"
            hint = "add def execute(self, requests), which returns one response for each request"
            yield model.error_at("TP834", message, code.span(cls), hint=hint)
        elif method is not None and not _takes(method, 2):
            message = f"execute of model '{model.name}' does not take the list of requests: all of them fail"
            yield model.error_at("TP834", message, code.span(method), hint="def execute(self, requests):")


def other_methods_fit(model: Model) -> Iterator[Diagnostic]:
    """TP835: the server can call __init__, initialize and auto_complete_config."""
    for _, code in _codes(model):
        cls = code.model_class
        completing = _method(cls, "auto_complete_config") if cls is not None else None
        if completing is not None and not _may_answer(completing):
            message = (
                f"auto_complete_config of model '{model.name}' returns nothing, and the server wants it back"
            )
            hint = "return auto_complete_model_config"
            yield model.error_at("TP835", message, code.span(completing), hint=hint)
        for name, count, form in _CALLS:
            method = _method(cls, name) if cls is not None else None
            if method is not None and not _takes(method, count):
                message = f"{name} of model '{model.name}' does not take what the server passes"
                static = "@staticmethod " if name == "auto_complete_config" else ""
                yield model.error_at("TP835", message, code.span(method), hint=f"{static}def {form}:")


_CALLS = (
    ("__init__", 1, "__init__(self)"),
    ("initialize", 2, "initialize(self, args)"),
    ("auto_complete_config", 1, "auto_complete_config(auto_complete_model_config)"),
)


def execute_answers(model: Model) -> Iterator[Diagnostic]:
    """TP836: execute returns the responses, or something in the version sends them."""
    if model.config.model_transaction_policy.decoupled:
        return
    for version, code in _codes(model):
        cls = code.model_class
        method = _method(cls, "execute") if cls is not None else None
        if method is None or method.decorator_list or _sends(model, version):
            continue
        if other := _returns_no_list(method):
            message = f"execute of model '{model.name}' returns no list: every request fails"
            hint = "return a list with one InferenceResponse for each request"
            yield model.error_at("TP836", message, code.span(other), hint=hint)
            continue
        if _may_answer(method):
            continue
        message = f"execute of model '{model.name}' returns nothing: every request waits for ever"
        hint = "return a list with one InferenceResponse for each request"
        yield model.error_at("TP836", message, code.span(method), hint=hint)


def decoupled_answers_are_sent(model: Model) -> Iterator[Diagnostic]:
    """TP836: what execute of a decoupled model returns is refused: answers go through senders."""
    if not model.config.model_transaction_policy.decoupled:
        return
    for version, code in _codes(model):
        cls = code.model_class
        method = _method(cls, "execute") if cls is not None else None
        if method is None or method.decorator_list or _sends(model, version):
            continue
        last = method.body[-1]
        if isinstance(last, ast.Return) and not isinstance(last.value, ast.Constant | None):
            message = f"execute of model '{model.name}', decoupled, returns responses: every request fails"
            hint = "send them through request.get_response_sender(), or remove model_transaction_policy"
            yield model.error_at("TP836", message, code.span(last), hint=hint)


_NO_LISTS = (ast.Tuple, ast.GeneratorExp, ast.Dict, ast.DictComp, ast.Set, ast.SetComp)


def _returns_no_list(method: _Function) -> ast.stmt | ast.expr | None:
    """Where something else is made than a list: by `yield`, or by all that is returned."""
    parts = list(_own_parts(method))
    for node in parts:
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return node
    returns = [node for node in parts if isinstance(node, ast.Return)]
    return returns[0] if returns and all(isinstance(node.value, _NO_LISTS) for node in returns) else None


def _own_parts(method: _Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions in it."""
    waiting: list[ast.AST] = list(method.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, _Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _may_answer(method: _Function) -> bool:
    for node in ast.walk(method):
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Raise):
            return True
        if isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | None):
            return True
    return False


def bfloat16_is_taken_by_dlpack(model: Model) -> Iterator[Diagnostic]:
    """TP839: numpy has no bfloat16, so as_numpy fails."""
    for index, tensor in enumerate(model.config.input):
        if tensor.data_type != messages().TYPE_BF16:
            continue
        for version, code in _codes(model):
            if "as_numpy" in code.source.text and not _speaks_of(model, version, "dlpack"):
                message = (
                    f"the code of model '{model.name}' can't read input '{tensor.name}': it is TYPE_BF16"
                )
                hint = "take it by to_dlpack() instead of as_numpy(), or use TYPE_FP32"
                yield model.error("TP839", message, "input", index, "data_type", hint=hint)
                break


def _sends(model: Model, version: Version) -> bool:
    """True if a file of the version speaks of response senders."""
    return _speaks_of(model, version, "get_response_sender")


def _speaks_of(model: Model, version: Version, word: str) -> bool:
    """True if the word is in a file of the version."""
    return any(word in text for text in version_texts(model, version))


def version_texts(model: Model, version: Version) -> Iterator[str]:
    """The Python files of a version, one after the other; what cannot be read is left out."""
    for path in sorted(model.path_of(str(version.number)).rglob("*.py"))[:1000]:
        try:
            yield read_text(path)[0]
        except Unreadable:
            continue


def helpers_are_not_shadowed(model: Model) -> Iterator[Diagnostic]:
    """TP837: a version's directory comes last on Python's path, so a standard module of the name wins."""
    for version, code in _codes(model):
        for node in ast.walk(code.tree or ast.Module([], [])):
            for name in _imported(node):
                file = f"{version.number}/{name}.py"
                if name in sys.stdlib_module_names and model.path_of(file).is_file():
                    message = f"'import {name}' of model '{model.name}' finds Python's own module, not {file}"
                    hint = "rename the file, or import it as a part of the package: from . import"
                    assert isinstance(node, ast.stmt), "an import is a statement"
                    span = code.span(node)
                    yield model.warning_at("TP837", message, span, hint=hint)


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return {node.module.partition(".")[0]}
    return set()


def _method(cls: ast.ClassDef, name: str) -> _Function | None:
    found = [node for node in cls.body if isinstance(node, _Function) and node.name == name]
    return found[-1] if found else None


def _is_open(cls: ast.ClassDef, name: str) -> bool:
    """True if the class may get the method from elsewhere: a base, a decorator, an assignment."""
    bases = [base for base in cls.bases if not (isinstance(base, ast.Name) and base.id == "object")]
    if bases or cls.keywords or cls.decorator_list:
        return True
    names = {
        node.id for node in ast.walk(cls) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return name in names or any(isinstance(node, ast.Import | ast.ImportFrom) for node in cls.body)


def _takes(method: _Function, given: int) -> bool:
    """True if the function can be called with so many arguments, that for the instance included."""
    kinds = {ast.unparse(decorator) for decorator in method.decorator_list}
    if kinds - {"staticmethod", "classmethod"}:
        return True  # who knows what it becomes
    if method.name == "auto_complete_config":
        given += "classmethod" in kinds
    elif "staticmethod" in kinds:
        given -= 1
    arguments = method.args
    most = len(arguments.posonlyargs) + len(arguments.args)
    least = most - len(arguments.defaults)
    needs_names = any(default is None for default in arguments.kw_defaults)
    return least <= given and (given <= most or arguments.vararg is not None) and not needs_names
