"""A pipeline means the same however it is compiled: interpreted, in one stage, one model per node, as a pipe.

Random pipelines and items, some of them corrupt. TPGEN_EQUIVALENCE is how many pipelines (60), TPGEN_SEED the
seed of the first: pipeline k of a run with seed s is the first of a run with seed s + k.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from equivalence import Outcome, as_sent, check_values, interpreted, moved, received
from fake_triton import Server, TritonError
from random_graphs import make_graph, write_status_code
from random_pipelines import Pipeline, batches, make_item, make_pipeline, read_pipeline, write_files
from tpgen.driver import BuildOptions, build
from tpgen.ir.graph import Entry
from tpgen.runner.generated import Pipe
from tpgen.runner.interpreter import ItemError
from tpgen.services.wire import decode, encode

COUNT = int(os.environ.get("TPGEN_EQUIVALENCE", "60"))
GRAPHS = int(os.environ.get("TPGEN_EQUIVALENCE_GRAPHS", "60"))
SEED = int(os.environ.get("TPGEN_SEED", "1"))
ITEMS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("random")
    write_files(made)
    write_status_code(made)
    (made / "changing.py").write_text(CHANGING, encoding="utf-8")
    return made


@pytest.mark.parametrize("seed", range(SEED, SEED + GRAPHS))
def test_all_ways_agree_on_graphs(seed: int, folder: Path) -> None:
    rng = random.Random(-seed)
    compare(make_graph(rng, folder, f"g{seed}", entries=True), folder, f"g{seed}", rng)


@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_all_ways_agree(seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    compare(make_pipeline(rng, folder, f"p{seed}"), folder, f"p{seed}", rng)


# Pipelines on which the ways once differed, each with what was wrong.
ONCE_WRONG = {
    "data is overwritten beside the result that becomes data": """
        [a]
        backend = "Sequential[Add[note:x],Copy[data:result,note:data],DecodeMat]"
        """,
    "a result is made up for, and declined later": """
        [a]
        backend = "Sequential[DecodeMat,(Run)Python[mine:maybe]]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        """,
    "a key comes from a node before the one where items end": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Add[note:early]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        next = "c"
        [c]
        backend = "FloatTensor"
        next = "d"
        [d]
        backend = "Add[note:late]"
        """,
    "a key is taken away, and written again": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Add[note:early]"
        next = "b"
        [b]
        backend = "Sequential[Python[mine:maybe],Remove[note]]"
        next = "c"
        [c]
        backend = "Sequential[Python[mine:maybe],Identity]"
        next = "d"
        [d]
        backend = "Add[note:late]"
        """,
    "a client's key is read in the second node": """
        [pipeline.inputs]
        data = {type = "bytes", wire = "uint8"}
        more = "float32[N,4]"
        [a]
        backend = "DecodeMat"
        next = "b"
        [b]
        backend = "Copy[more:kept]"
        """,
    "an operator fails whose keys another one wrote before": """
        [pipeline]
        outputs = ["note", "result"]
        [a]
        backend = "Sequential[Add[note:early],Python[mine:fussy],(Run)Identity]"
        """,
    "items that failed go on in another node": """
        [a]
        backend = "Sequential[DecodeMat,Python[mine:fussy]]"
        next = "b"
        [b]
        backend = "Sequential[(Run)Identity,Python[mine:maybe]]"
        """,
    "a kernel on lists ends items between two others": """
        [a]
        backend = "S[Python[mine:fussy],Python[mine:together],(Run)Python[mine:maybe],Python[mine:Lists]]"
        """,
    "an operator declines beside a result from before, which a filter left there": """
        [pipeline]
        outputs = ["result"]
        [pipeline.inputs]
        data = "float32[N,8]"
        [a]
        backend = "Python[mine:fussy]"
        next = "b"
        [b]
        backend = "Sequential[ArgMax,Keep(keep=[result]),Python[mine:maybe],Python[mine:together]]"
        filter = "Run"
        """,
    "a key was lost with a result that is made up for": """
        [pipeline]
        outputs = ["result", "key"]
        [a]
        backend = "Sequential[Python[mine:fussy],Result2Key]"
        next = "b"
        [b]
        backend = "Python[mine:maybe]"
        filter = "Run"
        """,
    "operators behind one that breaks inside a sequence": """
        [a]
        backend = "Sequential[Python[mine:maybe],Python[mine:together],(or)Python[mine:fussy],Copy[data:x]]"
        next = "b"
        [b]
        backend = "Sequential[Python[mine:together],Python[mine:fussy]]"
        filter = "or"
        next = "c"
        [c]
        backend = "Python[mine:fussy]"
        """,
    "only an operator that is left out reads the input": """
        [a]
        backend = "Sequential[Identity,CreateTensor(shape=[2,3],type=float)]"
        next = "b"
        [b]
        backend = "Copy[other:kept]"
        """,
    "the names of two keys are those of a key and its size": """
        [pipeline]
        outputs = ["result"]
        [a]
        backend = "Sequential[Python[mine:maybe],Copy[data:size],Result2Key(key=beta),AddInt[beta_count:3]]"
        next = "b"
        [b]
        backend = "FloatTensor"
        next = "c"
        [c]
        backend = "Sequential[Copy[beta:x],Copy[beta_count:result]]"
        """,
    "user code changes its input, which another key shares": """
        [pipeline]
        outputs = ["kept", "result"]
        [a]
        backend = "Sequential[DecodeMat,Copy[data:kept]]"
        next = "b"
        [b]
        backend = "Python[changing:doubled]"
        """,
    "user code answers with an array that it writes to again": """
        [a]
        backend = "Python[changing:Buffer]"
        """,
    "two leaves have no result, for reasons of their own": """
        [a]
        backend = "Python[mine:fussy]"
        next = "b,c,d"
        [b]
        backend = "Identity"
        next = "e"
        [c]
        backend = "Python[mine:fussy]"
        filter = "or"
        [d]
        backend = "Identity"
        filter = "or"
        next = "e"
        [e]
        backend = "Identity"
        map = "d[data:data]"
        """,
    "user code answers with its input": """
        [pipeline]
        outputs = ["kept", "result"]
        [a]
        backend = "Sequential[DecodeMat,Copy[data:kept]]"
        next = "b"
        [b]
        backend = "Python[changing:same]"
        """,
}

CHANGING = """
import numpy as np
from tpgen_runtime import Tensor, op

IMAGE = Tensor("uint8", ["H", "W", 3], color="bgr")

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def doubled(data):
    data *= 2
    return data

@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def same(data):
    return data

@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("int64", [2])})
class Buffer:
    def __init__(self):
        self.kept = np.zeros(2, np.int64)

    def __call__(self, data):
        self.kept[:] = len(data), sum(data)
        return self.kept
"""


@pytest.mark.parametrize("what", ONCE_WRONG)
def test_what_once_differed(what: str, folder: Path) -> None:
    name = f"once{[*ONCE_WRONG].index(what)}"
    made = read_pipeline(ONCE_WRONG[what], folder, name)
    for seed in range(3):
        compare(made, folder, name, random.Random(seed))


def compare(made: Pipeline, folder: Path, name: str, rng: random.Random) -> None:
    """Runs random items through every way to run a pipeline."""
    entries = made.compiled.graph.entries
    cases = [(entry, [make_item(rng, entry) for _ in range(ITEMS)]) for entry in entries]
    try:
        checked = [(entry, items, interpreted(made, entry, items)) for entry, items in cases]
        interfaces = set()
        for fuse in ("auto", "none"):
            options = BuildOptions(fuse=fuse, cores=2)
            target = folder / f"repository_{name}_{fuse}"
            build(folder / f"{name}.toml", target, options)
            for entry, items, expected in checked:
                with Server(target) as server:
                    interfaces.add((entry.name, repr(server.models[entry.name].spec)))
                    check_single_items(server, entry, items, expected)
                    check_batches(server, entry, items, expected, rng)
                if fuse == "auto":
                    check_pipe(target / entry.name / "1", entry, items, expected)
        assert len(interfaces) == len(entries)
    except BaseException:
        print(f"{name}\n{made.text}")
        raise


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
                assert (str(caught.value), caught.value.is_input) == (str(wanted), wanted.is_input)
                assert data.keys() == item.keys()
            else:
                pipe(data)
                check_values(entry, wanted, {key: data[key] for key in data if key not in item})


def check_error(answer: Any, messages: Sequence[str], *, is_input: bool | None = None) -> None:
    assert isinstance(answer, TritonError), f"no error, but {messages}"
    assert answer.message() in messages
    if is_input is not None:
        assert answer.code() == (TritonError.INVALID_ARG if is_input else TritonError.INTERNAL)
