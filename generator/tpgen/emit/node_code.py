"""The statements that take items through the operators of one node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Any

from ..ir.filters import (
    DATA,
    RESULT,
    RUN,
    SWAP,
    Filter,
)
from ..ir.graph import Call, Node
from ..ir.op import Op, Trait, attributes_of
from ..ir.settings import OnError
from ..passes.looks import Look, default_look
from ..types import Array, Bytes, DType, ListOf, State, Type
from .code_text import ASSIGNED, BODY, assignment, broken_call, one_line, safe_name, sequence
from .device_code import Brought, in_threads, is_batched, kernel_of, model_arguments, on_host, on_lists
from .filter_code import FilterCode
from .names import literal
from .native_model import tensor_code
from .repo_plan import ENCRYPTED
from .stage_parts import FunctionView, StageParts
from .wire_form import port_code, wire_tensors

_LEAST_AT_ONCE = 64  # elements that go through a sub-graph in one go: enough to fill its models' batches


@dataclass
class NodeCode:
    """The code of one node: ``attribute`` is its name in the stage, ``items`` the variable of its items."""

    parts: StageParts
    node: Node
    attribute: str
    items: str = "items"

    @property
    def _filters(self) -> FilterCode:
        return FilterCode(self.parts, self.node)

    def lines(self, *, takes_over: bool, in_graph: bool) -> list[str]:
        """The statements. ``takes_over``: see `Stage`; ``in_graph``: the node belongs to no plain chain."""
        lines = self._entering(takes_over=takes_over, in_graph=in_graph)
        return [*lines, *self._sequence(self.node.calls)] if self._is_reached else lines

    def _sequence(self, calls: Sequence[Call]) -> list[str]:
        """The statements of consecutive calls; those inside a fork stand behind it."""
        forks = [index for index, call in enumerate(calls) if call.fork is not None]
        if not forks:
            return self._plain(calls)
        start = forks[0]
        label = calls[start].label
        inside = [call for call in calls if label in dict(call.arms)]
        behind = calls[start + 1 + len(inside) :]
        return [*self._plain(calls[:start]), *self._fork(calls[start], inside), *self._sequence(behind)]

    def _fork(self, call: Call, inside: Sequence[Call]) -> list[str]:
        """The statements of a fork: its items in three lists, two of which go their own ways."""
        make = self.parts.identifiers.make
        having, lacking, past = (make(f"{self.attribute}_{way}") for way in ("having", "lacking", "past"))
        filter_ = self._filter_argument(call.filter) if call.label != self.node.calls[0].label else []
        arguments = [self.items, literal(call.fork), *filter_]
        lines = broken_call(f"{having}, {lacking}, {past} = self.{self.attribute}.part", arguments, BODY)
        for track, side in ((having, True), (lacking, False)):
            arm = [one for one in inside if dict(one.arms)[call.label] is side]
            lines += replace(self, items=track)._sequence(arm)
        return [*lines, f"{self.items} = [*{having}, *{lacking}, *{past}]"]

    def _plain(self, all_calls: Sequence[Call]) -> list[str]:
        """The statements of calls without a fork."""
        lines: list[str] = []
        filtered = self._has_filters()
        for calls in self._segments(all_calls, alone=filtered):
            filter_ = calls[0].filter if calls[0].label != self.node.calls[0].label else RUN
            if calls[0].jump is not None:
                lines += self._subgraph(calls[0], filter_)
            elif is_batched(self.parts, calls[0]):
                lines += self._together(calls, filter_)
            elif filtered:
                lines += self._each(calls, filter_)
            else:
                lines += self._each(calls, RUN, swaps=filter_ == SWAP)
        return lines

    def _segments(self, all_calls: Sequence[Call], *, alone: bool) -> Iterator[list[Call]]:
        """The calls in groups that take an item through in one go.

        Operators that work on lists, or run sub-graphs, stand alone; ``alone``: all do.
        """
        for batched, group in groupby(all_calls, key=lambda call: is_batched(self.parts, call)):
            calls = list(group)
            yield from [[call] for call in calls] if batched or alone else [calls]

    def options(self) -> list[str]:
        """The arguments that the node is made with, besides its name and place."""
        found = []
        if self.node.settings.retry:
            found.append(f"retry={self.node.settings.retry}")
        if self.node.on_error is not None:
            found.append(f"on_error={self._recovery(self.node.on_error)}")
        return found

    def _recovery(self, on_error: OnError) -> str:
        assert self.parts.graph.types is not None
        type_ = self.parts.graph.types.results.get(self.node.name)
        if type_ is None:  # no default, or no item gets there
            return "Recovery()"
        value = on_error.default.encode() if isinstance(type_, Bytes) else on_error.default
        dtype = _default_dtype(type_)
        look = default_look(self.parts.graph, self.node, self.parts.tagging)
        if look is not None:
            self.parts.modules.add("looks")
            return f"Recovery(looks.made({literal(value)}, {literal(dtype)}, {look!r}))"
        return f"Recovery({literal(value)}{f', dtype={literal(dtype)}' if dtype is not None else ''})"

    @property
    def _is_reached(self) -> bool:
        """False if a filter lets no item get to the node's operators."""
        assert self.parts.graph.types is not None
        return self.node.calls[0].label in self.parts.graph.types.before

    def _has_filters(self) -> bool:
        """True if an operator may run for items without a ``result``, or leave an older one where it is."""
        first, *others = self.node.calls
        is_result_there = RESULT in self._states(first) and bool(others)
        calls_graph = any(call.jump is not None for call in self.node.calls)
        return is_result_there or calls_graph or any(call.filter != SWAP for call in others)

    def _entering(self, *, takes_over: bool, in_graph: bool) -> list[str]:
        """The statement by which items enter the node."""
        filter_ = self.node.calls[0].filter
        if takes_over:
            return self._step("take_over", [literal(DATA)])
        if self.node.map:
            filter_ = self._filters.needed(filter_)
        if filter_ == SWAP and not in_graph:
            return self._step("take_over")
        if filter_ == RUN and not in_graph:
            return self._step("start")
        return self._step("enter", [self._filters.code(filter_)])

    def _step(self, method: str, arguments: Sequence[str] = ()) -> list[str]:
        call = f"{self.items} = self.{self.attribute}.{method}"
        return broken_call(call, [self.items, *arguments], BODY)

    def _subgraph(self, call: Call, filter_: Filter) -> list[str]:
        """Run a sub-graph on the elements of a list, or on the items themselves."""
        assert call.jump is not None
        op: Any = call.op
        method = f"self.{self.parts.methods[call.jump]}"
        if not op.writes:
            return self._step("jump", [method, *self._filter_argument(filter_)])
        arguments = [method, literal(op.element), literal(tuple(op.merge))]
        arguments += [f"at_once={self._at_once(call.jump)}", f"max_items={op.max_items}"]
        if op.drop_absent:
            arguments.append("drop_absent=True")
        return self._step("map_reduce", [*arguments, *self._filter_argument(filter_)])

    def _at_once(self, root: str) -> int:
        """Elements in one go: a multiple of the largest batch of the sub-graph's models."""
        graph = self.parts.graph
        calls = [call for name in graph.members(root) for call in graph.nodes[name].calls]
        sizes = [graph.nodes[call.node].settings.max_batch for call in calls if call.op.has(Trait.INFERENCE)]
        size = max(sizes, default=_LEAST_AT_ONCE)
        return -(-_LEAST_AT_ONCE // size) * size

    def _together(self, calls: Sequence[Call], filter_: Filter) -> list[str]:
        (call,) = calls
        reads, writes = (literal(tuple(keys)) for keys in (call.op.inputs(), call.op.outputs()))
        kernel = self._around(call, on_lists(self.parts, call, self._kernel(call)))
        return self._step("together", [kernel, reads, writes, *self._filter_argument(filter_)])

    def _around(self, call: Call, kernel: str) -> str:
        """A kernel on lists that turns images before and tags them behind it, where it has to."""
        takes, gives = self.parts.takes(call), self.parts.gives(call)
        if not any((*takes, *gives)):
            return kernel
        self.parts.modules.add("looks")
        return f"looks.around({kernel}, {literal(takes)}, {literal(gives)})"

    def _filter_argument(self, filter_: Filter) -> list[str]:
        return [] if filter_ == RUN else [f"when={self._filters.code(filter_)}"]

    def _each(self, calls: Sequence[Call], filter_: Filter, *, swaps: bool = False) -> list[str]:
        name = self.parts.identifiers.make(f"_{self.attribute}")
        lines: list[str] = []
        if swaps:
            lines += [f'if "{RESULT}" not in item:', "    return"]
            lines.append(f'item["{DATA}"] = item.pop("{RESULT}")')
        if self._makes_up_for_failures(calls[0]):
            lines.append("item.reason = None  # whatever failed before, this operator runs")
        brought = Brought(self.parts)
        for call, after in zip_longest(calls, calls[1:]):
            lines += self._statement(call, brought, swapped=after is not None and after.filter == SWAP)
        self.parts.functions.append(FunctionView(name, tuple(lines or ["pass"])))
        stale = self._stale(calls[-1])
        arguments = [f"self.{name}", *([literal(stale)] if stale else [])]
        return self._step("each", [*arguments, *self._filter_argument(filter_)])

    def _makes_up_for_failures(self, call: Call) -> bool:
        """True if the call also runs for items that failed, and writes a new ``result``."""
        before = self._states(call).get(RESULT)
        return RESULT in call.op.outputs() and before is not None and before.failed

    def _stale(self, call: Call) -> tuple[str, ...]:
        """The keys that a failure of the call takes away, besides ``result``."""
        if not call.op.has(Trait.FAILS):
            return ()
        return tuple(key for key in call.op.outputs() if key != RESULT and key in self._states(call))

    def _statement(self, call: Call, brought: Brought, *, swapped: bool) -> list[str]:
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
            brought.handed_on(op.inputs()[0], targets)
            forwarded = f"item[{literal(op.inputs()[0])}]"
            return [] if assigned == [forwarded] else [*lines, *assignment(assigned, [forwarded], BODY)]
        if not op.kernel:
            return lines
        code = self._call_code(call)
        before, behind = self._tags(call, assigned)
        before = [*brought.before(call), *before]
        brought.behind(call, targets)
        if op.has(Trait.PADS):
            self.parts.modules.add("padding")
            behind.append(f"padding.count(self.{self.attribute})")
        if not targets:
            return [*code, *lines]
        if not op.has(Trait.DECLINES):
            return [*before, *assignment(assigned, code, BODY), *lines, *behind]
        return [
            *before,
            f"value = {code[0]}",
            *code[1:],
            *lines,
            "if value is None:",
            "    return",
            *assignment(assigned, ["value"], BODY),
            *behind,
        ]

    def _tags(self, call: Call, assigned: Sequence[str]) -> tuple[list[str], list[str]]:
        """The statements before and behind a call that tag the images which it writes."""
        before: list[str] = []
        behind: list[str] = []
        for target, look in zip(assigned, self.parts.gives(call), strict=True):
            if look is None or target == "_":
                continue
            arguments = [target, *map(literal, look[:2])]
            if len(look) > 2 and look[2] is not None:
                before = [f"like = item[{literal(call.op.inputs()[look[2]])}]"]
                arguments.append("like")
            self.parts.modules.add("looks")
            behind += assignment([target], broken_call("looks.tagged", arguments, BODY + ASSIGNED), BODY)
        return before, behind

    def _call_code(self, call: Call) -> list[str]:
        """The kernel's call as lines; a long one is broken, one argument a line."""
        reads = zip(call.op.inputs(), self.parts.takes(call), strict=True)
        values = [on_host(self.parts, call, key, self._read(key, look)) for key, look in reads]
        arguments = [] if kernel_of(self.parts, call).at_load else self._arguments(call)
        return broken_call(self._kernel(call), [*values, *arguments], BODY + ASSIGNED)

    def _read(self, key: str, look: Look | None) -> str:
        """The expression of a value that a call reads."""
        if look is None:
            return f"item[{literal(key)}]"
        self.parts.modules.add("looks")
        return f"looks.turned(item[{literal(key)}], {', '.join(map(literal, look))})"

    def _remote_model(self, call: Call) -> str:
        """The expression of a model that is a Triton model of its own."""
        stage = self.parts.remote[call.label]
        is_native = not stage.is_python
        code_of = tensor_code if is_native else port_code
        inputs, outputs = ([code_of(port) for port in ports] for ports in (stage.inputs, stage.outputs))
        names = tuple(port.key for port in stage.outputs)
        if not is_native:
            names = tuple(tensor.name for port in stage.outputs for tensor in wire_tensors(port))
        arguments = [
            literal(stage.name),
            f"where={literal(f'{self.node.location} [{self.node.title}]')}",
            f"inputs={sequence(inputs, BODY + 8)}",
            f"outputs={sequence(outputs, BODY + 8)}",
            f"names={literal(names)}",
            f"max_batch={stage.max_batch}",
            *([f"retry={self.node.settings.retry}"] if self.node.settings.retry else []),
            *model_arguments(self.parts, call),
        ]
        class_ = "remote.RemoteModel" if self.parts.device is None else "torch_remote.DeviceModel"
        self.parts.modules |= {class_.partition(".")[0], *(["native"] if is_native else [])}
        self.parts.ports += [] if is_native else [*inputs, *outputs]
        code = "\n        ".join(broken_call(class_, arguments, BODY + ASSIGNED))
        return self._loaded(call, code)

    def _loaded(self, call: Call, code: str) -> str:
        """The expression of what ``code`` constructs at load for a call."""
        node = self.parts.graph.nodes[call.node]
        comment = f"{_where(call)} {one_line(node.title + call.label.removeprefix(node.name), 80)}"
        return f"self.{self.parts.load(node, call.op.role(), code, comment)}"

    def _kernel(self, call: Call) -> str:
        """The expression of the kernel: a function, or what was constructed at load."""
        if call.label in self.parts.remote:
            return self._remote_model(call)
        kernel = kernel_of(self.parts, call)
        module, _, name = kernel.name.partition(":")
        if "." in module:
            self.parts.packages[module] = call.op.requirement
        else:
            self.parts.modules.add(module)
        if in_threads(self.parts, call):
            arguments = [f"{module}.{name}", "threads=context.threads", *self._arguments(call)]
            made = broken_call("torch_device.InThreads", arguments, BODY + ASSIGNED)
            return self._loaded(call, "\n        ".join(made))
        if not kernel.at_load:
            return f"{module}.{name}"
        arguments = [*self._arguments(call), *kernel.arguments]
        if call.op.has(Trait.THREADED):
            arguments.append("threads=context.threads")
        if call.op.has(Trait.USER_CODE):
            arguments.insert(0, 'directory=context.path("user")')
        code = "\n        ".join(broken_call(f"{module}.{name}", arguments, BODY + ASSIGNED))
        return self._loaded(call, code)

    def _arguments(self, call: Call) -> list[str]:
        found = call.op.kernel_arguments(self._types(call))
        files = {f.name for f in attributes_of(type(call.op)) if f.declared.file}
        return [f"{name}={self._value(call, name, value, name in files)}" for name, value in found.items()]

    def _value(self, call: Call, name: str, value: Any, is_file: bool) -> str:
        slots = call.op.files(name) if is_file else ()
        if isinstance(value, Op):
            return self._batch_kernel(value)
        paths = [
            self._file(path, is_model=call.op.has(Trait.INFERENCE))
            for slot in slots
            if (path := self.parts.files.get((call.label, slot))) is not None
        ]
        if len(paths) > 1:
            return sequence(paths, BODY + 8)
        return paths[0] if paths else literal(value)

    def _batch_kernel(self, op: Any) -> str:
        """The expression of an operator that another one applies to its whole batch."""
        module, _, name = op.batch_kernel.partition(":")
        self.parts.modules.add(module)
        arguments = (f"{key}={literal(value)}" for key, value in op.kernel_arguments({}).items())
        return f"{module}.{name}({', '.join(arguments)})"

    def _file(self, path: str, *, is_model: bool) -> str:
        """What a kernel gets of a file: its path, or the bytes of an encrypted model."""
        code = f"context.path({literal(path)})"
        if not (is_model and path.endswith(ENCRYPTED)):
            return code
        self.parts.modules.add("encrypted")
        return f"encrypted.read({code})"

    def _states(self, call: Call) -> Mapping[str, State]:
        assert self.parts.graph.types is not None
        return self.parts.graph.types.before.get(call.label, {})

    def _types(self, call: Call) -> dict[str, Type]:
        assert self.parts.graph.types is not None
        return self.parts.graph.types.read_by(call.label)


def _default_dtype(type_: Type | None) -> str | list[Any] | None:
    """The dtype of a default array; of a list, in a list."""
    if isinstance(type_, ListOf):
        inner = _default_dtype(type_.item)
        return None if inner is None else [inner]
    if not isinstance(type_, Array):
        return None
    return "object" if type_.dtype is DType.STRING else type_.dtype.value


def _where(call: Call) -> str:
    """The place of an operator for a comment: the file's base name and the line."""
    return f"{safe_name(call.span.file.path)}:{call.span.line}"
