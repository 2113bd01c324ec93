"""The filters of the dialect by name: of a node (``filter``, ``or``), and of an operator in a sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..diagnostics import did_you_mean
from ..ir.filters import (
    OR,
    OWN_STATUS,
    RUN,
    SWAP,
    Filter,
    Otherwise,
    all_there,
    always,
    if_key_equals,
    if_key_exists,
    swap_and_keep,
)
from ..source import Span
from .expression import Text
from .keys import NodeValues, Value, near_hint
from .shown import shown
from .user_files import UserCode
from .user_filters import read_user_filter

FILTERS: Mapping[str, Filter] = {
    **dict.fromkeys(("Run", "run", "Continue"), RUN),
    "swap": SWAP,
    **dict.fromkeys(("or", "else"), OR),
    "result2other": swap_and_keep("result2other", "other"),
    "result2key_1": swap_and_keep("result2key_1", "key_1"),
    **dict.fromkeys(("Skip", "skip"), always(Otherwise.SKIP)),
    **dict.fromkeys(("SerialSkip", "serial_skip", "serialskip"), always(Otherwise.SERIAL_SKIP)),
    **dict.fromkeys(("SubGraphSkip", "subgraph_skip", "subgraphskip"), always(Otherwise.SUBGRAPH_SKIP)),
    **dict.fromkeys(("Break", "break"), always(Otherwise.BREAK)),
    **dict.fromkeys(("Error", "error"), always(Otherwise.ERROR)),
    **dict.fromkeys(("filter", "if"), OWN_STATUS),
}
# Filters that ask for a key, by the node's own key that names it.
_KEYED: Mapping[str, tuple[str, Callable[[str], Filter]]] = {
    "IsKeyExistFilter": ("key", if_key_exists),
    "IsOtherExistFilter": ("other", if_key_exists),
    "Target": ("target", lambda value: if_key_equals("target", value)),
}
_ASKED = {
    **dict.fromkeys(
        ("IsKeyExistFilter", "IsOtherExistFilter"),
        ("the key of the item that it looks for", "name of a key"),
    ),
    "Target": ("the value that the item's own 'target' is compared to", "a value"),
}
USER = "Python["
_LATER = ("half_chance",)
_TRUE = (True, 1, "1", "true", "True")
_FALSE = (False, 0, "0", "false", "False")


def filter_names() -> tuple[str, ...]:
    """The names of all filters that are compiled."""
    return (*FILTERS, *_KEYED)


def key_of_filter(name: str) -> str | None:
    """The node's key that names the key which the filter asks for; None: it asks for none."""
    return _KEYED[name][0] if name in _KEYED else None


def named_filter(name: str, key: str) -> Filter:
    """A filter by its name, asking for ``key`` if it asks for one."""
    return FILTERS[name] if name in FILTERS else _KEYED[name][1](key)


def node_filter(values: NodeValues, *, is_root: bool, mapped: tuple[str, ...], user: UserCode) -> Filter:
    """What stands before a node: its ``filter`` or ``or = true``; else Run at a root, swap behind a node.

    ``mapped`` are the keys of its map: an item that lacks one of them ends there.
    """
    named, either = values.own.get("filter"), values.own.get("or")
    values.used.update(("filter", "or"))
    default = all_there(mapped) if mapped else RUN if is_root else SWAP
    given = named or either
    if given is None:
        return default
    if is_root:
        message = (
            f"'{values.node}' is the first node, before which there is nothing that a filter could decide on"
        )
        values.error("TP214", message, given.key_span, "write the filter at a later node")
        return default
    if named and either:
        values.error("TP106", "'filter' and 'or' both decide whether the node runs", either.key_span)
        return default
    if named:
        text = str(named.raw)
        if text.startswith(USER):
            return read_user_filter(text, named.span, values, user, mapped) or default
        return _named(text, values, named.span) or default
    return _or(values, given) or default


def item_filter(text: Text, position: int, values: NodeValues, user: UserCode) -> Filter | None:
    """The filter in the parentheses before an operator; None if it is none (which is reported)."""
    if position == 0 and FILTERS.get(text.text) != RUN:
        message = "the first operator of a sequence takes no filter"
        hint = "a filter for the whole node is its key 'filter'"
        values.bag.error("TP111", message, text.span, hint=hint, node=values.node)
        return None
    if text.text.startswith(USER):
        return read_user_filter(text.text, text.span, values, user)
    return _named(text.text, values, text.span)


def _or(values: NodeValues, given: Value) -> Filter | None:
    if given.raw in _TRUE:
        return OR
    if given.raw not in _FALSE:
        values.error("TP103", "'or' is true or false", given.span, "or = true")
    return None


def _named(name: str, values: NodeValues, span: Span) -> Filter | None:
    if name in FILTERS:
        return FILTERS[name]
    if name in _KEYED:
        return _keyed(name, values, span)
    if name in _LATER:
        message = f"filter {shown(name)} is control flow that this version does not compile"
        values.bag.error("TP290", message, span, node=values.node)
        return None
    known = [*FILTERS, *_KEYED, *_LATER]
    hint = f"did you mean '{near}'?" if (near := did_you_mean(name, known)) else near_hint(name, FILTERS)
    values.bag.error("TP215", f"unknown filter {shown(name)}", span, hint=hint, node=values.node)
    return None


def _keyed(name: str, values: NodeValues, span: Span) -> Filter | None:
    key, _ = _KEYED[name]
    value = values.find(key)
    if value is None or not isinstance(value.raw, str) or not value.raw:
        what, example = _ASKED[name]
        hint = f'add it to [{values.node}]: {key} = "{example}"'
        values.error("TP108", f"'{name}' needs the key '{key}': {what}", span, hint)
        return None
    return named_filter(name, value.raw)
