"""Stages for a GPU on a real tritonserver, on torch's CPU device: tensors leave them by dlpack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import examples
from standins import stand_in
from tpgen.driver import BuildOptions, build, load_interpreter
from tpgen.driver.compile import Compiled
from tpgen.emit.config_pbtxt import messages, parse, render
from tpgen.services.client import Client, RequestError
from tpgen.services.server import TritonServer

torch = pytest.importorskip("torch", reason="no torch: make torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.triton,
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

HEAD = '[pipeline]\npreprocess = "gpu"\ntarget = "gpu"\n'
# The tolerances of the operators add up, and one normalises: 1 + 0.15 grey levels, by 50.
CHAIN = (
    HEAD
    + """
outputs = ["result", "inverse_trans"]
[decode]
backend = "DecodeMat"
next = "fit"
[fit]
backend = "Sequential[ResizePadMat,cvtColorMat,Mat2Tensor,ResizeTensor,Normalize]"
max_h = 90
max_w = 120
pad_value = "10,20,30"
color = "rgb"
resize_h = 61
resize_w = 75
mean = "120,110,100"
std = "50,55,60"
"""
)
# The first network answers an image that torch goes on with; there are two ways, so it is called, not led to.
TWO_MODELS = (
    HEAD
    + """
inputs = {data = "uint8[H,W,3] bgr"}
outputs = ["first.result", "second.result"]
[prepare]
backend = "Sequential[ResizeMat,Mat2Tensor,FloatTensor]"
resize_h = 16
resize_w = 24
next = "first, turn"
[first]
backend = "TorchScriptTensor"
model = "brighter.pt"
mean = "100,100,100"
std = "50,50,50"
max = 4
inputs = {image = "float32[3,16,24]"}
outputs = {brighter = "float32[3,16,24]"}
[turn]
backend = "TorchModule[nets:Brighter]"
model = "weights.pt"
max = 4
inputs = {image = "float32[3,16,24]"}
outputs = {brighter = "float32[3,16,24]"}
next = "second"
[second]
backend = "ResizeTensor"
resize_h = 9
resize_w = 11
"""
)


NETS = """
import torch

class Brighter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return image * self.factor + 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("torch_served")
    (made / "chain.toml").write_text(CHAIN)
    (made / "two.toml").write_text(TWO_MODELS)
    (made / "nets.py").write_text(NETS)
    found: dict[str, Any] = {}
    exec(NETS, found)
    network = found["Brighter"]()
    torch.save(network.state_dict(), made / "weights.pt")
    torch.jit.trace(network, torch.zeros(1, 3, 16, 24)).save(str(made / "brighter.pt"))
    for name in ("digits", "detect_classify"):
        text = examples.pipeline(name).read_text()
        with_table = text.replace("[pipeline]\n", HEAD, 1) if "[pipeline]\n" in text else HEAD + text
        (made / name).mkdir()
        for file in examples.pipeline(name).parent.iterdir():
            if file.is_file():
                (made / name / file.name).write_bytes(file.read_bytes())
        (made / name / "pipeline.toml").write_text(with_table)
    return made


@pytest.fixture(scope="module")
def compiled(folder: Path) -> dict[str, Compiled]:
    """Builds all pipelines into one repository, for this machine: without GPU, and without other backends."""
    target = folder / "repository"
    found = {}
    for name in ("chain", "two", "digits/pipeline", "detect_classify/pipeline"):
        runtime = "python" if name == "two" else "onnxruntime"
        result = build(folder / f"{name}.toml", target, BuildOptions(runtime=runtime, cores=1))
        on_cpu = [one for one in result.diagnostics if one.code == "TP917" and "turns" not in one.message]
        assert not on_cpu
        found[result.compiled[0].graph.name] = result.compiled[0]
    stand_in(target)
    on_gpu = 0
    for file in target.glob("*/config.pbtxt"):
        config = parse(file.read_text())
        for group in config.instance_group:
            on_gpu += group.kind == messages().ModelInstanceGroup.KIND_GPU
            group.kind = messages().ModelInstanceGroup.KIND_CPU
        file.write_text(render(config))
    assert on_gpu == len(found), "one stage of each is on the GPU"
    return found


@pytest.fixture(scope="module")
def client(compiled: dict[str, Compiled], folder: Path) -> Iterator[Client]:
    server = TritonServer(folder / "repository", http_port=0, grpc_port=0, metrics_port=0)
    with server, Client(server.grpc_url) as found:
        yield found


def wanted(compiled: Compiled, **item: object) -> dict[str, np.ndarray]:
    """The reference answer."""
    (outcome,) = load_interpreter(compiled).run(compiled.reference.entries[0], [item])
    assert isinstance(outcome, dict), outcome
    return outcome


def test_a_chain_of_operators(client: Client, compiled: dict[str, Compiled]) -> None:
    jpegs = [examples.photo(seed, 200 + 40 * seed, 150) for seed in range(6)]
    for jpeg, found in zip(jpegs, client("chain", data=jpegs)["result"], strict=True):
        expected = wanted(compiled["chain"], data=jpeg)["result"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1.15 / 50 + 0.001)


def test_a_broken_image_fails_alone(client: Client) -> None:
    with pytest.raises(RequestError, match=r"chain.toml:7 \[decode\] item 0: not a decodable image"):
        client("chain", data=b"no image")
    with pytest.raises(RequestError, match="item 1"):
        client("chain", data=[examples.photo(1), examples.photo(2)[:900]])
    assert client("chain", data=examples.photo(1))["result"].shape == (3, 61, 75)


def test_models_on_the_stages_device(client: Client, compiled: dict[str, Compiled]) -> None:
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (40, 30 + 10 * index, 3), np.uint8) for index in range(5)]
    for image in images:
        found, expected = client("two", data=image), wanted(compiled["two"], data=image)
        np.testing.assert_allclose(found["first.result"], expected["first.result"], atol=2 / 50 + 1e-4)
        np.testing.assert_allclose(found["second.result"], expected["second.result"], atol=2 * (1 + 0.15))


def test_an_ensemble_with_a_model_behind(client: Client, compiled: dict[str, Compiled]) -> None:
    pictures = [jpeg for jpeg, _ in examples.script("digits", "train").held_out_jpegs()[:12]]
    for jpeg, scores in zip(pictures, client("digits", data=pictures[:8])["scores"], strict=False):
        np.testing.assert_allclose(scores, wanted(compiled["digits"], data=jpeg)["scores"], atol=0.02)


def test_crops_that_leave_packed(client: Client, compiled: dict[str, Compiled]) -> None:
    for seed in (3, 4):
        page = examples.script("detect_classify", "pages").make_page(seed).image
        answer = client("detect_classify", data=page)["result"]
        assert answer.decode() == wanted(compiled["detect_classify"], data=page)["result"]
