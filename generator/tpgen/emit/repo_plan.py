"""What a build wants to see on disk: plain data between the planner, which decides, and the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ENCRYPTED = ".encrypted"  # how the names of encrypted models end, as the runtime has it

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None


@dataclass(frozen=True)
class CopyFrom:
    """A big file (a model) to copy; `sha256` is what its maker read, and the copy is checked against it."""

    path: Path
    sha256: str


Content: TypeAlias = bytes | CopyFrom


@dataclass(frozen=True)
class ModelPlan:
    """One Triton model: its name, and its files by POSIX path inside its directory, such as `1/model.py`."""

    name: str
    files: Mapping[str, Content]


@dataclass(frozen=True)
class RepoPlan:
    """All that one pipeline puts into a repository, as a function of inputs and options.

    No dates and no absolute paths.
    """

    pipeline: str
    source: str  # the TOML file as the user named it; recorded is its name, and its path from near by
    entries: tuple[str, ...]  # models that clients call; they are put in place last
    models: tuple[ModelPlan, ...]
    requirements: tuple[str, ...]  # requirement lines for the server's Python
    record: Mapping[str, JSON]  # options, decisions, target, interface: what tpgen.json keeps about the build
    fingerprint: str  # hash of the inputs, the options and the version of tpgen


def is_safe_path(path: str) -> bool:
    """True for a relative POSIX path that stays below what it is joined to: no `..`, no empty part."""
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))
