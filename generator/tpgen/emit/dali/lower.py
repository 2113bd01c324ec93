"""A chain of typed operator calls as the steps of a DALI pipeline, or the reason why it cannot be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ...ir.filters import DATA, RESULT, RUN, SWAP, Check, Filter, Has, Otherwise
from ...ir.graph import Call, Graph, Node, Port, Stage
from ...ir.op import Trait
from ...source import Span
from ...types import Array, Bytes, Color, Layout
from ..code_text import one_line
from ..names import Identifiers
from ..wire_form import wire_tensors
from .table import TABLE, Device, Held, Job, Lowering

LIMIT = 3.0  # grey levels by which a chain may differ from the kernels, unless its caller says otherwise
GIVEN_UP = (
    'preprocess = "dali" gives up that an image fails alone: one that cannot be decoded fails every request'
    " of its batch; and max_pixels is not checked"
)
_WAY_OUT = 'preprocess = "opencv" keeps it'
_RESERVED = frozenset({"GetSchema", "fn", "math", "types", "pipeline_def", "autoserialize"})


@dataclass(frozen=True)
class Refusal:
    """Why a chain stays on the CPU: ``call`` (or ``span`` alone) is the place in the TOML."""

    reason: str
    call: Call | None = None
    span: Span | None = None

    @property
    def place(self) -> Span | None:
        """The place in the TOML for a diagnostic."""
        return self.call.span if self.call is not None else self.span

    def __str__(self) -> str:
        return f"{self.call.label}: {self.reason}" if self.call is not None else self.reason


@dataclass(frozen=True)
class Step:
    """One operator of the TOML: a comment that names it and its place, and its statement, if it has one."""

    comment: str
    code: str = ""


@dataclass(frozen=True)
class DaliChain:
    """A chain that DALI can hold. ``returned`` are the expressions of the outputs, told by position.

    ``tolerance``: the largest difference from the kernels on the CPU, in units of the result.
    """

    source: Port
    outputs: tuple[Port, ...]
    steps: tuple[Step, ...]
    returned: tuple[str, ...]
    device: Device
    tolerance: float
    variable: str = DATA

    @property
    def notes(self) -> tuple[str, ...]:
        """What `explain` has to say of it."""
        unverified = ("unverified on GPU: only the CPU's numbers were compared",)
        return (GIVEN_UP, *(unverified if self.device == "gpu" else ()))


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def lower(
    graph: Graph,
    calls: Sequence[Call],
    source: Port,
    outputs: Sequence[Port],
    *,
    device: Device = "cpu",
    limit: float = LIMIT,
) -> DaliChain | Refusal:
    """The steps of consecutive calls, the first of which decodes ``source``.

    ``outputs`` are the keys that anybody reads behind the chain; what nobody reads is not returned. The
    types come from the graph. ``limit``: the difference from the kernels, in grey levels, that is accepted.
    """
    try:
        _check_source(source)
        _check_straight(graph, calls)
        _check_isolation(graph, calls)
        return _Lowering(graph, source, device, limit).run(calls, outputs)
    except _Refused as refused:
        return refused.refusal


def lower_stage(graph: Graph, stage: Stage) -> DaliChain | Refusal:
    """What a stage of a GPU's repository is as a chain."""
    if len(stage.inputs) > 1:
        return Refusal(f"the pipeline begins with several inputs, '{stage.inputs[1].key}' among them")
    calls = [call for name in stage.nodes for call in graph.nodes[name].calls]
    return lower(graph, calls, stage.inputs[0], stage.outputs, device="gpu")


def reason_against(graph: Graph, stage: Stage) -> str | None:
    """Why DALI cannot hold a stage, if it cannot."""
    found = lower_stage(graph, stage)
    return str(found) if isinstance(found, Refusal) else None


def _refuse(reason: str, call: Call | None = None, span: Span | None = None) -> _Refused:
    return _Refused(Refusal(reason, call, span))


def _check_source(source: Port) -> None:
    if not isinstance(source.type, Bytes):
        raise _refuse(f"the chain starts with '{source.key}', which is {source.type}, not an encoded image")
    if not source.raw:
        way = f'declare [pipeline.inputs] {source.key} = {{type = "bytes", wire = "uint8"}}'
        raise _refuse(
            f"DALI takes bytes as UINT8 [-1] only, and '{source.key}' is BYTES: {way}", None, source.span
        )


def _check_straight(graph: Graph, calls: Sequence[Call]) -> None:
    """Refuse a chain of which more is read behind it than what its last node leaves."""
    names = list(_nodes(graph, calls))
    for name, follower in pairwise(names):
        if graph.nodes[name].next != (follower,):
            raise _refuse(f"node '{graph.title(name)}' has other followers", None, graph.nodes[name].span)
    for node in graph.nodes.values():
        for mapped in node.map:
            if mapped.node in names[:-1]:
                raise _refuse(
                    f"a map takes '{mapped.source}' of '{graph.title(mapped.node)}'", None, mapped.span
                )


def _nodes(graph: Graph, calls: Sequence[Call]) -> dict[str, None]:
    """The nodes that calls stand in, in order: not always those that they were written in."""
    labels = {call.label for call in calls}
    return {node.name: None for node in graph.nodes.values() if any(c.label in labels for c in node.calls)}


def _check_isolation(graph: Graph, calls: Sequence[Call]) -> None:
    """Refuse a chain behind which a failed image would go on: DALI fails all images of its batch."""
    labels = {call.label for call in calls}
    names = _nodes(graph, calls)
    for node in map(graph.nodes.__getitem__, names):
        if node.on_error is not None:
            span = node.on_error.span
            raise _refuse(
                f"'on_error' of node '{node.title}' is for images that fail alone; {_lost()}", None, span
            )
        rest = [call for call in node.calls if call.label not in labels]
        for call in (*rest, *_entered(graph, node, names)):
            if not _ends_failed(call.filter):
                name = call.filter.name
                raise _refuse(f"an image that failed goes on here (filter '{name}'); {_lost()}", call)


def _lost() -> str:
    return f"{GIVEN_UP}; {_WAY_OUT}"


def _entered(graph: Graph, node: Node, names: dict[str, None]) -> tuple[Call, ...]:
    """The first calls of the nodes that follow, outside the chain."""
    followers = (graph.nodes[name] for name in node.next if name not in names)
    return tuple(follower.calls[0] for follower in followers)


def _ends_failed(filter_: Filter) -> bool:
    """True if an item without a ``result``, which it has if it failed, goes no further."""
    ends = (Otherwise.BREAK, Otherwise.ERROR)
    return any(Check(Has(RESULT), otherwise) in filter_.checks for otherwise in ends)


@dataclass(frozen=True)
class Encoded:
    """The variable of the encoded images."""

    name: str


@dataclass
class _Lowering:
    """The chain so far: its keys (those beside images by their variables), and how far they may be off."""

    graph: Graph
    source: Port
    device: Device
    limit: float
    error: float = 0.0  # grey levels, of the image as it is now
    gain: float = 1.0  # units of the result for one grey level
    keys: dict[str, Held | Encoded | str] = field(default_factory=dict)
    identifiers: Identifiers = field(default_factory=lambda: Identifiers(_RESERVED))

    def run(self, calls: Sequence[Call], outputs: Sequence[Port]) -> DaliChain:
        variable = self.identifiers.make(self.source.key.lstrip("_") or DATA)
        self.keys[self.source.key] = Encoded(variable)
        steps = [self._step(call, is_first=index == 0) for index, call in enumerate(calls)]
        return DaliChain(
            self.source,
            tuple(outputs),
            tuple(steps),
            tuple(self._returned(port, calls[-1]) for port in outputs),
            self.device,
            self.error * self.gain,
            variable,
        )

    def _step(self, call: Call, *, is_first: bool) -> Step:
        self._check_flow(call, is_first=is_first)
        lowering = self._entry(call)
        job = self._job(call, lowering)
        self._account(call, lowering)
        code = lowering.write(job)
        (name,) = _nodes(self.graph, [call])
        node = self.graph.nodes[name]
        comment = one_line(f"{node.title}.{call.op.name}, {node.location}", 90)
        if job.image is not None and code == job.image.name:  # only the graph's type of it changes
            self.keys[RESULT] = replace(job.image, type=job.result)
            return Step(f"{comment}: nothing to compute here")
        return Step(comment, f"{', '.join(self._targets(call, job, lowering))} = {code}")

    def _check_flow(self, call: Call, *, is_first: bool) -> None:
        (name,) = _nodes(self.graph, [call])
        if self.graph.nodes[name].map:
            raise _refuse("a 'map' leads keys here; DALI holds straight chains", call)
        if call.fork is not None or call.arms or call.jump is not None:
            raise _refuse("items part their ways here; DALI holds straight chains", call)
        if call.filter not in ((RUN, SWAP) if is_first else (SWAP,)):
            raise _refuse(
                f"filter '{call.filter.name}' decides image by image; DALI takes whole batches", call
            )
        if not is_first:
            self.keys[DATA] = self.keys.pop(RESULT)

    def _entry(self, call: Call) -> Lowering:
        op = call.op
        if op.has(Trait.USER_CODE):
            raise _refuse("user code runs in Python", call)
        extra = [key for key in op.inputs() if key != DATA]
        if extra:
            raise _refuse(f"it reads '{extra[0]}' of each item; DALI computes from the image alone", call)
        found = TABLE.get(type(op).__name__)
        if found is None:
            raise _refuse(f"DALI has no counterpart of {op.name} in the table of lowerings", call)
        return found

    def _job(self, call: Call, lowering: Lowering) -> Job:
        assert self.graph.types is not None
        result = self.graph.types.written.get(call.label, {}).get(RESULT)
        if not isinstance(result, Array):
            raise _refuse(f"its result is {result}, which is no image", call)
        if result.varies or self.graph.types.turned.get(call.label):
            raise _refuse("the layout or the colour order of its images varies", call)
        data = self.keys.get(DATA)
        if lowering.decodes and isinstance(data, Encoded):
            return Job(call.op, result, self.device, data=data.name)
        if lowering.decodes or not isinstance(data, Held):
            raise _refuse("a chain starts with a decoder, and has no other", call)
        return Job(call.op, result, self.device, image=data)

    def _account(self, call: Call, lowering: Lowering) -> None:
        """Add up differences: no operator but one with a ``std`` makes larger what it is given."""
        self.error += lowering.tolerance
        if self.error > self.limit:
            raise _refuse(
                f"the result would differ from the kernels by up to {self.error:g} grey levels, of which"
                f" {self.limit:g} are accepted ({lowering.convention})",
                call,
            )
        std = getattr(call.op, "std", None)
        if std:
            self.gain /= min(abs(value) for value in std)

    def _targets(self, call: Call, job: Job, lowering: Lowering) -> list[str]:
        """New variables for the keys that the call writes."""
        layout, color = Layout.HWC, job.image.color if job.image is not None else Color.RGB
        if lowering.lies == "as declared":
            layout, color = job.result.layout, job.result.color
        elif lowering.lies == "as read":
            layout = job.read.layout
        title = self.graph.title(call.node).lstrip("_") or RESULT  # functions of the code begin with one
        targets = []
        for key in call.op.outputs():
            if key == RESULT:
                variable = self.identifiers.make(title)
                self.keys[key] = Held(variable, layout, color, job.result)
            else:
                variable = self.identifiers.make(f"{title}_{key}")
                self.keys[key] = variable
            targets.append(variable)
        return targets

    def _returned(self, port: Port, last: Call) -> str:
        _, *companions = wire_tensors(port)
        if companions:
            what = f"'{port.key}' is {port.state} and needs '{companions[0].name}' beside it"
            raise _refuse(f"the images of a request leave DALI in one shape, and {what}", last)
        match self.keys.get(port.key):
            case Held() as held:
                return held.outgoing
            case str() as variable:
                return variable
            case _:
                raise _refuse(f"'{port.key}' is read behind the chain, which does not compute it", last)
