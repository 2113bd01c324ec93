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
        elif isinstance(node, ast.Assign) and self._is_item(node.value):
            self.items |= {target.id for target in node.targets if isinstance(target, ast.Name)}

    def _iterates(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ITERATORS:
            return any(self._iterates(argument) for argument in node.args)
        return isinstance(node, ast.Name) and node.id in self.lists

    def _is_item(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Subscript):
            return isinstance(node.value, ast.Name) and node.value.id in self.lists
        return isinstance(node, ast.Name) and node.id in self.items

    def _uses(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Subscript) and self._is_item(target.value):
                    _note(self.written, target.slice, node.end_lineno)
                    if isinstance(node, ast.AugAssign):
                        _note(self.taken, target.slice)
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

    def _call(self, method: str, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if method in ("get", "pop") and first is not None:
            _note(self.asked if method == "get" or len(node.args) > 1 else self.taken, first)
        elif method == "setdefault" and first is not None:
            _note(self.asked, first)
            _note(self.written, first, node.end_lineno)
        elif method == "update":
            for keyword in node.keywords:
                if keyword.arg is not None:
                    self.written.setdefault(keyword.arg, node.lineno)
            for key in first.keys if isinstance(first, ast.Dict) else ():
                if key is not None:
                    _note(self.written, key)


def _note(where: dict[str, int], key: ast.expr, line: int | None = None) -> None:
    """Note a literal key; the walk is not in the order of the lines, so the first line wins."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        at = line or key.lineno
        where[key.value] = min(at, where.get(key.value, at))
