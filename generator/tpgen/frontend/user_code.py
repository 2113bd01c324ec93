"""What a user's function or class declares, read from its file: keys, types, parameters."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..diagnostics import Bag, Diagnostic, PipelineError
from ..types import Opaque, Type
from .keys import near_hint
from .torchpipe_style import KeyScan
from .user_definitions import Definitions, Function, Parameter
from .user_source import is_taken, read_python, taken_message
from .user_types import EXAMPLE, DeclarationReader, Declared, Names

Kind = Literal["function", "class", "legacy"]
DECORATOR = f'@op(outputs={{"result": {EXAMPLE}}})'


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
    reader = _reader(path)
    found = reader.read(name)
    if found is None or reader.bag.has_errors:
        raise PipelineError(reader.bag.diagnostics)
    return found


@dataclass(frozen=True)
class Maker:
    """What a class, or a function, is called with by name. ``is_open``: it may take any other name, too."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    is_open: bool = False


def read_maker(path: Path, name: str) -> Maker:
    """How the function or class ``name`` in a file is called; the file is read, never run.

    Raises:
        PipelineError: the file is wrong, or has no such name.
    """
    reader = _reader(path)
    found = reader.find(name)
    if found is None or reader.bag.has_errors:
        raise PipelineError(reader.bag.diagnostics)
    if not isinstance(found, ast.ClassDef):
        return _maker(found, skipped=0)
    init = reader.method(found, "__init__")
    return _maker(init, skipped=1) if init is not None else Maker((), (), is_open=True)


def _maker(function: Function, skipped: int) -> Maker:
    given = function.args
    plain = given.args[max(skipped - len(given.posonlyargs), 0) :]
    needed = plain[: max(len(plain) - len(given.defaults), 0)]
    needed += [one for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if not default]
    names = tuple(one.arg for one in (*plain, *given.kwonlyargs))
    return Maker(names, tuple(one.arg for one in needed), given.kwarg is not None)


def _reader(path: Path) -> _Reader:
    bag = Bag()
    if is_taken(path.stem):
        bag.error("TP507", taken_message(path.stem), file=str(path), hint="give the file another name")
        raise PipelineError(bag.diagnostics)
    return _Reader(read_python(path), bag)


class _Reader(Definitions):
    def read(self, name: str) -> UserOp | None:
        definition = self.find(name)
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

    def _class(self, cls: ast.ClassDef, declared: Declared | None) -> UserOp | None:
        call, init = self.method(cls, "__call__"), self.method(cls, "__init__")
        if call is not None:
            return self._operator(cls, call, init, declared)
        if declared is None and self.method(cls, "forward") is not None:
            return self._legacy(cls)
        message = f"class '{cls.name}' has no method '__call__'"
        self.error(
            "TP505", message, cls, "__call__(self, data) gets one item's keys; TorchPipe's forward works too"
        )
        return None

    def _operator(
        self,
        definition: Function | ast.ClassDef,
        call: Function,
        configured: Function | None,
        declared: Declared | None,
    ) -> UserOp:
        """A function (``call`` and ``configured`` are itself), or a class with these two methods."""
        is_class = isinstance(definition, ast.ClassDef)
        reads = self.keys(call, is_method=is_class)
        if is_class and call.args.kwonlyargs:
            hint = "parameters from the TOML belong to __init__"
            self.error("TP505", "'__call__' has keyword-only parameters", call.args.kwonlyargs[0], hint)
        parameters = dict(self.parameters(configured, is_method=is_class)) if configured else {}
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
                self.error(
                    "TP505",
                    f"'{key}' is declared, but is no parameter",
                    declared.places[f"inputs.{key}"],
                    hint,
                )
        if declared.batch and not reads:
            self.error(
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
        forward = self.method(cls, "forward")
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
            batch=self.method(cls, "max") is not None,
            optional=scan.optional,
            warnings=tuple(bag.diagnostics),
        )
