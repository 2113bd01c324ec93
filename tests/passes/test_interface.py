"""The entry's interface: names, inputs, outputs and batch are a function of the TOML alone."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_models
from engines.onnx_build import model, node, save, tensor
from tpgen import pipe
from tpgen.diagnostics import CODES, Bag, PipelineError
from tpgen.driver import BuildOptions, build, check
from tpgen.emit.config_pbtxt import parse
from tpgen.ir.graph import Graph, Node
from tpgen.ir.op import Op
from tpgen.passes import ANALYSIS, Context, Options, run_passes

CHAIN = '[decoder]\nbackend = "DecodeMat"\nnext = "last"\n[last]\nbackend = "Mat2Tensor"\n'
ROOTS = '[one]\nbackend = "DecodeMat"\n[two]\nbackend = "FloatMat"\n'


def entries(path: Path, text: str, **options: Any) -> dict[str, Any]:
    """The entries of a pipeline by name, and the names of all models."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (compiled,) = check(path, BuildOptions(cores=2, **options)).compiled
    return {entry.name: entry for entry in compiled.graph.entries}


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("stem.toml", CHAIN, ["stem"]),
        ("my.resnet-50.toml", CHAIN, ["my.resnet-50"]),
        ("folder/pipeline.toml", CHAIN, ["folder"]),
        ("folder/other.toml", CHAIN, ["other"]),
        ("stem.toml", f'[pipeline]\nname = "given"\n{CHAIN}', ["given"]),
        ("folder/pipeline.toml", f'[pipeline]\nname = "given"\n{CHAIN}', ["given"]),
        ("stem.toml", ROOTS, ["stem.one", "stem.two"]),
        ("stem.toml", f'[pipeline]\nentries = ["two"]\n{ROOTS}', ["stem.one", "stem.two"]),
    ],
)
def test_names_of_entries(tmp_path: Path, path: str, text: str, names: list[str]) -> None:
    assert list(entries(tmp_path / path, text)) == names


def test_names_of_inner_models(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(CHAIN)
    build(tmp_path / "p.toml", tmp_path / "r", BuildOptions(cores=2, fuse="none"))
    assert sorted(path.name for path in (tmp_path / "r").iterdir() if path.is_dir()) == [
        "p",
        "p__decoder",
        "p__last",
    ]


@pytest.mark.parametrize(
    ("keys", "nodes", "batch"),
    [
        ("", {}, 8),
        ("", {"net": 'max = "4x3x224x224"'}, 4),
        ("", {"net": ""}, 1),
        ("", {"net": "max = 4", "decode": "max = 64"}, 4),
        ("", {"net": 'max = "2x3x224x224;6x3x224x224"'}, 6),
        ("max_batch = 3", {"net": "max = 16"}, 3),
        ("max_batch = 100", {}, 100),
    ],
)
def test_batch_of_the_entry(tmp_path: Path, keys: str, nodes: dict[str, str], batch: int) -> None:
    small_models.write_models(tmp_path)
    text = f'[pipeline]\n{keys}\n[decode]\nbackend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"\n'
    text += f"resize_h = 224\nresize_w = 224\n{nodes.get('decode', '')}\n"
    if "net" in nodes:
        text += f'next = "net"\n[net]\nbackend = "Onnx"\nmodel = "rgb.onnx"\n{nodes["net"]}\n'
    (entry,) = entries(tmp_path / "p.toml", text).values()
    assert entry.max_batch == batch


def test_the_interface_does_not_depend_on_the_build(tmp_path: Path) -> None:
    small_models.write_models(tmp_path)
    (tmp_path / "p.toml").write_text(
        """
        [decode]
        backend = "Sequential[DecodeMat,LetterBoxMat]"
        resize_h = 8
        resize_w = 8
        next = "net"
        [net]
        backend = "Sequential[cvtColorMat,Mat2Tensor,TensorrtTensor]"
        model = "convolution.onnx"
        color = "rgb"
        mean = "1,2,3"
        max = 4
        instance_num = 3
        """
    )
    seen = set()
    for number, (fuse, cores) in enumerate(itertools.product(("auto", "none", "max"), (1, 16))):
        target = tmp_path / f"r{number}"
        build(tmp_path / "p.toml", target, BuildOptions(cores=cores, fuse=fuse))
        config = parse((target / "p" / "config.pbtxt").read_text())
        seen.add(
            (
                config.max_batch_size,
                *((t.name, t.data_type, *t.dims, t.optional) for t in config.input),
                *((t.name, t.data_type, *t.dims) for t in config.output),
            )
        )
    assert len(seen) == 1, seen


def test_a_key_that_is_read_after_it_is_written_is_no_input(tmp_path: Path) -> None:
    text = '[a]\nbackend = "Sequential[Add[note:x],KeyA2KeyB,DecodeMat]"\nkey_a = "note"\nkey_b = "copy"\n'
    (entry,) = entries(tmp_path / "p.toml", text).values()
    assert [port.key for port in entry.inputs] == ["data"]


def test_without_an_output_there_is_no_pipeline() -> None:
    class Nothing(Op):
        names = ("Nothing",)
        writes = ()

        def infer(self, call: Any) -> dict[str, Any]:
            return {}

    from tpgen.ir.filters import RUN
    from tpgen.ir.graph import Call
    from tpgen.source import SourceFile, Span

    span = Span(SourceFile("p.toml", '[a]\nbackend = "Nothing"\n'), 1, 2)
    node = Node("a", (Call(Nothing(), RUN, span, "a.Nothing"),), span)
    bag = Bag()
    assert run_passes(Graph("p", span.file, {"a": node}), ANALYSIS, Context(Options(), bag)) is None
    (found,) = bag.diagnostics
    assert (found.code, found.message) == ("TP212", "the pipeline has no output: 'a' leaves no 'result'")


def test_outputs_hold_for_every_entry(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(f'[pipeline]\noutputs = ["result"]\n{ROOTS}')
    check(tmp_path / "p.toml", BuildOptions(cores=2))
    (tmp_path / "p.toml").write_text(f'[pipeline]\noutputs = ["kept"]\n{ROOTS}')
    with pytest.raises(PipelineError, match="TP210"):
        check(tmp_path / "p.toml", BuildOptions(cores=2))


def model_with_data(path: Path) -> None:
    """``x`` ``[N,4]`` to ``data``, where it is positive, and ``scores``, its negative."""
    outputs = [tensor("data", ["N", 4]), tensor("scores", ["N", 4])]
    made = [node("Relu", "x", "data"), node("Neg", "x", "scores")]
    save(model(made, [tensor("x", ["N", 4])], outputs), path)


@pytest.mark.parametrize(
    "text",
    [
        '[net]\nbackend = "Onnx"\nmodel = "net.onnx"\n',
        '[net]\nbackend = "Onnx"\nmodel = "net.onnx"\nnext = "last"\n[last]\nbackend = "Identity"\n',
    ],
)
def test_an_output_named_data_is_not_lost_in_silence(tmp_path: Path, text: str) -> None:
    model_with_data(tmp_path / "net.onnx")
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(PipelineError) as caught:
        check(tmp_path / "p.toml", BuildOptions(cores=2))
    (found,) = [finding for finding in caught.value.diagnostics if finding.severity == "error"]
    assert (found.code, found.node, found.model) == ("TP409", "net", None)
    assert found.span is not None
    assert (found.span.text, found.span.line) == ('"net.onnx"', 3)


def test_an_output_named_data_that_is_asked_for(tmp_path: Path) -> None:
    model_with_data(tmp_path / "net.onnx")
    (tmp_path / "p.toml").write_text(
        '[pipeline]\noutputs = ["data", "scores"]\n[pipeline.inputs]\nx = "float32[4]"\n'
        '[net]\nbackend = "Onnx"\nmodel = "net.onnx"\n'
    )
    item: dict[str, Any] = {"x": np.float32([1, -2, 3, -4])}
    pipe(tmp_path / "p.toml")(item)
    assert item["data"].tolist() == [1, 0, 3, 0]
    assert item["scores"].tolist() == [-1, 2, -3, 4]


def test_the_way_out_of_tp409(tmp_path: Path) -> None:
    """The page's lines rename the output."""
    model_with_data(tmp_path / "detector.onnx")
    page = CODES["TP409"].explanation
    lines = page[page.index("      import onnx") : page.index("* for a `TorchScript")]
    subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], cwd=tmp_path, check=True)
    text = '[net]\nbackend = "Onnx"\nmodel = "detector.onnx"\n'
    (entry,) = entries(tmp_path / "p.toml", text).values()
    assert [port.key for port in entry.outputs] == ["boxes", "scores"]
