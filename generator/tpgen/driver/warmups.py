"""The files of warm-up samples that nodes name, beside the TOML."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..diagnostics import Bag
from ..ir.graph import Call, Graph, Port, Stage, sent
from ..ir.serving import WARMUP, Asked, files_of
from ..runner.kernels import undecodable
from ..types import Bytes


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


def check_images(graph: Graph, contents: Mapping[str, bytes], bag: Bag) -> None:
    """Report encoded images that nothing in their stage can decode: such a sample warms nothing up."""
    for stage in graph.stages:
        value = stage.serving[WARMUP].value if WARMUP in stage.serving else None
        if not stage.is_python or value is None:
            continue
        for port in stage.inputs:
            file = str(value.get(port.key) if isinstance(value, dict) else value)
            if file not in contents or file.endswith(".json") or not isinstance(port.type, Bytes):
                continue
            reasons = [undecodable(call, contents[file]) for call in _decoders(graph, stage, port)]
            if reasons and all(reasons):
                span = stage.serving[WARMUP].span
                bag.error("TP923", f"'{file}' is no sample for '{port.key}': {reasons[-1]}", span)


def _decoders(graph: Graph, stage: Stage, port: Port) -> list[Call]:
    """The calls of a stage that decode what arrives at an input: those behind them read pixels."""
    assert graph.types is not None
    before = graph.types.before
    writers = port.state.writers or {sent(port.key)}
    calls = [call for name in stage.nodes for call in graph.nodes[name].calls if call.op.group == "image"]
    return [
        call
        for call in calls
        if (state := before.get(call.label, {}).get("data")) is not None
        and isinstance(state.type, Bytes)
        and state.writers == writers
    ]


def _named(graph: Graph) -> Iterator[tuple[str, Asked]]:
    for stage in graph.stages:
        if WARMUP in stage.serving:
            asked = stage.serving[WARMUP]
            yield from ((name, asked) for name in files_of(asked.value))
