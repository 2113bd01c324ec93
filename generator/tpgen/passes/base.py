"""What a pass is, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..diagnostics import Bag
from ..ir.graph import Graph, Stage
from ..ir.verify import verify
from ..source import Span
from ..types import Type


@dataclass(frozen=True)
class DeclaredPort:
    """An input that the user declared."""

    key: str
    type: Type
    raw: bool
    span: Span


@dataclass(frozen=True)
class Options:
    """What the user chose for a build; ``cores`` is the number of CPUs the repository is made for.

    ``engine_rate`` is what the models alone answer in a second, None where that is not known.
    ``entry_inputs`` are inputs that a single entry declares, by its first node.
    """

    target: str = "cpu"
    runtime: str = "python"
    fuse: str = "auto"
    cores: int = 1
    batching: str = "adaptive"
    instances: str = "auto"
    inputs: Mapping[str, DeclaredPort] = field(default_factory=dict)
    entry_inputs: Mapping[str, Mapping[str, DeclaredPort]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    outputs_span: Span | None = None
    max_batch: int | None = None
    preprocess: str = "auto"
    engine_rate: float | None = None


@dataclass
class Context:
    """What passes share: the options, the diagnostics, and the decisions that `explain` prints.

    ``against_dali`` says why DALI can't prepare the images of a stage, None if it can; emit knows its table.
    """

    options: Options
    bag: Bag
    decisions: list[str] = field(default_factory=list)
    against_dali: Callable[[Graph, Stage], str | None] = lambda _, __: "there is no table of lowerings"


class Pass(Protocol):
    """A named step from graph to graph. It never changes the graph it gets."""

    @property
    def name(self) -> str: ...

    def run(self, graph: Graph, context: Context) -> Graph: ...


def run_passes(
    graph: Graph,
    passes: Sequence[Pass],
    context: Context,
    after: Callable[[str, Graph], None] | None = None,
) -> Graph | None:
    """Run passes in order; the graph is verified after each. None if a pass reported an error.

    Raises:
        InternalError: a pass left the graph in an invalid state.
    """
    for step in passes:
        graph = step.run(graph, context)
        if context.bag.has_errors:
            return None  # nobody promises anything about the graph of a wrong pipeline
        verify(graph, step.name)
        if after is not None:
            after(step.name, graph)
    return graph
