"""Type inference: the state of every key before every call and after every node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..diagnostics import Bag, did_you_mean
from ..ir.filters import RESULT, SWAP, Has, Otherwise, UserStatus
from ..ir.graph import Call, Graph, Node, Port, sent
from ..ir.op import InferError
from ..ir.type_table import TypeTable
from ..types import ABSENT, State, Type, fits
from .asked import Asked
from .base import Context
from .dead_calls import may_be_missed, report_missed, report_never_runs
from .flow import End, Keys, Ways, after_call, divided, early_end, failed_end, join_ends, split_by
from .restarts import looped, without_dead_calls

_MOST_ROUNDS = 6


@dataclass(frozen=True)
class Infer:
    """Fills `Graph.types`, from the entries' inputs on."""

    name: str = "infer"

    def run(self, graph: Graph, context: Context) -> Graph:
        return infer_types(graph, context)


def infer_types(graph: Graph, context: Context) -> Graph:
    """The graph with its type table; types that do not meet are reported at their TOML line.

    A sub-graph that is called from several places gets what all of them bring, so what one call is given
    may depend on another one: it is done again until nothing changes.
    """
    arriving: dict[str, Keys] = {}
    for _ in range(_MOST_ROUNDS + len(graph.bodies())):
        bag = Bag()
        run = _Inference(graph, replace(context, bag=bag), arriving)
        for entry in graph.entries:
            keys = {port.key: _given(port) for port in entry.inputs}
            run.final[entry.root] = run.entry(entry.root, keys)
        if not run.is_open:
            break
    else:
        for loop in graph.loops.values():
            message = "the types of what items bring when they start again change with every round"
            bag.error("TP222", message, loop.span)
    context.bag.extend(bag.diagnostics)
    ended = frozenset(run.ends_quietly), frozenset(run.ends_with_result)
    entering, leaving = ({n: keys.get(n, {}) for n in graph.nodes} for keys in (run.entering, run.leaving))
    table = TypeTable(run.before, entering, leaving, run.final, run.written, run.results, *ended, run.turned)
    return replace(graph, nodes=without_dead_calls(graph, run.before), types=table)


def _given(port: Port) -> State:
    return replace(port.state, writers=frozenset({sent(port.key)}))


@dataclass
class _Inference:
    """One round. ``arriving`` are the keys that sub-graphs got so far; ``is_open``: some got more now.

    ``of_one``: it follows the items of one call into a sub-graph, not those of all that call it.
    """

    graph: Graph
    context: Context
    arriving: dict[str, Keys]
    of_one: bool = False
    is_open: bool = False
    before: dict[str, Keys] = field(default_factory=dict)
    written: dict[str, Mapping[str, Type]] = field(default_factory=dict)
    results: dict[str, Type] = field(default_factory=dict)
    turned: dict[str, Mapping[str, Type]] = field(default_factory=dict)
    entering: dict[str, Keys] = field(default_factory=dict)
    leaving: dict[str, Keys] = field(default_factory=dict)
    final: dict[str, Keys] = field(default_factory=dict)
    ends_quietly: set[str] = field(default_factory=set)
    ends_with_result: set[str] = field(default_factory=set)

    def component(self, root: str, keys: Keys) -> Keys | None:
        """The keys at the end of what begins at a root; None if no item gets there."""
        return _Walk(self, root, keys).final()

    def entry(self, root: str, keys: Keys) -> Keys:
        """The keys at the end of an entry; of a loop, those of items that are done."""
        loop = self.graph.loops.get(root)
        if loop is None:
            return self.component(root, keys) or {}
        return looped(loop, root, keys, self)

    def ends(self, root: str, keys: Keys) -> list[End]:
        """The ways to the end of what begins at a root, which has one leaf."""
        walk = _Walk(self, root, keys)
        walk.final()
        return walk.all_ends()

    def subgraph(self, root: str, keys: Keys) -> Keys:
        """The keys at the end of a sub-graph, of the items that one call brings there.

        Their types are those that all calls together give it to work with; whether they are there depends on
        what this call brings.
        """
        if self.of_one:
            return self.component(root, keys) or {}
        self.arrive(root, [End(keys)])
        end = self.component(root, self.arriving[root]) or {}
        if _shown(self.arriving[root]) == _shown(keys):
            return end
        bag = Bag()
        own = _Inference(self.graph, replace(self.context, bag=bag), {}, of_one=True).component(root, keys)
        if own is None or bag.has_errors:
            return end
        return {key: _of_one(state, own.get(key, ABSENT)) for key, state in end.items()}

    def arrive(self, root: str, ends: list[End]) -> None:
        """Note what comes to a sub-graph, or to where items go on."""
        known = self.arriving.get(root)
        joined = join_ends([*([End(known)] if known is not None else []), *ends], root)
        if known is not None and _shown(joined) != _shown(known):
            self.is_open = True
        self.arriving[root] = joined


def _of_one(state: State, own: State) -> State:
    """The state of a key at a sub-graph's end, for the items of one call: they may all have it, or none."""
    type_ = state.type if own.present else None
    return replace(own, type=type_, writers=state.writers)


def _shown(keys: Keys) -> dict[str, str]:
    """The states as text, which does not tell fresh dimensions from one another."""
    return {key: str(state) for key, state in keys.items()}


class _Walk:
    """One component, node by node.

    ``own`` are the keys behind each node of the items that ran it or passed by it alone; ``skipped`` those
    of items that pass by several nodes, which only the nodes behind these see.
    """

    def __init__(self, inference: _Inference, root: str, keys: Keys) -> None:
        self.inference = inference
        self.graph = inference.graph
        self.context = inference.context
        self.root = root
        self.keys = keys
        self.own: dict[str, Keys | None] = {}
        self.skipped: list[tuple[frozenset[str], Keys]] = []
        self.leaves = self.graph.leaves(root)
        self.ends: dict[str, list[End]] = {leaf: [] for leaf in self.leaves}
        self.ways: dict[str, list[Keys]] = {}  # behind each node, before they are joined
        self.allows_dead_calls = root in self.graph.again or inference.of_one
        self.leaves_behind = self.graph.leaves_behind(root)

    def final(self) -> Keys | None:
        inference = self.inference
        is_quiet = has_result = False
        for name in self.graph.component(self.root):
            node = self.graph.nodes[name]
            keys = self._arriving(node)
            inference.entering[name] = keys or {}
            ended = {leaf: len(self.ends[leaf]) for leaf in self.leaves_behind[name]}
            self.own[name] = self._node(node, keys) if keys is not None else None
            fresh = [end for leaf, count in ended.items() for end in self.ends[leaf][count:]]
            is_quiet = is_quiet or any(end.missing.quiet for end in fresh)
            has_result = has_result or any(end.keys.get(RESULT, end.missing).present for end in fresh)
            if is_quiet:
                inference.ends_quietly.add(name)
            if has_result:
                inference.ends_with_result.add(name)
            inference.leaving[name] = self._view(name, None) or {}
        found: dict[str, State] = {}
        for leaf in self.leaves:
            last = self._view(leaf, None)
            ends = [*self.ends[leaf], *([End(last)] if last is not None else [])]
            prefix = f"{self.graph.title(leaf)}." if len(self.leaves) > 1 else ""
            found.update({prefix + key: state for key, state in join_ends(ends, self.root).items()})
        return found

    def all_ends(self) -> list[End]:
        """The ways to the end of a component with one leaf, each by itself."""
        (leaf,) = self.leaves
        passing = [keys for nodes, keys in self.skipped if leaf in nodes]
        return [*self.ends[leaf], *map(early_end, [*self.ways.get(leaf, ()), *passing])]

    def _view(self, name: str, seen_from: str | None) -> Keys | None:
        """The keys behind a node as another node (None: whoever stands behind all) finds them."""
        passing = [keys for nodes, keys in self.skipped if name in nodes and seen_from not in nodes]
        own = self.own[name]
        if not passing:
            return own
        return Ways([End(keys) for keys in ([own] if own is not None else []) + passing], name)

    def _arriving(self, node: Node) -> Keys | None:
        if node.name == self.root:
            return self.keys
        before = [self._view(name, node.name) for name in self.graph.predecessors()[node.name]]
        if any(keys is None for keys in before):
            return None
        if not node.map:
            return before[0]
        found: dict[str, State] = {}
        for one in node.map:
            view = self._view(one.node, node.name) or {}
            state = view.get(one.source, ABSENT)
            if state.absent:
                known = sorted(key for key, state in view.items() if state.present)
                near = did_you_mean(one.source, known)
                self.context.bag.error(
                    "TP307",
                    f"the map takes '{one.source}', which '{self.graph.title(one.node)}' does not leave",
                    one.span,
                    hint=f"did you mean '{near}'?" if near else f"it leaves: {', '.join(known)}",
                    node=node.title,
                )
                return None
            found[one.target] = state
        return found

    def _node(self, node: Node, keys: Keys) -> Keys | None:
        """The keys behind a node; None if no item gets there by it (or an error was reported)."""
        leaving: list[Keys] = []  # of the items that do not go on to the node's end
        arriving: dict[int, list[Keys]] = {0: [keys]}  # by the position of the call
        for position, call in enumerate(node.calls):
            if position not in arriving:
                if not self.allows_dead_calls and not may_be_missed(call):
                    report_missed(node, call, self.context.bag)
                    return None
                continue
            split = split_by(call.filter, _joined(call.label, *arriving[position]))
            if split.asked is not None and not self._can_ask(node, call, split.asked):
                return None
            skipping: list[Keys] = []
            for otherwise, aside in split.aside:
                self._aside(node, position, otherwise, aside, skipping, leaving)
            if split.running is None and not call.filter.is_constant and not self.allows_dead_calls:
                report_never_runs(node, call, self.context.bag, was_asked=split.asked is not None)
                return None
            if split.running is not None:
                self.inference.before[call.label] = split.running
                behind = self._behind(node, position, split.running)
                if behind is None:
                    return None
                for next_position, one in behind:
                    arriving.setdefault(next_position, []).append(one)
            if skipping:
                arriving.setdefault(node.following(position), []).extend(skipping)
        ways = arriving.get(len(node.calls), [])
        return self._behind_node(node, self._made_up_for(node, keys, ways), leaving)

    def _made_up_for(self, node: Node, keys: Keys, ways: list[Keys]) -> list[Keys]:
        """The keys at a node's end, with those of items that an operator failed on, where these go on."""
        if node.on_error is None:
            return ways
        if ways:
            return [self._recovered(node, keys, _joined(node.name, *ways))]
        if node.calls[0].label not in self.inference.before:
            return []
        if not node.on_error.has_default:
            return [keys]
        message = f"'on_error' is {node.on_error.default!r}, but no item gets a result in this node"
        self.context.bag.error("TP310", message, node.on_error.span, hint="skip, or fail", node=node.title)
        return []

    def _behind_node(self, node: Node, ways: list[Keys], leaving: list[Keys]) -> Keys | None:
        """The keys of the items that go on behind a node: those at its end, and those that left it before."""
        takes_all = self._takes_all(node)
        going_on = [one for one in leaving if one.get(RESULT, ABSENT).present or takes_all]
        for one in leaving:
            if one not in going_on:
                self._end(node.name, early_end(one))
        self.ways[node.name] = [*ways, *going_on]
        if not ways:
            return Ways(map(End, going_on), node.name) if going_on else None
        return _joined(node.name, _joined(node.name, *ways), *going_on)

    def _behind(self, node: Node, position: int, keys: Keys) -> list[tuple[int, Keys]] | None:
        """The keys behind a call, with the positions where items go on; None if something was reported."""
        call = node.calls[position]
        if call.fork is None:
            behind = self._call(node, call, keys)
            return None if behind is None else [(node.following(position), behind)]
        ways = zip(node.behind(position), divided(Has(call.fork), keys), strict=True)
        return [(next_position, way) for next_position, way in ways if way is not None]

    def _recovered(self, node: Node, keys: Keys, current: Keys) -> Keys:
        """The keys behind a node that makes up for failures: of items that ran, or went on as they came."""
        assert node.on_error is not None
        own = {call.label for call in node.calls}
        ran = {key: replace(s, failed=s.failed and s.origin not in own) for key, s in current.items()}
        came = dict(keys)
        if node.on_error.has_default:
            result = current.get(RESULT, ABSENT).type
            if result is None or not fits(node.on_error.default, result):
                message = f"'on_error' is {node.on_error.default!r}, but the node's result is {result}"
                hint = "skip, fail, or a value of the result's type"
                self.context.bag.error("TP310", message, node.on_error.span, hint=hint, node=node.title)
                return ran
            self.inference.results[node.name] = result
            came[RESULT] = State(result, writers=frozenset({node.calls[-1].label}))
        return join_ends([End(ran), End(came)], node.name)

    def _aside(
        self,
        node: Node,
        position: int,
        otherwise: Otherwise,
        keys: Keys,
        skipping: list[Keys],
        leaving: list[Keys],
    ) -> None:
        """Items that a filter does not let run: where they go on, or how they end."""
        if otherwise is Otherwise.ERROR:
            self._end(node.name, failed_end(keys))
        elif otherwise is Otherwise.SKIP and position > 0:
            skipping.append(keys)
        elif otherwise is Otherwise.SKIP or position > 0:
            leaving.append(keys)
        elif otherwise is Otherwise.BREAK:
            self._end(node.name, early_end(keys))
        else:
            self.skipped.append((frozenset(self.graph.passed_by(node.name, otherwise)), keys))

    def _end(self, name: str, end: End) -> None:
        for leaf in self.leaves_behind[name]:
            self.ends[leaf].append(end)

    def _takes_all(self, node: Node) -> bool:
        """True if items without a ``result`` may be seen behind the node; else they end here."""
        followers = [self.graph.nodes[name] for name in node.next]
        if len(followers) > 1 or any(one.map for one in followers):
            return True
        return any(one.calls[0].filter.checks[:1] != SWAP.checks for one in followers)

    def _can_ask(self, node: Node, call: Call, keys: Keys) -> bool:
        """False if the user's function of a filter reads keys that may not be there, which is reported."""
        verdict = call.filter.verdict
        if not isinstance(verdict, UserStatus):
            return True
        asked = Asked(call, keys, self.graph, self.inference.subgraph, self.inference.before)
        try:
            for key in verdict.reads:
                asked.shown(key)
        except InferError as problem:
            message = f"filter {call.filter}: {problem.message}"
            place = verdict.span or call.span
            hint = _result_first(verdict, keys) or problem.hint
            self.context.bag.error(problem.code, message, place, hint=hint, node=node.title)
            return False
        return True

    def _call(self, node: Node, call: Call, keys: Keys) -> Keys | None:
        """The keys behind a call; None if something was reported."""
        asked = Asked(call, keys, self.graph, self.inference.subgraph, self.inference.before)
        try:
            for key in call.op.inputs():
                asked.type(key)
            written = call.op.infer(asked)
        except InferError as found:
            problem = asked.refused(found)
            place = call.spans.get(problem.attribute or "", call.span)
            message = f"{call.op.name}: {problem.message[:1000]}"  # it may quote what the user wrote
            self.context.bag.error(problem.code, message, place, hint=problem.hint, node=node.title)
            return None
        if call.jump is not None and not call.op.writes:
            return asked.called
        self.inference.written[call.label] = written
        self.inference.turned[call.label] = asked.turned
        return after_call(call, keys, written, asked.called)


def _result_first(verdict: UserStatus, keys: Keys) -> str | None:
    """How a function may read its keys, where these are there for all items that have a ``result``."""
    with_result = divided(Has(RESULT), keys)[0]
    states = [(with_result or {}).get(key, ABSENT) for key in verdict.reads]
    if RESULT in verdict.reads or not all(state.present and not state.optional for state in states):
        return None
    parameters = ", ".join((RESULT, *verdict.reads, *(f"{key}=None" for key in verdict.optional)))
    return f"let it read 'result', too: {verdict.function}({parameters}); items without one then end there"


def _joined(owner: str, keys: Keys, *others: Keys) -> Keys:
    return Ways([End(keys), *map(early_end, others)], owner) if others else keys
