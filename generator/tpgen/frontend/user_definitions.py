"""Functions and classes of a user's file: where they are, and which keys they take."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..diagnostics import Bag
from .keys import near_hint
from .user_source import UserSource
from .user_types import top_level

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
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


@dataclass
class Definitions:
    """The definitions of one file; what is wrong with one goes into the bag."""

    user: UserSource
    bag: Bag

    def find(self, name: str) -> Function | ast.ClassDef | None:
        """The definition at the top level; None if there is none, which is reported."""
        definitions: dict[str, Function | ast.ClassDef] = {}
        for statement in top_level(self.user.tree):
            if isinstance(statement, Function | ast.ClassDef):
                definitions[statement.name] = statement
        found = definitions.get(name)
        if found is None:
            self._report_missing(name, list(definitions))
        elif isinstance(found, ast.AsyncFunctionDef):
            self.error("TP505", f"'{name}' is asynchronous; it is called, not awaited", found)
        return found

    def _report_missing(self, name: str, known: list[str]) -> None:
        for statement in top_level(self.user.tree):
            names = [a for a in getattr(statement, "names", ()) if (a.asname or a.name) == name]
            if isinstance(statement, ast.ImportFrom) and names:
                hint = f"name the module that defines it: Python[{statement.module}:{names[0].name}]"
                self.error("TP503", f"'{name}' is imported here, not defined", statement, hint)
                return
            targets = statement.targets if isinstance(statement, ast.Assign) else ()
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                self.error("TP503", f"'{name}' is neither a function nor a class", statement, "write a def")
                return
        hint = near_hint(name, known) or "define it at the top level of the file"
        self.bag.error(
            "TP503", f"there is no function or class '{name}'", file=str(self.user.path), hint=hint
        )

    def method(self, cls: ast.ClassDef, name: str) -> Function | None:
        """A method of a class, or of a base class in the same file."""
        for statement in cls.body:
            if isinstance(statement, Function) and statement.name == name:
                return statement
        bases = {base.id for base in cls.bases if isinstance(base, ast.Name) and base.id != cls.name}
        for statement in top_level(self.user.tree):
            if (
                isinstance(statement, ast.ClassDef)
                and statement.name in bases
                and statement.lineno < cls.lineno
            ):
                found = self.method(statement, name)
                if found is not None:
                    return found
        return None

    def keys(self, function: Function, *, is_method: bool) -> tuple[str, ...]:
        """The positional parameters: keys of the item."""
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args][1 if is_method else 0 :]
        defaults = len(arguments.defaults)
        for argument in positional[len(positional) - defaults :] if defaults else ():
            hint = (
                f"a TOML key is keyword-only: def {function.name}({positional[0].arg}, *, {argument.arg}=…)"
            )
            self.error("TP505", f"'{argument.arg}' is a key of the item; it has no default", argument, hint)
        if arguments.vararg is not None:
            self.error(
                "TP505", f"'*{arguments.vararg.arg}' names no keys", arguments.vararg, "write them one by one"
            )
        return tuple(argument.arg for argument in positional)

    def parameters(self, function: Function, *, is_method: bool) -> Iterator[tuple[str, Parameter]]:
        """The keyword-only parameters; of ``__init__``, all but ``self``."""
        arguments = function.args
        pairs = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
        if is_method:
            positional = [*arguments.posonlyargs, *arguments.args][1:]
            missing = len(positional) - len(arguments.defaults)
            pairs = [*zip(positional, [*[None] * missing, *arguments.defaults], strict=True), *pairs]
            for argument in arguments.posonlyargs[1:]:
                self.error(
                    "TP505", f"'{argument.arg}' is positional-only, but comes from a TOML key", argument
                )
        for argument, default in pairs:
            yield argument.arg, _parameter(argument.annotation, default)

    def error(self, code: str, message: str, node: ast.AST, hint: str | None = None) -> None:
        """Report something at a place of the file."""
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
