"""Which constructs of the control-flow grammar occur in a pipeline, and what its items met: for counting."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from equivalence import Outcome
from random_pipelines import Pipeline
from tpgen.runner.interpreter import ItemError

# All that the random graphs have to hold now and then, or they would no longer say much.
EXPECTED = frozenset(
    {
        *("fan-out", "fan-in", "several leaves", "several entries", "loop"),
        *("context", "logical node", "borrow_from"),
        *("map", "map from further up", "map with a new name"),
        *(f"node filter {name}" for name in ("Run", "or", "or = true", "else", "swap", "filter", "if")),
        *(f"node filter {name}" for name in ("Skip", "SerialSkip", "SubGraphSkip", "Break", "Error")),
        *(f"node filter {name}" for name in ("Target", "IsKeyExistFilter", "IsOtherExistFilter")),
        *(f"node filter {name}" for name in ("result2other", "result2key_1", "Python")),
        *(f"item filter {name}" for name in ("Run", "or", "else", "filter", "if", "result2other", "Python")),
        *(f"item filter {name}" for name in ("Skip", "SerialSkip", "SubGraphSkip", "Break", "Error", "swap")),
        *("HasKey", "NotHasKey", "Jump", "MapReduce", "split", "merge", "drop_absent", "call in a call"),
        *("instance groups", "profiles", "force_range", "range"),
        *("max_items", "retry", "on_error skip", "on_error with a value"),
        *("some items end quietly", "some items fail", "some items fail, some end quietly, some do not"),
    }
)
_CONTAINERS = ("NotHasKey", "HasKey", "Jump", "MapReduce")
_ITEM_FILTER = re.compile(r"[\[,]\((\w+)[\w:]*(?:\[[^\]]*\])?\)")


def occurring(made: Pipeline, outcomes: Sequence[Outcome]) -> set[str]:
    """The constructs of one pipeline, and whether its items went different ways."""
    tables = {key: value for key, value in tomllib.loads(made.text).items() if isinstance(value, dict)}
    head = tables.pop("pipeline", {})
    nodes = _flat(tables)
    found = set(_of_graph(nodes)) | set(_of_items(outcomes))
    for node in nodes.values():
        found.update(_of_node(node))
    if len(made.compiled.graph.entries) > 1 or "entries" in head:
        found.add("several entries")
    if made.compiled.graph.loops:
        found.add("loop")
    return found


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """The nodes by name; a dot in one is a table within a table."""
    found: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        own = {key: value for key, value in table.items() if not isinstance(value, dict)}
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        if own:
            found[prefix + name] = own
        found.update(_flat(inner, f"{prefix}{name}."))
    return found


def _of_graph(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    followers = {name: _listed(node.get("next", "")) for name, node in nodes.items()}
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for name, next_ in followers.items():
        for follower in next_:
            before.setdefault(follower, []).append(name)
    called = {jump for node in nodes.values() for jump in _listed(node.get("jump", ""))}
    inside = _reached(called, followers)
    if any(len(next_) > 1 for next_ in followers.values()):
        yield "fan-out"
    if any(len(sources) > 1 for sources in before.values()):
        yield "fan-in"
    if sum(not next_ for name, next_ in followers.items() if name not in inside) > 1:
        yield "several leaves"
    if any("jump" in nodes.get(name, {}) for name in inside):
        yield "call in a call"
    for name, node in nodes.items():
        sources = re.findall(r"([\w.-]+)\[", node.get("map", ""))
        if any(source not in before[name] for source in sources):
            yield "map from further up"


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _reached(starts: set[str], followers: Mapping[str, Sequence[str]]) -> set[str]:
    waiting, seen = list(starts), set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += followers.get(name, ())
    return seen


def _of_node(node: Mapping[str, Any]) -> Iterator[str]:
    backend = node.get("backend", "")
    if not backend:
        yield "borrow_from" if "borrow_from" in node else "logical node"
    yield from (f"item filter {name}" for name in _ITEM_FILTER.findall(backend))
    yield from (name for name in _CONTAINERS if re.search(rf"\b{name}\b", backend))
    yield from (key for key in ("split", "merge", "drop_absent", "retry", "max_items", "map") if key in node)
    yield from (key for key in ("force_range", "range") if key in node)
    if "&" in str(node.get("max")):
        yield "instance groups"
    if ";" in str(node.get("max")):
        yield "profiles"
    if "filter" in node:
        yield f"node filter {node['filter'].partition('[')[0]}"
    if "or" in node:
        yield "node filter or = true"
    if "remembered" in backend:
        yield "context"
    if "on_error" in node:
        yield "on_error skip" if node["on_error"] == "skip" else "on_error with a value"
    if any(source != target for source, target in re.findall(r"(\w+):(\w+)", node.get("map", ""))):
        yield "map with a new name"


def _of_items(outcomes: Sequence[Outcome]) -> Iterator[str]:
    kinds = Counter("fail" if isinstance(one, ItemError) else "end" if not one else "" for one in outcomes)
    if kinds["end"]:
        yield "some items end quietly"
    if kinds["fail"]:
        yield "some items fail"
    if len(kinds) == 3:
        yield "some items fail, some end quietly, some do not"
