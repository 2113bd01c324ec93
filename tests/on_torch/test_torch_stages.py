"""Stages for a GPU, run on torch's CPU device: what they answer, however they are composed."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from all_ways import check_batches, check_single_items
from equivalence import interpreted
from fake_triton import Server
from on_torch.exact_kernels import make_exact
from random_graphs import make_graph, write_status_code
from random_pipelines import Pipeline, make_item, make_pipeline, read_pipeline, write_files
from standins import stand_in
from tpgen.driver import BuildOptions, build
from tpgen.passes.device import LOWERINGS

pytestmark = pytest.mark.torch
COUNT = int(os.environ.get("TPGEN_TORCH", "12"))  # random pipelines with a stage on a GPU, of each kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("torch")
    write_files(made)
    write_status_code(made)
    return made


def on_gpu(made: Pipeline, folder: Path, name: str) -> Pipeline:
    """The pipeline with its images prepared on the GPU."""
    asked = '[pipeline]\npreprocess = "gpu"\n'
    table = re.search(r"^\s*\[pipeline\]\n", made.text, re.MULTILINE)
    text = made.text.replace(table.group(), asked, 1) if table else f"{asked}{made.text}"
    return read_pipeline(text, folder, name)


def has_work(made: Pipeline) -> bool:
    """True if an operator of the pipeline may run on a GPU."""
    return any(call.op.kernel in LOWERINGS for _, call in made.compiled.reference.calls())


@pytest.mark.parametrize("kind", ["pipelines", "graphs"])
def test_random_ones_answer_as_the_reference_does(kind: str, folder: Path) -> None:
    found: Counter[str] = Counter()
    seeds = itertools.count()
    while found["on a GPU"] < COUNT:
        seed = next(seeds)
        name, rng = f"{kind}{seed}", random.Random(seed)
        made = (make_pipeline if kind == "pipelines" else make_graph)(rng, folder, name)
        if not has_work(made):
            continue
        made = on_gpu(made, folder, name)
        runtime = "onnxruntime" if seed % 2 else "python"
        try:
            found.update(check(made, folder, name, runtime, rng))
        except BaseException:
            print(f"{name}, {runtime}\n{made.text}")
            raise
    assert found["on the CPU"] < 4 * found["on a GPU"]


def check(made: Pipeline, folder: Path, name: str, runtime: str, rng: random.Random) -> list[str]:
    """Random items through a build with its images on the GPU; where its stage is."""
    target = folder / f"{name}_{runtime}"
    built = build(folder / f"{name}.toml", target, BuildOptions(target="gpu", runtime=runtime, cores=2))
    stand_in(target)
    stages = make_exact(target)
    told = any(one.code == "TP917" for one in built.diagnostics)
    assert stages == 1 or told, "a stage stays on the CPU, and nobody says so"
    assert stages <= 1, "two processes would take turns"
    if stages:
        with Server(target) as server:
            for entry in made.compiled.graph.entries:
                items = [make_item(rng, entry) for _ in range(6)]
                expected = interpreted(made, entry, items)
                check_single_items(server, entry, items, expected)
                check_batches(server, entry, items, expected, rng)
    shutil.rmtree(target)
    return ["on a GPU" if stages else "on the CPU"]
