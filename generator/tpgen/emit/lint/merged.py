"""Lint of a model whose configuration a pipeline has fields of its own in, reported where those stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...diagnostics import Diagnostic, Severity
from ...ir.serving import PROVIDER
from ...source import SourceFile, Span
from ..config_pbtxt import messages
from ..overrides import FieldPath, Override
from ..repo_plan import ModelPlan
from . import lint_repository
from .model import CONFIG
from .scan import Node, Places, scan

# They name files that no build writes. Those can be put into the model's directory later, and stay there.
_ABOUT_FILES = {"TP847": "data_file", "TP865": "input_data_file", "TP868": "string_value"}
# What hints say of a configuration, and the keys that a node with `execution_provider` has for it.
_AS_KEYS = {
    'parameters { key: "trt_engine_cache_enable" value: "true" }, and trt_engine_cache_path': (
        'execution_provider_options = {trt_engine_cache_enable = true, trt_engine_cache_path = "/cache"}'
    ),
    "add model_warmup": "write warmup = true",
}


def lint_merged(
    model: ModelPlan, overrides: Sequence[Override], target: str, scratch: Path
) -> Iterator[Diagnostic]:
    """Checks a planned model as `lint_repository` would, each finding at the override that led to it.

    `overrides` are those of the model's nodes in the order in which they were merged; the last one stands in
    for a field that none names. `scratch` is a directory for a copy of the model, which is removed again.
    """
    with TemporaryDirectory(prefix="lint-", dir=scratch) as folder:
        _lay_out(model, Path(folder) / model.name)
        config = Path(folder) / model.name / CONFIG
        config.write_text(_with_zero_counts(config.read_text("utf-8"), overrides), "utf-8")
        findings = lint_repository(Path(folder), target)
    places: dict[SourceFile, Places] = {}
    for finding in findings:
        # What stands nowhere in the configuration is about generated files, which no override changes.
        if finding.span is not None and finding.span.file.path.endswith(f"/{CONFIG}"):
            if finding.code == "TP844" and finding.severity is Severity.WARNING:
                continue  # of a cache in front of a stage the pipeline warns itself, TP922
            source = finding.span.file
            yield _relocated(finding, places.setdefault(source, scan(source)), finding.span, overrides)


def _lay_out(model: ModelPlan, directory: Path) -> None:
    for name, content in model.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.symlink_to(content.path.absolute())


def _with_zero_counts(text: str, overrides: Sequence[Override]) -> str:
    """Protobuf prints no zeros, but a count of 0 that somebody wrote does not do what it says."""
    names = ("instance_group", "instanceGroup")
    lists = [fields[name] for fields in (o.fields for o in overrides) for name in names if name in fields]
    zeros = iter([group.get("count") == 0 for group in (lists[-1] if lists else ())])
    return re.sub(
        r"^instance_group \{$",
        lambda found: found[0] + ("\n  count: 0" if next(zeros, False) else ""),
        text,
        flags=re.MULTILINE,
    )


def _relocated(finding: Diagnostic, places: Places, span: Span, overrides: Sequence[Override]) -> Diagnostic:
    path = _path_at(places, span.start)
    depth, place, node = -1, None, overrides[-1].node
    for override in overrides:
        found = override.nearest(path)
        if found[0] >= depth:  # of two values the one that was merged last is there
            (depth, place), node = found, override.node
    severity, hint = finding.severity, finding.hint
    if path and path[-1] == _ABOUT_FILES.get(finding.code):
        severity = Severity.WARNING
        hint = f"put the file into the directory '{finding.model}' of the repository after the build"
    if hint and place is not None and place.text == PROVIDER:
        for field, key in _AS_KEYS.items():
            hint = hint.replace(field, key)
    return replace(finding, span=place, node=node, severity=severity, hint=hint, file=None)


def _path_at(places: Places, offset: int) -> FieldPath:
    """The field of a configuration that a finding points at: names, indices of lists, keys of maps."""
    path: list[str] = []
    message = messages().ModelConfig.DESCRIPTOR
    node: Node | None = places.root
    while node is not None and message is not None:
        inside = next((child for child in node.fields or () if _encloses(child, offset)), None)
        if inside is None:
            break
        declared = message.fields_by_name[inside.name.text]
        message = declared.message_type
        path.append(declared.name)
        if message is not None and message.GetOptions().map_entry:
            path.append(places.key_of(inside) or "")
            message = message.fields_by_name["value"].message_type
            node = next((part for part in inside.named("value") if _encloses(part, offset)), None)
        else:
            if declared.label == declared.LABEL_REPEATED:
                siblings = node.named(declared.name)
                path.append(str(next(i for i, one in enumerate(siblings) if one is inside)))
            node = inside
    return tuple(path)


def _encloses(node: Node, offset: int) -> bool:
    return (node.start if node.listed else node.name.start) <= offset < node.end
