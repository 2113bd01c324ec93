"""The declaration language: an operator is one frozen dataclass.

Parsing, validation, hints, shape inference, code generation, the in-process interpreter and the operator
reference all come from the declaration::

    @operator("ResizeMat", group="image", kernel="image:resize_mat", traits={Trait.PURE})
    class ResizeMat(Op):
        "Resize to a fixed size, ignoring the aspect ratio."

        resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
        resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)

        def wants(self, key): return UINT8_IMAGE
        def infer(self, call): return {"result": ...}

The *kernel* is named as text, ``module:function`` inside ``tpgen_runtime``: the compiler never imports it.
An operator from another package (entry point group ``tpgen.operators``) names the full module,
``package.module:function``; the package is then a requirement of the server's Python.
Calling convention of kernels:

* plain: ``kernel(*values of reads, **attributes)`` returns the value of the one written key, or a tuple
  in the order of ``writes``; None declines the item (`Trait.DECLINES`); raising ``ItemError`` says why the
  item cannot be worked on (`Trait.FAILS`). It never changes its inputs in place.
* `Trait.STATEFUL`: a class; ``kernel(**attributes)`` at load, the instance is then called as above.
* `Trait.BATCHED` (always STATEFUL too): called with one list per read key and returns one list per written
  key (bare if one); where an element could not be computed, an ``ItemError`` takes its place. It
  takes no keys away: generated stages do that item by item only.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from enum import Enum
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar, dataclass_transform

from ..types import Array, Color, Dim, Layout, State, Symbol, Type, varying
from .decisive import Decisive


class Trait(Enum):
    """What passes may know about an operator. A pass asks for traits, never for classes."""

    PURE = "no side effect; equal inputs give equal outputs"
    FAILS = "may find that it cannot work on an item (ItemError): the result is absent with a reason"
    DECLINES = "may return None: the result is quietly absent"
    STATEFUL = "the kernel is a class, constructed once at load"
    BATCHED = "the kernel works on lists, one entry per item"
    FORWARDS = "hands data on as result, unchanged"
    INFERENCE = "runs a model; the operator has `model` and `signature` attributes"
    ENGINE = "a TensorRT engine on the gpu target"
    REWRITABLE = "its model's graph can take a `ModelRewrite`"
    SETS_COLOR = "only changes the channel order, to the `color` attribute"
    BINDS = "its `bind(keys, is_root=)` decides which of the keys that exist here it reads"
    NEUTRAL = "the one operator that does nothing, for a node that would be left without any (see `neutral`)"
    TO_CHW = "only moves channels in front; `packed(mean=, swap_rb=)` does more, for a model that `packs`"
    TO_FLOAT = "only casts to float32"
    NORMALIZES = "only computes (data - mean) / std per channel in float32; these are attributes"
    GPU_CONVENTION = "named after a GPU operator; its numeric convention is computed on the CPU here"
    THREADED = "the kernel takes `threads`, the number it may use, at load"
    USER_CODE = "runs a user's Python, which declares what it reads, writes and takes"
    REDUCES = "`reduced(answer, name)` says what of it can end a model's graph, and what is left to do then"
    PADS = "its image is partly padding, which is counted"
    CALLS = "runs the sub-graph whose root is its `jump`; `element` is the key that it splits, None if none"


class InferError(Exception):
    """An operator's `infer` found types that do not meet. Becomes a located diagnostic."""

    def __init__(
        self, code: str, message: str, hint: str | None = None, attribute: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.attribute = attribute


@dataclass(frozen=True)
class Attribute:
    """The declaration of one attribute (a TOML key of the node)."""

    doc: str
    key: str | None = None  # the TOML key, where it is not a Python name ("model::cache")
    ge: float | None = None
    le: float | None = None
    choices: tuple[Any, ...] = ()
    aliases: tuple[str, ...] = ()
    compile_only: bool = False  # not handed to the kernel
    target: str | None = None  # has a meaning on this target only; elsewhere accepted and listed by explain
    from_toml: bool = True  # False: set by the compiler (a signature), not a key
    file: bool = False  # a path relative to the TOML; the kernel gets the path of the vendored copy
    in_brackets: bool = False  # no key: the text between the brackets behind the operator's name


_Value = TypeVar("_Value")


def attr(
    doc: str,
    *,
    default: Any = MISSING,
    key: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    choices: Iterable[Any] = (),
    aliases: tuple[str, ...] = (),
    compile_only: bool = False,
    target: str | None = None,
    from_toml: bool = True,
    file: bool = False,
    in_brackets: bool = False,
) -> Any:
    """Declare an attribute of an operator; without ``default`` the key is required."""
    declared = Attribute(
        doc, key, ge, le, tuple(choices), aliases, compile_only, target, from_toml, file, in_brackets
    )
    if default is MISSING:
        return field(metadata={"attr": declared}, kw_only=True)
    return field(default=default, metadata={"attr": declared}, kw_only=True)


@dataclass(frozen=True)
class AttributeField:
    """An attribute with the name, annotation and default that its dataclass field gives it."""

    name: str
    annotation: str
    required: bool
    default: Any
    declared: Attribute

    @property
    def key(self) -> str:
        return self.declared.key or self.name

    @property
    def is_key(self) -> bool:
        """True for a key of the TOML; else the compiler or the text in brackets gives the value."""
        return self.declared.from_toml and not self.declared.in_brackets

    @property
    def spellings(self) -> tuple[str, ...]:
        return (self.key, *self.declared.aliases)


@dataclass(frozen=True)
class SizeKey:
    """The key of an operator in a node that fixes a side of an image."""

    operator: str
    node: str
    key: str


class InferCall(Protocol):
    """What `Op.infer` may ask of the compiler about one call."""

    def type(self, key: str) -> Type:
        """The type of a key that is read; it is present when the kernel runs."""

    def state(self, key: str) -> State:
        """The state of any key at this point."""

    def symbol(self, name: str) -> Symbol:
        """A fresh run-time dimension that belongs to this call."""

    def run_graph(self, root: str, changed: Mapping[str, Type]) -> Mapping[str, State]:
        """The keys at the end of a sub-graph that gets the keys of this point, some of them changed."""

    def turn(self, key: str, *, layout: Layout | None = None, color: Color | None = None) -> Type:
        """Ask for an image (or a list of such) in one layout and order, where it varies; its type then."""

    def size_keys(self, key: str) -> tuple[SizeKey | None, SizeKey | None]:
        """What fixes the height and the width of an image; None where no key of one operator does."""

    def equate(self, left: Dim, right: Dim) -> bool:
        """Record that two dimensions are equal; False if they are two different numbers."""


class Op:
    """Base of all operators. Instances are immutable and hold the values of the TOML keys."""

    names: ClassVar[tuple[str, ...]] = ()  # the dialect's name first, then its aliases
    kernel: ClassVar[str] = ""
    traits: ClassVar[frozenset[Trait]] = frozenset()
    group: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]] = ("data",)
    writes: ClassVar[tuple[str, ...]] = ("result",)
    removes: ClassVar[tuple[str, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()  # kernel arguments that the input types decide
    requirement: ClassVar[str] = ""  # of an operator from a package: what the server's Python needs for it
    note: ClassVar[str] = ""  # said by explain: what differs from the original operator

    def inputs(self) -> tuple[str, ...]:
        """The keys this call reads, in the order of the kernel's positional parameters."""
        return self.reads

    def outputs(self) -> tuple[str, ...]:
        """The keys this call writes, in the order of the kernel's results."""
        return self.writes

    def deletes(self) -> tuple[str, ...]:
        """The keys this call takes away."""
        return self.removes

    def texts(self) -> Mapping[str, str]:
        """The keys that this call always writes the same text to, with the text."""
        return {}

    def wants(self, key: str) -> Type | None:
        """The type an entry input gets when this call is its first reader; None: no preference."""
        return None

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        """The types of the written keys, from those of the read ones.

        Raises:
            InferError: the types do not meet.
        """
        raise NotImplementedError

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, Any]:
        """The values of the `derived` kernel arguments, from the types of the read keys."""
        return {}

    def decisive(self, answer: Array) -> Decisive | None:
        """What decides of a model's answer that this call reads first; None: nothing is known of it."""
        return None

    def kernel_arguments(self, types: Mapping[str, Type]) -> dict[str, Any]:
        """The keyword arguments of the kernel: the attributes, then what the types decide."""
        declared = (f for f in attributes_of(type(self)) if not f.declared.compile_only)
        return {**{f.name: getattr(self, f.name) for f in declared}, **self.derive(types)}

    def role(self) -> str:
        """What generated code calls that which the kernel constructs at load, behind the node's name."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.name).lower()

    def buckets(self) -> str:
        """The sizes that images are padded to by this or a later operator, for explain; "" if none."""
        return ""

    def files(self, attribute: str) -> tuple[str, ...]:
        """The names under which the files of a file attribute are kept: one, unless it names several."""
        return (attribute,)

    def has(self, trait: Trait) -> bool:
        return trait in self.traits

    @property
    def name(self) -> str:
        return self.names[0]


def attributes_of(cls: type[Op]) -> tuple[AttributeField, ...]:
    """The declared attributes of an operator class, in order."""
    return _attributes(cls)


_attribute_cache: dict[type, tuple[AttributeField, ...]] = {}


def _attributes(cls: type) -> tuple[AttributeField, ...]:
    if cls not in _attribute_cache:
        _attribute_cache[cls] = tuple(
            AttributeField(f.name, _annotation(f.type), f.default is MISSING, f.default, f.metadata["attr"])
            for f in dataclasses.fields(cls)
            if "attr" in f.metadata
        )
    return _attribute_cache[cls]


def bracket_attribute(cls: type[Op]) -> AttributeField | None:
    """The attribute that takes the text in the operator's brackets, ``Copy[...]``; None: it takes none."""
    return next((f for f in attributes_of(cls) if f.declared.in_brackets), None)


def _annotation(kind: Any) -> str:
    """A field's type as text, whether its module has ``from __future__ import annotations`` or not."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def declared_attributes(cls: type) -> tuple[AttributeField, ...]:
    """The `attr` fields of any dataclass (the node and pipeline tables are declared in the same way)."""
    return _attributes(cls)


@dataclass(frozen=True)
class Nothing(Op):
    """What is left of operators that no item ever reaches: it reads and writes nothing, and has no name."""

    names: ClassVar[tuple[str, ...]] = ("Nothing",)
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {}


@dataclass(frozen=True)
class Fork(Op):
    """Where the ways of the items of a sequence part, by whether they have a key: ``HasKey(key=k)[A,B]``."""

    names: ClassVar[tuple[str, ...]] = ("HasKey", "NotHasKey")
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()

    key: str = attr("The key that an item has, or has not.")

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {}


REGISTRY: dict[str, type[Op]] = {}


def neutral() -> Op:
    """The registered operator that does nothing."""
    return next(cls() for cls in REGISTRY.values() if Trait.NEUTRAL in cls.traits)


_OpClass = TypeVar("_OpClass", bound=type[Op])


@dataclass_transform(field_specifiers=(attr, field), frozen_default=True)
def operator(
    *names: str, group: str, kernel: str, traits: Iterable[Trait] = (), note: str = ""
) -> Callable[[_OpClass], _OpClass]:
    """Class decorator: make the class a frozen dataclass and register it under its names."""

    def declare(cls: _OpClass) -> _OpClass:
        declared: Any = dataclass(frozen=True)(cls)
        declared.names = names
        declared.kernel = kernel
        declared.group = group
        declared.traits = frozenset(traits)
        declared.note = note
        if Trait.BATCHED in declared.traits and Trait.STATEFUL not in declared.traits:
            raise ValueError(f"{names[0]}: a batched kernel holds its attributes: declare it STATEFUL")
        if Trait.BATCHED in declared.traits and (cls.removes or cls.deletes is not Op.deletes):
            raise ValueError(f"{names[0]}: a batched operator takes no keys away")
        for name in names:
            if name in REGISTRY:
                raise ValueError(f"operator name {name!r} is declared twice")
            REGISTRY[name] = declared
        return cls

    return declare


def mismatch(code: str, message: str, hint: str | None = None, attribute: str | None = None) -> NoReturn:
    """Raise the `InferError` of two types that do not meet."""
    raise InferError(code, message, hint, attribute)


def settled(call: InferCall, key: str, layout: Layout) -> Type:
    """The type of a read key; of an image whose layout varies, in the layout that is asked for."""
    found = call.type(key)
    image = varying(found)
    is_open = image is not None and image.layout is Layout.VARIES
    return call.turn(key, layout=layout) if is_open else found


def array_input(call: InferCall, key: str = "data") -> Array:
    """The type of a read key that must be an array."""
    found = call.type(key)
    if not isinstance(found, Array):
        mismatch("TP301", f"'{key}' is {found}, but an array is needed here")
    return found
