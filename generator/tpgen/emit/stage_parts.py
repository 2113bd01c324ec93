"""What the code of a stage's nodes adds up to, besides their statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..ir.graph import Call, Graph, Node, Stage
from ..passes.device import DeviceWork
from ..passes.looks import Given, Look, gives, tagged_writers, takes
from .names import Identifiers


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
class StageParts:
    """What the code of a stage's nodes adds up to, besides their statements.

    ``files`` gives the vendored path of each file attribute; ``modules`` are those of the runtime that the
    code names, ``packages`` modules from outside with their requirement, ``filters`` names from the runtime's
    filters, ``methods`` those of sub-graphs by root. ``remote`` are models that calls run on by label, which
    are Triton models of their own, and ``ports`` the code of these models' inputs. ``device``: what of the
    stage runs on a GPU.
    """

    graph: Graph
    files: Mapping[tuple[str, str], str]  # (call label, attribute) -> path inside the version directory
    identifiers: Identifiers
    modules: set[str] = field(default_factory=set)
    packages: dict[str, str] = field(default_factory=dict)
    loads: list[LoadView] = field(default_factory=list)
    functions: list[FunctionView] = field(default_factory=list)
    filters: set[str] = field(default_factory=set)
    methods: dict[str, str] = field(default_factory=dict)
    remote: Mapping[str, Stage] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    device: DeviceWork | None = None
    _shared: dict[tuple[str, str], str] = field(default_factory=dict)

    def takes(self, call: Call) -> tuple[Look | None, ...]:
        """See `passes.looks.takes`."""
        return takes(self.graph, call)

    def gives(self, call: Call) -> tuple[Given | None, ...]:
        """See `passes.looks.gives`."""
        return gives(self.graph, call, self.tagging)

    @cached_property
    def tagging(self) -> frozenset[str]:
        """The calls and inputs whose images carry a tag."""
        return tagged_writers(self.graph)

    def load(self, node: Node, role: str, code: str, comment: str) -> str:
        """The attribute that holds what ``code`` constructs; nodes of one physical node share it."""
        key = (node.physical or node.name, code)
        if key not in self._shared:
            name = self.identifiers.make(f"{node.title}_{role if role != node.title else 'kernel'}")
            self.loads.append(LoadView(name, comment, code))
            self._shared[key] = name
        return self._shared[key]
