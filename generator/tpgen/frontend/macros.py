"""``TASK_RESULT_KEY`` and its like: names in values that stand for the dialect's keys (dialect.md 1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..diagnostics import Bag, did_you_mean
from ..source import Span, TomlDocument

MACROS = {
    "TASK_DATA_KEY": "data",
    "TASK_RESULT_KEY": "result",
    "TASK_BOX_KEY": "_box",
    "TASK_INFO_KEY": "_info",
    "TASK_NODE_NAME_KEY": "node_name",
    "TASK_CONTEXT_KEY": "context",
    "TASK_EVENT_KEY": "event",
    "TASK_RESTART_KEY": "restart",
    "TASK_STACK_KEY": "_stack",
    "TASK_REQUEST_KEY": "request",
    "TASK_REQUEST_SIZE_KEY": "request_size",
}
_MACRO = re.compile(r"(?<![A-Za-z0-9_])TASK_[A-Z0-9_]*_KEY(?![A-Za-z0-9_])")


def expand(text: str) -> str:
    """The text with the keys that its macros stand for; unknown ones stay."""
    return _MACRO.sub(lambda match: MACROS.get(match[0], match[0]), text)


def expand_offsets(written: str, offsets: Sequence[int]) -> tuple[int, ...]:
    """The places of the characters of `expand`: those of a replaced name all stand where its macro begins.

    ``offsets`` are the places of the characters of ``written``, then that of its end.
    """
    found: list[int] = []
    done = 0
    for match in _MACRO.finditer(written):
        found += offsets[done : match.start()]
        found += [offsets[match.start()]] * len(expand(match[0]))
        done = match.end()
    return (*found, *offsets[done:])


def report_unknown(text: str, offsets: Sequence[int], span: Span, bag: Bag) -> None:
    """Report macros that do not exist; without ``offsets`` at ``span``, the place of the whole text."""
    for match in _MACRO.finditer(text):
        if match[0] in MACROS:
            continue
        near = did_you_mean(match[0], MACROS)
        hint = f"did you mean '{near}'?" if near else f"there are: {', '.join(MACROS)}"
        place = Span(span.file, offsets[match.start()], offsets[match.end()]) if offsets else span
        bag.error("TP120", f"'{match[0]}' is no key of the dialect", place, hint=hint)


def expand_document(document: TomlDocument, bag: Bag) -> TomlDocument:
    """The document with its macros replaced in all values; unknown ones are reported."""
    if "TASK_" not in document.source.text:
        return document
    for path, text in _texts((), document.data):
        report_unknown(text, _offsets(document, path, text), document.spans[path].value, bag)
    return replace(document, data=_expanded(document.data))


def _offsets(document: TomlDocument, path: tuple[str, ...], text: str) -> Sequence[int]:
    offsets = document.string_offsets(path)
    return offsets if len(offsets) == len(text) + 1 else ()


def _texts(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _texts((*path, str(key)), inner)


def _expanded(value: Any) -> Any:
    if isinstance(value, str):
        return expand(value)
    if isinstance(value, dict):
        return {key: _expanded(inner) for key, inner in value.items()}
    return [_expanded(inner) for inner in value] if isinstance(value, list) else value
