"""Raw fields of ``[pipeline.triton.NODE]``: checked against ModelConfig, and merged last.

The JSON form is protobuf's: ``snake_case`` or ``camelCase`` names, enums by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..diagnostics import Bag, did_you_mean
from ..source import Span
from .config_pbtxt import ModelConfig, messages
from .versions import FIRST_RELEASE, check_fields

FieldPath: TypeAlias = tuple[str, ...]  # names as written, and indices of lists

# What follows from the pipeline.
OWNED_FIELDS = frozenset(
    {
        "name",
        "platform",
        "backend",
        "runtime",
        "input",
        "output",
        "batch_input",
        "batch_output",
        "max_batch_size",
        "default_model_filename",
        "ensemble_scheduling",
        "model_transaction_policy",
    }
)


@dataclass(frozen=True)
class Override:
    """The fields for one node's model. ``places`` are those of the keys, by path; ``()`` is the table's."""

    node: str
    fields: Mapping[str, Any]
    places: Mapping[FieldPath, Span] = field(default_factory=dict)

    def place(self, path: FieldPath) -> Span | None:
        """The place of a key, or of the nearest one around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)

    def nearest(self, path: FieldPath) -> tuple[int, Span | None]:
        """The place of a field, by protobuf's names, or of what is around it; and how deep that is."""
        places = {_declared(written): span for written, span in self.places.items()}
        while path and path not in places:
            path = path[:-1]
        return len(path), places.get(path)


def apply_override(config: ModelConfig, override: Override, target: str, bag: Bag) -> ModelConfig:
    """The configuration with the fields merged into it: lists are replaced, messages merged.

    Fields that don't exist, that are the compiler's, or that Triton ``target`` does not know go to the bag;
    the configuration is then returned as it was.
    """
    from google.protobuf.json_format import MessageToDict, ParseDict

    is_fine = True
    for path, code, message, hint in _problems(override, target):
        bag.error(code, message, override.place(path), hint=hint, node=override.node)
        is_fine = False
    if not is_fine:
        return config
    merged = MessageToDict(config, preserving_proto_field_name=True)
    _merge(merged, override.fields, config.DESCRIPTOR)
    return ParseDict(merged, type(config)())


_Problem: TypeAlias = tuple[FieldPath, str, str, str | None]


def _problems(override: Override, target: str) -> Iterator[_Problem]:
    too_new = check_fields(override.fields, target)
    for finding in too_new:
        path = next(p for p, name in _named(override.fields) if name == finding.field)
        yield path, finding.code, finding.message, finding.hint
    reported = {finding.field for finding in too_new}
    for path, message, hint in _misfits(override.fields, messages().ModelConfig.DESCRIPTOR):
        if ".".join(_snake(part) for part in path if not part.isdigit()) not in reported:
            yield path, "TP115", message, hint
    for key in override.fields:
        if _snake(key) in OWNED_FIELDS:
            message = f"'{key}' follows from the pipeline, and can't be set here"
            yield (key,), "TP115", message, "take it out"


def _named(
    fields: Mapping[str, Any], path: FieldPath = (), name: str = ""
) -> Iterator[tuple[FieldPath, str]]:
    """Each key with its path, and its name in the table of first releases."""
    for key, value in fields.items():
        here, full = (*path, key), name + _snake(key)
        yield here, full
        for index, part in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(part, Mapping):
                inside = (*here, str(index)) if isinstance(value, list) else here
                yield from _named(part, inside, f"{full}.")


def _misfits(
    fields: Mapping[str, Any], message: Any, path: FieldPath = ()
) -> Iterator[tuple[FieldPath, str, str | None]]:
    """Keys that are no field of a message, and values that are not of their field's kind, at any depth."""
    given: dict[str, str] = {}  # a field, or what it is one of several of -> the key
    for key, value in fields.items():
        here = (*path, key)
        found = _field(message, key)
        if found is None:
            yield here, f"'{key}' is no field of {message.name}", _advice(message, key)
            continue
        other = given.setdefault((found.containing_oneof or found).name, key)
        if other != key:
            yield here, f"'{other}' and '{key}' exclude each other", "remove one of them"
        if _is_map(found):
            yield from _misfits_of_map(found, value, here)
        elif found.label == found.LABEL_REPEATED:
            for index, part in enumerate(value if isinstance(value, list) else ()):
                yield from _misfit_value(found, part, (*here, str(index)))
            if not isinstance(value, list):
                example = "[{...}]" if found.message_type is not None else "[...]"
                yield here, f"'{key}' is {_kind(value)}, but a list is needed", f"write {key} = {example}"
        else:
            yield from _misfit_value(found, value, here)


def _misfits_of_map(found: Any, value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str, str | None]]:
    if not isinstance(value, Mapping):
        yield path, f"'{path[-1]}' is {_kind(value)}, but a table is needed", None
        return
    keys, values = (found.message_type.fields_by_name[name] for name in ("key", "value"))
    kind, fits = _SCALARS[keys.cpp_type]
    for name, part in value.items():
        if keys.cpp_type != keys.CPPTYPE_STRING and not (name.isdecimal() and fits(int(name))):
            yield (*path, name), f"the key '{name}' of '{found.name}' is not {kind}", None
        yield from _misfit_value(values, part, (*path, name))


def _misfit_value(found: Any, value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str, str | None]]:
    if found.message_type is not None:
        if isinstance(value, Mapping):
            yield from _misfits(value, found.message_type, path)
        else:
            yield (
                path,
                f"'{found.name}' is {_kind(value)}, but a table is needed",
                _advice(found.message_type, ""),
            )
    elif found.enum_type is not None:
        names = [name.name for name in found.enum_type.values]
        if value not in names:
            near = did_you_mean(str(value), names)
            hint = f"did you mean '{near}'?" if near else f"one of: {', '.join(names)}"
            yield path, f"'{found.name}' cannot be {value!r}", hint
    else:
        kind, fits = _SCALARS[found.cpp_type]
        if not fits(value):
            yield path, f"'{found.name}' is {value!r}, but {kind} is needed", None


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < _FLOAT_END


_FLOAT_END = 2.0**128  # of 32 bits: ModelConfig has no others


# By the numbers of protobuf's C++ types.
_SCALARS: Mapping[int, tuple[str, Callable[[Any], bool]]] = {
    1: ("a whole number (32 bits)", _whole(-(2**31), 2**31 - 1)),
    2: ("a whole number (64 bits)", _whole(-(2**63), 2**63 - 1)),
    3: ("a whole number from 0", _whole(0, 2**32 - 1)),
    4: ("a whole number from 0", _whole(0, 2**64 - 1)),
    6: ("a number", _is_number),
    7: ("true or false", lambda value: isinstance(value, bool)),
    9: ("a string", lambda value: isinstance(value, str)),
}


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list) else repr(value)


def _is_map(found: Any) -> bool:
    return found.message_type is not None and bool(found.message_type.GetOptions().map_entry)


def _advice(message: Any, key: str) -> str | None:
    if any(name.rpartition(".")[2] == _snake(key) for name in FIRST_RELEASE):
        return "the installed tritonclient does not know it yet: install a later one"
    names = sorted(message.fields_by_name)
    near = did_you_mean(_snake(key), names)
    if near:
        return f"did you mean '{near}'?"
    return f"fields: {', '.join(names)}" if len(names) <= 12 else None


def _field(message: Any, key: str) -> Any:
    return message.fields_by_name.get(key) or message.fields_by_name.get(_snake(key))


def _declared(path: FieldPath) -> FieldPath:
    """A path of keys as written, with the names of fields as protobuf declares them."""
    message = messages().ModelConfig.DESCRIPTOR
    names: list[str] = []
    is_name = True  # not the index of a list or the key of a map
    for part in path:
        found = _field(message, part) if is_name and message is not None else None
        names.append(found.name if found is not None else part)
        if found is None:
            is_name = True
            continue
        is_name = found.label != found.LABEL_REPEATED
        message = (
            found.message_type.fields_by_name["value"].message_type if _is_map(found) else found.message_type
        )
    return tuple(names)


def _snake(key: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)


def _merge(target: dict[str, Any], fields: Mapping[str, Any], message: Any) -> None:
    for key, value in fields.items():
        found = _field(message, key)
        for other in found.containing_oneof.fields if found.containing_oneof is not None else ():
            if other.name != found.name:  # one of several takes the place of the others
                target.pop(other.name, None)
        present = target.get(found.name)
        if not (isinstance(present, dict) and isinstance(value, Mapping)):
            target[found.name] = value
        elif _is_map(found):
            target[found.name] = {**present, **value}
        else:
            _merge(present, value, found.message_type)
