"""The Python code of a stage, from its part of the graph: statements here, layout in the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ..ir.graph import Graph, Loop, Stage
from ..passes.device import device_work
from .code_text import ASSIGNED, BODY, LINE, broken_call, one_line, safe_name, sequence
from .names import Identifiers, literal
from .node_code import NodeCode
from .render import render_python
from .stage_parts import StageParts
from .tracks import Tracks
from .wire_form import port_code

_RESERVED = frozenset(
    {
        "pipeline",
        "inputs",
        "outputs",
        "nodes",
        "load",
        "loop",
        "run",
        "process",
        "device",
        "received",
        "encode",
    }
)
_PORT_CLASSES = ("Array", "Bytes", "List", "Text")


@dataclass(frozen=True)
class NodeView:
    """A node in the template: its attribute, how it is made, and its statements."""

    attribute: str
    made: str
    comment: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ProgramView:
    """A method that takes items through a component: the stage's own, or a sub-graph's."""

    name: str
    begin: str
    nodes: tuple[NodeView, ...]
    end: str


@dataclass
class StageCode:
    """Builds the code of one stage. ``files`` gives the vendored path of each file attribute."""

    graph: Graph
    stage: Stage
    version: str
    files: Mapping[tuple[str, str], str]  # (call label, attribute) -> path inside the version directory
    max_pixels: int
    from_stage: set[str] = field(default_factory=lambda: {"Stage"})
    from_graph: set[str] = field(default_factory=set)
    from_lanes: set[str] = field(default_factory=set)
    from_recovery: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        remote = {} if self.stage.runs else self.graph.called_models()
        work = device_work(self.graph, self.stage)
        self.parts = StageParts(self.graph, self.files, Identifiers(_RESERVED), remote=remote, device=work)
        if work is not None:
            self.parts.modules.add("torch_device")

    @property
    def modules(self) -> set[str]:
        """The runtime's modules that the code names."""
        return self.parts.modules | {module for module, names in self._named.items() if names}

    @property
    def packages(self) -> dict[str, str]:
        """The modules from outside that it names, each with its requirement."""
        return self.parts.packages

    def text(self) -> str:
        """The formatted source of ``stage.py``."""
        programs = self._programs()
        nodes = [node for program in programs for node in program.nodes]
        tagging = self.parts.tagging
        inputs = [port_code(port, max_pixels=self.max_pixels, tagging=tagging) for port in self.stage.inputs]
        outputs = [port_code(port, tagging=tagging) for port in self.stage.outputs]
        return render_python(
            "stage.py.j2",
            stage=self.stage.name,
            owner=self.stage.entry,
            pipeline=self.stage.name if self.stage.runs else self.stage.entry,
            version=self.version,
            source=safe_name(self.graph.source.path),
            overview=_overview(self.graph, self.stage),
            imports=self._imports([*inputs, *outputs, *self.parts.ports]),
            inputs=sequence(inputs, 4),
            outputs=sequence(outputs, 4),
            restarts=self._loop,
            uneven=self._loop is not None or self._calls_graphs,
            programs=programs,
            nodes=nodes,
            node_tuple=sequence([f"self.{node.attribute}" for node in nodes], 8),
            base="Stage" if self.parts.device is None else "torch_device.DeviceStage",
            loads=self.parts.loads,
            functions=self.parts.functions,
        )

    @property
    def _named(self) -> dict[str, set[str]]:
        """What is imported by name, of each module of the runtime."""
        return {
            "filters": self.parts.filters,
            "graph": self.from_graph,
            "lanes": self.from_lanes,
            "loop": {"Loop"} if self._loop is not None else set(),
            "recovery": self.from_recovery,
        }

    def _imports(self, ports: Sequence[str]) -> list[str]:
        ports_used = sorted({word for port in ports for word in _PORT_CLASSES if f"{word}(" in port})
        if any("image_wire." in port for port in ports):
            self.parts.modules.add("image_wire")
        lines = [f"import {module}" for module in sorted(self.parts.packages)]
        if lines:
            lines.append("")
        if self.parts.modules:
            lines += _imported("tpgen_runtime", sorted(self.parts.modules))
        for module, names in self._named.items():
            if names:
                listed = ", ".join(sorted(names, key=_import_order))
                lines.append(f"from tpgen_runtime.{module} import {listed}")
        if self.parts.device is not None:
            self.from_stage.discard("Stage")
        if self.from_stage:
            lines.append(f"from tpgen_runtime.stage import {', '.join(sorted(self.from_stage))}")
        if ports_used:
            lines.append(f"from tpgen_runtime.wire import {', '.join(ports_used)}")
        return lines

    def _programs(self) -> list[ProgramView]:
        """The stage's own component first, then what its items run again, then the sub-graphs."""
        called = [root for root in self.graph.called() if root in self.stage.nodes]
        for root in called:
            self.parts.methods[root] = self.parts.identifiers.make(f"_run_{self.graph.title(root)}")
        loop = self._loop
        again = loop.bodies if loop is not None else {}
        inside = {name for root in (*called, *again.values()) for name in self.graph.component(root)}
        own = [name for name in self.stage.nodes if name not in inside]
        if loop is None:
            programs = [self._program("run", own)]
        else:
            make = self.parts.identifiers.make
            first, others = make("_run_first"), {title: make(f"_run_again_{title}") for title in again}
            programs = [self._looping(first, others), self._program(first, own)]
            programs += [self._program(others[title], self.graph.component(again[title])) for title in again]
        return programs + [
            self._program(self.parts.methods[root], self.graph.component(root)) for root in called
        ]

    @property
    def _calls_graphs(self) -> bool:
        return any(call.jump for name in self.stage.nodes for call in self.graph.nodes[name].calls)

    @property
    def _loop(self) -> Loop | None:
        """The loop of the stage's entry, if the stage is the one that runs it."""
        roots = [entry.root for entry in self.graph.entries if entry.name == self.stage.entry]
        return None if self.stage.runs else next((self.graph.loops.get(root) for root in roots), None)

    def _looping(self, first: str, again: Mapping[str, str]) -> ProgramView:
        """The program that takes items through the others until they are done."""
        pairs = [f"{literal(title)}: self.{method}" for title, method in again.items()]
        arguments = ["items", f"self.{first}", f"{{{', '.join(pairs)}}}"]
        return ProgramView(
            "run", "", (), "\n        ".join(broken_call("return self.loop.run", arguments, BODY))
        )

    def _program(self, method: str, names: Sequence[str]) -> ProgramView:
        attributes = {name: self.parts.identifiers.make(self.graph.title(name)) for name in names}
        tracks = Tracks.of(self.graph, names, attributes, self.parts.remote)
        nodes = tuple(self._node(name, attributes, tracks, is_first=name == names[0]) for name in names)
        if tracks is None:
            return ProgramView(method, "", nodes, "return items")
        self.from_graph |= tracks.imports
        self.from_lanes |= {"in_parallel"} if tracks.is_parallel else set()
        return ProgramView(method, tracks.begin, nodes, tracks.end)

    def _node(
        self, name: str, attributes: Mapping[str, str], tracks: Tracks | None, *, is_first: bool
    ) -> NodeView:
        node = self.graph.nodes[name]
        kind = "GraphNode" if tracks else "CallingNode" if any(call.jump for call in node.calls) else "Node"
        (self.from_stage if kind == "Node" else self.from_graph).add(kind)
        code = NodeCode(self.parts, node, attributes[name], tracks.variables[name] if tracks else "items")
        arguments = [literal(node.title), literal(node.location), *(tracks.arguments(name) if tracks else ())]
        made = "\n        ".join(broken_call(kind, [*arguments, *code.options()], BODY + ASSIGNED))
        if node.on_error is not None:
            self.from_recovery.add("Recovery")
        takes_over = is_first and self.stage.takes_over
        if tracks is None:
            lines = code.lines(takes_over=takes_over, in_graph=False)
        else:
            lines = [*tracks.before(name), *code.lines(takes_over=False, in_graph=True), *tracks.after(name)]
        comment = f"{node.location} [{node.title}] {node.backend}"
        return NodeView(attributes[name], made, one_line(comment, LINE - 10), tuple(lines))


def _imported(package: str, names: Sequence[str]) -> list[str]:
    """A statement that imports names; one a line if it were too long."""
    flat = f"from {package} import {', '.join(names)}"
    if len(flat) <= LINE:
        return [flat]
    return [f"from {package} import (", *(f"    {name}," for name in names), ")"]


def _import_order(name: str) -> tuple[bool, bool, str]:
    """Constants, classes, functions."""
    return not name.isupper(), name.islower(), name


def _overview(graph: Graph, stage: Stage) -> str:
    """The way through the stage: a chain by its arrows, a graph by its nodes."""
    is_chain = all(graph.nodes[a].next == (b,) for a, b in pairwise(stage.nodes))
    rest = f" ... ({len(stage.nodes)} nodes)" if len(stage.nodes) > 6 else ""
    return "    " + (" -> " if is_chain else ", ").join(graph.titles(stage.nodes[:6])) + rest
