"""TOML values as attribute values: the dialect writes numbers and lists as strings, TOML natively."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..diagnostics import did_you_mean
from ..ir.op import AttributeField
from ..types import Symbol, Type
from .shown import shown
from .type_syntax import EXAMPLE, TypeSyntaxError, parse_type


class ValueProblem(Exception):
    """A value that an attribute cannot take: code, message and hint of the diagnostic."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def parse_value(field: AttributeField, value: Any) -> Any:
    """The value of an attribute from its TOML value.

    Raises:
        ValueProblem: wrong kind (TP103), out of range (TP104), not one of the choices (TP105).
    """
    kind = field.annotation.removesuffix(" | None")
    parsed = _PARSERS[kind](field.key, value)
    _check_choice(field, parsed)
    for item in parsed if isinstance(parsed, tuple) else (parsed,):
        _check_range(field, item)
    return parsed


def _check_choice(field: AttributeField, value: Any) -> None:
    choices = field.declared.choices
    if not choices or value in choices:
        return
    listed = ", ".join(repr(c) for c in choices if c != "")
    near = did_you_mean(str(value), [str(c) for c in choices])
    hint = f"did you mean {near!r}? One of: {listed}" if near else f"one of: {listed}"
    raise ValueProblem("TP105", f"'{field.key}' cannot be {shown(value)}", hint)


def _check_range(field: AttributeField, value: Any) -> None:
    low, high = field.declared.ge, field.declared.le
    if low is not None and value < low:
        raise ValueProblem("TP104", f"'{field.key}' is {_number(value)}, at least {_number(low)} is needed")
    if high is not None and value > high:
        raise ValueProblem("TP104", f"'{field.key}' is {_number(value)}, at most {_number(high)} is allowed")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _wrong(key: str, value: Any, wanted: str, example: str = "") -> ValueProblem:
    hint = f"for example {key} = {example}" if example else None
    return ValueProblem("TP103", f"'{key}' is {shown(value)}, but {wanted} is needed", hint)


def _int(key: str, value: Any) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) < 2**63 and value == int(value):
        return int(value)
    if isinstance(value, str) and len(value) < 64:
        try:
            return int(value)
        except ValueError:
            pass
    raise _wrong(key, value, "a whole number")


def _float(key: str, value: Any) -> float:
    if isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise _wrong(key, value, "a number")


_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _bool(key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _wrong(key, value, "true or false", "true")


def _str(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return repr(value)
    if isinstance(value, list):
        return ",".join(_str(key, item) for item in value)
    raise _wrong(key, value, "a string", '"text"')


def _tuple_of(
    item: Callable[[str, Any], Any], wanted: str, example: str
) -> Callable[[str, Any], tuple[Any, ...]]:
    def parse(key: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            inner = value.strip()
            if inner.startswith("[") and inner.endswith("]"):  # an argument: Normalize(mean=[1,2,3])
                inner = inner[1:-1]
            parts: list[Any] = inner.split(",") if inner.strip() else []
        elif isinstance(value, list):
            parts = value
        else:
            parts = [value]
        try:
            return tuple(item(key, part) for part in parts)
        except ValueProblem:
            raise _wrong(key, value, wanted, example) from None

    return parse


def _types(key: str, value: Any) -> dict[str, Type]:
    if not isinstance(value, dict) or not value:
        raise _wrong(key, value, "a table of names and types", '{image = "float32[3,224,224]"}')
    symbols: dict[str, Symbol] = {}
    try:
        return {name: parse_type(_str(name, text), symbols) for name, text in value.items()}
    except TypeSyntaxError as problem:
        raise ValueProblem("TP114", f"'{key}': {problem}", EXAMPLE) from None


def _table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        problem = _wrong(key, value, "a table", "{name = value}")
        if isinstance(value, str):
            problem.hint = f"--set can't give tables: write it in the TOML, {problem.hint}"
        raise problem
    return value


def _sample(key: str, value: Any) -> bool | str | dict[str, str]:
    """Whether a model is warmed up, and with which files."""
    files = list(value.values()) if isinstance(value, dict) else [value]
    if isinstance(value, dict) and value and all(isinstance(one, str) and one for one in files):
        return value
    if not isinstance(value, str) or value.strip().lower() in (*_TRUE, *_FALSE):
        try:
            return _bool(key, value)
        except ValueProblem:
            raise _wrong(key, value, "true, a file, or a file for each input", '"sample.jpg"') from None
    return value


_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": _str,
    "tuple[int, ...]": _tuple_of(_int, "a list of whole numbers", "[1, 2]"),
    "tuple[float, ...]": _tuple_of(_float, "a list of numbers", "[0.5, 1.0]"),
    "dict[str, Type]": _types,
    "dict[str, Any]": _table,
    "bool | str | dict[str, str]": _sample,
    "tuple[str, ...]": _tuple_of(
        lambda key, value: _str(key, value).strip(), "a list of names", '["a", "b"]'
    ),
}


KINDS = frozenset(_PARSERS)  # the annotations that an attribute from the TOML can have
