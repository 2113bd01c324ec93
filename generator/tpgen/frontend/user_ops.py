"""User code in a ``backend``: ``Python[module:name]`` with what its file declares and the node's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, PipelineError
from ..ir.op import Attribute, AttributeField
from ..ops.user import PythonOp
from ..source import Span
from .keys import NodeValues, Value, near_hint
from .tables import CONTROL_FLOW, WITHOUT_EFFECT
from .user_code import Parameter, UserOp, read_user_op
from .user_files import find_module, vendored_files
from .values import ValueProblem, parse_value

_EXAMPLE = 'backend = "Python[module:name]", with module.py beside the TOML'


def complete(
    op: PythonOp,
    span: Span,
    values: NodeValues,
    base: Path,
    *,
    node_keys: frozenset[str],
    includes: tuple[Path, ...],
) -> tuple[PythonOp, tuple[Path, ...]] | None:
    """The operator with its declaration and parameters, and the files it needs; None if reported."""
    module, colon, name = op.argument.partition(":")
    if not (colon and module.strip() and name.strip()):
        values.bag.error(
            "TP501",
            f"{op.argument!r} does not name a module and a function",
            span,
            hint=_EXAMPLE,
            node=values.node,
        )
        return None
    module, name = module.strip(), name.strip()
    path = find_module(base, module)
    if path is None:
        beside = sorted(file.stem for file in base.glob("*.py"))
        values.bag.error(
            "TP501",
            f"there is no module '{module}' beside the TOML",
            span,
            hint=near_hint(module, beside) or _EXAMPLE,
            node=values.node,
        )
        return None
    try:
        declared = read_user_op(path, name)
        files = vendored_files(path, includes, base=base)
    except PipelineError as problem:
        values.bag.extend(_placed(found, span, path, values.node) for found in problem.diagnostics)
        return None
    values.bag.extend(declared.warnings)
    completed = replace(
        op,
        module=module,
        function=name,
        settings=tuple(_settings(declared, span, values, node_keys).items()),
        sources=declared.reads,
        optional=declared.optional,
        input_types=tuple(declared.input_types.items()),
        output_types=tuple(declared.writes.items()),
        batched=declared.batch,
    )
    return completed, files


def _placed(found: Diagnostic, span: Span, path: Path, node: str) -> Diagnostic:
    """A name that the file does not have is wrong in the TOML: it has no line in the file."""
    if found.code != "TP503" or found.span is not None:
        return found
    return replace(found, message=f"{found.message} in {path.name}", span=span, node=node, file=None)


def _settings(declared: UserOp, span: Span, values: NodeValues, node_keys: frozenset[str]) -> dict[str, Any]:
    """The values of the parameters, from the TOML keys of their names."""
    found: dict[str, Any] = {}
    values.user_keys += declared.parameters
    for name, parameter in declared.parameters.items():
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
    if declared.open_parameters:
        found.update(_other_keys(values, node_keys, found))
    return found


def _other_keys(values: NodeValues, node_keys: frozenset[str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Every other key of the node, for code that takes ``**parameters`` or a dictionary."""
    others = {
        key: value.raw
        for key, value in values.own.items()
        if key not in node_keys and key not in found and key not in {*WITHOUT_EFFECT, *CONTROL_FLOW}
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
