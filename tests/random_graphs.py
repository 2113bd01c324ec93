"""Random pipelines with branches, joins, filters of every kind and sub-graphs."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from random_pipelines import KEYS, NAMES, USER_FILTERS, Maker, Pipeline, backend_text, read_pipeline

# Says, by size alone, which status an item gets; now and then one that does not exist.
STATUS_CODE = """

STATUSES = ("Run", "Skip", "SerialSkip", "SubGraphSkip", "Break", "Error", "Run", "whatever")


@op(outputs={"result": Tensor("string", []), "filter": Tensor("string", []), "target": Tensor("int64", [])})
def status(data):
    size = size_of(data)
    return {"result": "x" * (size % 5), "filter": STATUSES[size % 8], "target": np.int64(size % 3)}


def says(data):
    return STATUSES[size_of(data) % 8]


def starts_again(result):
    size = size_of(result)
    if size % 4 == 1:
        return "Skip"
    return "Break" if size % 4 == 3 else "Swap"


def goes_on(data):
    size = size_of(data)
    if size % 4 == 1:
        return "Skip"
    return "Break" if size % 4 == 3 else "Run"


@op(outputs={"result": Tensor("float32", ["N"]), "restart": Tensor("string", [])})
def again(data, *, to):
    size = size_of(data)
    if size % 3 == 0:
        return None
    return {"result": np.ones(size - 1, np.float32), "restart": "nowhere" if size % 7 == 0 else to}


def passes_by(data):
    size = size_of(data)
    if size % 4 == 0:
        return "SerialSkip"
    if size % 5 == 0:
        return "SubGraphSkip"
    return "Swap" if size % 2 else "Break"


def passes_or_runs(data):
    size = size_of(data)
    return "SubGraphSkip" if size % 3 == 0 else ("SerialSkip" if size % 5 == 0 else "Run")


@op(outputs={"boxes": [Tensor("float32", ["N", 3])], "result": [Tensor("string", [])]})
def parts(data):
    size = size_of(data)
    if size % 13 == 0:
        return None
    return {
        "boxes": [np.full((i + 1, 3), i, np.float32) for i in range(size % 4)],
        "result": ["y" * (i + size % 3) for i in range(size % 5)],
    }


class Remembers:
    def forward(self, items):
        for item in items:
            item["context"], item["result"] = [size_of(item["data"])], item["data"]


@op(outputs={"result": Tensor("int64", [])})
def remembered(context):
    return None if context[0] % 9 == 0 else np.int64(context[0])
"""
GRAPH_FILTERS = ("says", "passes_by", "passes_or_runs")
OWN_STATUS = ('filter = "filter"\n', 'filter = "if"\n')
NODE_FILTERS = (
    "",
    "",
    'filter = "or"\n',
    "or = true\n",
    'filter = "Run"\n',
    'filter = "else"\n',
    'filter = "swap"\n',
    'filter = "result2other"\n',
    'filter = "result2key_1"\n',
    'filter = "IsOtherExistFilter"\nother = "other"\n',
    'filter = "IsKeyExistFilter"\nkey = "note"\n',
    'filter = "IsKeyExistFilter"\nkey = "boxes"\n',
    *OWN_STATUS,
    *OWN_STATUS,
    'filter = "Target"\ntarget = "1"\n',
    'filter = "Target"\ntarget = "Run"\n',
    'filter = "Skip"\n',
    'filter = "SerialSkip"\n',
    'filter = "SubGraphSkip"\n',
    'filter = "Break"\n',
    'filter = "Error"\n',
    *(f'filter = "Python[mine:{name}]"\n' for name in (*USER_FILTERS, *GRAPH_FILTERS)),
)
ON_ERROR = (
    *('on_error = "skip"\n', 'on_error = "skip"\n', "on_error = -1\n", 'on_error = "lost"\n'),
    *("on_error = []\n", "on_error = [1, 2, 3]\n", "retry = 2\n", "retry = 3\n", "max_items = 2\n"),
)
ITEM_FILTERS = (
    *("(Run)", "(or)", "(or)", "(else)", "(result2other)", "(swap)", "(filter)", "(if)", "(filter)"),
    *("(Skip)", "(Break)", "(SerialSkip)", "(SubGraphSkip)", "(SubGraphSkip)", "(Error)"),
    *(f"(Python[mine:{name}])" for name in (*USER_FILTERS, *GRAPH_FILTERS)),
)
KEPT = (  # the keys of a node that stay when it gets another filter
    *("map", "on_error", "retry", "max_items", "borrow_from", "jump", "split", "merge", "drop_absent"),
)
MAPPED = ("result", "result", "data", "note", "boxes", "filter", "other", "texts")


@dataclass
class _Node:
    calls: list[str]
    next: list[str] = field(default_factory=list)
    keys: str = ""

    def copy(self) -> _Node:
        return _Node(list(self.calls), list(self.next), self.keys)


@dataclass
class GraphMaker(Maker):
    """Grows a graph by random steps, each of which is kept if what comes out compiles."""

    graph: dict[str, _Node] = field(default_factory=dict)

    def make(self) -> Pipeline:
        self.head = self._head()
        wanted = self.rng.randint(3, 14)
        names = [*self.rng.sample(NAMES, len(NAMES)), "x1", "x2", "x3", "x4"]
        found: Pipeline | None = None
        steps = (
            *(self._add_operator, self._add_node, self._add_node, self._add_join, self._add_filter),
            self.rng.choice((self._add_again, self._add_context, self._add_checked, self._add_checked)),
        )
        for _ in range(60):
            if found is not None and sum(len(node.calls) for node in self.graph.values()) >= wanted:
                break
            before = {name: node.copy() for name, node in self.graph.items()}
            free = [name for name in names if name not in self.graph]
            if not self.graph:
                self.graph[free[0]] = _Node([self._operator_text()])
            elif not free:
                break
            elif self.rng.random() < 0.2:
                self._add_subgraph(free)
            else:
                self.rng.choice(steps)(free)
            made = self._compiled(self._graph_text())
            if made is None or len(made.compiled.graph.entries) > 1:
                self.graph = before
            else:
                found = made
        return found if found is not None else GraphMaker(self.rng, self.folder, self.name).make()

    def _add_operator(self, free: list[str]) -> None:
        node = self.graph[self.rng.choice(self._written())]
        filter_ = self.rng.choice(ITEM_FILTERS) if self.rng.random() < 0.2 else ""
        node.calls.append(filter_ + self._operator_text())

    def _add_checked(self, free: list[str]) -> None:
        """An operator with a filter, at the end of a sequence, behind what says a status if that decides."""
        node = self.graph[self.rng.choice(self._written())]
        filter_ = self.rng.choice(ITEM_FILTERS)
        if filter_ in ("(filter)", "(if)") and self.rng.random() < 0.7:
            node.calls.append("(Run)Python[mine:status]")
        node.calls.append(filter_ + self._operator_text())

    def _add_node(self, free: list[str]) -> None:
        before = self.rng.choice([*self.graph])
        self.graph[before].next.append(free[0])
        self.graph[free[0]] = _Node([self._operator_text()], keys=self._node_keys(before))

    def _add_join(self, free: list[str]) -> None:
        if len(self.graph) < 2:
            return
        before = self.rng.sample([*self.graph], 2)
        for name in before:
            self.graph[name].next.append(free[0])
        self.graph[free[0]] = _Node([self._operator_text()], keys=self._map(before))

    def _add_filter(self, free: list[str]) -> None:
        """Another filter at a node; where the item brings its status, something before the node says it."""
        name = self.rng.choice([*self.graph])
        node, filter_ = self.graph[name], self.rng.choice(NODE_FILTERS)
        kept = [line for line in node.keys.split("\n") if line.startswith(KEPT)]
        node.keys = "\n".join([*kept, filter_])
        before = [other for other in self.graph.values() if name in other.next and other.calls]
        if before and filter_ in OWN_STATUS and self.rng.random() < 0.7:
            self.rng.choice(before).calls.append("(Run)Python[mine:status]")

    def _add_subgraph(self, free: list[str]) -> None:
        """A node that runs a sub-graph, an old one or a new one of one or two nodes."""
        caller, root, *others = free if len(free) > 2 else [*free, "y1", "y2"]
        known = [
            line.split('"')[1] for n in self.graph.values() for line in n.keys.split("\n") if "jump" in line
        ]
        before = self.rng.choice(known if known and self.rng.random() < 0.3 else [*self.graph])
        if known and self.rng.random() < 0.3:
            root = self.rng.choice(known)
        else:
            self.graph[root] = _Node([self._operator_text()])
            if self.rng.random() < 0.5:
                self.graph[root].next.append(others[0])
                self.graph[others[0]] = _Node([self._operator_text()], keys=self.rng.choice(NODE_FILTERS))
        keys = f'jump = "{root}"\n'
        backend = "Jump"
        if self.rng.random() < 0.7:
            backend = "MapReduce"
            keys += self.rng.choice(("", 'split = "boxes"\n', 'split = "texts"\n'))
            keys += self.rng.choice(("", "", 'merge = "result,note"\n', 'merge = "note"\n'))
            keys += self.rng.choice(("", "drop_absent = true\n")) + self.rng.choice(
                ("", "", "max_items = 2\n")
            )
        self.graph[before].next.append(caller)
        calls = [backend] if self.rng.random() < 0.7 else [self._operator_text(), backend]
        self.graph[caller] = _Node(calls, keys=keys + self._node_keys(before))

    def _add_again(self, free: list[str]) -> None:
        """A node written before, in a second place: as a logical node, or one that borrows its instances."""
        before, name = self.rng.choice([*self.graph]), self.rng.choice(self._written())
        is_logical = self.rng.random() < 0.5 and f"{name}.2" not in self.graph
        again = f"{name}.2" if is_logical else free[0]
        keys = self._map([before]) if self.rng.random() < 0.5 else self.rng.choice(NODE_FILTERS)
        self.graph[before].next.append(again)
        self.graph[again] = _Node([], keys=keys if is_logical else f'borrow_from = "{name}"\n{keys}')
        if self.graph[name].next:  # it would go on to the same nodes
            self.graph[again].next.append(free[1] if len(free) > 1 else "y1")
            self.graph[self.graph[again].next[0]] = _Node([self._operator_text()])

    def _add_context(self, free: list[str]) -> None:
        """A node that leaves something under ``context``, and one that reads it."""
        first, last = (self.graph[self.rng.choice(self._written())] for _ in range(2))
        if not first.calls[0].startswith("("):
            first.calls[0] = f"(Run){first.calls[0]}"
        first.calls.insert(0, "Python[mine:Remembers]")
        last.calls.append("(Run)Python[mine:remembered]")

    def _written(self) -> list[str]:
        """The nodes that have operators of their own."""
        return [name for name, node in self.graph.items() if node.calls]

    def with_entries(self, made: Pipeline) -> Pipeline:
        """The pipeline with a node or two as more entries, where that compiles."""
        for name in self.rng.sample([*self.graph], min(2, len(self.graph))):
            known = re.search("entries = \\[(.*)\\]\n", made.text)
            listed = f'{known[1]}, "{name}"' if known else f'"{name}"'
            text = made.text.replace(known[0], "") if known else made.text
            found = self._compiled(text.replace("[pipeline]\n", f"[pipeline]\nentries = [{listed}]\n", 1))
            made = found if found is not None else made
        return made

    def with_loop(self, made: Pipeline) -> Pipeline:
        """The pipeline with a node at its end that sends some items back, where that compiles."""
        names = [*self.graph]
        for target in self.rng.sample(names, min(3, len(names))):
            leaves = [name for name in names if not self.graph[name].next]
            leaves = [name for name in leaves if f'jump = "{name}"' not in made.text]
            last = self.rng.choice(leaves)
            keys = 'filter = "Python[mine:starts_again]"\n' if self.rng.random() < 0.8 else 'filter = "or"\n'
            joined = ""
            if len(leaves) > 1:
                joined, keys = f'map = "{last}[result:data]"\n', 'filter = "Python[mine:goes_on]"\n'
            backend = f"Add[restart:{target}]"
            if self.rng.random() < 0.4:
                keys, backend = f'to = "{target}"\n', "Python[mine:again]"
            head = f'[pipeline]\nrestarts = ["{target}"]\nmax_restarts = 3\n'
            head = f'entrypoint = "Restart[DagDispatcher]"\n{head}'
            text = made.text.replace("[pipeline]\n", head, 1)
            for leaf in leaves:
                text = text.replace(f'["{leaf}"]\n', f'["{leaf}"]\nnext = "back"\n', 1)
            found = self._compiled(f'{text}\n["back"]\nbackend = "{backend}"\n{joined}{keys}')
            if found is not None:
                return found
        return made

    def _node_keys(self, before: str) -> str:
        kept = self.rng.choice(ON_ERROR) if self.rng.random() < 0.15 else ""
        return kept + self._entering(before)

    def _entering(self, before: str) -> str:
        if self.rng.random() < 0.2:
            return self._map([before])
        return self.rng.choice(NODE_FILTERS) if self.rng.random() < 0.4 else ""

    def _map(self, nodes: list[str]) -> str:
        pairs: dict[str, list[str]] = {}
        targets = ["data", *self.rng.sample([key for key in KEYS if key != "data"], self.rng.randint(0, 3))]
        for target in targets:
            source = self.rng.choice(nodes if self.rng.random() < 0.8 else [*self.graph])
            pairs.setdefault(source, []).append(f"{self.rng.choice(MAPPED)}:{target}")
        return 'map = "' + ",".join(f"{node}[{','.join(keys)}]" for node, keys in pairs.items()) + '"\n'

    def _operator_text(self) -> str:
        if self.rng.random() < 0.15:
            return f"Python[mine:{self.rng.choice(('status', 'parts'))}]"
        self.nodes = [[]]  # no filter before it: the base class would write one
        return self._call()

    def _graph_text(self) -> str:
        lines = [self.head]
        for index, (name, node) in enumerate(self.graph.items()):
            follower = f'next = "{",".join(node.next)}"\n' if node.next else ""
            lines.append(f'["{name}"]\n{self._backend(node, index)}{node.keys}{follower}')
        return "\n".join(lines)

    def _backend(self, node: _Node, index: int) -> str:
        if not node.calls:  # it has that of another node
            return ""
        return backend_text(node.calls, index)


def write_status_code(folder: Path) -> None:
    """Add what the graphs need to the user code of `random_pipelines`."""
    path = folder / "mine.py"
    path.write_text(path.read_text(encoding="utf-8") + STATUS_CODE, encoding="utf-8")


def make_graph(rng: random.Random, folder: Path, name: str, *, more: bool = False) -> Pipeline:
    """A pipeline with branches, filters, sub-graphs, random outputs; ``more``: a loop, and more entries."""
    maker = GraphMaker(rng, folder, name)
    made = maker.make()
    made = maker.with_outputs(made) if rng.random() < 0.5 else made
    if more and rng.random() < 0.4:
        made = maker.with_loop(made)
    made = maker.with_entries(made) if more and rng.random() < 0.5 else made
    return read_pipeline(made.text, folder, name)  # what was tried last need not be what compiles
