"""The files of warm-up samples that nodes name, beside the TOML."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..diagnostics import Bag
from ..emit.warmup import files_of
from ..ir.graph import Graph
from ..ir.serving import WARMUP, Asked


def sample_contents(graph: Graph, base: Path, bag: Bag) -> dict[str, bytes]:
    """The contents of the files that the stages' samples are made of, by name; missing ones are reported."""
    found: dict[str, bytes] = {}
    for name, asked in _named(graph):
        try:
            found[name] = (base / name).read_bytes()
        except OSError as problem:
            reason = "there is no file" if isinstance(problem, FileNotFoundError) else problem.strerror
            hint = "paths are relative to the TOML file"
            bag.error("TP118", f"{reason}: {base / name}", asked.span, hint=hint)
    return found


def sample_hashes(graph: Graph, base: Path) -> list[tuple[str, str]]:
    """The files with their hashes, for the fingerprint of a build."""
    names = {name for name, _ in _named(graph)}
    return [
        (name, hashlib.sha256((base / name).read_bytes()).hexdigest())
        for name in sorted(names)
        if (base / name).is_file()
    ]


def _named(graph: Graph) -> Iterator[tuple[str, Asked]]:
    for stage in graph.stages:
        if WARMUP in stage.serving:
            asked = stage.serving[WARMUP]
            yield from ((name, asked) for name in files_of(asked.value))
