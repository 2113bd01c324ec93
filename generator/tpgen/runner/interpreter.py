"""The reference interpreter: what a pipeline means.

It runs the graph as the TOML wrote it, operator by operator, before any optimisation. Fused stages, folded
models and served repositories are checked against it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ir.filters import RESULT, Has, Otherwise
from ..ir.graph import Call, Entry, Graph, Node
from ..ir.op import Trait
from .kernels import Kernel, load_kernel


class ItemError(Exception):
    """An item that failed: the message names the node, and ``is_input`` says that the input is at fault.

    Absent with a reason (bad input, 400 on the server) or broken operator (500).
    """

    def __init__(self, message: str, *, is_input: bool) -> None:
        super().__init__(message)
        self.is_input = is_input


@dataclass
class _Walker:
    """One item on its way: its keys, and how it ended."""

    index: int
    keys: dict[str, Any]
    reason: str | None = None
    failure: str | None = None
    ended: bool = False
    left: bool = False  # it passes by what is left of its node

    @property
    def goes_on(self) -> bool:
        return not self.ended and self.failure is None


@dataclass(frozen=True)
class Interpreter:
    """A graph with its kernels loaded. Thread-safe as far as its kernels are."""

    graph: Graph
    kernels: Mapping[str, Kernel | None] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        graph: Graph,
        files: Mapping[str, Mapping[str, Path]],
        *,
        threads: int = 1,
        user: Path | None = None,
    ) -> Interpreter:
        """Load the kernels of a typed graph; ``files`` are file attributes by call label."""
        assert graph.types is not None
        kernels = {}
        for _, call in graph.calls():
            states = graph.types.before.get(call.label, {})
            types = {key: state.type for key, state in states.items() if state.type is not None}
            kernels[call.label] = load_kernel(
                call, types, files.get(call.label, {}), threads=threads, user=user
            )
        return cls(graph, kernels)

    def run(self, entry: Entry, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | ItemError]:
        """The outputs of each item (absent ones left out), or the error that it ended with.

        The items stay as they are, also where user code changes its inputs in place.
        """
        walkers = [_Walker(index, copy.deepcopy(dict(item))) for index, item in enumerate(items)]
        for name in self.graph.component(entry.root):
            self._run_node(self.graph.nodes[name], walkers)
        return [_outcome(walker, entry) for walker in walkers]

    def _run_node(self, node: Node, walkers: list[_Walker]) -> None:
        for walker in walkers:
            walker.left = False
        for position, call in enumerate(node.calls):
            ready = [walker for walker in walkers if walker.goes_on and _runs(call, position, walker)]
            if call.op.has(Trait.BATCHED):
                if ready:
                    self._run_batch(node, call, ready)
            else:
                for walker in ready:
                    self._run_one(node, call, walker)

    def _run_one(self, node: Node, call: Call, walker: _Walker) -> None:
        values = [walker.keys[key] for key in call.op.inputs()]
        kernel = self.kernels[call.label]
        try:
            if kernel is not None:
                result = kernel(*values)
            elif call.op.has(Trait.FORWARDS):
                result = values[0]
            else:
                result = ()
        except (Exception, SystemExit) as problem:  # noqa: BLE001  (kernels and user code raise anything)
            _note_problem(node, call, walker, problem)
            return
        _store(node, call, walker, result)

    def _run_batch(self, node: Node, call: Call, ready: list[_Walker]) -> None:
        kernel = self.kernels[call.label]
        assert kernel is not None
        columns = [[walker.keys[key] for walker in ready] for key in call.op.inputs()]
        try:
            results = kernel(*columns)
        except (Exception, SystemExit) as problem:  # noqa: BLE001
            if len(ready) == 1:
                _note_problem(node, call, ready[0], problem)
            else:
                for walker in ready:
                    self._run_batch(node, call, [walker])
            return
        several = len(call.op.outputs()) > 1
        for position, walker in enumerate(ready):
            values = tuple(column[position] for column in results) if several else results[position]
            _store(node, call, walker, values)


def _runs(call: Call, position: int, walker: _Walker) -> bool:
    """Apply the call's filter to the item; False if it does not run for it."""
    if walker.left:
        return False
    for check in call.filter.checks:
        is_there = check.condition.key in walker.keys
        if is_there is not isinstance(check.condition, Has):
            if check.otherwise is Otherwise.BREAK:
                walker.ended, walker.left = position == 0, position > 0
            else:
                walker.left = position == 0
            return False
    moved = {target: walker.keys[source] for source, target in call.filter.moves}
    for source, _ in call.filter.moves:
        walker.keys.pop(source, None)
    walker.keys.update(moved)
    return True


def _store(node: Node, call: Call, walker: _Walker, result: Any) -> None:
    keys = call.op.outputs()
    values = tuple(result) if len(keys) > 1 and result is not None else (result,)
    problem = next((value for value in values if _is_item_error(value)), None)
    if problem is not None:
        _note_problem(node, call, walker, problem)
        return
    if RESULT in keys:
        walker.reason = None  # whatever failed before, this operator ran
    for key in (*call.op.deletes(), *keys):
        walker.keys.pop(key, None)
    if not keys or (call.op.has(Trait.DECLINES) and all(value is None for value in values)):
        return
    walker.keys.update(zip(keys, values, strict=True))


def _is_item_error(value: object) -> bool:
    return isinstance(value, Exception) and type(value).__name__ == "ItemError"


def _note_problem(node: Node, call: Call, walker: _Walker, problem: BaseException) -> None:
    where = f"{node.location} [{node.name}] item {walker.index}: "
    if _is_item_error(problem):
        for key in (RESULT, *call.op.outputs()):
            walker.keys.pop(key, None)
        walker.reason = where + str(problem)
    else:
        walker.failure = where + f"{type(problem).__name__}: {problem}"


def _outcome(walker: _Walker, entry: Entry) -> dict[str, Any] | ItemError:
    if walker.failure is not None:
        return ItemError(walker.failure, is_input=False)
    if walker.reason is not None and RESULT not in walker.keys:
        return ItemError(walker.reason, is_input=True)
    return {port.key: walker.keys[port.key] for port in entry.outputs if port.key in walker.keys}
