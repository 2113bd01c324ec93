"""The ``[pipeline]`` table: options of the whole file, and the declared inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ..diagnostics import Bag
from ..ir.op import declared_attributes
from ..source import Span, TomlDocument
from ..types import Bytes, Symbol, Type
from .keys import near_hint
from .located import locate
from .shown import shown
from .tables import NODE_NAME, PIPELINE_TABLE, PipelineKeys
from .type_syntax import EXAMPLE, TypeSyntaxError, parse_type
from .values import ValueProblem, parse_value

LONGEST_NAME = 100  # `<pipeline>__<node>` is a directory, and these hold 255 bytes
_REPOSITORY_FILES = ("requirements.txt", "tpgen.json")


@dataclass(frozen=True)
class DeclaredInput:
    """An input that ``[pipeline.inputs]`` declares; ``raw``: bytes as UINT8 ``[-1]`` on the wire."""

    key: str
    type: Type
    raw: bool
    span: Span


@dataclass(frozen=True)
class PipelineTable:
    """The parsed table. ``spans`` holds the place of each given key's value.

    ``entry_inputs`` are inputs of a single entry, by its first node: ``crop.data = "..."``.
    ``triton`` are raw ModelConfig fields by node, ``triton_places`` the places of their keys, by path: the
    node, the field, the field in it ...
    """

    name: str
    keys: PipelineKeys
    inputs: Mapping[str, DeclaredInput] = field(default_factory=dict)
    entry_inputs: Mapping[str, Mapping[str, DeclaredInput]] = field(default_factory=dict)
    triton: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    triton_places: Mapping[tuple[str, ...], Span] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)


def read_pipeline_table(document: TomlDocument, bag: Bag) -> PipelineTable:
    """Read ``[pipeline]``; problems go to the bag, and the default stands in."""
    raw = document.data.get(PIPELINE_TABLE, {})
    if not isinstance(raw, dict):
        bag.error(
            "TP103",
            f"'{PIPELINE_TABLE}' is a reserved table, not a value",
            document.spans[(PIPELINE_TABLE,)].value,
            hint="write [pipeline] and its keys below",
        )
        raw = {}
    fields = {f.name: f for f in declared_attributes(PipelineKeys)}
    parsed: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    for key, value in raw.items():
        place = document.spans[(PIPELINE_TABLE, key)]
        if key not in fields:
            bag.error(
                "TP102", f"unknown key {shown(key)} in [pipeline]", place.key, hint=near_hint(key, fields)
            )
            continue
        spans[key] = place.value
        if key in ("inputs", "triton"):
            if not isinstance(value, dict):
                bag.error("TP103", f"'{key}' is a table", place.value, hint=f"write [pipeline.{key}]")
            continue
        try:
            parsed[key] = parse_value(fields[key], value)
        except ValueProblem as problem:
            bag.error(problem.code, problem.message, place.value, hint=problem.hint)
    keys = PipelineKeys(**parsed)
    inputs, entry_inputs = _inputs(document, raw.get("inputs"), bag)
    return PipelineTable(
        _pipeline_name(document, keys, spans, bag),
        keys,
        inputs,
        entry_inputs,
        _triton_overrides(document, raw.get("triton"), bag),
        _triton_places(document) if "triton" in raw else {},
        spans,
    )


def is_model_name(name: str) -> bool:
    """True for a name that Triton, file systems, and the names of internal models can hold."""
    return (
        NODE_NAME.fullmatch(name) is not None
        and "__" not in name
        and len(name) <= LONGEST_NAME
        and name not in _REPOSITORY_FILES
    )


def check_model_name(name: str, what: str, span: Span | None, bag: Bag, node: str | None = None) -> bool:
    """Report a name that Triton cannot load, or that internal models need."""
    if is_model_name(name):
        return True
    bag.error(
        "TP109",
        f"{shown(name)} cannot be {what}",
        span,
        hint="up to 100 of A-Z, a-z, 0-9, '_', '.' and '-'; first a letter or digit, and no '__'",
        node=node,
    )
    return False


def _pipeline_name(document: TomlDocument, keys: PipelineKeys, spans: Mapping[str, Span], bag: Bag) -> str:
    """``name``, else the file's stem, else (stem ``pipeline``) the name of its folder."""
    path = PurePath(os.path.abspath(document.source.path))  # in the current folder, that has a name, too
    if "name" in spans:
        check_model_name(keys.name, "the pipeline's name", spans["name"], bag)
        return keys.name
    name = path.parent.name if path.stem == "pipeline" else path.stem
    if not is_model_name(name):
        bag.error(
            "TP109",
            f"{shown(name)}, from the path of the file, cannot be the pipeline's name",
            Span(document.source, 0, 0),
            hint='give it one: [pipeline] name = "my_pipeline"',
        )
    return name


def _inputs(
    document: TomlDocument, raw: Any, bag: Bag
) -> tuple[dict[str, DeclaredInput], dict[str, Mapping[str, DeclaredInput]]]:
    """The inputs of all entries, and those of single ones: tables with the names of nodes."""
    path = (PIPELINE_TABLE, "inputs")
    given = raw if isinstance(raw, dict) else {}
    single = {
        key: value for key, value in given.items() if isinstance(value, dict) and _is_node(document, key)
    }
    shared = {key: value for key, value in given.items() if key not in single}
    by_entry = {node: _declared(document, (*path, node), value, bag) for node, value in single.items()}
    return _declared(document, path, shared, bag), {node: found for node, found in by_entry.items() if found}


def _is_node(document: TomlDocument, name: str) -> bool:
    found: Any = document.data
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return isinstance(found, dict) and name != PIPELINE_TABLE


def _declared(
    document: TomlDocument, path: tuple[str, ...], given: Mapping[str, Any], bag: Bag
) -> dict[str, DeclaredInput]:
    found: dict[str, DeclaredInput] = {}
    symbols: dict[str, Symbol] = {}
    for key, value in given.items():
        declared = _input(document, (*path, key), value, symbols, bag)
        if declared is not None:
            found[key] = declared
    return found


def _input(
    document: TomlDocument, path: tuple[str, ...], value: Any, symbols: dict[str, Symbol], bag: Bag
) -> DeclaredInput | None:
    key, span = path[-1], document.spans[path].value
    wire = None
    type_path = path
    if isinstance(value, dict):
        unknown = [k for k in value if k not in ("type", "wire")]
        for name in unknown:
            bag.error(
                "TP102",
                f"unknown key {shown(name)} for an input",
                document.spans[(*path, name)].key,
                hint=near_hint(name, ("type", "wire")),
            )
        wire = value.get("wire")
        value, type_path = value.get("type", "bytes"), (*path, "type")
    if not isinstance(value, str):
        bag.error("TP114", f"the type of input '{key}' is a string", span, hint=EXAMPLE)
        return None
    try:
        type_ = parse_type(value, symbols)
    except TypeSyntaxError as problem:
        place = locate(document, type_path)
        bag.error("TP114", str(problem), place.span(0, len(place.text)), hint=EXAMPLE)
        return None
    if wire is not None and (wire != "uint8" or not isinstance(type_, Bytes)):
        bag.error(
            "TP105",
            f"'wire' cannot be {shown(wire)} for {type_}",
            document.spans[(*path, "wire")].value,
            hint='only bytes have another wire form: {type = "bytes", wire = "uint8"}',
        )
    return DeclaredInput(key, type_, wire == "uint8", document.spans[path].key)


def _triton_overrides(document: TomlDocument, raw: Any, bag: Bag) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for node, value in raw.items() if isinstance(raw, dict) else ():
        if isinstance(value, dict):
            found[node] = value
        else:
            span = document.spans[(PIPELINE_TABLE, "triton", node)].value
            bag.error(
                "TP103", f"'{node}' is a table of ModelConfig fields", span, hint="[pipeline.triton.NODE]"
            )
    return found


def _triton_places(document: TomlDocument) -> dict[tuple[str, ...], Span]:
    table = (PIPELINE_TABLE, "triton")
    return {path[2:]: spans.key for path, spans in document.spans.items() if path[:2] == table}
