"""The fields of a text against those of ModelConfig: unknown ones, newer ones, keys of maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..config_pbtxt import messages
from ..versions import FIRST_RELEASE, parse_release
from .scan import Node, Places

_SIGN = re.compile(r"-(\s+)(?=[\d.])")


class Known(NamedTuple):
    """A field of the text: its dotted path and place, the message around it and that message's type.

    `declared` is its declaration. None: the protobuf at hand has no such field; what is in it is left out.
    """

    path: str
    node: Node
    parent: Node
    message: Any
    declared: Any


def known_fields(places: Places) -> Iterator[Known]:
    """Every field of a text with its declaration, in the order of the text."""
    stack: list[tuple[str, Node, Any]] = [("", places.root, messages().ModelConfig.DESCRIPTOR)]
    while stack:
        prefix, node, message = stack.pop()
        inside = []
        for child in node.fields or ():
            name = child.name.text
            declared = message.fields_by_name.get(name)
            yield Known(prefix + name, child, node, message, declared)
            if declared is not None and declared.message_type is not None and child.fields is not None:
                inside.append((f"{prefix}{name}.", child, declared.message_type))
        stack.extend(reversed(inside))


def needs_newer(path: str, target: str) -> bool:
    """True for a field that came with a later release than `target`."""
    return path in FIRST_RELEASE and parse_release(FIRST_RELEASE[path]) > parse_release(target)


def parseable(places: Places, target: str) -> str:
    """The text as protobuf's parser for Python wants it, with everything in its place.

    Blanks stand for the fields that only another release than the parser's knows: the rules report those that
    `target` lacks, and judge the rest as if they were not there. The server's parser takes a blank between a
    sign and its number; Python's does not.
    """
    text = places.source.text
    for found in known_fields(places):
        if found.path in FIRST_RELEASE and (found.declared is None or needs_newer(found.path, target)):
            start, end = found.node.name.start, found.node.end
            text = text[:start] + "".join(c if c == "\n" else " " for c in text[start:end]) + text[end:]
        elif sign := _SIGN.match(text, found.node.start, found.node.end):
            text = text[: sign.start()] + sign[1] + "-" + text[sign.end() :]
    return text


def map_entries(places: Places) -> Iterator[tuple[Known, list[tuple[str, Node]]]]:
    """Each map of a text, by its first entry, with the keys and places of all its entries."""
    maps: dict[tuple[int, str], tuple[Known, list[tuple[str, Node]]]] = {}
    for found in known_fields(places):
        declared = found.declared
        if declared is None or declared.message_type is None:
            continue
        if declared.message_type.GetOptions().map_entry and (key := places.key_of(found.node)) is not None:
            _, entries = maps.setdefault((id(found.parent), found.path), (found, []))
            entries.append((key, found.node))
    yield from maps.values()


def data_type(number: int) -> str:
    """The name of an element type, such as `TYPE_FP32`; of one that protobuf does not know, its number."""
    return enum_name(messages().DataType, number)


def enum_name(kind: Any, number: int) -> str:
    """The name of a value of an enumeration, or its number: proto3 keeps those that it does not know."""
    return str(kind.Name(number)) if number in kind.values() else str(number)


def shape(dims: Iterable[int]) -> str:
    """Dimensions as people write them: `[-1,3,224]`."""
    return f"[{','.join(str(dim) for dim in dims)}]"
