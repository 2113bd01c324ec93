"""The keys of one node as its operators ask for them: arguments, qualified keys, node keys, globals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..ir.op import REGISTRY, AttributeField, Op, attributes_of
from ..source import Span
from .expression import Argument
from .shown import shown
from .values import ValueProblem, parse_value

_FEW = 40  # words that a hint may list: the keys of a node are, the operators are not


@dataclass(frozen=True)
class Value:
    """A raw TOML value and the place to point at; ``key_span`` is where its key stands."""

    raw: Any
    span: Span
    key_span: Span


@dataclass(frozen=True)
class Missing:
    """A required key that the node does not have; ``what`` says what is needed, at ``span``."""

    key: str
    what: str
    span: Span


@dataclass
class Globals:
    """The values above the first node, which hold for all nodes, and what nodes made of them.

    ``stray`` are keys that no operator of tpgen has, ``told`` what was reported so far: a value that several
    operators or nodes read is reported once. ``is_open``: some operator is unknown, so any key could be its.
    """

    values: Mapping[str, Value]
    stray: tuple[str, ...] = ()
    used: set[str] = field(default_factory=set)
    told: set[tuple[str, str, Span]] = field(default_factory=set)
    is_open: bool = False

    def unknown(self) -> list[str]:
        """The stray keys that nothing took (user code can)."""
        return [key for key in self.stray if key not in self.used]


@dataclass
class NodeValues:
    """The raw keys of a node and the globals behind them; remembers which of its own keys were used.

    ``operators`` and ``missing`` collect what `build_op` finds, ``user_keys`` the parameters of user code,
    ``containers`` the names of what only decides where and when its operator runs.
    ``is_open``: as in `Globals`, for this node. ``errors`` counts what was found wrong, said or not.
    """

    node: str
    span: Span  # where the node's name stands, for keys that are missing
    own: Mapping[str, Value]
    globals: Globals
    bag: Bag
    used: set[str] = field(default_factory=set)
    missing: list[Missing] = field(default_factory=list)
    operators: dict[str, type[Op]] = field(default_factory=dict)
    user_keys: list[str] = field(default_factory=list)
    containers: set[str] = field(default_factory=set)
    is_open: bool = False
    errors: int = 0

    def find(self, key: str) -> Value | None:
        """The node's own value of a key, else the global one."""
        if key in self.own:
            self.used.add(key)
            return self.own[key]
        self.globals.used.add(key)
        return self.globals.values.get(key)

    def open(self) -> None:
        """Note that an operator of the node is not known."""
        self.is_open = self.globals.is_open = True

    def parse(self, declared: AttributeField, value: Value) -> Any:
        """The parsed value; None if it is none (which is reported)."""
        try:
            return parse_value(declared, value.raw)
        except ValueProblem as problem:
            self.error(problem.code, problem.message, value.span, problem.hint)
            return None

    def error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        """Report something about this node, once."""
        self.errors += 1
        if (code, message, span) not in self.globals.told:
            self.globals.told.add((code, message, span))
            self.bag.error(code, message, span, hint=hint, node=self.node)


@dataclass(frozen=True)
class Use:
    """One operator in a node's ``backend``: the name as written, its place, and what stands around it.

    ``group``: for which of ``groups`` instance groups its values are read.
    """

    cls: type[Op]
    name: str
    span: Span
    arguments: tuple[Argument, ...]
    content: str | None
    index: int
    count: int
    group: int = 0
    groups: int = 1


def build_op(use: Use, values: NodeValues) -> tuple[Op, Mapping[str, Span]] | None:
    """The operator with its attributes, and the place of each value; None if something is wrong.

    Required keys that are missing are left to `report_keys`: one of them may be there, misspelt.
    """
    values.operators[use.name] = use.cls
    errors_before = values.errors
    arguments, misspelt = _arguments(use, values)
    found: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    missing: list[AttributeField] = []
    for declared in attributes_of(use.cls):
        if declared.declared.in_brackets:
            found[declared.name] = use.content or ""
        if not declared.is_key:
            continue
        try:
            value = _of_group(_lookup(declared, use, arguments, values), declared.key, use, values)
        except _WrongCount:
            continue
        if value is not None:
            found[declared.name] = values.parse(declared, value)
            spans[declared.name] = value.span
        elif declared.required:
            missing.append(declared)
    excused = _meant(misspelt, [declared.key for declared in missing])
    values.missing += [_missing(declared, use) for declared in missing if declared.key not in excused]
    return None if missing or values.errors > errors_before else (use.cls(**found), spans)


def _arguments(use: Use, values: NodeValues) -> tuple[dict[str, Value], list[str]]:
    """The ``(key=value)`` arguments, bare ones filling the attributes in order; and the unknown keys."""
    declared = [f for f in attributes_of(use.cls) if f.is_key]
    known = {spelling: f for f in declared for spelling in f.spellings}
    found: dict[str, Value] = {}
    unknown: list[str] = []
    for position, argument in enumerate(use.arguments):
        key = argument.key
        if key is None:
            if position >= len(declared):
                message = f"'{use.name}' takes {_counted(len(declared))}, this is one too many"
                values.error("TP106", message, argument.span)
                continue
            key = declared[position].key
        if key not in known:
            unknown.append(key)
            message = f"unknown key {shown(key)} for '{use.name}'"
            values.error("TP102", message, argument.span, near_hint(key, known))
        elif known[key].key in found:
            values.error("TP106", f"'{key}' is given twice", argument.span)
        else:
            found[known[key].key] = Value(argument.value, argument.span, argument.span)
    return found, unknown


def _counted(count: int) -> str:
    return {0: "no value", 1: "one value"}.get(count, f"{count} values")


def _missing(declared: AttributeField, use: Use) -> Missing:
    what = f"'{use.name}' needs the key '{declared.key}' ({declared.declared.doc.rstrip('.')})"
    return Missing(declared.key, what, use.span)


def report_keys(values: NodeValues, unknown: Iterable[str], node_keys: Collection[str]) -> None:
    """Report the node's unknown keys and the required ones that are missing.

    A required key that is there, but misspelt, is one finding, at the misspelt key. Where an operator is
    unknown, so that any key could be its, only keys are reported that look like one that is known.
    """
    wanted = [missing.key for missing in values.missing]
    excused = _meant(values.globals.stray, wanted)
    listed = _listed(values.operators) or "this node"
    for key in unknown:
        operator, qualified, bare = key.rpartition("::")
        meant = did_you_mean(bare, wanted) or (did_you_mean(key, node_keys) if values.is_open else None)
        hint: str | None
        if meant:
            excused.add(meant)
            hint = f"did you mean '{operator}{qualified}{meant}'?"
        elif not values.is_open:
            known = [*values.user_keys, *node_keys]
            hint = _near_key(key, values.operators, known, owners=_owners(key))
        else:
            continue
        message = f"unknown key {shown(key)} for {listed}"
        values.error("TP102", message, values.own[key].key_span, hint)
    for missing in values.missing:
        if missing.key not in excused:
            hint = f"add it to [{values.node}]: {missing.key} = ..."
            values.error("TP108", missing.what, missing.span, hint)


def _meant(words: Iterable[str], wanted: Iterable[str]) -> set[str]:
    """The wanted keys that these words are misspellings of."""
    listed = list(wanted)
    return {near for word in words if (near := did_you_mean(word, listed))} if listed else set()


def _listed(operators: Mapping[str, type[Op]]) -> str:
    shown = [f"'{name}'" for name in operators]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:3], "..."])


_MOST_OWNERS = 4


def _owners(key: str) -> str | None:
    """Whose key it is, as a hint; None if it is no operator's."""
    names = list(
        dict.fromkeys(
            cls.names[0]
            for cls in REGISTRY.values()
            for f in attributes_of(cls)
            if f.is_key and key in f.spellings
        )
    )
    if not names:
        return None
    shown = names if len(names) <= _MOST_OWNERS else [*names[: _MOST_OWNERS - 1], "others"]
    listed = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return f"it is a key of {listed}: write it in the node of the operator that it is for"


def _near_key(
    key: str, operators: Mapping[str, type[Op]], node_keys: Collection[str], owners: str | None
) -> str | None:
    operator, qualified, _ = key.rpartition("::")
    own = [f.key for cls in operators.values() for f in attributes_of(cls) if f.is_key]
    known = [*node_keys, *own]
    if qualified and operator in operators:
        known = [f"{operator}::{f.key}" for f in attributes_of(operators[operator]) if f.is_key]
    if owners is not None and did_you_mean(key, known) is None:
        return owners
    return near_hint(key, known)


def near_hint(word: str, candidates: Iterable[str]) -> str | None:
    """The hint for an unknown word: the nearest known one, else all of them if they are few."""
    known = sorted(set(candidates))
    near = did_you_mean(word, known)
    if near:
        return f"did you mean '{near}'?"
    return f"known here: {', '.join(known)}" if known and len(known) <= _FEW else None


def _lookup(
    declared: AttributeField, use: Use, arguments: Mapping[str, Value], values: NodeValues
) -> Value | None:
    qualified = [f"{name}::{spelling}" for spelling in declared.spellings for name in use.cls.names]
    values.used.update(declared.spellings, qualified)  # known here, even where another one wins
    if declared.key in arguments:
        return arguments[declared.key]
    for key in qualified:
        value = values.find(key)
        if value is not None:
            return value
    for spelling in declared.spellings:
        value = values.find(spelling)
        if value is not None:
            return _alternative(value, use, values)
    return None


class _WrongCount(Exception):
    """An ``a|b|c`` value has another number of parts than the node has operators (reported).

    Or an ``a&b&c`` value another number than it has instance groups.
    """


def _of_group(value: Value | None, key: str, use: Use, values: NodeValues) -> Value | None:
    """The part of an ``a&b&c`` value that belongs to an instance group.

    Raises:
        _WrongCount: there is not one part per group.
    """
    if use.groups < 2 or value is None:
        return value
    found = group_part(value, key, use.group, use.groups, values)
    if found is None:
        raise _WrongCount
    return found


def group_part(value: Value, key: str, group: int, count: int, values: NodeValues) -> Value | None:
    """The part of an ``a&b&c`` value that belongs to one of ``count`` instance groups.

    A value without ``&`` holds for all of them. None: there is not one part for each, which is reported.
    """
    if not isinstance(value.raw, str) or "&" not in value.raw:
        return value
    parts = [one.strip() for one in value.raw.split("&")]
    hint = "give one value for all groups, or one for each, with & between"
    if len(parts) != count:
        message = f"'{key}' has {len(parts)} parts, but there are {count} instance groups"
        values.error("TP293", message, value.span, hint)
        return None
    if "" in parts:
        message = f"part {parts.index('') + 1} of '{key}' is empty: it is {shown(value.raw)}"
        values.error("TP293", message, value.span, hint)
        return None
    return Value(parts[group], value.span, value.key_span)


def _alternative(value: Value, use: Use, values: NodeValues) -> Value | None:
    """The part of an ``a|b|c`` value that belongs to this operator of the sequence.

    Raises:
        _WrongCount: there is not one part per operator.
    """
    if use.count < 2 or not isinstance(value.raw, str) or "|" not in value.raw:
        return value
    parts = value.raw.split("|")
    if len(parts) != use.count:
        values.error(
            "TP107",
            f"{shown(value.raw)} has {len(parts)} parts, but the node has {use.count} operators",
            value.span,
            "give one value for all, or one per operator, empty where an operator takes none",
        )
        raise _WrongCount
    part = parts[use.index].strip()
    return Value(part, value.span, value.key_span) if part else None
