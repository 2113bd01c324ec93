"""Finds images that are normalised twice because two operators took their ``mean`` from one key."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Bag
from ..ir.graph import Call, Graph
from ..ir.op import Trait
from .spelling import written_name

_KEYS = ("mean", "std")


def warn_of_doubled_normalisation(graph: Graph, bag: Bag) -> None:
    """Warn where an operator and one behind it read the same ``mean`` or ``std`` of the TOML.

    Two models of different nodes may: a global value that holds for the detector and the recogniser.
    """
    for first, second in _successive(graph):
        shared = [key for key in _KEYS if _is_shared(key, first, second)]
        if not shared:
            continue
        one, other = written_name(first), written_name(second)
        what = " and ".join(f"'{key}'" for key in shared)
        named = f'"{one}::{shared[0]}" = …' if one != other else f"{one}({shared[0]}=…)"
        named += f' or "{other}::{shared[0]}" = …' if one != other else " in the backend"
        bag.warning(
            "TP309",
            f"{one} and {other} both take {what} from here, so the image is normalised twice",
            first.spans[shared[0]],
            hint=f"say which of them it is for: {named}; a model without the key does not normalise",
            node=graph.title(second.node),
        )


def _is_shared(key: str, first: Call, second: Call) -> bool:
    """True if one text is the value for both; ``a|b`` holds one for each."""
    span = first.spans.get(key)
    return span is not None and span == second.spans.get(key) and "|" not in span.text


def _successive(graph: Graph) -> Iterator[tuple[Call, Call]]:
    """Pairs of normalising calls of which the second stands behind the first."""
    for name, node in graph.nodes.items():
        calls = [call for call in node.calls if _normalises(call)]
        for position, first in enumerate(calls):
            for second in calls[position + 1 :]:
                yield first, second
            behind = (graph.nodes[other] for other in graph.component(name) if other != name)
            for second in (call for other in behind for call in other.calls if _normalises(call)):
                if not first.op.has(Trait.INFERENCE):
                    yield first, second


def _normalises(call: Call) -> bool:
    return any(key in call.spans for key in _KEYS)
