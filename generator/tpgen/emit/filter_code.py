"""The expressions of a node's filters."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.filters import OR, RUN, SWAP, Check, Equals, Filter, Has, Lacks, Never, OwnStatus, UserStatus
from ..ir.graph import Node
from .code_text import LINE, broken_call, one_line
from .names import literal
from .stage_parts import StageParts

_NAMED_FILTERS = {replace(SWAP, name=""): "SWAP", replace(OR, name=""): "OR", replace(RUN, name=""): "ALL"}


@dataclass(frozen=True)
class FilterCode:
    """The filters of one node; what they need is noted in the ``parts`` of its stage."""

    parts: StageParts
    node: Node

    def needed(self, filter_: Filter) -> Filter:
        """The filter without the checks that hold for every item."""
        assert self.parts.graph.types is not None
        states = self.parts.graph.types.entering[self.node.name]
        sure = {Has(key) for key, state in states.items() if state.present and not state.optional}
        return replace(filter_, checks=tuple(c for c in filter_.checks if c.condition not in sure))

    def code(self, filter_: Filter) -> str:
        """The expression of a filter."""
        known = _NAMED_FILTERS.get(replace(filter_, name=""))
        if known is not None:
            self.parts.filters.add(known)
            return known
        arguments = [self._check(check) for check in filter_.checks]
        if filter_.moves:
            arguments.append(f"moves={literal(filter_.moves)}")
        if isinstance(filter_.verdict, OwnStatus):
            self.parts.filters.add("own_status")
            arguments.append(f"verdict=own_status({literal(filter_.verdict.key)})")
        elif filter_.verdict is not None:
            arguments.append(self._user_verdict(filter_.verdict))
        if any(otherwise.value == "Error" for otherwise in filter_.outcomes):
            arguments.append(f"name={literal(filter_.name)}")
        self.parts.filters.add("Filter")
        if isinstance(filter_.verdict, UserStatus):
            code = "\n        ".join(broken_call("Filter", arguments, LINE))
            comment = f"{self.node.location} filter {one_line(filter_.verdict.label, 80)}"
            return f"self.{self.parts.load(self.node, filter_.verdict.function, code, comment)}"
        return f"Filter({', '.join(arguments)})"

    def _user_verdict(self, verdict: UserStatus) -> str:
        """The argument of a filter that asks a user's function, which is constructed at load."""
        arguments = {
            "module": verdict.module,
            "name": verdict.function,
            "parameters": dict(verdict.settings),
            "reads": verdict.reads,
            "optional": verdict.optional,
        }
        shown = ['directory=context.path("user")', *(f"{k}={literal(v)}" for k, v in arguments.items())]
        self.parts.modules.add("user_filter")
        return "\n            ".join(broken_call("verdict=user_filter.UserFilter", shown, LINE))

    def _check(self, check: Check) -> str:
        self.parts.filters.add(check.otherwise.name)
        otherwise = check.otherwise.name
        match check.condition:
            case Has(key):
                name, arguments = "has", [literal(key), otherwise]
            case Lacks(key):
                name, arguments = "lacks", [literal(key), otherwise]
            case Equals(key, value):
                name, arguments = "equals", [literal(key), literal(value), otherwise]
            case Never():
                name, arguments = "never", [otherwise]
        self.parts.filters.add(name)
        return f"{name}({', '.join(arguments)})"
