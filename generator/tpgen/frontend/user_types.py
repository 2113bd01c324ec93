"""The declaration of a user's operator, ``@op(inputs=…, outputs=…)``, from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..diagnostics import Bag
from ..types import Array, Bytes, Color, Dim, DType, Layout, ListOf, Symbol, Text, Type
from .keys import near_hint
from .user_source import UserSource

RUNTIME = ("tpgen_runtime", "tpgen_runtime.user")
EXAMPLE = 'Tensor("float32", ["N", 4])'
NOT_LITERAL = f"the file is read, not run, so types are written out, for example {EXAMPLE}"
DTYPES = {d.value: d for d in DType if d is not DType.BFLOAT16}
OPTIONS: Mapping[str, tuple[str, ...]] = {"color": ("rgb", "bgr", "gray"), "layout": ("HWC", "CHW")}


_MEANT = {"bytes": "bytes", "str": "string", "text": "string", "string": "string"}


def _meant_type(node: ast.expr) -> str | None:
    """The hint for ``Bytes()``, ``Text``, ``bytes`` and their like, which are written as tensors."""
    callee = node.func if isinstance(node, ast.Call) else node
    name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
    meant = _MEANT.get(name.casefold())
    return f'write Tensor("{meant}", [])' if meant else None


@dataclass
class Names:
    """What the module calls `op` and `Tensor`, and its constants."""

    direct: dict[str, str] = field(default_factory=dict)  # local name -> "op" or "Tensor"
    modules: set[str] = field(default_factory=set)  # local names of the runtime's modules
    constants: dict[str, ast.expr] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> Names:
        names = cls()
        for statement in top_level(tree):
            if isinstance(statement, ast.ImportFrom) and statement.module in RUNTIME and not statement.level:
                names._import_from(statement)
            elif isinstance(statement, ast.Import):
                names._import(statement)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                names._assign(statement.targets[0], statement.value)
        return names

    def meaning(self, node: ast.expr) -> str | None:
        """Which of "op" and "Tensor" an expression names, if any."""
        if isinstance(node, ast.Name):
            return self.direct.get(node.id)
        if isinstance(node, ast.Attribute) and node.attr in ("op", "Tensor"):
            return node.attr if ast.unparse(node.value) in self.modules else None
        return None

    def _import_from(self, statement: ast.ImportFrom) -> None:
        for alias in statement.names:
            if alias.name == "*":
                self.direct |= {"op": "op", "Tensor": "Tensor"}
            elif alias.name in ("op", "Tensor"):
                self.direct[alias.asname or alias.name] = alias.name
            elif alias.name == "user":
                self.modules.add(alias.asname or alias.name)

    def _import(self, statement: ast.Import) -> None:
        for alias in statement.names:
            if alias.name in RUNTIME:
                self.modules.add(alias.asname or alias.name)
                if alias.asname is None:
                    self.modules.add("tpgen_runtime")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            if target.id in self.constants:
                value = ast.Constant(None)  # assigned twice: which one counts is not known
            self.constants[target.id] = value


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module, those inside ``if``, ``try`` and ``with`` included."""
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            nested = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
            handlers = getattr(statement, "handlers", [])
            waiting += reversed([*nested, *(node for handler in handlers for node in handler.body)])


@dataclass(frozen=True)
class Declared:
    """What ``@op`` says: types per key, with the place of each key."""

    inputs: Mapping[str, Type]
    outputs: Mapping[str, Type]
    batch: bool
    places: Mapping[str, ast.expr]


@dataclass
class DeclarationReader:
    """Reads one ``@op(…)``; what cannot be read is reported and left out."""

    user: UserSource
    names: Names
    bag: Bag
    symbols: dict[str, Symbol] = field(default_factory=dict)
    places: dict[str, ast.expr] = field(default_factory=dict)

    def read(self, decorator: ast.expr) -> Declared:
        """The declaration; ``decorator`` means `op`."""
        if not isinstance(decorator, ast.Call):
            self._error(
                "TP504", "'op' needs its arguments", decorator, f'@op(outputs={{"result": {EXAMPLE}}})'
            )
            return Declared({}, {}, batch=False, places={})
        given: dict[str, ast.expr] = {}
        for keyword in decorator.keywords:
            if keyword.arg in ("inputs", "outputs", "batch"):
                given[keyword.arg] = keyword.value
            else:
                known = ("inputs", "outputs", "batch")
                self._error(
                    "TP504", f"'op' takes no '{keyword.arg}'", keyword, near_hint(keyword.arg or "**", known)
                )
        for argument in decorator.args:
            self._error("TP504", "'op' takes keywords only: inputs, outputs, batch", argument)
        inputs = self._types(given["inputs"], "inputs") if "inputs" in given else {}
        outputs = self._types(given["outputs"], "outputs") if "outputs" in given else {}
        if not outputs and not self.bag.has_errors:
            self._error("TP504", "'op' declares no outputs", decorator, f'outputs={{"result": {EXAMPLE}}}')
        batch = self._constant(given["batch"], bool, "true or false") if "batch" in given else False
        return Declared(inputs, outputs, bool(batch), self.places)

    def _types(self, node: ast.expr, what: str) -> dict[str, Type]:
        node = self._resolved(node)
        if not isinstance(node, ast.Dict):
            self._error("TP504", f"'{what}' is not a dictionary that is written out", node, NOT_LITERAL)
            return {}
        found: dict[str, Type] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = self._constant(key or node, str, "a key in quotes")
            type_ = self._type(value)
            if isinstance(name, str) and type_ is not None and key is not None:
                if not name or name in found:
                    self._error(
                        "TP504",
                        f"'{name}' cannot stand here a second time" if name else "a key is empty",
                        key,
                    )
                found[name] = type_
                self.places[f"{what}.{name}"] = key
        return found

    def _type(self, node: ast.expr) -> Type | None:
        node = self._resolved(node)
        if isinstance(node, ast.List) and len(node.elts) == 1:
            item = self._type(node.elts[0])
            return None if item is None else ListOf(item)
        if not isinstance(node, ast.Call) or self.names.meaning(node.func) != "Tensor":
            self._error("TP504", "this is no type", node, _meant_type(node) or NOT_LITERAL)
            return None
        arguments = dict(zip(("dtype", "dims"), node.args, strict=False))
        for extra in node.args[2:]:
            self._error("TP504", "'Tensor' takes two arguments: dtype and dims", extra)
        for keyword in node.keywords:
            known = ("dtype", "dims", *OPTIONS)
            if keyword.arg not in known:
                self._error(
                    "TP504",
                    f"'Tensor' takes no '{keyword.arg}'",
                    keyword,
                    near_hint(keyword.arg or "**", known),
                )
            else:
                arguments[keyword.arg] = keyword.value
        if "dtype" not in arguments or "dims" not in arguments:
            self._error(
                "TP504", "'Tensor' needs an element type and dimensions", node, f"for example {EXAMPLE}"
            )
            return None
        return self._tensor(node, arguments)

    def _tensor(self, node: ast.expr, arguments: Mapping[str, ast.expr]) -> Type | None:
        dtype = self._constant(arguments["dtype"], str, "an element type in quotes")
        dims = self._dims(arguments["dims"])
        options = {key: self._option(key, arguments[key]) for key in OPTIONS if key in arguments}
        if not isinstance(dtype, str) or dims is None:
            return None
        if dtype == "bytes" or (dtype == "string" and not dims):
            if dims or options:
                self._error("TP504", f"'{dtype}' has no dimensions", node, f'Tensor("{dtype}", [])')
            return Bytes() if dtype == "bytes" else Text()
        if dtype not in DTYPES:
            known = [*DTYPES, "bytes"]
            self._error(
                "TP506", f"'{dtype}' is not an element type", arguments["dtype"], near_hint(dtype, known)
            )
            return None
        return self._image(node, Array(DTYPES[dtype], dims), options)

    def _image(self, node: ast.expr, array: Array, options: Mapping[str, str | None]) -> Array:
        """The array with the layout and colour that were given; colour alone is that of an HWC image."""
        if not options:
            return array
        if len(array.shape) != 3:
            self._error("TP506", f"{array} has no colour or layout: an image is of rank 3", node)
        layout = Layout(options.get("layout") or "HWC")
        return Array(array.dtype, array.shape, layout, Color(options.get("color") or "unknown"))

    def _option(self, key: str, node: ast.expr) -> str | None:
        value = self._constant(node, str, f"{' or '.join(OPTIONS[key])}")
        if isinstance(value, str) and value not in OPTIONS[key]:
            self._error("TP506", f"'{value}' is no {key}", node, f"one of: {', '.join(OPTIONS[key])}")
            return None
        return value if isinstance(value, str) else None

    def _dims(self, node: ast.expr) -> tuple[Dim, ...] | None:
        node = self._resolved(node)
        if not isinstance(node, ast.List | ast.Tuple):
            self._error(
                "TP504", "dimensions are not a list that is written out", node, f"for example {EXAMPLE}"
            )
            return None
        dims = [self._dim(element) for element in node.elts]
        return None if None in dims else tuple(dim for dim in dims if dim is not None)

    def _dim(self, node: ast.expr) -> Dim | None:
        node = self._resolved(node)
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.UnaryOp) and ast.unparse(node) == "-1":
            return Symbol("any")
        if isinstance(value, str) and value:
            return self.symbols.setdefault(value, Symbol(value))
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        wanted = "a positive number, a name in quotes, or -1 for any size"
        self._error("TP506", f"'{ast.unparse(node)}' is not a dimension", node, wanted)
        return None

    def _constant(self, node: ast.expr, kind: type, wanted: str) -> object:
        """The value of a literal of this kind; anything else is reported."""
        node = self._resolved(node)
        if isinstance(node, ast.Constant) and type(node.value) is kind:
            return node.value
        self._error("TP504", f"'{ast.unparse(node)}' is not {wanted}", node, NOT_LITERAL)
        return None

    def _resolved(self, node: ast.expr) -> ast.expr:
        """A constant of the module for its name, however often it was handed on."""
        for _ in range(len(self.names.constants) + 1):
            if not isinstance(node, ast.Name) or node.id not in self.names.constants:
                break
            node = self.names.constants[node.id]
        return node

    def _error(self, code: str, message: str, node: ast.AST, hint: str | None = None) -> None:
        self.bag.error(code, message, self.user.span(node), hint=hint)
