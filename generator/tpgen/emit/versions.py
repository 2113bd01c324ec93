"""Which Triton release brought which field of a model configuration.

Triton refuses to load a model whose configuration has a field that it does not know, so fields are gated by
the release that the build is for. The table was made from the protobuf in the releases of tritonclient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

DEFAULT_TARGET = "24.10"
OLDEST_TARGET = "24.06"  # the first whose Python models may send each answer by itself

FIRST_RELEASE: Mapping[str, str] = {
    "input.is_non_linear_format_io": "24.08",
    "output.is_non_linear_format_io": "24.08",
    "model_metrics": "24.11",
    "ensemble_scheduling.max_inflight_requests": "25.11",
}


class TooNew(NamedTuple):
    """A field that the target does not know, in the words of a diagnostic."""

    code: str
    message: str
    hint: str
    field: str


def parse_release(text: str) -> tuple[int, int]:
    """`24.10` as (24, 10), to be compared. ValueError for anything else or for a release that is too old."""
    match = re.fullmatch(r"(\d{2})\.(0[1-9]|1[0-2])", text)
    if match is None:
        raise ValueError(f"'{text}' is not a Triton release, which looks like {DEFAULT_TARGET}")
    release = int(match[1]), int(match[2])
    if text != OLDEST_TARGET and release < parse_release(OLDEST_TARGET):
        raise ValueError(
            f"Triton {text} is too old for the models that are generated: at least {OLDEST_TARGET}"
        )
    return release


def check_fields(config: Any, target: str) -> list[TooNew]:
    """The fields of a configuration that Triton `target` does not know, sorted and each once.

    `config` is a ModelConfig, or its JSON form as nested mappings and lists. ValueError as in parse_release.
    """
    release = parse_release(target)
    used = _json_paths(config) if isinstance(config, Mapping) else _message_paths(config)
    return [
        TooNew(
            "TP620",
            f"'{path}' needs Triton {FIRST_RELEASE[path]}, and this build is for {target}",
            f'leave it out, or set [pipeline] target_triton = "{FIRST_RELEASE[path]}"',
            path,
        )
        for path in sorted(set(used) & FIRST_RELEASE.keys())
        if parse_release(FIRST_RELEASE[path]) > release
    ]


def _message_paths(message: Any, prefix: str = "") -> Iterator[str]:
    for field, value in message.ListFields():
        path = prefix + field.name
        yield path
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue  # the keys of a map are names that users choose
        for part in value if field.label == field.LABEL_REPEATED else (value,):
            yield from _message_paths(part, f"{path}.")


def _json_paths(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in mapping.items():
        path = prefix + re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", key)
        yield path
        for part in value if isinstance(value, list | tuple) else (value,):
            if isinstance(part, Mapping):
                yield from _json_paths(part, f"{path}.")
