"""What an operator asks of the compiler while its types are inferred."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ..ir.graph import Call, Graph, sent
from ..ir.op import InferError, SizeKey, Trait
from ..types import ABSENT, Bytes, Color, Dim, Layout, ListOf, Opaque, State, Symbol, Type, turned, varying
from .flow import Keys
from .origins import Before, size_keys


@dataclass
class Asked:
    """The `InferCall` of one call. Equations between dimensions hold inside the call.

    ``subgraph`` gives the keys at the end of a sub-graph, from its root and the keys that it gets;
    ``before`` are the keys of the calls so far. Of what was asked, ``called`` are those keys, ``turned``
    the types of images that are asked for in one layout or order, ``unlike`` the keys that were read though
    nobody can type them, with the reason.
    """

    call: Call
    keys: Keys
    graph: Graph
    subgraph: Callable[[str, Keys], Keys]
    before: Before = field(default_factory=dict)
    equal: dict[Symbol, Dim] = field(default_factory=dict)
    called: Keys = field(default_factory=dict)
    turned: dict[str, Type] = field(default_factory=dict)
    unlike: dict[str, str] = field(default_factory=dict)

    def type(self, key: str) -> Type:
        if key in self.turned:
            return self.turned[key]
        state = self.state(key)
        if state.absent or state.type is None:
            hint = "no operator before it writes this key, or one took it away"
            if mapped := self.graph.nodes[self.call.node].map:
                source = self.graph.title(mapped[0].node)
                hint = f'the map of its node does not bring it: map = "{source}[...:{key}]"'
            raise InferError("TP307", f"reads '{key}', which does not exist here", hint)
        if state.optional:
            raise InferError(
                "TP307",
                f"reads '{key}', which can be absent here",
                "only 'result' may be absent: the next operator takes it over, or ends the item",
            )
        if isinstance(state.type, Opaque) and state.type.unlike:
            self.unlike[key] = state.type.why
        return state.type

    def refused(self, problem: InferError) -> InferError:
        """Why the call cannot be, in other words where two ways bring types that do not meet."""
        hint = "bring both ways to one type, or give each a key of its own"
        for key, why in self.unlike.items():
            if why in problem.message:
                return InferError("TP311", f"reads '{key}', where {why}", hint)
        read = self.call.op.inputs()
        named = [key for key in read if f"'{key}'" in problem.message]
        return self._traced(problem, (named or [*read])[0]) if read else problem

    def _traced(self, problem: InferError, key: str) -> InferError:
        """The problem in words that say who wrote the key, where that is what has to be mended."""
        state = self.state(key)
        ports = (port.key for entry in self.graph.entries for port in entry.inputs)
        clients = next((port for port in ports if sent(port) in state.writers), None)
        if problem.code == "TP221" and clients and isinstance(state.type, Bytes):
            message = f"'{key}' is no list: no node writes it, so it comes from clients, as bytes"
            hint = f'correct the name, or declare a list: [pipeline.inputs] {clients} = "[float32[4]]"'
            if "," in key:
                hint = "'split' is the name of one key"
            return InferError("TP221", message, hint, problem.attribute)
        if problem.code == "TP221":
            hint = f"{problem.hint}; {_lists_hint(self.keys)}"
            return InferError("TP221", problem.message, hint, problem.attribute)
        if problem.code == "TP303" and "[pipeline.inputs]" in (problem.hint or "") and not clients:
            users = [call.label for _, call in self.graph.calls() if call.op.has(Trait.USER_CODE)]
            label = next((one for one in users if one in state.writers), users[0] if users else None)
            if label:
                hint = f'declare it in the outputs of {label}: Tensor("uint8", ["H", "W", 3], color="bgr")'
                return InferError("TP303", problem.message, hint, problem.attribute)
        return problem

    def shown(self, key: str) -> None:
        """Refuse a key that the function of a filter cannot be shown: its layout varies, or as in `type`."""
        image = varying(self.type(key))
        if image is not None and image.layout is Layout.VARIES:
            message = f"reads '{key}', which is HWC on one way here and CHW on another"
            hint = "put Mat2Tensor or Tensor2Mat before the filter: it leaves what is in its layout"
            raise InferError("TP302", message, hint)

    def turn(self, key: str, *, layout: Layout | None = None, color: Color | None = None) -> Type:
        self.turned[key] = turned(self.type(key), layout, color)
        return self.turned[key]

    def size_keys(self, key: str) -> tuple[SizeKey | None, SizeKey | None]:
        calls = {call.label: call for _, call in self.graph.calls()}
        height, width = size_keys(calls, self.before, self.state(key), self.type(key))
        return self._titled(height), self._titled(width)

    def _titled(self, found: SizeKey | None) -> SizeKey | None:
        return found and replace(found, node=self.graph.title(found.node))

    def state(self, key: str) -> State:
        return self.keys.get(key, ABSENT)

    def symbol(self, name: str) -> Symbol:
        return Symbol(name)

    def run_graph(self, root: str, changed: Mapping[str, Type]) -> Mapping[str, State]:
        read = (self.state(key).writers for key in self.call.op.inputs())
        made = frozenset().union(*read)
        given = {**self.keys, **{key: State(type_, writers=made) for key, type_ in changed.items()}}
        self.called = self.subgraph(root, given)
        return self.called

    def equate(self, left: Dim, right: Dim) -> bool:
        left, right = self._resolve(left), self._resolve(right)
        if left == right:
            return True
        if isinstance(left, Symbol):
            self.equal[left] = right
            return True
        return False  # a number against another number, or against a size that varies

    def _resolve(self, dim: Dim) -> Dim:
        while isinstance(dim, Symbol) and dim in self.equal:
            dim = self.equal[dim]
        return dim


def _lists_hint(keys: Keys) -> str:
    """Which lists a call could read instead, or how to get one."""
    lists = sorted(key for key, state in keys.items() if isinstance(state.type, ListOf))
    if lists:
        return f'lists here: {", ".join(lists)}; name one: split = "{lists[0]}"'
    return 'no key is one here; code of yours can make one: @op(outputs={"boxes": [Tensor("int32", [4])]})'
