"""Operators on the keys of an item: constants, copies, moves, removal (dialect.md 3.3).

All of them hand ``data`` on as ``result`` unless they write or remove ``result`` themselves, so that the
next operator of a sequence has its data. What stands in the brackets is a list: ``Copy[a:b,c:d]``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, DType, Text, Type

DATA = "data"
RESULT = "result"
INT64 = range(-(2**63), 2**63)
_ORIGINAL = "The original writes no `result` (and Copy and Move move nothing); here `data` is handed on."


class _Moves(Op):
    """Operators that fill keys from others: `_sources` names, per written key, where its value comes from."""

    derived = ("picks",)

    def _sources(self) -> Mapping[str, str]:
        raise NotImplementedError

    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._sources().values()))

    def outputs(self) -> tuple[str, ...]:
        return tuple(self._sources())

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, tuple[int, ...]]:
        keys = self.inputs()
        return {"picks": tuple(keys.index(source) for source in self._sources().values())}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        return {target: call.type(source) for target, source in self._sources().items()}


@operator("Result2Key", group="keys", kernel="keys:select", traits={Trait.PURE})
class Result2Key(_Moves):
    """Keep the data under a key as well: ``key = data``, and hand it on."""

    key: str = attr("The key to write.", default="key", compile_only=True)

    def _sources(self) -> Mapping[str, str]:
        return {self.key: DATA, RESULT: DATA}


@operator("Result2Other", group="keys", kernel="keys:select", traits={Trait.PURE})
class Result2Other(_Moves):
    """Keep the data under a key as well: ``other = data``, and hand it on."""

    other: str = attr("The key to write.", default="other", compile_only=True)

    def _sources(self) -> Mapping[str, str]:
        return {self.other: DATA, RESULT: DATA}


@operator("KeyA2KeyB", group="keys", kernel="keys:select", traits={Trait.PURE})
class KeyA2KeyB(_Moves):
    """Copy the value of one key to another; the data is handed on."""

    key_a: str = attr("The key to read.", compile_only=True)
    key_b: str = attr("The key to write.", compile_only=True)

    def _sources(self) -> Mapping[str, str]:
        return {self.key_b: self.key_a, RESULT: DATA} if self.key_b != RESULT else {RESULT: self.key_a}


class _PairMoves(_Moves):
    """`Copy` and `Move`: pairs ``source:target`` in the brackets."""

    argument: str

    def _pairs(self) -> Mapping[str, str]:
        return {target: source for source, target in _pairs(self.argument)}

    def _sources(self) -> Mapping[str, str]:
        pairs = self._pairs()
        return pairs if RESULT in pairs else {**pairs, RESULT: pairs.get(DATA, DATA)}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _check_pairs(self.name, self.argument, "source:target")
        return super().infer(call)


@operator("Copy", "cp", group="keys", kernel="keys:select", traits={Trait.PURE}, note=_ORIGINAL)
class Copy(_PairMoves):
    """Copy values between keys, all at once: ``Copy[source:target, ...]``."""

    argument: str = attr("Pairs source:target, comma list.", default="", compile_only=True, in_brackets=True)


@operator("Move", "mv", group="keys", kernel="keys:select", traits={Trait.PURE}, note=_ORIGINAL)
class Move(_PairMoves):
    """Move values between keys, all at once: ``Move[source:target, ...]``; ``data`` itself stays."""

    argument: str = attr("Pairs source:target, comma list.", default="", compile_only=True, in_brackets=True)

    def deletes(self) -> tuple[str, ...]:
        pairs = self._pairs()
        return tuple(dict.fromkeys(s for s in pairs.values() if s not in (*pairs, DATA, RESULT)))


class _Constants(Op):
    """`Add` and `AddInt`: pairs ``key:value`` in the brackets."""

    argument: str
    derived = ("constants",)

    def _constants(self) -> Mapping[str, str]:
        return dict(_pairs(self.argument))

    def inputs(self) -> tuple[str, ...]:
        return () if RESULT in self._constants() else (DATA,)

    def outputs(self) -> tuple[str, ...]:
        found = tuple(self._constants())
        return found if RESULT in found else (*found, RESULT)

    def _types(self, call: InferCall, constant: Type) -> Mapping[str, Type]:
        _check_pairs(self.name, self.argument, "key:value")
        added: dict[str, Type] = dict.fromkeys(self._constants(), constant)
        return added if RESULT in added else {**added, RESULT: call.type(DATA)}


@operator("Add", "ADD", "add", group="keys", kernel="keys:add_texts", traits={Trait.PURE}, note=_ORIGINAL)
class Add(_Constants):
    """Write constant texts: ``Add[key:value, ...]``; the data is handed on."""

    argument: str = attr("Pairs key:value, comma list.", default="", compile_only=True, in_brackets=True)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, tuple[str, ...]]:
        return {"constants": tuple(self._constants().values())}

    def texts(self) -> Mapping[str, str]:
        return self._constants()

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        types = self._types(call, Text())
        return {**types, **{key: Text(constant=text) for key, text in self._constants().items()}}


@operator("AddInt", group="keys", kernel="keys:add_numbers", traits={Trait.PURE}, note=_ORIGINAL)
class AddInt(_Constants):
    """Write constant whole numbers (int64 scalars): ``AddInt[key:1, ...]``; the data is handed on."""

    argument: str = attr("Pairs key:number, comma list.", default="", compile_only=True, in_brackets=True)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, tuple[int, ...]]:
        return {"constants": tuple(int(text) for text in self._constants().values())}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        for key, text in self._constants().items():
            if not _is_int64(text):
                _wrong(f"'{key}' is {text!r}, but a whole number is needed", "for texts there is Add")
        return self._types(call, Array(DType.INT64, ()))


@operator(
    "Remove", "Del", "rm", "del", group="keys", kernel="keys:select", traits={Trait.PURE}, note=_ORIGINAL
)
class Remove(_Moves):
    """Take keys away: ``Remove[key, ...]``; the data is handed on."""

    argument: str = attr("Keys, comma list.", default="", compile_only=True, in_brackets=True)

    def deletes(self) -> tuple[str, ...]:
        return tuple(key for key in _items(self.argument) if key not in (DATA, RESULT))

    def _sources(self) -> Mapping[str, str]:
        return {RESULT: DATA}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        keys = _items(self.argument)
        if not keys or "" in keys:
            _wrong(f"'{self.name}[{self.argument}]' names no key", f"write the keys: {self.name}[a,b]")
        if DATA in keys or RESULT in keys:
            _wrong("'data' and 'result' cannot be removed: they are handed on", "remove other keys only")
        return super().infer(call)


@operator("Keep", group="keys", kernel="keys:select", traits={Trait.PURE, Trait.BINDS}, note=_ORIGINAL)
class Keep(_Moves):
    """Take all keys away but these, ``data`` and ``result``: ``keep = "a, b"``; the data is handed on."""

    keep: tuple[str, ...] = attr("The keys that stay, comma list.", default=(), compile_only=True)
    dropped: tuple[str, ...] = attr("", default=(), from_toml=False, compile_only=True)

    def bind(self, keys: Collection[str], *, is_root: bool) -> Keep:
        """Decide which keys go, given the keys that exist here; nothing goes if ``keep`` is empty."""
        stay = {*self.keep, DATA, RESULT}
        return replace(self, dropped=tuple(sorted(set(keys) - stay)) if self.keep else ())

    def deletes(self) -> tuple[str, ...]:
        return self.dropped

    def _sources(self) -> Mapping[str, str]:
        return {RESULT: DATA}


def _items(argument: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in argument.split(",")) if argument.strip() else ()


def _pairs(argument: str) -> Iterable[tuple[str, str]]:
    """The well-formed pairs; `_check_pairs` reports the others when types are inferred."""
    for item in _items(argument):
        left, colon, right = (part.strip() for part in item.partition(":"))
        if left and colon and right:
            yield left, right


def _check_pairs(name: str, argument: str, form: str) -> None:
    items = _items(argument)
    if not items:
        _wrong(f"'{name}' needs pairs in brackets", f"write {name}[{form}]")
    for item in items:
        left, colon, right = (part.strip() for part in item.partition(":"))
        if not (left and colon and right):
            _wrong(f"{item!r} is not a pair {form}", f"write {name}[{form}]")
    side = 1 if form == "source:target" else 0
    written = [pair[side] for pair in _pairs(argument)]
    for key in written:
        if written.count(key) > 1:
            _wrong(f"'{key}' is written twice in {name}[{argument}]", "each key may be written once")


def _is_int64(text: str) -> bool:
    try:
        return int(text) in INT64
    except ValueError:
        return False


def _wrong(message: str, hint: str) -> None:
    mismatch("TP117", message, hint, attribute="argument")
