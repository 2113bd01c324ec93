"""The keys of one node as its operators ask for them: arguments, qualified keys, node keys, globals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..ir.op import AttributeField, Op, attributes_of
from ..source import Span
from .expression import Argument
from .values import ValueProblem, parse_value


@dataclass(frozen=True)
class Value:
    """A raw TOML value and the place to point at; ``key_span`` is where its key stands."""

    raw: Any
    span: Span
    key_span: Span


@dataclass
class NodeValues:
    """The raw keys of a node and the globals behind them; remembers which of its own keys were used."""

    node: str
    span: Span  # where the node's name stands, for keys that are missing
    own: Mapping[str, Value]
    globals: Mapping[str, Value]
    bag: Bag
    used: set[str] = field(default_factory=set)

    def find(self, key: str) -> Value | None:
        """The node's own value of a key, else the global one."""
        if key in self.own:
            self.used.add(key)
            return self.own[key]
        return self.globals.get(key)

    def parse(self, declared: AttributeField, value: Value) -> Any:
        """The parsed value; a problem is reported and the default returned."""
        try:
            return parse_value(declared, value.raw)
        except ValueProblem as problem:
            self.bag.error(problem.code, problem.message, value.span, hint=problem.hint, node=self.node)
            return None if declared.required else declared.default


@dataclass(frozen=True)
class Use:
    """One operator in a node's ``backend``: the name as written, its place, and what stands around it."""

    cls: type[Op]
    name: str
    span: Span
    arguments: tuple[Argument, ...]
    content: str | None
    index: int
    count: int


def build_op(use: Use, values: NodeValues) -> tuple[Op, Mapping[str, Span]] | None:
    """The operator with its attributes, and the place of each value; None if something was reported."""
    errors_before = len(values.bag.diagnostics)
    found: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    arguments = _arguments(use, values)
    for declared in attributes_of(use.cls):
        if declared.name == "argument":
            found["argument"] = use.content or ""
            continue
        if not declared.declared.from_toml:
            continue
        value = _lookup(declared, use, arguments, values)
        if value is not None:
            found[declared.name] = values.parse(declared, value)
            spans[declared.name] = value.span
        elif declared.required:
            _report_missing(declared, use, values)
    if len(values.bag.diagnostics) > errors_before and values.bag.has_errors:
        return None
    return use.cls(**found), spans


def _arguments(use: Use, values: NodeValues) -> dict[str, Value]:
    """The ``(key=value)`` arguments; bare ones fill the attributes in order."""
    declared = [f for f in attributes_of(use.cls) if f.declared.from_toml and f.name != "argument"]
    known = {spelling: f for f in declared for spelling in f.spellings}
    found: dict[str, Value] = {}
    for position, argument in enumerate(use.arguments):
        key = argument.key
        if key is None:
            if position >= len(declared):
                values.bag.error(
                    "TP106", f"'{use.name}' takes {len(declared)} values", argument.span, node=values.node
                )
                continue
            key = declared[position].key
        if key not in known:
            values.bag.error(
                "TP102",
                f"unknown key '{key}' for '{use.name}'",
                argument.span,
                hint=near_hint(key, known),
                node=values.node,
            )
        elif known[key].key in found:
            values.bag.error("TP106", f"'{key}' is given twice", argument.span, node=values.node)
        else:
            found[known[key].key] = Value(argument.value, argument.span, argument.span)
    return found


def near_hint(word: str, candidates: Iterable[str]) -> str | None:
    known = sorted(set(candidates))
    near = did_you_mean(word, known)
    if near:
        return f"did you mean '{near}'?"
    return f"known here: {', '.join(known)}" if known and len(known) <= 12 else None


def _lookup(
    declared: AttributeField, use: Use, arguments: Mapping[str, Value], values: NodeValues
) -> Value | None:
    if declared.key in arguments:
        return arguments[declared.key]
    for spelling in declared.spellings:
        for name in use.cls.names:
            qualified = values.find(f"{name}::{spelling}")
            if qualified is not None:
                return qualified
    for spelling in declared.spellings:
        value = values.find(spelling)
        if value is not None:
            return _alternative(value, use, values)
    return None


def _alternative(value: Value, use: Use, values: NodeValues) -> Value | None:
    """The part of an ``a|b|c`` value that belongs to this operator of the sequence."""
    if use.count < 2 or not isinstance(value.raw, str) or "|" not in value.raw:
        return value
    parts = value.raw.split("|")
    if len(parts) != use.count:
        values.bag.error(
            "TP107",
            f"{value.raw!r} has {len(parts)} parts, but the node has {use.count} operators",
            value.span,
            hint="give one value for all, or one per operator, empty where an operator takes none",
            node=values.node,
        )
        return None
    part = parts[use.index].strip()
    return Value(part, value.span, value.key_span) if part else None


def _report_missing(declared: AttributeField, use: Use, values: NodeValues) -> None:
    values.bag.error(
        "TP108",
        f"'{use.name}' needs the key '{declared.key}' ({declared.declared.doc.rstrip('.')})",
        use.span,
        hint=f"add it to [{values.node}]: {declared.key} = ...",
        node=values.node,
    )
