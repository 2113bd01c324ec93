"""The reference interpreter: what a pipeline means.

It runs the graph as the TOML wrote it, operator by operator, before any optimisation. Fused stages, folded
models and served repositories are checked against it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..ir.filters import RESULT, RUNS, SWAPS, TO_DATA, Otherwise
from ..ir.graph import Call, Entry, Graph, Node, sent
from ..ir.op import Trait
from ..passes.looks import default_look, gives, look, tagged_writers, takes
from ..types import Array, ListOf, Type, varying
from .decisions import default_value, status_of, wants
from .kernels import Asked, Kernel, answered, broken, load_kernel, load_verdict, looking, tag_of, tagged
from .restarts import run_again
from .walkers import Keys, Walker

_REFUSALS = ("ItemError", "ItemsError", "UnknownStatus")  # errors by which an item fails, not an operator


class ItemError(Exception):
    """An item that failed: the message names the node, and ``is_input`` says that the input is at fault.

    ``place`` is the innermost line of user code that raised it, ``ops.py:12 in find``, if some did.
    Absent with a reason (bad input, 400 on the server) or broken operator (500).
    """

    def __init__(self, message: str, *, is_input: bool, place: str = "") -> None:
        super().__init__(message)
        self.is_input = is_input
        self.place = place


class ItemsError(Exception):
    """A list that is too long; to the item what a kernel's own ``ItemError`` is."""

    def __init__(self, found: int, most: int) -> None:
        super().__init__(f"{found} elements are more than max_items = {most}")


@dataclass(frozen=True)
class Interpreter:
    """A graph with its kernels loaded. Thread-safe as far as its kernels are."""

    graph: Graph
    kernels: Mapping[str, Kernel | None] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)  # the users' functions of filters, by call
    tagging: frozenset[str] = frozenset()  # the calls and inputs whose images say their layout and colour

    @classmethod
    def load(
        cls,
        graph: Graph,
        files: Mapping[str, Mapping[str, Path]],
        *,
        threads: int = 1,
        user: Path | None = None,
        instead: Mapping[str, Kernel] = MappingProxyType({}),
    ) -> Interpreter:
        """Load the kernels of a typed graph; ``files`` are file attributes by call label.

        ``instead`` are kernels that stand in for those of calls, by label.
        """
        assert graph.types is not None
        kernels = {}
        asked = {}
        tagging = tagged_writers(graph)
        for _, call in graph.calls():
            function = load_verdict(call.filter.verdict, user)
            if function is not None:
                asked[call.label] = function
            if call.label not in graph.types.before:  # no item gets there
                continue
            types = graph.types.read_by(call.label)
            kernel = instead.get(call.label) or load_kernel(
                call, types, files.get(call.label, {}), threads=threads, user=user
            )
            looks = takes(graph, call), gives(graph, call, tagging)
            kernels[call.label] = looking(kernel, *looks, batched=call.op.has(Trait.BATCHED))
        return cls(graph, kernels, asked, tagging)

    def run(self, entry: Entry, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | ItemError]:
        """The outputs of each item (absent ones left out), or the error that it ended with.

        The items stay as they are, also where user code changes its inputs in place.
        """
        walkers = [
            Walker(f"item {index}", Keys(self._given(entry, item))) for index, item in enumerate(items)
        ]
        self._run_component(entry.root, walkers)
        if entry.root in self.graph.loops:
            run_again(self.graph.loops[entry.root], walkers, self._run_component)
        return [_outcome(self.graph, walker, entry) for walker in walkers]

    def _given(self, entry: Entry, item: Mapping[str, Any]) -> dict[str, Any]:
        values = copy.deepcopy(dict(item))
        for port in entry.inputs:
            if port.key in values and sent(port.key) in self.tagging:
                values[port.key] = _tagged(values[port.key], port.type)
        return values

    def _run_component(self, root: str, walkers: list[Walker]) -> None:
        leaves = self.graph.leaves_behind(root)
        for name in self.graph.component(root):
            node = self.graph.nodes[name]
            on_the_way = [w for w in walkers if w.failure is None and not leaves[name] <= w.answers.keys()]
            for walker in on_the_way:
                walker.here = walker.start if name == root else self._arriving(node, walker)
                walker.came = walker.here.copy()
                walker.here.left, walker.here.goes_on = name in walker.here.passes_by, 0
                if not walker.here.left:
                    walker.here.passes_by = frozenset()
            self._run_node(node, on_the_way, leaves[name])
            for walker in on_the_way:
                walker.behind[name] = walker.here
                if not node.next:
                    walker.answers.setdefault(name, walker.here)
        for walker in walkers:  # the first leaf's reason counts, however early others were answered
            found = walker.answers
            walker.answers = {leaf: found[leaf] for leaf in self.graph.leaves(root) if leaf in found}

    def _arriving(self, node: Node, walker: Walker) -> Keys:
        before = [walker.behind[name] for name in self.graph.predecessors()[node.name]]
        if not node.map or node.name in before[0].passes_by:
            return before[0].copy()
        made = Keys({})
        for one in node.map:
            source = walker.behind[one.node]
            if one.source in source.values:
                made.values[one.target] = source.values[one.source]
            else:
                made.reason = made.reason or source.reason
        return made

    def _run_node(self, node: Node, walkers: list[Walker], leaves: frozenset[str]) -> None:
        for position, call in enumerate(node.calls):
            ready = [
                walker
                for walker in walkers
                if walker.failure is None
                and not leaves <= walker.answers.keys()
                and self._runs(node, call, position, walker, leaves)
            ]
            if call.fork is not None:
                for walker in ready:
                    walker.here.goes_on = node.following(position, side=call.fork in walker.here.values)
                continue
            if call.jump is not None:
                self._run_graph(node, call, ready)
            elif call.op.has(Trait.BATCHED):
                if ready:
                    self._run_batch(node, call, ready)
            else:
                for walker in ready:
                    self._run_one(node, call, walker)
            for walker in ready:
                walker.here.goes_on = node.following(position)

    def _run_graph(self, node: Node, call: Call, walkers: list[Walker]) -> None:
        """Run a sub-graph: on each element of a list (``MapReduce``), or on the item itself (``Jump``)."""
        assert call.jump is not None
        op: Any = call.op
        running: list[Walker] = []
        parts: list[list[Walker]] = []
        for walker in walkers:
            if not call.op.writes:
                running.append(walker)
                parts.append([Walker(walker.label, walker.here.copy())])
                continue
            elements = walker.here.values[op.element]
            if not _is_list(elements):
                self._note_problem(node, call, walker, TypeError(f"'{op.element}' is no list"))
                continue
            if len(elements) > op.max_items:
                self._note_problem(node, call, walker, ItemsError(len(elements), op.max_items))
                continue
            running.append(walker)
            parts.append(
                [
                    Walker(
                        f"{walker.label}, [{node.title}] element {number}",
                        Keys({**walker.here.values, op.element: element}),
                    )
                    for number, element in enumerate(elements)
                ]
            )
        self._run_component(call.jump, [one for part in parts for one in part])
        (leaf,) = self.graph.leaves(call.jump)
        for walker, part in zip(running, parts, strict=True):
            failure = next((one.failure for one in part if one.failure is not None), None)
            if failure is not None:
                self._fail(node, walker, failure)
                continue
            if not call.op.writes:
                end = part[0].answers[leaf]
                walker.here = Keys(dict(end.values), end.reason)
                if part[0].reason is not None:
                    self._decline(node, call, walker, part[0].reason)
                continue
            reason = next((one.reason for one in part if one.reason is not None), None)
            if reason is not None:
                self._decline(node, call, walker, reason)
                continue
            rows = [one.answers[leaf].values for one in part]
            if op.drop_absent:
                rows = [row for row in rows if all(key in row for key in op.merge)]
            walker.here.reason = None if RESULT in op.merge else walker.here.reason
            walker.here.values.update({key: [row[key] for row in rows] for key in op.merge})

    def _run_one(self, node: Node, call: Call, walker: Walker) -> None:
        values = [walker.here.values[key] for key in call.op.inputs()]
        kernel = self.kernels[call.label]
        try:
            if kernel is not None:
                result = kernel(*values)
            elif call.op.has(Trait.FORWARDS):
                result = values[0]
            else:
                result = ()
        except (Exception, SystemExit) as problem:  # noqa: BLE001  (kernels and user code raise anything)
            self._note_problem(node, call, walker, problem)
            return
        self._store(node, call, walker, result)

    def _run_batch(self, node: Node, call: Call, ready: list[Walker]) -> None:
        kernel = self.kernels[call.label]
        assert kernel is not None
        columns = [[walker.here.values[key] for walker in ready] for key in call.op.inputs()]
        try:
            results = kernel(*columns)
        except (Exception, SystemExit) as problem:  # noqa: BLE001
            if len(ready) == 1:
                self._note_problem(node, call, ready[0], problem)
            else:
                for walker in ready:
                    self._run_batch(node, call, [walker])
            return
        several = len(call.op.outputs()) > 1
        for position, walker in enumerate(ready):
            values = tuple(column[position] for column in results) if several else results[position]
            self._store(node, call, walker, values)

    def _store(self, node: Node, call: Call, walker: Walker, result: Any) -> None:
        keys = call.op.outputs()
        values = tuple(result) if len(keys) > 1 and result is not None else (result,)
        problem = next((value for value in values if _is_item_error(value)), None)
        if problem is not None:
            self._note_problem(node, call, walker, problem)
            return
        if RESULT in keys:
            walker.here.reason = None  # whatever failed before, this operator ran
        for key in (*call.op.deletes(), *keys):
            walker.here.values.pop(key, None)
        if not keys or (call.op.has(Trait.DECLINES) and all(value is None for value in values)):
            return
        walker.here.values.update(zip(keys, values, strict=True))

    def _note_problem(self, node: Node, call: Call, walker: Walker, problem: BaseException) -> None:
        where = f"{node.location} [{node.title}] {walker.label}: "
        if _is_item_error(problem):
            self._decline(node, call, walker, where + str(problem))
        else:
            self._fail(node, walker, broken(where + f"{type(problem).__name__}: {problem}"))

    def _decline(self, node: Node, call: Call, walker: Walker, reason: str) -> None:
        """A call could not work on the item: what it writes is absent, with a reason."""
        if node.on_error is not None:
            self._recover(node, walker)
            return
        for key in (RESULT, *call.op.outputs()):
            walker.here.values.pop(key, None)
        walker.here.reason = reason

    def _fail(self, node: Node, walker: Walker, failure: str) -> None:
        """An operator broke on an item."""
        if node.on_error is not None:
            self._recover(node, walker)
        else:
            walker.failure = failure

    def _recover(self, node: Node, walker: Walker) -> None:
        """The item goes on as it came to the node, with a default result if there is one."""
        walker.here = walker.came.copy()
        walker.here.left = True
        assert node.on_error is not None
        if node.on_error.has_default:
            walker.here.values[RESULT] = self._default(node)
            walker.here.reason = None

    def _default(self, node: Node) -> Any:
        assert node.on_error is not None
        assert self.graph.types is not None
        value = default_value(node.on_error.default, self.graph.types.results[node.name])
        default = default_look(self.graph, node, self.tagging)
        return value if default is None else tagged(value, default)

    def _runs(self, node: Node, call: Call, position: int, walker: Walker, leaves: frozenset[str]) -> bool:
        """Apply the call's filter to the item; False if it does not run for it."""
        keys = walker.here
        if keys.left or keys.goes_on > position:
            return False
        where = f"{node.location} [{node.title}] {walker.label}: "
        said = f"refused by filter '{call.filter}'"
        try:
            status = status_of(call.filter, keys.values, self.asked.get(call.label))
        except (Exception, SystemExit) as problem:  # noqa: BLE001  (the function of a user's filter)
            if not _is_item_error(problem):
                walker.failure = broken(where + f"{type(problem).__name__}: {problem}")
                return False
            status, said = Otherwise.ERROR.value, str(problem)
        if status in (RUNS, SWAPS):
            moves = call.filter.moves if status == RUNS else TO_DATA
            moved = {target: keys.values[source] for source, target in moves}
            for source, _ in moves:
                keys.values.pop(source, None)
            keys.values.update(moved)
            return True
        otherwise = Otherwise(status)
        if otherwise is Otherwise.ERROR:
            if not keys.reason or RESULT in keys.values or not wants(call.filter, keys.values):
                keys.reason = where + said
            keys.values.clear()
        if otherwise is Otherwise.ERROR or (otherwise is Otherwise.BREAK and position == 0):
            for leaf in leaves:
                walker.answers.setdefault(leaf, keys)
        elif position == 0:
            keys.left = True
            keys.passes_by = frozenset(self.graph.passed_by(node.name, otherwise))
        else:
            keys.left = otherwise is not Otherwise.SKIP
            keys.goes_on = node.following(position)
        return False


def _tagged(value: Any, type_: Type) -> Any:
    """A client's image, or list of images, that says what it is."""
    if isinstance(type_, ListOf):
        return [_tagged(element, type_.item) for element in value]
    return tagged(value, look(type_)) if isinstance(type_, Array) else value


def _is_list(value: object) -> bool:
    """True for what has elements; code without types may leave anything."""
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0


def _is_item_error(value: object) -> bool:
    return isinstance(value, Exception) and type(value).__name__ in _REFUSALS


def _outcome(graph: Graph, walker: Walker, entry: Entry) -> dict[str, Any] | ItemError:
    if walker.failure is not None:
        return ItemError(walker.failure, is_input=False, place=getattr(walker.failure, "place", ""))
    if walker.reason is not None:
        return ItemError(walker.reason, is_input=True)
    prefixed = len(walker.answers) > 1
    values = {
        f"{graph.title(leaf)}.{key}" if prefixed else key: value
        for leaf, keys in walker.answers.items()
        for key, value in keys.values.items()
    }
    found: dict[str, Any] = {}
    for port in entry.outputs:
        if port.key in values:
            found[port.key] = answered(values[port.key], port.type)
            if varying(port.type):
                found[f"{port.key}_tag"] = tag_of(found[port.key])
    return found
