"""User code in a ``backend``: ``Python[module:name]`` with what its file declares and the node's keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..diagnostics import Diagnostic, PipelineError
from ..ir.op import Attribute, AttributeField
from ..ops.torchscript import TorchModule
from ..ops.user import PythonOp
from ..source import Span
from .keys import NodeValues, Value, near_hint
from .tables import WITHOUT_EFFECT
from .user_code import Maker, read_maker, read_user_op
from .user_definitions import Parameter
from .user_files import UserCode, find_module, vendored_files
from .values import ValueProblem, parse_value

_Declared = TypeVar("_Declared")
_MODULE_EXAMPLE = 'backend = "TorchModule[module:Class]", with module.py beside the TOML'
_EXAMPLE = 'backend = "Python[module:name]", with module.py beside the TOML'


@dataclass(frozen=True)
class Named:
    """What ``module:name`` says, and the module's file."""

    module: str
    name: str
    path: Path


def named_code(argument: str, span: Span, values: NodeValues, base: Path, example: str) -> Named | None:
    """The user's code that ``module:name`` names; None if there is no such module, which is reported."""
    module, _, name = (part.strip() for part in argument.partition(":"))
    if not (module and name):
        message = f"{argument!r} does not name a module and a function"
        values.bag.error("TP501", message, span, hint=example, node=values.node)
        return None
    path = find_module(base, module)
    if path is None:
        hint = near_hint(module, sorted(file.stem for file in base.glob("*.py"))) or example
        message = f"there is no module '{module}' beside the TOML"
        values.bag.error("TP501", message, span, hint=hint, node=values.node)
        return None
    return Named(module, name, path)


def read_code(
    named: Named, span: Span, values: NodeValues, user: UserCode, read: Callable[[Path, str], _Declared]
) -> tuple[_Declared, tuple[Path, ...]] | None:
    """What the user's code declares, and the files that it needs; None if reported."""
    try:
        return read(named.path, named.name), vendored_files(named.path, user.includes, base=user.base)
    except PipelineError as problem:
        values.bag.extend(placed(found, span, named.path, values.node) for found in problem.diagnostics)
        return None


def complete(
    op: PythonOp, span: Span, values: NodeValues, user: UserCode
) -> tuple[PythonOp, tuple[Path, ...]] | None:
    """The operator with its declaration and parameters, and the files it needs; None if reported."""
    named = named_code(op.argument, span, values, user.base, _EXAMPLE)
    found = read_code(named, span, values, user, read_user_op) if named is not None else None
    if named is None or found is None:
        return None
    declared, files = found
    values.bag.extend(declared.warnings)
    settings = settings_of(declared.parameters, span, values)
    if declared.open_parameters:
        settings.update(_other_keys(values, user.node_keys, settings))
    completed = replace(
        op,
        module=named.module,
        function=named.name,
        settings=tuple(settings.items()),
        sources=declared.reads,
        optional=declared.optional,
        input_types=tuple(declared.input_types.items()),
        output_types=tuple(declared.writes.items()),
        batched=declared.batch,
    )
    return completed, files


def complete_module(
    op: TorchModule, span: Span, values: NodeValues, user: UserCode
) -> tuple[TorchModule, tuple[Path, ...]] | None:
    """The operator with the user's class, and the files that it needs; None if reported."""
    named = named_code(op.argument, span, values, user.base, _MODULE_EXAMPLE)
    found = read_code(named, span, values, user, read_maker) if named is not None else None
    if named is None or found is None:
        return None
    maker, files = found
    if not _fits(op, maker, span, values):
        return None
    return replace(op, module=named.module, function=named.name), files


def _fits(op: TorchModule, maker: Maker, span: Span, values: NodeValues) -> bool:
    """True if the class can be made with the node's ``arguments``; else what can't be is reported."""
    given, at = op.arguments or {}, values.own.get("arguments")
    strange = [] if maker.is_open else sorted(set(given) - set(maker.names))
    missing = [name for name in maker.required if name not in given]
    for name in strange:
        message = f"'{op.argument}' takes no argument '{name}'"
        place = at.span if at is not None else span
        values.bag.error("TP102", message, place, hint=near_hint(name, maker.names), node=values.node)
    if missing and not strange:
        names = ", ".join(f"{name} = ..." for name in missing)
        message = f"'{op.argument}' needs the argument{'s' * (len(missing) > 1)} {', '.join(missing)}"
        place = at.span if at is not None else span
        values.bag.error("TP108", message, place, hint=f"arguments = {{{names}}}", node=values.node)
    return not (strange or missing)


def placed(found: Diagnostic, span: Span, path: Path, node: str) -> Diagnostic:
    """A name that the file does not have is wrong in the TOML: it has no line in the file."""
    if found.code != "TP503" or found.span is not None:
        return found
    return replace(found, message=f"{found.message} in {path.name}", span=span, node=node, file=None)


def settings_of(parameters: Mapping[str, Parameter], span: Span, values: NodeValues) -> dict[str, Any]:
    """The values of the parameters, from the TOML keys of their names."""
    found: dict[str, Any] = {}
    values.user_keys += parameters
    for name, parameter in parameters.items():
        value = values.find(f"Python::{name}") or values.find(name)
        if value is not None:
            found[name] = _parsed(name, parameter, value, values)
        elif parameter.required:
            values.bag.error(
                "TP108",
                f"the user code needs the key '{name}'",
                span,
                hint=f"add it to [{values.node}]: {name} = ...",
                node=values.node,
            )
    return found


def _other_keys(values: NodeValues, node_keys: frozenset[str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Every other key of the node, for code that takes ``**parameters`` or a dictionary."""
    others = {
        key: value.raw
        for key, value in values.own.items()
        if key not in node_keys and key not in found and key not in WITHOUT_EFFECT
    }
    values.used.update(others)
    return others


def _parsed(name: str, parameter: Parameter, value: Value, values: NodeValues) -> Any:
    if parameter.kind == "any":
        return value.raw
    kinds = ("int", "float") if parameter.kind == "number" else (parameter.kind,)
    problem: ValueProblem | None = None
    for kind in kinds:
        field = AttributeField(name, kind, parameter.required, parameter.default, Attribute(""))
        try:
            return parse_value(field, value.raw)
        except ValueProblem as found:
            problem = found
    assert problem is not None
    values.bag.error(problem.code, problem.message, value.span, hint=problem.hint, node=values.node)
    return parameter.default
