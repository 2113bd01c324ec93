"""``Python[module:name]`` in a node's backend: from the expression and the node's keys to the operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..diagnostics import PipelineError
from ..ir.op import Attribute, AttributeField
from ..ops.user import PythonOp
from ..source import Span
from .keys import NodeValues, Value, near_hint
from .tables import CONTROL_FLOW, WITHOUT_EFFECT, NodeKeys
from .user_code import Parameter, UserOp, read_user_op
from .user_files import SOURCE, find_module
from .user_source import is_taken, taken_message
from .values import ValueProblem, parse_value

_REFERENCE = re.compile(r"\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*([^\W\d]\w*)\s*")
FORM = 'write Python[module:name], with module.py beside this file: backend = "Python[ops:keep_best]"'


def build_python_op(
    content: str, span: Span, values: NodeValues
) -> tuple[PythonOp, Mapping[str, Span]] | None:
    """The operator of ``Python[content]`` in a node, with the places of its keys.

    The module lies beside the TOML. Its file is read, never run. Findings, and warnings about code without
    types, go to the node's bag; None if there was an error.
    """
    match = _REFERENCE.fullmatch(content)
    if match is None:
        values.bag.error(
            "TP503", f"'Python[{content}]' does not name a function", span, hint=FORM, node=values.node
        )
        return None
    module, name = match.groups()
    path = _find(module, span, values)
    if path is None:
        return None
    try:
        user = read_user_op(path, name)
    except PipelineError as problem:
        values.bag.extend(problem.diagnostics)
        return None
    values.bag.extend(user.warnings)
    settings, spans = _settings(user, span, values)
    if settings is None:
        return None
    op = PythonOp(
        argument=content,
        module=module,
        function=name,
        settings=tuple(settings.items()),
        sources=user.reads,
        optional=user.optional,
        input_types=tuple(user.input_types.items()),
        output_types=tuple(user.writes.items()),
        batched=user.batch,
    )
    return op, spans


def _find(module: str, span: Span, values: NodeValues) -> Path | None:
    folder = Path(values.span.file.path).parent
    top = module.partition(".")[0]
    path = find_module(folder, module)
    if path is not None and is_taken(top):
        values.bag.error(
            "TP507", taken_message(top), span, hint="give the file another name", node=values.node
        )
        return None
    if path is None:
        known = [f.stem for f in folder.glob(f"*{SOURCE}")]
        hint = near_hint(module, known) or "user modules lie beside the TOML file"
        missing = f"{module.replace('.', '/')}{SOURCE}"
        values.bag.error(
            "TP501", f"there is no '{missing}' beside this file", span, hint=hint, node=values.node
        )
    return path


def _settings(user: UserOp, span: Span, values: NodeValues) -> tuple[dict[str, Any] | None, dict[str, Span]]:
    """The parameters that the node's keys give; None if one is missing or wrong."""
    found: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    complete = True
    for name, parameter in user.parameters.items():
        value = values.find(name)
        if value is not None:
            complete &= _convert(name, parameter, value, values, found)
            spans[name] = value.span
        elif parameter.required:
            complete = False
            hint = f"add it to [{values.node}]: {name} = ..."
            values.bag.error("TP108", f"the code needs the key '{name}'", span, hint=hint, node=values.node)
    if user.open_parameters:
        for name, value in values.own.items():
            if name not in found and not _belongs_to_node(name):
                values.used.add(name)
                found[name], spans[name] = value.raw, value.span
    return found if complete else None, spans


def _convert(
    name: str, parameter: Parameter, value: Value, values: NodeValues, found: dict[str, Any]
) -> bool:
    try:
        found[name] = _parsed(name, parameter, value.raw)
    except ValueProblem as problem:
        values.bag.error(problem.code, problem.message, value.span, hint=problem.hint, node=values.node)
        return False
    return True


def _parsed(name: str, parameter: Parameter, raw: Any) -> Any:
    """The value of a parameter.

    Raises:
        ValueProblem: it is of another kind.
    """
    if parameter.kind == "any":
        return raw
    kinds = ("int", "float") if parameter.kind == "number" else (parameter.kind,)
    for kind in kinds:
        declared = AttributeField(name, kind, parameter.required, parameter.default, Attribute(""))
        try:
            return parse_value(declared, raw)
        except ValueProblem:
            if kind == kinds[-1]:
                raise
    raise AssertionError(kinds)


def _belongs_to_node(key: str) -> bool:
    """True for keys that every node may have, which are no parameters."""
    return key in _NODE_KEYS or key in WITHOUT_EFFECT or key in CONTROL_FLOW or "::" in key


_NODE_KEYS = frozenset(NodeKeys.__dataclass_fields__)
