"""Rules about the text of config.pbtxt: can the server read it, and does it say what it seems to say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...diagnostics import Diagnostic, Severity, did_you_mean
from ..config_pbtxt import messages
from ..versions import FIRST_RELEASE
from .model import Model
from .schema import Known, known_fields, map_entries, needs_newer

_OTHER_NAMES = {  # of the protocol, of numpy, of protobuf
    "TYPE_BYTES": "TYPE_STRING",
    "TYPE_FLOAT16": "TYPE_FP16",
    "TYPE_FLOAT": "TYPE_FP32",
    "TYPE_FLOAT32": "TYPE_FP32",
    "TYPE_FLOAT64": "TYPE_FP64",
    "TYPE_DOUBLE": "TYPE_FP64",
}
_FORM = "fields are NAME: VALUE or NAME { FIELDS }, lists [ VALUE, VALUE ], comments begin with #"


def config_is_readable(model: Model) -> Iterator[Diagnostic]:
    """TP810: the server reads config.pbtxt; a directory of that name ends it."""
    if model.text.problem is not None:
        message = f"config.pbtxt of '{model.name}' {model.text.problem}"
        hint = "put a text file there that the server's user may read, or remove it"
        yield model.error_in("TP810", message, "config.pbtxt", hint=hint)


def fields_exist(model: Model) -> Iterator[Diagnostic]:
    """TP811, one for each unknown field; the server would stop at the first."""
    for found in _unknown(model):
        kind = found.message.name
        message = f"'{found.node.name.text}' is no field of {kind}"
        known = [field.name for field in found.message.fields]
        close = did_you_mean(found.node.name.text, known)
        hint = f"did you mean '{close}'?" if close else f"fields of {kind}: {', '.join(known)}"
        if found.node.name.text in messages().ModelConfig.DESCRIPTOR.fields_by_name:
            hint = "it is a field of the configuration itself: is a closing bracket missing above?"
        yield model.error_at("TP811", message, model.text.places.name_of(found.node), hint=hint)


def text_is_valid(model: Model) -> Iterator[Diagnostic]:
    """TP811: protobuf can parse the text."""
    if model.syntax is None or ("has no field named" in str(model.syntax) and any(_unknown(model))):
        return
    places = model.text.places
    span = places.at(model.syntax.line, model.syntax.column or 1) if model.syntax.line else None
    if places.source.text.startswith("\ufeff"):
        message = "config.pbtxt begins with a byte order mark"
        yield model.error_at("TP811", message, places.at(1, 1), hint="save it as UTF-8 without one")
        return
    message, way_out = _in_plain_words(str(model.syntax), span.text if span else "")
    yield model.error_at("TP811", message, span, hint=way_out)


def fields_fit_target(model: Model) -> Iterator[Diagnostic]:
    """TP812: the server of the target knows every field."""
    target = model.repository.target
    for found in known_fields(model.text.places):
        if needs_newer(found.path, target):
            message = f"'{found.path}' needs Triton {FIRST_RELEASE[found.path]}; {target} refuses the model"
            hint = "leave it out, or serve with a later release"
            yield model.error_at("TP812", message, model.text.places.span_of(found.node), hint=hint)


def text_is_utf8(model: Model) -> Iterator[Diagnostic]:
    """TP813: other encodings are loaded, and reach clients as they are."""
    if not model.text.is_utf8:
        message = "config.pbtxt is not UTF-8: clients can't read what it says, over gRPC not at all"
        yield model.warning_in("TP813", message, "config.pbtxt", hint="save it as UTF-8")


def map_keys_are_unique(model: Model) -> Iterator[Diagnostic]:
    """TP815: of two entries with one key the server takes the last, without a word."""
    places = model.text.places
    for found, entries in map_entries(places):
        last = dict(entries)
        for key, node in entries:
            if last[key] is not node:
                message = f"'{found.path}' has the key '{key}' twice; the last one counts"
                span = places.span_of(next(iter(node.named("key")), node))
                yield Diagnostic(
                    "TP815", Severity.WARNING, message, span, hint="remove one", model=model.name
                )


def _unknown(model: Model) -> Iterator[Known]:
    for found in known_fields(model.text.places):
        if found.declared is None and found.path not in FIRST_RELEASE:
            yield found


def _in_plain_words(text: str, token: str) -> tuple[str, str]:
    """What protobuf's parser complains about, and what helps."""
    text = re.sub(r"^'.*': (?=[A-Z])", "", text, count=1, flags=re.DOTALL).strip()
    if match := re.search(r'should not have multiple "(\w+)" fields', text):
        return f"'{match[1]}' is given twice", "remove one of them"
    if match := re.match(r'Field "(\w+)" is specified along with field "(\w+)"', text):
        return f"'{match[1]}' and '{match[2]}' exclude each other", "remove one of them"
    if match := re.match(r'Enum type "inference\.([\w.]+)" has no value named (.+)\.$', text):
        return f"'{match[2]}' is not a {match[1]}", _enum_hint(match[1], match[2])
    if "Couldn't parse integer" in text:
        return f"a whole number is needed here, not {token}", "write it with digits, without quotes"
    if "out of range" in text:
        return f"the number {token} is out of range", "give one that the field can hold"
    if text.startswith("Expected "):
        return f"{text.rstrip('.')}, found {token or 'the end'}", _FORM
    return text.rstrip("."), _FORM


def _enum_hint(kind: str, value: str) -> str:
    values = _enum_values(kind)
    full = f"TYPE_{value.upper().removeprefix('TYPE_')}"
    wanted = full if full in values else _OTHER_NAMES.get(full)
    close = wanted or did_you_mean(value.upper(), values) or did_you_mean(full, values)
    return f"did you mean {close}?" if close else f"one of {', '.join(values)}"


def _enum_values(kind: str) -> list[str]:
    holder = messages().DESCRIPTOR
    *outer, name = kind.split(".")
    if not outer:
        return list(holder.enum_types_by_name[name].values_by_name)
    message = holder.message_types_by_name[outer[0]]
    for part in outer[1:]:
        message = message.nested_types_by_name[part]
    return list(message.enum_types_by_name[name].values_by_name)
