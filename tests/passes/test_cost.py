"""The estimate of what an item costs: from declared figures, by the sizes that types give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from small_models import write_models
from tpgen.driver import BuildOptions, check
from tpgen.ir.graph import Graph
from tpgen.ir.op import REGISTRY
from tpgen.passes.cost import CORES, ENGINE, Cost, cost_of
from tpgen.passes.figures import CLIENT_MS, KERNELS, STAGE_MS

INPUT = '[pipeline]\nname = "p"\ninputs = {data = "uint8[%d,%d,3] bgr"}\n'
RESIZE = '[a]\nbackend = "ResizeMat"\nresize_h = %d\nresize_w = %d\n'
MODEL = (
    '[pipeline]\nname = "p"\n[a]\nbackend = "S[DecodeMat,ResizeMat,cvtColorMat,Mat2Tensor,Onnx]"\n'
    'resize_h = 224\nresize_w = 224\ncolor = "rgb"\nmodel = "rgb.onnx"\nmax = 4\n'
)


def graph(folder: Path, text: str, target: str = "cpu", **options: str) -> Graph:
    write_models(folder)
    (folder / "p.toml").write_text(text)
    return check(folder / "p.toml", BuildOptions(target=target, cores=2, **options)).compiled[0].graph


def cost(folder: Path, text: str, target: str = "cpu", rate: float | None = None, cores: int = 2) -> Cost:
    return cost_of(graph(folder, text, target), cores=cores, target=target, engine_rate=rate)


def test_every_figure_is_of_a_kernel() -> None:
    assert set(KERNELS) <= {one.kernel for one in REGISTRY.values()}
    assert all(min(one.ms, one.read, one.written) >= 0 for one in KERNELS.values())


def test_time_follows_the_sizes_of_images(tmp_path: Path) -> None:
    figure = KERNELS["geometry:resize_mat"]
    for height, width, side in ((100, 100, 50), (1000, 500, 50), (1000, 500, 700)):
        found = cost(tmp_path, INPUT % (height, width) + RESIZE % (side, side))
        wanted = figure.ms + figure.read * height * width / 1e6 + figure.written * side * side / 1e6
        (stage,) = found.stages
        assert stage.ms == pytest.approx(wanted + STAGE_MS)
        assert found.ms == pytest.approx(stage.ms + CLIENT_MS * (height * width + side * side) * 3 / 1e6)
        assert not found.assumed
        assert [one.size for one in found.edges] == [height * width * 3, side * side * 3]


def test_pixels_are_counted_without_the_channels(tmp_path: Path) -> None:
    """Wherever these are."""
    figure = KERNELS["tensor:float_tensor"]
    text = (
        '[pipeline]\nname = "p"\ninputs = {data = "uint8[3,200,500] CHW bgr"}\n[a]\nbackend = "FloatTensor"\n'
    )
    (stage,) = cost(tmp_path, text).stages
    assert stage.ms == pytest.approx(STAGE_MS + figure.ms + (figure.read + figure.written) * 200 * 500 / 1e6)


def test_unknown_sizes_are_assumed_and_that_is_noted(tmp_path: Path) -> None:
    text = '[pipeline]\nname = "p"\n[a]\nbackend = "DecodeMat"\n'
    found = cost(tmp_path, text)
    assert found.assumed
    figure = KERNELS["image:decode_mat"]
    decoding = figure.ms + figure.written * 1280 * 720 / 1e6
    assert found.stages[0].ms == pytest.approx(decoding + STAGE_MS)


def test_the_least_term_is_the_limit(tmp_path: Path) -> None:
    alone = cost(tmp_path, MODEL, "gpu")
    assert alone.limit == CORES
    assert ENGINE not in alone.rates
    assert alone.rates[CORES] == pytest.approx(2000 / alone.ms)
    assert cost(tmp_path, MODEL, "gpu", rate=10.0).limit == ENGINE
    assert cost(tmp_path, MODEL, "gpu", rate=1e5).limit == CORES
    wide = cost(tmp_path, MODEL, "gpu", rate=1e9, cores=10**6)
    assert " -> " in wide.limit


def test_models_on_the_cores_take_their_time(tmp_path: Path) -> None:
    """1,000 items a second of two cores are two milliseconds of an item."""
    without, beside = cost(tmp_path, MODEL), cost(tmp_path, MODEL, rate=1000.0)
    assert beside.ms == pytest.approx(without.ms + 2.0)
    assert ENGINE not in beside.rates


def test_what_crosses_the_bus(tmp_path: Path) -> None:
    edges = {(one.source, one.target): one for one in cost(tmp_path, MODEL, "gpu").edges}
    into = edges["p__a__before", "p__a"]
    assert (into.size, into.over) == (224 * 224 * 3, "bus")  # as uint8: the cast is in the model
    assert {one.over for one in cost(tmp_path, MODEL).edges} == {"memory"}


def test_copies_on_the_way(tmp_path: Path) -> None:
    """One into a Python process, two out of it, one over the bus."""
    on_gpu = {one.source: one.copies for one in cost(tmp_path, MODEL, "gpu").edges}
    assert on_gpu["client"] == 1
    assert on_gpu["p__a__before"] == 2 + 1
    assert [one.copies for one in cost(tmp_path, MODEL).edges] == [1, 2]


def test_what_stays_on_the_gpu_limits_nothing(tmp_path: Path) -> None:
    """No figure is known of it, so no rate is named."""
    text = MODEL.replace('name = "p"', 'name = "p"\npreprocess = "gpu"').replace("cvtColorMat,", "")
    found = cost(tmp_path, text.replace('color = "rgb"\n', "").replace("rgb.onnx", "any.onnx"), "gpu")
    inside = [one for one in found.edges if one.over == "gpu"]
    assert inside and not {f"{one.source} -> {one.target}" for one in inside} & set(found.rates)


def test_a_model_of_its_own_costs_what_it_computes(tmp_path: Path) -> None:
    """With what stands around it in its node, which the caller does."""
    text = (
        '[pipeline]\nname = "p"\ninputs = {data = "float32[3,8,8] rgb"}\n'
        '[a]\nbackend = "Identity"\nnext = ["b", "c"]\n[c]\nbackend = "Identity"\n'
        '[b]\nbackend = "S[ContiguousTensor,Onnx,Softmax]"\nmodel = "convolution.onnx"\nmax = 4\n'
    )
    placed = graph(tmp_path, text, fuse="none")
    found = cost_of(placed, cores=2, target="cpu", engine_rate=None)
    (called,) = (one.name for one in placed.stages if one.is_called)
    (stage,) = (one for one in found.stages if one.stage == called)
    assert [one.operator for one in stage.calls] == ["TensorrtTensor"]


def test_what_nobody_measured_is_named(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(
        "from tpgen_runtime import Tensor, op\n"
        '@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("float32", [])})\n'
        "def length(data):\n    return len(data)\n"
    )
    found = cost(tmp_path, '[pipeline]\nname = "p"\n[a]\nbackend = "Python[ops:length]"\n')
    assert found.unmeasured == ("a.Python",)
    assert found.stages[0].ms == STAGE_MS


def test_what_arrives_counts_where_a_model_takes_any_size(tmp_path: Path) -> None:
    found = cost(tmp_path, MODEL.replace("rgb.onnx", "any.onnx"), "gpu")
    edges = {(one.source, one.target): one.size for one in found.edges}
    assert edges["p", "p__a"] == 224 * 224 * 3


def test_a_called_model_without_a_known_caller_is_charged_to_the_first_stage(tmp_path: Path) -> None:
    text = (
        '[pipeline]\nname = "p"\ninputs = {data = "float32[3,8,8] rgb"}\n'
        '[a]\nbackend = "Identity"\nnext = ["b", "c"]\n[c]\nbackend = "Identity"\n'
        '[b]\nbackend = "TensorrtTensor"\nmodel = "convolution.onnx"\nmax = 4\n'
    )
    known = graph(tmp_path, text, "gpu")
    lost = tuple(replace(one, nodes=("gone",)) if one.is_called else one for one in known.stages)
    assert lost != known.stages
    edges = [
        cost_of(one, cores=2, target="gpu", engine_rate=None).edges
        for one in (known, replace(known, stages=lost))
    ]
    assert edges[0] == edges[1]


FALLBACK = """
[pipeline]
name = "p"
[a]
backend = "DecodeTensor"
next = "b"
[b]
backend = "DecodeMat"
filter = "or"
"""


def test_a_fallback_costs_nothing(tmp_path: Path) -> None:
    """Only items that the first decoder failed on get there."""
    alone = cost(tmp_path, '[pipeline]\nname = "p"\n[a]\nbackend = "DecodeTensor"\n')
    found = cost(tmp_path, FALLBACK)
    assert found.stages[0].ms == alone.stages[0].ms
    assert (alone.fallbacks, found.fallbacks) == ((), ("b",))
