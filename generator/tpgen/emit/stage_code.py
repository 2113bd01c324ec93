"""The Python code of a stage, from its part of the graph: statements here, layout in the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from pathlib import PurePosixPath
from typing import Any

from ..ir.filters import DATA, OR, RESULT, RUN, SWAP, Check, Filter, Has
from ..ir.graph import Call, Graph, Node, Stage
from ..ir.op import Trait, attributes_of
from ..types import State, Type
from .names import Identifiers, literal
from .render import render_python
from .wire_form import port_code

_RESERVED = frozenset({"pipeline", "inputs", "outputs", "nodes", "load", "run", "process"})
LINE = 100
BODY = 8  # the indentation of a method's statements
ASSIGNED = 20  # about what stands in front of a value that is assigned


@dataclass(frozen=True)
class NodeView:
    """A node in the template: its attribute, its place, and its statements in ``run``."""

    attribute: str
    name: str
    where: str
    comment: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class LoadView:
    """Something that is constructed at load."""

    attribute: str
    comment: str
    code: str


@dataclass(frozen=True)
class FunctionView:
    """A method that takes one item through consecutive operators."""

    name: str
    lines: tuple[str, ...]


@dataclass
class StageCode:
    """Builds the code of one stage. ``files`` gives the vendored path of each file attribute."""

    graph: Graph
    stage: Stage
    version: str
    files: Mapping[tuple[str, str], str]  # (call label, attribute) -> path inside the version directory
    max_pixels: int
    modules: set[str] = field(default_factory=set)
    packages: dict[str, str] = field(default_factory=dict)  # modules from outside, with their requirement
    loads: list[LoadView] = field(default_factory=list)
    functions: list[FunctionView] = field(default_factory=list)
    filters: set[str] = field(default_factory=set)  # names from the runtime's filters

    def __post_init__(self) -> None:
        self.identifiers = Identifiers(_RESERVED)

    def text(self) -> str:
        """The formatted source of ``stage.py``."""
        nodes = [self._node(index, self.graph.nodes[name]) for index, name in enumerate(self.stage.nodes)]
        inputs = [port_code(port, max_pixels=self.max_pixels) for port in self.stage.inputs]
        outputs = [port_code(port) for port in self.stage.outputs]
        return render_python(
            "stage.py.j2",
            stage=self.stage.name,
            pipeline=self.stage.entry,
            version=self.version,
            source=safe_name(self.graph.source.path),
            overview=_overview(self.stage),
            imports=self._imports([*inputs, *outputs]),
            inputs=sequence(inputs, 4),
            outputs=sequence(outputs, 4),
            nodes=nodes,
            node_tuple=sequence([f"self.{node.attribute}" for node in nodes], 8),
            loads=self.loads,
            functions=self.functions,
        )

    def _imports(self, ports: Sequence[str]) -> list[str]:
        ports_used = sorted({word for port in ports for word in _PORT_CLASSES if f"{word}(" in port})
        lines = [f"import {module}" for module in sorted(self.packages)]
        if lines:
            lines.append("")
        if self.modules:
            lines.append(f"from tpgen_runtime import {', '.join(sorted(self.modules))}")
        if self.filters:
            lines.append(f"from tpgen_runtime.filters import {', '.join(sorted(self.filters))}")
        lines.append("from tpgen_runtime.stage import Node, Stage")
        lines.append(f"from tpgen_runtime.wire import {', '.join(ports_used)}")
        return lines

    def _node(self, index: int, node: Node) -> NodeView:
        attribute = self.identifiers.make(node.name)
        lines = self._entering(attribute, node, first=index == 0)
        filtered = self._has_filters(node)
        for position, calls in _segments(node, alone=filtered):
            filter_ = calls[0].filter if position > 0 else RUN
            if calls[0].op.has(Trait.BATCHED):
                lines += self._together(attribute, calls, filter_)
            elif filtered:
                lines += self._each(attribute, calls, filter_)
            else:
                lines += self._each(attribute, calls, RUN, swaps=filter_ == SWAP)
        comment = f"{node.location} [{node.name}] {node.backend}"
        return NodeView(attribute, node.name, node.location, one_line(comment, LINE - 10), tuple(lines))

    def _has_filters(self, node: Node) -> bool:
        """True if an operator may run for items without a ``result``, or leave an older one where it is."""
        first, *others = node.calls
        is_result_there = RESULT in self._states(first) and bool(others)
        return is_result_there or any(call.filter != SWAP for call in others)

    def _entering(self, attribute: str, node: Node, *, first: bool) -> list[str]:
        """The statement by which items enter a node."""
        filter_ = node.calls[0].filter
        if first and self.stage.takes_over:
            return [f"items = self.{attribute}.take_over(items, {literal(DATA)})"]
        if filter_ == SWAP:
            return [f"items = self.{attribute}.take_over(items)"]
        if filter_ == RUN:
            return [f"items = self.{attribute}.start(items)"]
        return broken_call(f"items = self.{attribute}.enter", ["items", self._filter(filter_)], BODY)

    def _filter(self, filter_: Filter) -> str:
        """The expression of a filter."""
        if filter_ in _NAMED_FILTERS:
            self.filters.add(_NAMED_FILTERS[filter_])
            return _NAMED_FILTERS[filter_]
        checks = [self._check(check) for check in filter_.checks]
        moves = [f"moves={literal(filter_.moves)}"] if filter_.moves else []
        self.filters.add("Filter")
        return f"Filter({', '.join([*checks, *moves])})"

    def _check(self, check: Check) -> str:
        condition = "has" if isinstance(check.condition, Has) else "lacks"
        self.filters |= {condition, check.otherwise.name}
        return f"{condition}({literal(check.condition.key)}, {check.otherwise.name})"

    def _together(self, attribute: str, calls: Sequence[Call], filter_: Filter) -> list[str]:
        (call,) = calls
        reads, writes = (literal(tuple(keys)) for keys in (call.op.inputs(), call.op.outputs()))
        arguments = ["items", self._kernel(call), reads, writes, *self._filter_argument(filter_)]
        return broken_call(f"items = self.{attribute}.together", arguments, BODY)

    def _filter_argument(self, filter_: Filter) -> list[str]:
        return [] if filter_ == RUN else [f"when={self._filter(filter_)}"]

    def _each(
        self, attribute: str, calls: Sequence[Call], filter_: Filter, *, swaps: bool = False
    ) -> list[str]:
        name = self.identifiers.make(f"_{attribute}")
        lines: list[str] = []
        if swaps:
            lines += [f'if "{RESULT}" not in item:', "    return"]
            lines.append(f'item["{DATA}"] = item.pop("{RESULT}")')
        if self._makes_up_for_failures(calls[0]):
            lines.append("item.reason = None  # whatever failed before, this operator runs")
        for call, after in zip_longest(calls, calls[1:]):
            lines += self._statement(call, swapped=after is not None and after.filter == SWAP)
        self.functions.append(FunctionView(name, tuple(lines or ["pass"])))
        stale = self._stale(calls[-1])
        arguments = ["items", f"self.{name}", *([literal(stale)] if stale else [])]
        arguments += self._filter_argument(filter_)
        return broken_call(f"items = self.{attribute}.each", arguments, BODY)

    def _makes_up_for_failures(self, call: Call) -> bool:
        """True if the call also runs for items that failed, and writes a new ``result``."""
        before = self._states(call).get(RESULT)
        return RESULT in call.op.outputs() and before is not None and before.failed

    def _stale(self, call: Call) -> tuple[str, ...]:
        """The keys that a failure of the call takes away, besides ``result``."""
        if not call.op.has(Trait.FAILS):
            return ()
        return tuple(key for key in call.op.outputs() if key != RESULT and key in self._states(call))

    def _statement(self, call: Call, *, swapped: bool) -> list[str]:
        """The code of one call; ``swapped``: the next call takes the result over as ``data``."""
        op = call.op
        targets = [DATA if swapped and key == RESULT else key for key in op.outputs()]
        assigned = [
            "_" if swapped and key == DATA and RESULT in op.outputs() else f"item[{literal(target)}]"
            for key, target in zip(op.outputs(), targets, strict=True)
        ]
        gone = [key for key in op.deletes() if key not in targets]
        if op.has(Trait.DECLINES):  # without an answer, none may stand from before
            gone += [key for key in op.outputs() if key in self._states(call)]
        lines = [f"item.pop({literal(key)}, None)" for key in gone]
        if op.has(Trait.FORWARDS):
            forwarded = f"item[{literal(op.inputs()[0])}]"
            return [] if assigned == [forwarded] else [*lines, *assignment(assigned, [forwarded], BODY)]
        if not op.kernel:
            return lines
        code = self._call_code(call)
        if not targets:
            return [*code, *lines]
        if not op.has(Trait.DECLINES):
            return [*assignment(assigned, code, BODY), *lines]
        return [
            f"value = {code[0]}",
            *code[1:],
            *lines,
            "if value is None:",
            "    return",
            *assignment(assigned, ["value"], BODY),
        ]

    def _call_code(self, call: Call) -> list[str]:
        """The kernel's call as lines; a long one is broken, one argument a line."""
        values = [f"item[{literal(key)}]" for key in call.op.inputs()]
        arguments = [] if call.op.has(Trait.STATEFUL) else self._arguments(call)
        return broken_call(self._kernel(call), [*values, *arguments], BODY + ASSIGNED)

    def _kernel(self, call: Call) -> str:
        """The expression of the kernel: a function, or what was constructed at load."""
        module, _, name = call.op.kernel.partition(":")
        if "." in module:
            self.packages[module] = call.op.requirement
        else:
            self.modules.add(module)
        if not call.op.has(Trait.STATEFUL):
            return f"{module}.{name}"
        role = call.op.role()
        attribute = self.identifiers.make(f"{call.node}_{role if role != call.node else 'kernel'}")
        arguments = self._arguments(call)
        if call.op.has(Trait.THREADED):
            arguments.append("threads=context.threads")
        if call.op.has(Trait.USER_CODE):
            arguments.insert(0, 'directory=context.path("user")')
        code = "\n        ".join(broken_call(f"{module}.{name}", arguments, BODY + ASSIGNED))
        self.loads.append(LoadView(attribute, f"{self._where(call)} {one_line(call.label, 80)}", code))
        return f"self.{attribute}"

    def _where(self, call: Call) -> str:
        """The place of an operator for a comment: the file's base name and the line."""
        return f"{safe_name(call.span.file.path)}:{call.span.line}"

    def _arguments(self, call: Call) -> list[str]:
        found = call.op.kernel_arguments(self._types(call))
        files = {f.name for f in attributes_of(type(call.op)) if f.declared.file}
        return [f"{name}={self._value(call, name, value, name in files)}" for name, value in found.items()]

    def _value(self, call: Call, name: str, value: Any, is_file: bool) -> str:
        path = self.files.get((call.label, name)) if is_file else None
        return f"context.path({literal(path)})" if path else literal(value)

    def _states(self, call: Call) -> Mapping[str, State]:
        assert self.graph.types is not None
        return self.graph.types.before[call.label]

    def _types(self, call: Call) -> dict[str, Type]:
        return {key: state.type for key, state in self._states(call).items() if state.type is not None}


_NAMED_FILTERS = {SWAP: "SWAP", OR: "OR"}
_PORT_CLASSES = ("Array", "Bytes", "List", "Text")


def _segments(node: Node, *, alone: bool) -> Iterator[tuple[int, list[Call]]]:
    """The node's calls in groups that take an item through in one go, each with its position.

    Operators that work on lists stand alone; ``alone``: all do.
    """
    position = 0
    for batched, group in groupby(node.calls, key=lambda call: call.op.has(Trait.BATCHED)):
        calls = list(group)
        for segment in [[call] for call in calls] if batched or alone else [calls]:
            yield position, segment
            position += len(segment)


def _overview(stage: Stage) -> str:
    rest = f" ... ({len(stage.nodes)} nodes)" if len(stage.nodes) > 6 else ""
    return "    " + " -> ".join(stage.nodes[:6]) + rest


def sequence(items: Sequence[str], indent: int) -> str:
    """A tuple display; one item a line if it is long."""
    flat = ", ".join(items) + ("," if len(items) == 1 else "")
    if len(flat) + indent + 12 <= LINE:
        return f"({flat})"
    pad = " " * (indent + 4)
    return "(\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + ")"


def broken_call(function: str, arguments: Sequence[str], before: int) -> list[str]:
    """A call as one line, or one argument a line if that is long; ``before``: characters in front of it."""
    flat = f"{function}({', '.join(arguments)})"
    if before + len(flat) <= LINE:
        return [flat]
    return [f"{function}(", *(f"    {argument}," for argument in arguments), ")"]


def safe_name(path: str) -> str:
    """A file's base name for comments and docstrings: what is not plain is replaced."""
    name = PurePosixPath(path).name
    return one_line("".join(c if c.isalnum() or c in "._- " else "_" for c in name), 60)


def assignment(targets: Sequence[str], value: Sequence[str], indent: int) -> list[str]:
    """An assignment of a value, given as lines; one target a line if there are too many for one."""
    first = ", ".join(targets)
    if len(targets) < 2 or len(first) + len(" = ") + len(value[0]) + indent <= LINE:
        return [f"{first} = {value[0]}", *value[1:]]
    return ["(", *(f"    {target}," for target in targets), f") = {value[0]}", *value[1:]]


def one_line(text: str, width: int) -> str:
    """User text for a comment: printable, on one line, cut to a width."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return flat if len(flat) <= width else flat[: width - 3] + "..."
