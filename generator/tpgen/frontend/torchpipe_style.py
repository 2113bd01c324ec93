"""Which keys an operator in TorchPipe's own style uses: what its ``forward`` does with the dictionaries.

::

    def forward(self, items):
        for item in items:
            item["result"] = work(item["data"], item.get("color"))
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

_ITERATORS = ("enumerate", "list", "reversed", "sorted", "tuple", "zip")


@dataclass
class KeyScan:
    """Collects keys with the line of their first use. ``asked``: looked for, which may find nothing."""

    lists: set[str]
    items: set[str] = field(default_factory=set)
    taken: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, forward: ast.FunctionDef | ast.AsyncFunctionDef) -> KeyScan:
        """Scan the method; its first parameter behind ``self`` is the list of items."""
        scan = cls({argument.arg for argument in forward.args.args[1:2]})
        for node in ast.walk(forward):
            scan._names(node)
        for node in ast.walk(forward):
            scan._uses(node)
        return scan

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys that must be there: those not written on an earlier line."""
        found = [key for key, line in self.taken.items() if line <= self.written.get(key, line)]
        return tuple(key for key in found if key != "result") or ("data",)

    @property
    def optional(self) -> tuple[str, ...]:
        return tuple(key for key in self.asked if key not in self.taken and key not in self.written)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("result", *self.written)))

    def _names(self, node: ast.AST) -> None:
        """Find the names that stand for one item."""
        if isinstance(node, ast.For | ast.comprehension) and self._iterates(node.iter):
            self.items |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assigned(target, node.value)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            for one, other in zip(target.elts, value.elts, strict=False):
                self._assigned(one, other)
        elif isinstance(target, ast.Name) and self._is_item(value):
            self.items.add(target.id)

    def _iterates(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ITERATORS:
            return any(self._iterates(argument) for argument in node.args)
        return isinstance(node, ast.Name) and node.id in self.lists

    def _is_item(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Subscript):
            return isinstance(node.value, ast.Name) and node.value.id in self.lists
        return isinstance(node, ast.Name) and node.id in self.items

    def _uses(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._stores(target, node.end_lineno)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._stores(node.target, node.end_lineno)
        elif isinstance(node, ast.For):
            self._stores(node.target, node.target.end_lineno)
        elif isinstance(node, ast.AugAssign):
            self._stores(node.target, node.end_lineno, augmented=True)
            if self._is_item(node.target):  # item |= {"key": value}
                self._merges(node.value, node.end_lineno)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and self._is_item(node.value):
            _note(self.taken, node.slice)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and self._is_item(node.func.value)
        ):
            self._call(node.func.attr, node)
        elif isinstance(node, ast.Compare) and self._is_item(node.comparators[0]):
            _note(self.asked, node.left)

    def _stores(self, target: ast.expr, line: int | None, *, augmented: bool = False) -> None:
        """Note the keys that an assignment writes, which ends on ``line``; ``augmented``: and reads."""
        for one in ast.walk(target):
            if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Store) and self._is_item(one.value):
                _note(self.written, one.slice, line)
                if augmented:
                    _note(self.taken, one.slice)

    def _merges(self, node: ast.expr, line: int | None) -> None:
        """Note the keys of a dictionary that is merged into an item."""
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if key is not None:
                    _note(self.written, key, line)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            self._merges_call(node, line)

    def _merges_call(self, node: ast.Call, line: int | None) -> None:
        """Note the keys that ``item.update(...)`` or ``dict(...)`` is given."""
        for keyword in node.keywords:
            if keyword.arg is not None:
                _note(self.written, ast.Constant(keyword.arg), line)
        for argument in node.args:
            self._merges(argument, line)

    def _call(self, method: str, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if method in ("get", "pop") and first is not None:
            _note(self.asked if method == "get" or len(node.args) > 1 else self.taken, first)
        elif method == "setdefault" and first is not None:
            _note(self.asked, first)
            _note(self.written, first, node.end_lineno)
        elif method == "update":
            self._merges_call(node, node.end_lineno)


def _note(where: dict[str, int], key: ast.expr, line: int | None = None) -> None:
    """Note a literal key; the walk is not in the order of the lines, so the first line wins."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        at = line or key.lineno
        where[key.value] = min(at, where.get(key.value, at))
