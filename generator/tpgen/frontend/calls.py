"""From a node's ``backend`` to its sequence of calls: containers are flattened, operators built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..ir.filters import RUN, SWAP, Filter, Otherwise
from ..ir.graph import Call
from ..ir.op import REGISTRY, Fork, Nothing, Op, Trait, bracket_attribute
from ..ops.unsupported import UNSUPPORTED
from ..source import Span
from .expression import Expr, ExpressionError, Text, parse_items
from .filters import item_filter
from .groups import build_model
from .keys import NodeValues, Use, build_op
from .shown import shown
from .user_files import UserCode
from .user_ops import complete, complete_module

MOST_OPERATORS = 1000
LONGEST_BACKEND = 65_536
SEQUENCES = frozenset({"Sequential", "S"})
# Containers of what runs for items that have a key, or have not: the sides of their operators.
FORKS = {"HasKey": (True, False), "NotHasKey": (False, True)}
# Containers that only decide where and when their operator runs, which Triton decides here.
WRAPPERS = {
    "SyncTensor": "CUDA streams are Triton's affair",
    "StreamGuard": "CUDA streams are Triton's affair",
    "Torch": "CUDA streams and devices are Triton's affair",
    "TorchStreamPool": "CUDA streams are Triton's affair",
    "ThreadCacher": "instances are processes here",
    "PluginCacher": "instances are processes here",
    "Forward": "hands on to its operator",
    "Composite": "hands on to its operator",
    "C": "hands on to its operator",
    "Range": "batches of `range` are cut into calls of sizes that its operator takes",
    "FakeInstance": "one instance takes every batch size of its profiles",
    "Max": "batches are cut to what its operator takes",
    "Parallel": "batches are cut to what its operator takes",
}


@dataclass(frozen=True)
class _Item:
    """An operator of the flattened sequence with the filter before it.

    ``key``: it is a fork on this key. ``arms`` are the forks around it, each with its side; ``is_implied``:
    nobody wrote it.
    """

    expr: Expr
    filter: Filter
    arms: tuple[tuple[Expr, bool], ...] = ()
    key: str | None = None
    is_implied: bool = False


def build_calls(backend: Text, first: Filter, values: NodeValues, user: UserCode) -> tuple[Call, ...] | None:
    """The calls of a node, the first behind ``first``; None if something was reported."""
    bag = values.bag
    try:
        items = list(_flatten(backend, first, values, user))
    except ExpressionError as problem:
        values.open()
        bag.error("TP110", problem.message, problem.span, node=values.node, hint=_GRAMMAR_HINT)
        return None
    if len(items) > MOST_OPERATORS:
        values.open()
        message = f"{len(items)} operators are more than the {MOST_OPERATORS} that a node can have"
        bag.error("TP206", message, items[MOST_OPERATORS].expr.span, node=values.node)
        return None
    calls: list[Call] = []
    used: dict[str, int] = {}
    is_complete = True
    forks: dict[int, str] = {}
    written = [id(item) for item in items if item.key is None and not item.is_implied]
    for item in items:
        arms = tuple((forks[id(fork)], side) for fork, side in item.arms)
        if item.key is not None:
            fork = Fork(key=item.key)
            forks[id(item.expr)] = label = _label(values.node, fork, used)
            calls.append(Call(fork, item.filter, item.expr.span, label, arms=arms))
            continue
        index = written.index(id(item)) if not item.is_implied else 0
        use = _use(item.expr, index, len(written), bag, values.node)
        if use is None:
            values.open()
        built = _build(use, values) if use else None
        if use is None or built is None:
            is_complete = False
            continue
        op, spans = built
        label = _label(values.node, op, used)
        if op.has(Trait.USER_CODE):
            read: Any = complete_module if op.has(Trait.INFERENCE) else complete
            completed = read(op, use.span, values, user)
            if completed is None:
                is_complete = False
                values.open()  # the user's code takes keys, too
                continue
            op, user.files[label] = completed
        calls.append(Call(op, item.filter, use.span, label, spans=spans, arms=arms))
    return tuple(_reachable(calls)) if is_complete else None


def _build(use: Use, values: NodeValues) -> tuple[Op, Mapping[str, Span]] | None:
    return build_model(use, values) if Trait.INFERENCE in use.cls.traits else build_op(use, values)


def _reachable(calls: list[Call]) -> Iterator[Call]:
    """The calls without those that no item ever runs, because the filter before them always says so."""
    ended: list[tuple[tuple[str, bool], ...]] = []  # the arms of whose rest no item gets to
    skipped: set[str] = set()
    for position, call in enumerate(calls):
        if any(set(arms) <= set(call.arms) for arms in ended) or not skipped.isdisjoint(dict(call.arms)):
            continue
        if not call.filter.is_constant:
            yield call
            continue
        outcomes = call.filter.outcomes
        goes_on = position > 0 and Otherwise.SKIP in outcomes
        if position == 0 or Otherwise.ERROR in outcomes or (call.arms and not goes_on):
            yield replace(call, op=Nothing(), spans={})
        if goes_on:
            skipped.add(call.label)
        else:
            ended.append(call.arms)


def _label(node: str, op: Op, used: dict[str, int]) -> str:
    used[op.name] = used.get(op.name, 0) + 1
    suffix = f"#{used[op.name]}" if used[op.name] > 1 else ""
    return f"{node}.{op.name}{suffix}"


_GRAMMAR_HINT = "a backend is a name, or a container with operators: Sequential[DecodeMat,ResizeMat]"


def _flatten(text: Text, first: Filter, values: NodeValues, user: UserCode) -> Iterator[_Item]:
    """The operators of an expression in order, each with its filter: ``first``, then swap by default."""
    if len(text.text) > LONGEST_BACKEND:
        message = f"this has {len(text.text)} characters, more than any backend needs ({LONGEST_BACKEND})"
        raise ExpressionError(message, text.cut(0, 1).span)
    expressions = parse_items(text)
    if len(expressions) > 1:
        raise ExpressionError(
            f"several operators need a container: {shown(f'Sequential[{text.text}]')}", expressions[1].span
        )
    yield from _flatten_items(expressions, first, values, user)


def _flatten_items(
    expressions: tuple[Expr, ...], first: Filter, values: NodeValues, user: UserCode
) -> Iterator[_Item]:
    for position, expr in enumerate(expressions):
        filter_ = first if position == 0 else SWAP
        if expr.filter is not None:
            filter_ = item_filter(expr.filter, position, values, user) or filter_
        if expr.name in SEQUENCES or (expr.name in WRAPPERS and expr.content is not None):
            if expr.arguments:
                message = f"'{expr.name}' takes no values; those of its operators stand behind their names"
                values.error("TP106", message, expr.arguments[0].span)
            if expr.content is None or not expr.content.text:
                raise ExpressionError(f"'{expr.name}' holds no operator", expr.span)
            values.containers.add(expr.name)
            yield from _flatten_items(parse_items(expr.content), filter_, values, user)
        elif expr.name in FORKS:
            yield from _flatten_fork(expr, filter_, values, user)
        else:
            yield _Item(expr, filter_)


def _flatten_fork(expr: Expr, filter_: Filter, values: NodeValues, user: UserCode) -> Iterator[_Item]:
    """``HasKey(key=k)[A,B]``: A for the items that have the key; for the others B, which may be left out."""
    key = _fork_key(expr, values)
    arms = parse_items(expr.content) if expr.content is not None and expr.content.text else ()
    if not 1 <= len(arms) <= 2:
        message = f"'{expr.name}' takes one operator or two: what runs, and what runs instead"
        hint_span = expr.content.span if expr.content is not None else expr.span
        raise ExpressionError(message, hint_span)
    yield _Item(expr, filter_, key=key)
    for arm, side in zip_longest(arms, FORKS[expr.name]):
        if arm is None:
            identity = Expr("Identity", expr.span, None, (), None)
            yield _Item(identity, RUN, ((expr, side),), is_implied=True)
            continue
        for item in _flatten_items((arm,), RUN, values, user):
            yield replace(item, arms=((expr, side), *item.arms))


def _fork_key(expr: Expr, values: NodeValues) -> str:
    """The key that a fork asks for: its argument, else a key of the node."""
    for argument in expr.arguments:
        if argument.key not in (None, "key"):
            message = f"unknown key {shown(argument.key or '')} for '{expr.name}'"
            values.error("TP102", message, argument.span, f"write {expr.name}(key=note)[...]")
    for argument in expr.arguments[1:]:
        values.error("TP106", f"'{expr.name}' takes one value, this is one too many", argument.span)
    found = None if expr.arguments else values.find(f"{expr.name}::key") or values.find("key")
    key = expr.arguments[0].value if expr.arguments else found.raw if found is not None else ""
    if not isinstance(key, str) or not key:
        hint = f"write it behind its name: {expr.name}(key=note)[...]"
        values.error("TP108", f"'{expr.name}' needs the key that an item has, or has not", expr.span, hint)
        return ""
    return key


def _use(expr: Expr, index: int, count: int, bag: Bag, node: str) -> Use | None:
    cls = _operator_class(expr, bag, node)
    if cls is None:
        return None
    if expr.content is not None and bracket_attribute(cls) is None:
        bag.error(
            "TP112",
            f"'{expr.name}' takes no operator in brackets",
            expr.content.span,
            hint="only containers such as Sequential[...] do",
            node=node,
        )
        return None
    content = expr.content.text if expr.content else None
    return Use(cls, expr.name, expr.span, expr.arguments, content, index, count)


def _operator_class(expr: Expr, bag: Bag, node: str) -> type[Op] | None:
    if expr.name in REGISTRY:
        return REGISTRY[expr.name]
    if expr.name in UNSUPPORTED:
        bag.error(
            "TP113",
            f"'{expr.name}' is not compiled by tpgen",
            expr.span,
            hint=UNSUPPORTED[expr.name],
            node=node,
        )
        return None
    near = did_you_mean(expr.name, [*REGISTRY, *SEQUENCES, *FORKS, *WRAPPERS])
    hint = (
        f"did you mean '{near}'?" if near else "docs/operators.md lists all; Python[module:name] is your own"
    )
    bag.error("TP101", f"unknown operator {shown(expr.name)}", expr.span, hint=hint, node=node)
    return None
