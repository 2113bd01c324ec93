"""Filters of the user's own, ``Python[module:name]``: which keys they read, what they return."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..diagnostics import Bag, PipelineError, did_you_mean
from ..ir.filters import RUNS, SWAPS, Filter, Otherwise, UserStatus, user_filter
from ..source import Span
from .keys import NodeValues
from .shown import shown
from .user_definitions import Definitions, Function, Parameter
from .user_files import UserCode
from .user_ops import named_code, read_code, settings_of
from .user_source import read_python
from .user_types import Names

STATUSES = (RUNS, SWAPS, *(one.value for one in Otherwise))
_EXAMPLE = 'filter = "Python[module:name]", with module.py beside the TOML'
_PLAIN = "write a function; its parameters are the keys that it reads: def name(data): return"
_Nested = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


@dataclass(frozen=True)
class Declared:
    """What a filter's code says. ``returned`` are its constants with their lines; None: it computes them."""

    reads: tuple[str, ...]
    returned: Mapping[str, int] | None
    optional: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()


def read_user_filter(
    text: str, span: Span, values: NodeValues, user: UserCode, mapped: tuple[str, ...] = ()
) -> Filter | None:
    """The filter of a function or class beside the TOML, which is read, never run; None if reported.

    ``mapped`` are the keys of the node's map.
    """
    declared = _declared(text, span, values, user)
    if declared is None:
        values.open()  # the code takes keys, too
        return None
    status, parameters = declared
    settings = settings_of(parameters, span, values)
    return user_filter(replace(status, settings=tuple(settings.items())), mapped)


def _declared(
    text: str, span: Span, values: NodeValues, user: UserCode
) -> tuple[UserStatus, Mapping[str, Parameter]] | None:
    argument = text.removeprefix("Python[").removesuffix("]")
    named = named_code(argument, span, values, user.base, _EXAMPLE)
    found = read_code(named, span, values, user, declared_filter) if named is not None else None
    if named is None or found is None:
        return None
    declared, files = found
    if not _are_known(declared.returned or {}, f"{named.path.name}, {named.name}()", span, values):
        return None
    status = UserStatus(
        named.module,
        named.name,
        declared.reads,
        frozenset(STATUSES if declared.returned is None else declared.returned),
        declared.optional,
        texts=declared.texts,
        span=span,
    )
    user.files[status.label] = files
    return status, declared.parameters


def _are_known(returned: Mapping[str, int], where: str, span: Span, values: NodeValues) -> bool:
    """False if the code returns a constant that is no status, which is reported at the TOML's line."""
    unknown = [status for status in returned if status not in STATUSES]
    for status in unknown:
        near = did_you_mean(status, STATUSES)
        hint = f"did you mean '{near}'?" if near else f"one of: {', '.join(STATUSES)}"
        message = f"{where} returns {shown(status)} in line {returned[status]}, which is no status"
        values.bag.error("TP512", message, span, hint=hint, node=values.node)
    return not unknown


def declared_filter(path: Path, name: str) -> Declared:
    """What the function or class ``name`` of a file says.

    Raises:
        PipelineError: there is none, or it can't be a filter.
    """
    reader = _Reader(read_python(path), Bag())
    found = reader.read(name)
    if found is None or reader.bag.has_errors:
        raise PipelineError(reader.bag.diagnostics)
    return found


class _Reader(Definitions):
    def read(self, name: str) -> Declared | None:
        definition = self.find(name)
        names = Names.of(self.user.tree)
        for decorator in definition.decorator_list if definition is not None else ():
            callee = decorator.func if isinstance(decorator, ast.Call) else decorator
            if names.meaning(callee) == "op":
                self.error("TP513", f"'{name}' is an operator: it has '@op'", decorator, f"{_PLAIN} 'Run'")
                return None
        if isinstance(definition, ast.ClassDef):
            return self._class(definition, names)
        if definition is None:
            return None
        positional = [*definition.args.posonlyargs, *definition.args.args]
        texts = frozenset(one.arg for one in positional if _is_text(one.annotation))
        if definition.args.kwarg is not None:
            problem = f"'**{definition.args.kwarg.arg}' names no keys"
            self.error("TP505", problem, definition.args.kwarg, "write them one by one")
        parameters = dict(self.parameters(definition, is_method=False))
        return Declared(
            self.keys(definition, is_method=False),
            self._returned(definition, names),
            parameters=parameters,
            texts=texts,
        )

    def _class(self, cls: ast.ClassDef, names: Names) -> Declared | None:
        """TorchPipe's style: ``forward`` gets the item as a dictionary."""
        forward, init = self.method(cls, "forward"), self.method(cls, "__init__")
        problem = None
        if forward is None:
            problem = f"class '{cls.name}' has no method 'forward'"
        elif self.method(cls, "init") is not None or (init is not None and _takes_values(init)):
            problem = f"class '{cls.name}' takes parameters when it is made"
        elif len(forward.args.args) != 2 or forward.args.vararg or forward.args.kwarg:
            problem = f"'{cls.name}.forward' does not take one dictionary"
        if problem is not None or forward is None:
            self.error("TP513", problem or "", cls, f"{_PLAIN} 'Run'")
            return None
        uses = _Uses(forward.args.args[1].arg)
        uses.visit(forward)
        for node in uses.others:
            message = f"'{cls.name}.forward' does more with '{uses.item}' than read keys that are written out"
            self.error("TP513", message, node, f"{_PLAIN} 'Run'")
        optional = tuple(key for key in uses.asked if key not in uses.taken)
        return Declared(tuple(uses.taken), self._returned(forward, names), optional)

    def _returned(self, function: Function, names: Names) -> Mapping[str, int] | None:
        found: dict[str, int] = {}
        is_known = not function.decorator_list  # a decorator may change what it returns
        own = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and _is_bound(node)}
        constants = {name: value for name, value in names.constants.items() if name not in own}
        returns = [node for node in _own_nodes(function) if isinstance(node, ast.Return)]
        if not returns:
            hint = f"one of: {', '.join(STATUSES)}"
            self.error("TP513", f"'{function.name}' returns no status", function, hint)
        for node in returns:
            for value in _alternatives(node.value, constants):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.setdefault(value.value, node.lineno)
                elif value is None or isinstance(value, ast.Constant):
                    said = "nothing" if value is None else ast.unparse(value)
                    hint = f"one of: {', '.join(STATUSES)}"
                    self.error("TP513", f"'{function.name}' returns {said}, which is no status", node, hint)
                else:
                    is_known = False
        return found if is_known or any(one not in STATUSES for one in found) else None


def _is_text(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "str"


def _takes_values(init: Function) -> bool:
    arguments = init.args
    required = len(arguments.posonlyargs + arguments.args) - 1 - len(arguments.defaults)
    return required > 0 or any(default is None for default in arguments.kw_defaults)


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body without those of functions and classes inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, _Nested)]


def _is_bound(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _alternatives(value: ast.expr | None, constants: Mapping[str, ast.expr]) -> Iterator[ast.expr | None]:
    """What an expression may be: both sides of ``a if c else b``, the value of a constant's name."""
    if isinstance(value, ast.IfExp):
        yield from _alternatives(value.body, constants)
        yield from _alternatives(value.orelse, constants)
    elif isinstance(value, ast.Name):
        constant = constants.get(value.id, value)
        yield constant if isinstance(constant, ast.Constant) and constant.value is not None else value
    else:
        yield value


class _Uses(ast.NodeVisitor):
    """What a method does with the dictionary ``item``; ``others`` are uses other than reading a key."""

    def __init__(self, item: str) -> None:
        self.item = item
        self.taken: dict[str, None] = {}
        self.asked: dict[str, None] = {}
        self.others: list[ast.AST] = []

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == self.item:
            self.others.append(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._is_item(node.value) and isinstance(node.ctx, ast.Load) and (key := _text(node.slice)):
            self.taken[key] = None
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        is_get = isinstance(function, ast.Attribute) and function.attr == "get"
        if is_get and self._is_item(function.value) and node.args and (key := _text(node.args[0])):  # type: ignore[attr-defined]
            self.asked[key] = None
            for other in node.args[1:]:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        is_test = len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn)
        if is_test and self._is_item(node.comparators[0]) and (key := _text(node.left)):
            self.asked[key] = None
        else:
            self.generic_visit(node)

    def _is_item(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.item


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
