"""Entries that are no roots: `[pipeline] entries` (docs/decisions/0021)."""

from __future__ import annotations

import io
import random
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import small_models
from all_ways import compare, write
from random_graphs import write_status_code
from random_pipelines import read_pipeline, write_files
from tpgen.cli import run_command
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check, pipe
from tpgen.runner.interpreter import ItemError

OPS = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

NUMBER = Tensor("int64", [])


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def plus(data, *, by=1):
    if data == 13:
        raise ItemError("thirteen")
    return data + by


@op(inputs={"data": NUMBER, "other": NUMBER}, outputs={"result": NUMBER})
def times(data, other):
    return data * other


@op(inputs={"data": NUMBER}, outputs={"result": [NUMBER]})
def counted(data):
    return [np.int64(i) for i in range(data)]


@op(inputs={"data": [NUMBER]}, outputs={"result": NUMBER})
def total(data):
    return np.int64(sum(data))


def small(data):
    return "Run" if data < 100 else "Break"
"""
BRANCHES = """
[pipeline]
entries = ["right", "join", "each"]
[first]
backend = "Python[ops:plus]"
next = "left, right"
[left]
backend = "Python[ops:plus]"
by = 10
next = "join"
[right]
backend = "Python[ops:plus]"
by = 100
next = "join"
[join]
map = "left[result:data], right[result:other]"
backend = "Python[ops:times]"
[each]
backend = "Python[ops:plus]"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ops.py").write_text(OPS)
    return tmp_path


def answer(path: Path, entry: str | None, **item: object) -> dict[str, object]:
    with pipe(path, BuildOptions(cores=1), entry=entry) as run:
        run(item)
    return item


# --- names and inputs --------------------------------------------------------------------------------------


def test_an_added_entry_renames_no_other(folder: Path) -> None:
    path = write(folder, BRANCHES.replace('"right", "join", "each"', '"join"').partition("[each]")[0])
    (compiled,) = check(path).compiled
    assert [entry.name for entry in compiled.graph.entries] == ["p", "p.join"]
    assert answer(path, None, data=np.int64(1))["result"] == 12 * 102


def test_several_roots_keep_theirs(folder: Path) -> None:
    path = write(folder, BRANCHES.replace('"right", "join", "each"', '"join", "first"'))
    (compiled,) = check(path).compiled
    assert [entry.name for entry in compiled.graph.entries] == ["p.first", "p.each", "p.join"]
    with pytest.raises(PipelineError, match=r"2 entries(.|\n)*p\.first, p\.each, p\.join"):
        pipe(path)


def test_what_a_map_brought_comes_from_the_client(folder: Path) -> None:
    path = write(folder, BRANCHES.replace('"right", "join", "each"', '"join"'))
    assert answer(path, "p.join", data=np.int64(6), other=np.int64(7))["result"] == 42
    with pytest.raises(ItemError, match="input 'other' is missing"):
        answer(path, "p.join", data=np.int64(6))


def test_a_join_loses_the_ways_from_outside(folder: Path) -> None:
    text = BRANCHES.replace('"right", "join", "each"', '"right"')
    text = text.replace("left[result:data]", "right[data:data]")
    assert answer(write(folder, text), "p.right", data=np.int64(2))["result"] == 2 * 102


def test_an_input_of_one_entry(folder: Path) -> None:
    path = write(
        folder,
        """
        [pipeline]
        entries = ["small"]
        [pipeline.inputs]
        small.data = "uint8[H,W,3] bgr"
        [decode]
        backend = "DecodeMat"
        next = "small"
        [small]
        backend = "Sequential[ResizeMat(resize_h=2,resize_w=2),cvtColorMat(color=rgb)]"
        """,
    )
    (compiled,) = check(path).compiled
    first, second = compiled.graph.entries
    assert [str(entry.inputs[0].type) for entry in (first, second)] == ["bytes", "uint8[H,W,3] HWC bgr"]
    pixels = answer(path, "p.small", data=np.full((4, 4, 3), (1, 2, 3), np.uint8))["result"]
    assert np.array_equal(pixels, np.full((2, 2, 3), (3, 2, 1)))


def test_the_root_of_a_sub_graph(folder: Path) -> None:
    path = write(
        folder,
        """
        [pipeline]
        entries = ["one"]
        [list]
        backend = "Python[ops:counted]"
        next = "all"
        [all]
        backend = "MapReduce"
        jump = "one"
        drop_absent = true
        next = "sum"
        [sum]
        backend = "Python[ops:total]"
        [one]
        backend = "Python[ops:plus]"
        """,
    )
    assert answer(path, None, data=np.int64(4))["result"] == 1 + 2 + 3 + 4
    assert answer(path, "p.one", data=np.int64(4))["result"] == 5


@pytest.mark.parametrize(
    ("filter_", "given", "result"),
    [
        ('filter = "swap"', {}, 4),
        ('filter = "or"', {}, 4),
        ('filter = "result2other"', {}, 4),
        ('filter = "IsKeyExistFilter"\nkey = "note"', {"note": b"x"}, 4),
        ('filter = "IsKeyExistFilter"\nkey = "note"', {}, None),
        ('filter = "Python[ops:small]"', {}, 4),
        ('filter = "Python[ops:small]"', {"data": np.int64(100)}, None),
        ('filter = "filter"', {"filter": "Run"}, 4),
        ('filter = "filter"', {"filter": "Break"}, None),
    ],
)
def test_filters_of_a_node_that_becomes_the_first(
    folder: Path, filter_: str, given: dict[str, object], result: int | None
) -> None:
    last = f'[b]\nbackend = "Python[ops:plus]"\n{filter_}\n'
    text = '[pipeline]\nentries = ["b"]\noutputs = ["result"]\n'
    text += '[a]\nbackend = "Python[ops:plus]"\nnext = "b"\n'
    item = answer(write(folder, text + last), "p.b", **{"data": np.int64(3), **given})
    assert item.get("result") == result


def test_outputs_that_only_others_have(folder: Path) -> None:
    text = BRANCHES.replace('["right", "join", "each"]', '["right"]\noutputs = ["result", "other"]')
    text = text.replace("left[result:data]", "right[data:data]").partition("[each]")[0]
    (compiled,) = check(write(folder, text)).compiled
    for entry in compiled.graph.entries:
        assert [port.key for port in entry.outputs] == ["result", "other"]
    text = text.replace('["right"]', '["join"]')
    (compiled,) = check(write(folder, text)).compiled
    assert [port.key for port in compiled.graph.entries[1].outputs] == ["result"]


# --- what people see ---------------------------------------------------------------------------------------


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    capsys.readouterr()
    status = run_command([*arguments], out)
    return status, out.getvalue() + capsys.readouterr().err


def test_nobody_sees_the_names_of_copies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder, BRANCHES.replace("left[result:data]", "right[data:data]"))
    for reference in ([], ["--reference"]):
        arguments = ["run", str(path), "--entry", "p.right", "--input", "data=13", *reference]
        status, said = command(capsys, *arguments)
        assert status == 1
        assert "[right] thirteen" in said
    status, said = command(capsys, "explain", str(path))
    assert status == 0
    assert "entry p.right at right" in said
    assert "right  (p.toml:12) -> join  in entry p.right" in said
    assert "right__" not in said
    build(path, folder / "repository", BuildOptions(cores=1))
    code = (folder / "repository" / "p.right" / "1" / "stage.py").read_text()
    assert 'GraphNode("right"' in code
    assert "right__" not in code


def test_a_wrong_node_is_reported_once(folder: Path) -> None:
    text = '[pipeline]\nentries = ["b"]\n[a]\nbackend = "Identity"\nnext = "b"\n'
    text += '[b]\nbackend = "Onnx"\nmodel = "no.onnx"\n'
    with pytest.raises(PipelineError) as caught:
        check(write(folder, text))
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.node) == ("TP401", "b")


def test_models_of_control_flow_are_shared(tmp_path: Path) -> None:
    small_models.write_models(tmp_path)
    text = """
    [pipeline]
    entries = ["b"]
    [pipeline.inputs]
    data = "float32[3,8,8] rgb"
    [a]
    backend = "Identity"
    next = "b, c"
    [b]
    backend = "Onnx(model=convolution.onnx)"
    next = "d"
    [c]
    backend = "Identity"
    [d]
    map = "b[result:data]"
    """
    done = build(write(tmp_path, text), tmp_path / "repository", BuildOptions(fuse="none", cores=1))
    (compiled,) = done.compiled
    calls = [stage.runs for stage in compiled.graph.stages if stage.runs]
    assert calls == [("b.TensorrtTensor", "b__b.TensorrtTensor")]
    models = sorted(path.name for path in (tmp_path / "repository").iterdir() if path.is_dir())
    assert models == ["p", "p.b", "p__b"]


# --- all ways agree ----------------------------------------------------------------------------------------

FIXED = {
    "a chain": """
        [pipeline]
        entries = ["b", "c"]
        [a]
        backend = "Python[mine:fussy]"
        next = "b"
        [b]
        backend = "Sequential[Identity,Python[mine:maybe]]"
        next = "c"
        [c]
        backend = "Python[mine:together]"
        """,
    "branches, of which one remains": """
        [pipeline]
        entries = ["b"]
        [a]
        backend = "Python[mine:fussy]"
        next = "b, c"
        [b]
        backend = "Python[mine:maybe]"
        filter = "Python[mine:runs]"
        next = "d, e"
        [c]
        backend = "Identity"
        next = "d"
        [d]
        map = "b[data:data]"
        backend = "Python[mine:fussy]"
        [e]
        backend = "Python[mine:together]"
        """,
    "a sub-graph that is called and entered": """
        [pipeline]
        entries = ["each", "one"]
        [a]
        backend = "Python[mine:parts]"
        next = "each"
        [each]
        backend = "MapReduce"
        jump = "one"
        drop_absent = true
        [one]
        backend = "Python[mine:fussy]"
        next = "two"
        [two]
        backend = "Python[mine:maybe]"
        [pipeline.inputs]
        each.data = "[float32[N]]"
        """,
}


@pytest.mark.parametrize("what", FIXED)
def test_all_ways_agree(what: str, tmp_path: Path) -> None:
    write_files(tmp_path)
    write_status_code(tmp_path)
    made = read_pipeline(dedent(FIXED[what]), tmp_path, "fixed")
    for seed in range(3):
        compare(made, tmp_path, "fixed", random.Random(seed))
