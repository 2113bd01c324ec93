"""What is said of calls that no item gets to."""

from __future__ import annotations

from ..diagnostics import Bag
from ..ir.filters import DATA, RESULT, SWAP, key_of
from ..ir.graph import Call, Node
from ..ir.op import Nothing, Trait


def may_be_missed(call: Call) -> bool:
    """True if nothing is lost with a call that no item gets to."""
    return call.op.has(Trait.NEUTRAL) or isinstance(call.op, Nothing)


def report_missed(node: Node, call: Call, bag: Bag) -> None:
    """TP208 for a call that stands on a way which no item takes."""
    fork, side = call.arms[-1] if call.arms else ("", True)
    key = next((one.fork for one in node.calls if one.label == fork), None)
    why = f"'{key}' is {'never' if side else 'always'} there" if key else "no item gets there"
    message = f"'{call.op.name}' never runs: {why}"
    bag.error("TP208", message, call.span, hint="take the operator away", node=node.title)


def report_never_runs(node: Node, call: Call, bag: Bag, *, was_asked: bool) -> None:
    """TP208 for a call whose filter lets no item run; ``was_asked``: its status or function says so."""
    if call.filter == SWAP:
        why = f"what stands before it leaves no '{RESULT}'"
        hint = f"an operator takes over the '{RESULT}' of the one before it as '{DATA}'"
    else:
        conditions = " and ".join(str(check.condition) for check in call.filter.checks)
        why = f"its filter '{call.filter}' " + ("never says so" if was_asked else f"asks that {conditions}")
        hint = "take the filter away, or the operator"
    asks_for_result = RESULT in (call.filter.verdict.keys if call.filter.verdict else ()) or any(
        key_of(check.condition) == RESULT for check in call.filter.checks
    )
    if node.map and call is node.calls[0] and asks_for_result:
        why = f"the map of its node brings no '{RESULT}', which its filter '{call.filter}' asks for"
        hint = f"map a key to '{RESULT}', let the filter read '{DATA}', or leave it out"
    bag.error("TP208", f"'{call.op.name}' never runs: {why}", call.span, hint=hint, node=node.title)
