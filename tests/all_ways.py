"""Runs one pipeline in all ways there are, and compares: what the random tests are made of."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from equivalence import Outcome, as_sent, check_values, interpreted, moved, received
from fake_triton import Server, TritonError
from random_pipelines import Pipeline, batches, make_item
from tpgen.diagnostics import Bag
from tpgen.driver import Compiled, compile_pipeline
from tpgen.driver.build import make_plan
from tpgen.emit.repo_plan import CopyFrom
from tpgen.ir.graph import Entry
from tpgen.runner.generated import Pipe
from tpgen.runner.interpreter import ItemError
from tpgen.services.wire import decode, encode

ITEMS = 8


def write(folder: Path, text: str) -> Path:
    """Writes a pipeline as p.toml."""
    path = folder / "p.toml"
    path.write_text(dedent(text))
    return path


def compare(made: Pipeline, folder: Path, name: str, rng: random.Random) -> list[Outcome]:
    """Runs random items through every way to run a pipeline; returns what all of them answered."""
    entries = made.compiled.graph.entries
    cases = [(entry, [make_item(rng, entry) for _ in range(ITEMS)]) for entry in entries]
    try:
        checked = [(entry, items, interpreted(made, entry, items)) for entry, items in cases]
        interfaces = set()
        for fuse in ("auto", "none"):
            target = folder / f"repository_{name}_{fuse}"
            lay_out(_compiled(made, folder / f"{name}.toml", fuse), target)
            with Server(target) as server:
                for entry, items, expected in checked:
                    interfaces.add((entry.name, repr(server.models[entry.name].spec)))
                    check_single_items(server, entry, items, expected)
                    check_batches(server, entry, items, expected, rng)
            for entry, items, expected in checked if fuse == "auto" else ():
                check_pipe(target / entry.name / "1", entry, items, expected)
            shutil.rmtree(target)
        assert len(interfaces) == len(entries), f"the interfaces differ: {interfaces}"
    except BaseException:
        print(f"{name}\n{made.text}")
        raise
    return [outcome for _, _, expected in checked for outcome in expected]


def _compiled(made: Pipeline, path: Path, fuse: str) -> Compiled:
    if fuse == made.compiled.options.fuse:
        return made.compiled
    bag = Bag()
    options = replace(made.compiled.given, fuse=fuse)
    compiled = compile_pipeline(path, options, bag, path.parent)
    bag.raise_if_errors()
    assert compiled is not None
    return compiled


def lay_out(compiled: Compiled, target: Path) -> None:
    """Writes a repository as a build would, but without the care that a repository in use needs."""
    bag = Bag()
    with tempfile.TemporaryDirectory() as scratch:
        planned = make_plan(compiled, Path(scratch), bag)
        bag.raise_if_errors()
        for model in planned.models:
            for name, content in model.files.items():
                path = target / model.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, CopyFrom):
                    shutil.copyfile(content.path, path)
                else:
                    path.write_bytes(content)


def check_single_items(
    server: Server, entry: Entry, items: Sequence[Mapping[str, Any]], expected: Sequence[Outcome]
) -> None:
    """Each item a request of its own, all of them in one dynamic batch."""
    spec = server.models[entry.name].spec
    requests = [encode(spec, as_sent(entry, item))[1][0].tensors for item in items]
    for answer, wanted in zip(server.infer(entry.name, requests), expected, strict=True):
        if isinstance(wanted, ItemError):
            check_error(answer, [str(wanted)], is_input=wanted.is_input)
        else:
            assert not isinstance(answer, TritonError), answer
            (found,) = decode(spec, answer, 1)
            check_values(entry, wanted, received(entry, found))


def check_batches(
    server: Server,
    entry: Entry,
    items: Sequence[Mapping[str, Any]],
    expected: Sequence[Outcome],
    rng: random.Random,
) -> None:
    """Requests of several items; one with a failed item fails, and no other."""
    spec = server.models[entry.name].spec
    parts = []
    requests = []
    for part in uniform(batches(rng, len(items), entry.max_batch), items):
        sent = {key: [as_sent(entry, items[i])[key] for i in part] for key in items[part.start]}
        start = part.start
        for request in encode(spec, sent)[1]:
            parts.append(range(start, start + request.items))
            start += request.items
            requests.append(request.tensors)
    for part, answer in zip(parts, server.infer(entry.name, requests), strict=True):
        wanted = [expected[i] for i in part]
        failed = {i: w for i, w in enumerate(wanted) if isinstance(w, ItemError)}
        if failed:
            messages = [moved(str(w), i) for i, w in failed.items()]
            check_error(answer, messages)
            continue
        assert not isinstance(answer, TritonError), answer
        for outcome, found in zip(wanted, decode(spec, answer, len(part)), strict=True):
            assert isinstance(outcome, dict)
            check_values(entry, outcome, received(entry, found))


def uniform(parts: Iterator[range], items: Sequence[Mapping[str, Any]]) -> Iterator[range]:
    """Cuts parts where an optional input comes or goes: a request has it for all items, or for none."""
    for part in parts:
        start = part.start
        for stop in range(part.start + 1, part.stop + 1):
            if stop == part.stop or items[stop].keys() != items[start].keys():
                yield range(start, stop)
                start = stop


def check_pipe(
    directory: Path, entry: Entry, items: Sequence[Mapping[str, Any]], expected: Sequence[Outcome]
) -> None:
    with Pipe(directory, entry.max_batch, workers=1, threads=1) as pipe:
        for item, wanted in zip(items, expected, strict=True):
            data = dict(item)
            if isinstance(wanted, ItemError):
                with pytest.raises(ItemError) as caught:
                    pipe(data)
                said = (str(caught.value), caught.value.is_input)
                assert said == (str(wanted), wanted.is_input), f"{said}, {wanted} expected"
                assert data.keys() == item.keys(), f"a failed item has the keys {sorted(data)}"
            else:
                pipe(data)
                check_values(entry, wanted, {key: data[key] for key in data if key not in item})


def check_error(answer: Any, messages: Sequence[str], *, is_input: bool | None = None) -> None:
    assert isinstance(answer, TritonError), f"no error, but {messages}"
    assert answer.message() in messages, f"{answer.message()!r}, one of {messages} expected"
    if is_input is not None:
        expected = TritonError.INVALID_ARG if is_input else TritonError.INTERNAL
        assert answer.code() == expected, f"{answer.message()!r} has the code {answer.code()}"
