"""The user's own Python as an operator (design: user code). What it declares is read by the frontend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator, settled
from ..types import Array, Bytes, Color, Dim, Layout, ListOf, Opaque, Symbol, Text, Type, varying

Types = tuple[tuple[str, Type], ...]


@operator(
    "Python",
    group="user",
    kernel="user:UserCode",
    traits={Trait.USER_CODE, Trait.BINDS, Trait.STATEFUL, Trait.DECLINES, Trait.FAILS},
)
class PythonOp(Op):
    """Run a function or class of a module that lies beside the TOML: ``Python[module:name]``.

    The keys it reads and writes, their types and its TOML keys are those that the code declares with
    ``@op``. An item for which it returns None has no result.
    """

    derived = ("name", "parameters", "reads", "writes", "batch")

    argument: str = attr("module:name.", default="", compile_only=True, in_brackets=True)
    module: str = attr("", default="", from_toml=False)
    function: str = attr("", default="", from_toml=False, compile_only=True)
    settings: tuple[tuple[str, Any], ...] = attr("", default=(), from_toml=False, compile_only=True)
    sources: tuple[str, ...] = attr("", default=("data",), from_toml=False, compile_only=True)
    optional: tuple[str, ...] = attr("", default=(), from_toml=False, compile_only=True)
    input_types: Types = attr("", default=(), from_toml=False, compile_only=True)
    output_types: Types = attr("", default=(), from_toml=False, compile_only=True)
    batched: bool = attr("", default=False, from_toml=False, compile_only=True)

    def bind(self, keys: Collection[str], *, is_root: bool) -> PythonOp:
        """Read those optional keys (of code in TorchPipe's style) that exist here."""
        found = tuple(key for key in self.optional if key in keys and key not in self.sources)
        return replace(self, sources=(*self.sources, *found), optional=())

    def inputs(self) -> tuple[str, ...]:
        return self.sources

    def outputs(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.output_types)

    def role(self) -> str:
        return self.function

    def has(self, trait: Trait) -> bool:
        return self.batched if trait is Trait.BATCHED else super().has(trait)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, Any]:
        return {
            "name": self.function,
            "parameters": dict(self.settings),
            "reads": self.inputs(),
            "writes": self.outputs(),
            "batch": self.batched,
        }

    def wants(self, key: str) -> Type | None:
        return dict(self.input_types).get(key)

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        sizes: dict[Symbol, Dim] = {}
        declared = dict(self.input_types)
        for key in self.inputs():
            if key in declared:
                _check(call, key, declared[key], _turned(call, key, declared[key]), sizes)
            else:  # whose code doesn't say what it takes: images as OpenCV has them
                settled(call, key, Layout.HWC)
        return {key: _written(call, type_, sizes) for key, type_ in self.output_types}


def _turned(call: InferCall, key: str, wanted: Type) -> Type:
    """The type of a key; an image that varies is asked for as the user's code declares it."""
    found, declared = call.type(key), wanted
    while isinstance(declared, ListOf):
        declared = declared.item
    image = varying(found)
    if image is None or not isinstance(declared, Array):
        return found
    if image.layout is Layout.VARIES and not declared.is_image:
        mismatch(
            "TP302",
            f"'{key}' is HWC on one way here and CHW on another, and no layout is declared ({wanted})",
            'declare it: Tensor("uint8", ["H", "W", 3], layout="hwc"), or add Mat2Tensor in front',
        )
    layout = declared.layout if declared.is_image else None
    color = declared.color if declared.color in (Color.BGR, Color.RGB) else None
    return call.turn(key, layout=layout, color=color)


def _check(call: InferCall, key: str, wanted: Type, found: Type, sizes: dict[Symbol, Dim]) -> None:
    """Compare a type that arrives with the declared one; named dimensions are collected in ``sizes``.

    Raises:
        InferError: they do not meet.
    """
    if isinstance(found, Opaque):
        return  # nobody declared it; the kernel looks at the value
    if isinstance(wanted, ListOf) and isinstance(found, ListOf):
        _check(call, key, wanted.item, found.item, {})
        return
    if not (isinstance(wanted, Array) and isinstance(found, Array)):
        if type(wanted) is not type(found):
            is_text = isinstance(wanted, Text) and isinstance(found, Bytes)
            hint = f'if clients send it as text: [pipeline.inputs] {key} = "string"' if is_text else None
            mismatch("TP301", f"'{key}' is {found}, but {wanted} is declared", hint)
        return
    if wanted.dtype is not found.dtype:
        mismatch("TP305", f"'{key}' is {found}, but {wanted} is declared")
    if len(wanted.shape) != len(found.shape):
        mismatch("TP304", f"'{key}' is {found}, but {wanted} is declared (without the batch axis)")
    for axis, (want, got) in enumerate(zip(wanted.shape, found.shape, strict=True)):
        known = sizes.setdefault(want, got) if isinstance(want, Symbol) else want
        if not call.equate(got, known):
            where = f" where {want} is {known}" if isinstance(want, Symbol) else ""
            mismatch("TP304", f"'{key}' is {found}, but {wanted} is declared{where} (dimension {axis})")
    _check_image(key, wanted, found)


def _check_image(key: str, wanted: Array, found: Array) -> None:
    if wanted.layout is not Layout.NONE and found.layout not in (wanted.layout, Layout.NONE):
        mismatch("TP302", f"'{key}' is {found}, but {wanted} is declared")
    if wanted.color not in (Color.NONE, Color.UNKNOWN, found.color):
        mismatch(
            "TP303",
            f"'{key}' is {found}, but {wanted} is declared",
            f'add cvtColorMat with color = "{wanted.color.value}" in front',
        )


def _written(call: InferCall, type_: Type, sizes: dict[Symbol, Dim]) -> Type:
    """A declared output type with the dimensions of this call."""
    if isinstance(type_, ListOf):
        return ListOf(_written(call, type_.item, dict(sizes)))
    if not isinstance(type_, Array):
        return type_
    shape: list[Dim] = []
    for dim in type_.shape:
        if isinstance(dim, Symbol):
            shape.append(sizes.setdefault(dim, call.symbol(dim.name)))
        else:
            shape.append(dim)
    return Array(type_.dtype, tuple(shape), type_.layout, type_.color)
