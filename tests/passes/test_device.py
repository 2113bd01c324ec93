"""Stages on a GPU, as the compiler sees them: what goes there, what stays, and what is said of it."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from small_models import write_models
from test_contract import RUNTIME, expected_keywords, method
from tpgen.driver import BuildOptions, BuildResult, build, check
from tpgen.driver.deploy import deployment_of
from tpgen.driver.explain import explain
from tpgen.driver.explain_text import explanation_text
from tpgen.driver.needs import CALLS_IN_FLIGHT, CUDA_POOL_STEP
from tpgen.emit.config_pbtxt import messages, parse
from tpgen.emit.deployment import deployment_files
from tpgen.emit.features import Features
from tpgen.ir.op import REGISTRY, Op
from tpgen.passes.device import LOWERINGS
from tpgen.services.pool import pool_flags

OPERATORS = sorted({cls.names[0]: cls for cls in REGISTRY.values() if cls.kernel in LOWERINGS}.items())
DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0027-lowering-table.md"
GPU = messages().ModelInstanceGroup.KIND_GPU
NETWORK = """
    [net]
    backend = "TensorrtTensor"
    model = "rgb.onnx"
    max = 8
"""
IMAGES = (
    """
    [decode]
    backend = "DecodeMat"
    next = "prepare"
    [prepare]
    backend = "Sequential[ResizeMat,Mat2Tensor]"
    resize_h = 224
    resize_w = 224
    next = "net"
"""
    + NETWORK
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("device")
    write_models(made)
    return made


def built(folder: Path, text: str, *, head: str = "", **options: str) -> BuildResult:
    path = folder / "p.toml"
    path.write_text(f'[pipeline]\npreprocess = "gpu"\n{head}\n{dedent(text)}')
    return build(path, folder / "repository", BuildOptions(**{"target": "gpu", **options}, cores=4))


def kinds(folder: Path) -> dict[str, tuple[int, int]]:
    """Of each Python model: kind and number of its instances."""
    configs = [parse(path.read_text()) for path in (folder / "repository").glob("*/config.pbtxt")]
    groups = {one.name: one.instance_group[0] for one in configs if one.backend == "python"}
    return {name: (group.kind, group.count) for name, group in groups.items()}


def definition(lowering: str) -> ast.FunctionDef | ast.ClassDef:
    module, _, name = lowering.partition(":")
    tree = ast.parse((RUNTIME / f"{module}.py").read_text())
    (found,) = (
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    )
    return found


@pytest.mark.parametrize(("name", "cls"), OPERATORS, ids=[name for name, _ in OPERATORS])
def test_a_kernel_on_torch_takes_what_the_one_on_the_cpu_does(name: str, cls: type[Op]) -> None:
    lowering = LOWERINGS[cls.kernel]
    node = definition(lowering.kernel)
    assert isinstance(node, ast.ClassDef) == lowering.at_load
    arguments = method(node, "__init__").args if isinstance(node, ast.ClassDef) else node.args
    if arguments.kwarg is None:  # else it hands them to the other kernel
        keywords = {argument.arg for argument in arguments.kwonlyargs} - {"device"}
        assert keywords == expected_keywords(cls)


def test_the_decision_says_what_the_code_declares() -> None:
    section = DECISION.read_text().split("## GPU stage")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
    said = {name.strip(): float(limit) for names, limit, _ in rows[2:] for name in names.split(",")}
    assert said == {name: LOWERINGS[cls.kernel].tolerance for name, cls in OPERATORS}


def test_every_lowering_belongs_to_an_operator() -> None:
    assert {cls.kernel for _, cls in OPERATORS} == set(LOWERINGS)


def test_the_stage_in_front_of_an_engine_is_on_the_gpu(models: Path) -> None:
    result = built(models, IMAGES)
    assert "TP917" not in {one.code for one in result.diagnostics}
    assert kinds(models) == {"p__decode": (GPU, 1)}
    config = parse((models / "repository/p__decode/config.pbtxt").read_text())
    assert config.parameters["FORCE_CPU_ONLY_INPUT_TENSORS"].string_value == "no"
    assert "torch>=" in (models / "repository/requirements.txt").read_text()
    assert not (models / "repository/p__decode/1/tpgen_runtime/torch_remote.py").exists()


def test_control_flow_stays_one_stage_with_its_models_called(models: Path) -> None:
    text = IMAGES.replace('next = "net"', 'next = "net, other"') + NETWORK.replace("[net]", "[other]")
    built(models, text, head='outputs = ["net.result", "other.result"]')
    assert kinds(models) == {"p": (GPU, 1)}
    code = (models / "repository/p/1/stage.py").read_text()
    assert "torch_remote.DeviceModel(" in code and "device=self.device" in code


def test_explain_says_what_runs_where_and_what_it_needs(models: Path) -> None:
    text = explanation_text(explain(built(models, IMAGES).compiled[0]))
    assert "on the GPU, in the stage 'p__decode': ResizeMat (within 1), Mat2Tensor" in text
    assert "unverified on GPU" in text
    assert "on the CPU, in the same stage: DecodeMat" in text
    assert "--cuda-memory-pool-byte-size=0:67108864" in text


def test_the_pool_holds_what_is_handed_on(models: Path) -> None:
    """One batch is 8 images of 3 × 224 × 224 bytes: little. With 256, and two models called, it is much."""
    result = built(models, IMAGES)
    assert deployment_of(result.compiled, "repository", Features()).cuda_pool == CUDA_POOL_STEP
    assert pool_flags(models / "repository") == [f"--cuda-memory-pool-byte-size=0:{CUDA_POOL_STEP}"]
    many = IMAGES.replace('next = "net"', 'next = "net, other"') + NETWORK.replace("[net]", "[other]")
    result = built(models, many.replace("max = 8", "max = 256"), head='outputs = ["net.result"]')
    deployment = deployment_of(result.compiled, "repository", Features())
    least = 2 * 2 * CALLS_IN_FLIGHT * 256 * 3 * 224 * 224
    assert least <= deployment.cuda_pool < least + 3 * CUDA_POOL_STEP
    compose = deployment_files(deployment)["compose.yaml"].decode()
    assert f"- --cuda-memory-pool-byte-size=0:{deployment.cuda_pool}\n" in compose


def test_without_a_stage_there_nothing_is_said_of_a_pool(models: Path) -> None:
    path = models / "p.toml"
    path.write_text(dedent(IMAGES))
    result = build(path, models / "plain", BuildOptions(target="gpu", cores=4))
    assert deployment_of(result.compiled, "plain", Features()).cuda_pool == 0
    assert pool_flags(models / "plain") == []
    assert "cuda-memory-pool" not in explanation_text(explain(result.compiled[0]))


ASK = """
def bright(result):
    if result.mean() < 9:
        return "Break"
    return "Swap"
"""
REASONS = {
    "no operator of its stage is known to torch": (
        NETWORK + '    next = "best"\n    [best]\n    backend = "TopK"\n    k = 2\n',
        'inputs = {data = "float32[3,224,224]"}',
        {},
    ),
    "several layouts or colour orders": (
        """
        [decode]
        backend = "DecodeMat"
        next = "again"
        [again]
        backend = "DecodeTensor"
        filter = "or"
        next = "prepare"
        [prepare]
        backend = "Sequential[ResizeTensor,cvtColorTensor]"
        color = "rgb"
        resize_h = 9
        resize_w = 9
        """,
        "",
        {},
    ),
    "--fuse none makes a process of each node": (IMAGES, "", {"fuse": "none", "runtime": "python"}),
    "the filter 'bright' reads an image": (
        """
        [decode]
        backend = "DecodeMat"
        next = "prepare"
        [prepare]
        filter = "Python[ask:bright]"
        backend = "ResizeMat"
        resize_h = 9
        resize_w = 9
        """,
        "",
        {},
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_why_a_stage_stays_on_the_cpu_is_said_at_its_line(reason: str, models: Path) -> None:
    (models / "ask.py").write_text(
        'def bright(result):\n    return "Swap" if result.mean() > 9 else "Break"\n'
    )
    text, head, options = REASONS[reason]
    result = built(models, text, head=head, **options)
    (found,) = (one for one in result.diagnostics if one.code == "TP917")
    assert reason in found.message and found.span is not None
    assert GPU not in {kind for kind, _ in kinds(models).values()}


def test_only_one_stage_of_a_pipeline_is_on_the_gpu(models: Path) -> None:
    second = dedent(IMAGES).replace("[decode]", "[load]").replace("prepare", "fit").replace("net", "judge")
    result = built(models, dedent(IMAGES) + second)
    (found,) = (one for one in result.diagnostics if one.code == "TP917")
    assert "another stage of the pipeline is there" in found.message
    assert sorted(kind == GPU for kind, _ in kinds(models).values()) == [False, True]


def test_instances_of_a_stage_on_the_gpu_are_told_at_their_line(models: Path) -> None:
    text = IMAGES.replace("resize_h", "instance_num = 4\n    resize_h")
    (found,) = (
        one for one in built(models, text, head='instances = "as-written"').diagnostics if one.code == "TP917"
    )
    assert found.span is not None and found.span.text == "4"
    assert "'prepare' has one instance on each GPU, not 4" in found.message
    assert not any(one.code == "TP917" for one in built(models, text).diagnostics)


@pytest.mark.parametrize(
    ("own", "others", "told"),
    [
        ("", "", True),
        ("gpus = [0, 1]", "gpus = [1]", True),
        ("gpus = [0]", "", True),
        ("gpus = [0]", "gpus = [1]", False),
    ],
)
def test_stages_of_two_pipelines_on_one_gpu_take_turns(
    own: str, others: str, told: bool, models: Path, tmp_path: Path
) -> None:
    options, paths = BuildOptions(target="gpu", cores=4), []
    for name, gpus in (("one", own), ("two", others)):
        paths.append(models / f"{name}.toml")
        paths[-1].write_text(f'{gpus}\n[pipeline]\npreprocess = "gpu"\n{dedent(IMAGES)}')
    together = check(paths, options).diagnostics
    alone, beside = (build(path, tmp_path / "repository", options).diagnostics for path in paths)
    for found, wanted in ((together, told), (alone, False), (beside, told)):
        said = [one.message for one in found if one.code == "TP917"]
        assert bool(said) == wanted
        assert all("'one__decode' and 'two__decode'" in message for message in said)


def test_on_the_cpu_target_it_has_no_effect_and_explain_says_so(models: Path) -> None:
    result = built(models, IMAGES, target="cpu")
    assert any('preprocess = "gpu" has no effect' in one for one in result.compiled[0].decisions)
    assert kinds(models)["p"][0] != GPU
