"""From a node's ``backend`` to its sequence of calls: containers are flattened, operators built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..diagnostics import Bag, did_you_mean
from ..ir.filters import SWAP, Filter, Otherwise
from ..ir.graph import Call
from ..ir.op import REGISTRY, Nothing, Op, Trait, bracket_attribute
from ..ops.unsupported import UNSUPPORTED
from .expression import Expr, ExpressionError, Text, parse_items
from .filters import item_filter
from .keys import NodeValues, Use, build_op
from .shown import shown
from .user_files import UserCode
from .user_ops import complete

MOST_OPERATORS = 1000
LONGEST_BACKEND = 65_536
SEQUENCES = frozenset({"Sequential", "S"})
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
}


@dataclass(frozen=True)
class _Item:
    """An operator of the flattened sequence with the filter before it."""

    expr: Expr
    filter: Filter


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
    for index, item in enumerate(items):
        use = _use(item.expr, index, len(items), bag, values.node)
        if use is None:
            values.open()
        built = build_op(use, values) if use else None
        if use is None or built is None:
            is_complete = False
            continue
        op, spans = built
        label = _label(values.node, op, used)
        if op.has(Trait.USER_CODE):
            completed = complete(op, use.span, values, user)  # type: ignore[arg-type]  # what the trait says
            if completed is None:
                is_complete = False
                values.open()  # the user's code takes keys, too
                continue
            op, user.files[label] = completed
        calls.append(Call(op, item.filter, use.span, label, spans=spans))
    return tuple(_reachable(calls)) if is_complete else None


def _reachable(calls: list[Call]) -> Iterator[Call]:
    """The calls without those that no item ever runs, because the filter before them always says so."""
    for position, call in enumerate(calls):
        if not call.filter.is_constant:
            yield call
            continue
        outcomes = call.filter.outcomes
        if position == 0 or Otherwise.ERROR in outcomes:
            yield replace(call, op=Nothing(), spans={})
        if position == 0 or Otherwise.SKIP not in outcomes:
            return  # what comes behind is never reached, either


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
            yield from _flatten_items(parse_items(expr.content), filter_, values, user)
        else:
            yield _Item(expr, filter_)


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
    near = did_you_mean(expr.name, [*REGISTRY, *SEQUENCES, *WRAPPERS])
    hint = (
        f"did you mean '{near}'?" if near else "docs/operators.md lists all; Python[module:name] is your own"
    )
    bag.error("TP101", f"unknown operator {shown(expr.name)}", expr.span, hint=hint, node=node)
    return None
