"""What a user's function or class declares, read from its file: keys, types, parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..diagnostics import Bag, Diagnostic, PipelineError
from ..types import Opaque, Type
from .keys import near_hint
from .torchpipe_style import KeyScan
from .user_source import UserSource, is_taken, read_python, taken_message
from .user_types import EXAMPLE, DeclarationReader, Declared, Names, top_level

Kind = Literal["function", "class", "legacy"]
DECORATOR = f'@op(outputs={{"result": {EXAMPLE}}})'
_Function = ast.FunctionDef | ast.AsyncFunctionDef
# Annotations that TOML values are checked and converted for; others are handed over as they are.
_SCALARS = ("bool", "int", "float", "str")
_LISTS = {
    f"{container}[{item}{dots}]": f"tuple[{item}, ...]"
    for container, dots in (("list", ""), ("tuple", ", ..."), ("Sequence", ""))
    for item in ("int", "float", "str")
}


@dataclass(frozen=True)
class Parameter:
    """A keyword-only parameter, filled from a TOML key of the same name.

    ``kind``: "bool", "int", "float", "str", "tuple[int, ...]" (float, str), "number" (its default is a
    whole number and nothing says more), or "any".
    """

    kind: str
    required: bool
    default: Any = None


@dataclass(frozen=True)
class UserOp:
    """An operator of the user's. ``optional`` keys are read if they exist (TorchPipe's style only).

    ``open_parameters``: it takes any other key of the node as well (``**parameters``).
    """

    kind: Kind
    reads: tuple[str, ...]
    writes: Mapping[str, Type]
    input_types: Mapping[str, Type] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    open_parameters: bool = False
    batch: bool = False
    optional: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def read_user_op(path: Path, name: str) -> UserOp:
    """The declaration of the function or class ``name`` in a file, which is read, never run.

    Raises:
        PipelineError: the file or the declaration is wrong; every finding has its line in the file.
    """
    bag = Bag()
    if is_taken(path.stem):
        bag.error("TP507", taken_message(path.stem), file=str(path), hint="give the file another name")
        raise PipelineError(bag.diagnostics)
    reader = _Reader(read_python(path), bag)
    found = reader.read(name)
    if found is None or bag.has_errors:
        raise PipelineError(bag.diagnostics)
    return found


@dataclass
class _Reader:
    user: UserSource
    bag: Bag

    def read(self, name: str) -> UserOp | None:
        definition = self._find(name)
        if definition is None:
            return None
        names = Names.of(self.user.tree)
        declared = None
        for decorator in definition.decorator_list:
            callee = decorator.func if isinstance(decorator, ast.Call) else decorator
            if names.meaning(callee) == "op":
                declared = DeclarationReader(self.user, names, self.bag).read(decorator)
        if isinstance(definition, ast.ClassDef):
            return self._class(definition, declared)
        return self._operator(definition, definition, definition, declared)

    def _find(self, name: str) -> _Function | ast.ClassDef | None:
        definitions: dict[str, _Function | ast.ClassDef] = {}
        for statement in top_level(self.user.tree):
            if isinstance(statement, _Function | ast.ClassDef):
                definitions[statement.name] = statement
        found = definitions.get(name)
        if found is None:
            self._report_missing(name, list(definitions))
        elif isinstance(found, ast.AsyncFunctionDef):
            self._error("TP505", f"'{name}' is asynchronous; operators are called, not awaited", found)
        return found

    def _report_missing(self, name: str, known: list[str]) -> None:
        for statement in top_level(self.user.tree):
            names = [a for a in getattr(statement, "names", ()) if (a.asname or a.name) == name]
            if isinstance(statement, ast.ImportFrom) and names:
                hint = f"name the module that defines it: Python[{statement.module}:{names[0].name}]"
                self._error("TP503", f"'{name}' is imported here, not defined", statement, hint)
                return
            targets = statement.targets if isinstance(statement, ast.Assign) else ()
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                self._error("TP503", f"'{name}' is neither a function nor a class", statement, "write a def")
                return
        hint = near_hint(name, known) or "define it at the top level of the file"
        self.bag.error(
            "TP503", f"there is no function or class '{name}'", file=str(self.user.path), hint=hint
        )

    def _class(self, cls: ast.ClassDef, declared: Declared | None) -> UserOp | None:
        call, init = self._method(cls, "__call__"), self._method(cls, "__init__")
        if call is not None:
            return self._operator(cls, call, init, declared)
        if declared is None and self._method(cls, "forward") is not None:
            return self._legacy(cls)
        message = f"class '{cls.name}' has no method '__call__'"
        self._error(
            "TP505", message, cls, "__call__(self, data) gets one item's keys; TorchPipe's forward works too"
        )
        return None

    def _method(self, cls: ast.ClassDef, name: str) -> _Function | None:
        """A method of a class, or of a base class in the same file."""
        for statement in cls.body:
            if isinstance(statement, _Function) and statement.name == name:
                return statement
        bases = {base.id for base in cls.bases if isinstance(base, ast.Name) and base.id != cls.name}
        for statement in top_level(self.user.tree):
            if (
                isinstance(statement, ast.ClassDef)
                and statement.name in bases
                and statement.lineno < cls.lineno
            ):
                found = self._method(statement, name)
                if found is not None:
                    return found
        return None

    def _operator(
        self,
        definition: _Function | ast.ClassDef,
        call: _Function,
        configured: _Function | None,
        declared: Declared | None,
    ) -> UserOp:
        """A function (``call`` and ``configured`` are itself), or a class with these two methods."""
        is_class = isinstance(definition, ast.ClassDef)
        reads = self._keys(call, is_method=is_class)
        if is_class and call.args.kwonlyargs:
            hint = "parameters from the TOML belong to __init__"
            self._error("TP505", "'__call__' has keyword-only parameters", call.args.kwonlyargs[0], hint)
        parameters = dict(self._parameters(configured, is_method=is_class)) if configured else {}
        takes_any = configured is not None and configured.args.kwarg is not None
        if declared is None:
            return UserOp(
                "class" if is_class else "function",
                reads,
                {"result": Opaque(f"what {definition.name}() returns")},
                parameters=parameters,
                open_parameters=takes_any,
                warnings=(self._undeclared(definition),),
            )
        for key in declared.inputs:
            if key not in reads:
                hint = near_hint(key, reads) or f"'{call.name}' has no such parameter before '*'"
                self._error(
                    "TP505",
                    f"'{key}' is declared, but is no parameter",
                    declared.places[f"inputs.{key}"],
                    hint,
                )
        if declared.batch and not reads:
            self._error(
                "TP505",
                "with batch=True at least one key must be read: it tells how many items there are",
                call,
            )
        return UserOp(
            "class" if is_class else "function",
            reads,
            declared.outputs,
            declared.inputs,
            parameters,
            takes_any,
            declared.batch,
        )

    def _keys(self, function: _Function, *, is_method: bool) -> tuple[str, ...]:
        """The positional parameters: keys of the item."""
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args][1 if is_method else 0 :]
        defaults = len(arguments.defaults)
        for argument in positional[len(positional) - defaults :] if defaults else ():
            hint = (
                f"a TOML key is keyword-only: def {function.name}({positional[0].arg}, *, {argument.arg}=…)"
            )
            self._error("TP505", f"'{argument.arg}' is a key of the item; it has no default", argument, hint)
        if arguments.vararg is not None:
            self._error(
                "TP505", f"'*{arguments.vararg.arg}' names no keys", arguments.vararg, "write them one by one"
            )
        return tuple(argument.arg for argument in positional)

    def _parameters(self, function: _Function, *, is_method: bool) -> Iterator[tuple[str, Parameter]]:
        """The keyword-only parameters; of ``__init__``, all but ``self``."""
        arguments = function.args
        pairs = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
        if is_method:
            positional = [*arguments.posonlyargs, *arguments.args][1:]
            missing = len(positional) - len(arguments.defaults)
            pairs = [*zip(positional, [*[None] * missing, *arguments.defaults], strict=True), *pairs]
            for argument in arguments.posonlyargs[1:]:
                self._error(
                    "TP505", f"'{argument.arg}' is positional-only, but comes from a TOML key", argument
                )
        for argument, default in pairs:
            yield argument.arg, _parameter(argument.annotation, default)

    def _undeclared(self, definition: ast.AST) -> Diagnostic:
        bag = Bag()
        bag.warning(
            "TP510",
            "this declares no types: its result cannot leave the server, nor the stage it is made in",
            self.user.span(definition),
            hint=f"declare them: from tpgen_runtime import Tensor, op; {DECORATOR}",
        )
        return bag.diagnostics[0]

    def _legacy(self, cls: ast.ClassDef) -> UserOp:
        forward = self._method(cls, "forward")
        assert forward is not None
        scan = KeyScan.of(forward)
        reads, writes = (", ".join(f"'{key}'" for key in keys) for keys in (scan.reads, scan.writes))
        bag = Bag()
        bag.warning(
            "TP511",
            f"'{cls.name}' is in TorchPipe's style: its code reads {reads} and writes {writes}; what it"
            " writes has no type, so it cannot leave the server",
            self.user.span(cls),
            hint=f"with types they can: {DECORATOR}, and __call__(self, data) for forward",
        )
        return UserOp(
            "legacy",
            scan.reads,
            {key: Opaque(f"what {cls.name} writes") for key in scan.writes},
            open_parameters=True,
            batch=self._method(cls, "max") is not None,
            optional=scan.optional,
            warnings=tuple(bag.diagnostics),
        )

    def _error(self, code: str, message: str, node: ast.AST, hint: str | None = None) -> None:
        self.bag.error(code, message, self.user.span(node), hint=hint)


def _parameter(annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    value = _literal(default)
    text = ast.unparse(annotation).removesuffix(" | None") if annotation else ""
    if text in _SCALARS:
        kind = text
    elif text in _LISTS:
        kind = _LISTS[text]
    elif annotation is None and type(value) in (bool, float, str):
        kind = type(value).__name__
    else:
        kind = "number" if annotation is None and type(value) is int else "any"
    return Parameter(kind, default is None, value)


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None
