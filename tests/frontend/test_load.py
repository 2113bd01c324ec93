"""From TOML to calls: containers, keys and where they come from, options of the file, ``--set``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import small_models
from tpgen.diagnostics import Diagnostic, PipelineError
from tpgen.driver import BuildOptions, Compiled, check
from tpgen.ir.op import attributes_of

SIZE = "resize_h = 8\nresize_w = 8\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_models.write_models(tmp_path)
    return tmp_path


def compiled(folder: Path, text: str, **options: Any) -> Compiled:
    path = folder / "p.toml"
    path.write_text(text)
    (found,) = check(path, BuildOptions(cores=2, **options)).compiled
    return found


def calls(folder: Path, text: str, **options: Any) -> list[str]:
    """The calls of a pipeline: filter, operator, and the attributes that are not at their default."""
    found = []
    for _, call in compiled(folder, text, **options).reference.calls():
        given = {
            f.key: getattr(call.op, f.name)
            for f in attributes_of(type(call.op))
            if f.declared.from_toml and f.name in call.spans
        }
        shown = ",".join(f"{key}={value}" for key, value in given.items())
        found.append(f"{call.filter} {call.op.name}({shown})")
    return found


def findings(folder: Path, text: str, **options: Any) -> list[Diagnostic]:
    with pytest.raises(PipelineError) as caught:
        compiled(folder, text, **options)
    return list(caught.value.diagnostics)


# --- containers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backend",
    [
        "Sequential[DecodeMat,ResizeMat,SyncTensor]",
        "S[DecodeMat,ResizeMat,SyncTensor]",
        "S[S[DecodeMat,ResizeMat],SyncTensor]",
        "SyncTensor[Sequential[DecodeMat,ResizeMat,SyncTensor]]",
        "StreamGuard[S[DecodeMat,ResizeMat,SyncTensor]]",
        "S[SyncTensor[DecodeMat],StreamGuard[S[ResizeMat]],SyncTensor]",
        "Forward[ThreadCacher[S[DecodeMat,ResizeMat,StreamGuard]]]",
        " S [ DecodeMat , ResizeMat\\t, SyncTensor ] ",
        "S[DecodeMat,(swap)ResizeMat,SyncTensor]",
    ],
)
def test_containers_are_flattened(folder: Path, backend: str) -> None:
    found = calls(folder, f'[a]\nbackend = "{backend}"\n{SIZE}')
    assert found == ["Run DecodeMat()", "swap ResizeMat(resize_h=8,resize_w=8)", "swap SyncTensor()"]


def test_aliases_name_one_operator(folder: Path) -> None:
    text = '[a]\nbackend = "S[DecodeMat,{0},{0}]"\ncolor = "|rgb|bgr"\n'
    assert calls(folder, text.format("CvtColorMat")) == calls(folder, text.format("cvtColorMat"))


def test_arguments(folder: Path) -> None:
    text = (
        '[a]\nbackend = "S[DecodeMat(max_pixels=99),ResizeMat(4, 5),Normalize(mean=[1,2,3],std=[1,1,1])]"\n'
    )
    assert calls(folder, text) == [
        "Run DecodeMat(max_pixels=99)",
        "swap ResizeMat(resize_h=4,resize_w=5)",
        "swap Normalize(mean=(1.0, 2.0, 3.0),std=(1.0, 1.0, 1.0))",
    ]


def test_values_may_be_native_or_strings(folder: Path) -> None:
    native = SIZE + "mean = [1, 2.5, 3]\nstd = [1, 1, 1]\n"
    strings = 'resize_h = "8"\nresize_w = " 8"\nmean = "1,2.5, 3"\nstd = "1,1,1"\n'
    backend = '[a]\nbackend = "S[DecodeMat,ResizeMat,Mat2Tensor,Normalize]"\n'
    assert calls(folder, backend + native) == calls(folder, backend + strings)


def test_a_missing_backend_is_identity(folder: Path) -> None:
    assert calls(folder, "[a]\n") == ["Run Identity()"]


def test_a_global_backend_holds_for_nodes_without_one(folder: Path) -> None:
    text = 'backend = "FloatTensor"\n[a]\nnext = "b"\n[b]\nbackend = "Identity"\n'
    text += '[pipeline.inputs]\ndata = "int64[3]"\n'
    assert calls(folder, text) == ["Run FloatTensor()", "swap Identity()"]


# --- where values come from ---------------------------------------------------------------------------------

ORDER = [
    ("argument", "(resize_w=1)"),
    ("qualified", '"ResizeMat::resize_w" = 2'),
    ("node", "resize_w = 3"),
    ("global qualified", '"ResizeMat::resize_w" = 4'),
    ("global", "resize_w = 5"),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_nearest_value_wins(folder: Path, first: int) -> None:
    given = dict(ORDER[first:])
    argument = given.get("argument", "")
    node = "\n".join(given[key] for key in ("qualified", "node") if key in given)
    above = "\n".join(given[key] for key in ("global qualified", "global") if key in given)
    text = f'{above}\n[a]\nbackend = "S[DecodeMat,ResizeMat{argument}]"\nresize_h = 9\n{node}\n'
    # Globals are merged into the nodes, so one that names the operator beats the node's own bare key.
    expected = {0: 1, 1: 2, 2: 4, 3: 4, 4: 5}[first]
    assert calls(folder, text)[1] == f"swap ResizeMat(resize_h=9,resize_w={expected})"


@pytest.mark.parametrize(
    ("value", "colors"),
    [("rgb", ["rgb", "rgb"]), ("|rgb||bgr", ["rgb", "bgr"]), (" | rgb | | bgr ", ["rgb", "bgr"])],
)
def test_one_value_for_all_or_one_each(folder: Path, value: str, colors: list[str]) -> None:
    text = f'[a]\nbackend = "S[DecodeMat,cvtColorMat,FloatMat,cvtColorMat]"\ncolor = "{value}"\n'
    found = calls(folder, text)
    assert [found[1], found[3]] == [f"swap cvtColorMat(color={color})" for color in colors]


def test_parts_of_globals_count_for_each_node(folder: Path) -> None:
    text = (
        'color = "|rgb"\n[a]\nbackend = "S[DecodeMat,cvtColorMat]"\nnext = "b"\n[b]\nbackend = "FloatMat"\n'
    )
    assert calls(folder, text)[1] == "swap cvtColorMat(color=rgb)"


@pytest.mark.parametrize("value", ["rgb|bgr", "|||rgb|", "rgb||"])
def test_a_wrong_number_of_parts_is_said_once(folder: Path, value: str) -> None:
    text = f'[a]\nbackend = "S[DecodeMat,cvtColorMat,FloatMat,cvtColorMat]"\ncolor = "{value}"\n'
    (found,) = findings(folder, text)
    assert found.code == "TP107"
    assert found.span is not None and found.span.line == 3


# --- settings -----------------------------------------------------------------------------------------------


def test_settings_of_a_node(folder: Path) -> None:
    text = (
        'batching_timeout = 7\ninstance_num = 2\n[a]\nbackend = "Onnx"\nmodel = "rgb.onnx"\n'
        'min = "2x3x224x224"\nmax = "4x3x224x224"\ninstance_num = "3"\ntimeout_ms = 50\nnext = "b"\n[b]\n'
    )
    first, second = compiled(folder, text).reference.nodes.values()
    settings = first.settings
    assert (settings.min_batch, settings.max_batch, settings.instance_num) == (2, 4, 3)
    assert (settings.batching_timeout_ms, settings.timeout_ms) == (7.0, 50.0)
    assert (second.settings.instance_num, second.settings.max_batch) == (2, 1)
    op: Any = first.calls[0].op
    assert (op.min_batch, op.max_batch) == (2, 4)


@pytest.mark.parametrize("value", ['"b,c"', '" b , c "', '["b", "c"]'])
def test_several_followers_are_found_in_every_form(folder: Path, value: str) -> None:
    text = (
        f'[a]\nbackend = "DecodeMat"\nnext = {value}\n[b]\nbackend = "FloatMat"\n[c]\nbackend = "FloatMat"\n'
    )
    assert compiled(folder, text).reference.nodes["a"].next == ("b", "c")


@pytest.mark.parametrize("value", ['"b"', '" b "', '["b"]', '"b,"'])
def test_one_follower_in_every_form(folder: Path, value: str) -> None:
    text = f'[a]\nbackend = "DecodeMat"\nnext = {value}\n[b]\nbackend = "FloatMat"\n'
    assert calls(folder, text) == ["Run DecodeMat()", "swap FloatMat()"]


@pytest.mark.parametrize("value", ['""', "[]", '" "'])
def test_an_empty_next_is_none(folder: Path, value: str) -> None:
    assert calls(folder, f'[a]\nbackend = "DecodeMat"\nnext = {value}\n') == ["Run DecodeMat()"]


def test_nodes_may_stand_in_any_order(folder: Path) -> None:
    text = '[c]\nbackend = "FloatMat"\n[a]\nbackend = "DecodeMat"\nnext = "b"\n'
    text += '[b]\nbackend = "Identity"\nnext = "c"\n'
    assert [call.split("(")[0] for call in calls(folder, text)] == [
        "Run DecodeMat",
        "swap Identity",
        "swap FloatMat",
    ]


# --- keys without effect ------------------------------------------------------------------------------------


def test_keys_without_effect_are_listed_with_a_reason(folder: Path) -> None:
    text = (
        'scheduler = "Batching"\n"Logger::path" = "x.log"\n[net]\nbackend = "SyncTensor[TensorrtTensor]"\n'
        'model = "rgb.onnx"\nprecision = "fp16"\n"model::cache" = "rgb.trt"\npriority = 1\ndevice_id = 0\n'
        "max_workspace_size = 1024\n"
    )
    listed = {key: (span.line, reason) for key, span, reason in compiled(folder, text).loaded.ignored}
    assert {key: line for key, (line, _) in listed.items()} == {
        "scheduler": 1,
        "Logger::path": 2,
        "precision": 6,
        "model::cache": 7,
        "priority": 8,
        "device_id": 9,
        "max_workspace_size": 10,
    }
    assert listed["precision"][1] == "has a meaning on the gpu target"


# --- the command line ---------------------------------------------------------------------------------------


def test_set_replaces_and_adds_values(folder: Path) -> None:
    text = f'[a]\nbackend = "DecodeMat"\nnext = "b"\n[b]\nbackend = "ResizeMat"\n{SIZE}'
    given = {("b", "resize_h"): "5", ("a", "max_pixels"): "7", ("b", "max"): "3"}
    assert calls(folder, text, values=given) == [
        "Run DecodeMat(max_pixels=7)",
        "swap ResizeMat(resize_h=5,resize_w=8)",
    ]


def test_set_can_give_another_backend_and_way(folder: Path) -> None:
    text = '[a]\nbackend = "DecodeMat"\nnext = "b"\n[b]\nbackend = "ResizeMat"\n[c]\nbackend = "FloatMat"\n'
    given = {("a", "next"): "c", ("b", "backend"): "FloatMat"}
    assert sorted(calls(folder, text, values=given)) == [
        "Run DecodeMat()",
        "Run FloatMat()",
        "swap FloatMat()",
    ]


@pytest.mark.parametrize(
    ("key", "value", "code", "text", "column"),
    [
        ("resize_h", "tall", "TP103", "tall", 12),
        ("resize_hh", "3", "TP102", "resize_hh", 3),
        ("backend", "S[DecodeMat,ResizeMta]", "TP101", "ResizeMta", 23),
        ("next", "nowhere", "TP201", "nowhere", 8),
    ],
)
def test_what_is_wrong_with_set_is_shown_in_it(
    folder: Path, key: str, value: str, code: str, text: str, column: int
) -> None:
    found = findings(folder, f'[b]\nbackend = "S[DecodeMat,ResizeMat]"\n{SIZE}', values={("b", key): value})
    (wrong,) = [one for one in found if one.span is not None and one.span.file.path == "--set"]
    assert wrong.span is not None
    assert (wrong.code, wrong.span.text, wrong.span.column) == (code, text, column)


def test_set_refuses_tables_and_says_where_they_go(folder: Path) -> None:
    given = {("b", "rate_limiter"): "{priority = 1}"}
    (wrong,) = findings(folder, '[b]\nbackend = "DecodeMat"\n', values=given)
    assert wrong.code == "TP103" and "write it in the TOML, for example" in str(wrong.hint)


def test_models_can_be_replaced(folder: Path) -> None:
    text = '[net]\nbackend = "Onnx"\nmodel = "missing.onnx"\n'
    found = compiled(folder, text, models={"net": str(folder / "rgb.onnx")})
    assert [[file.path.name for file in files] for files in found.models.values()] == [["rgb.onnx"]]


# --- the [pipeline] table -----------------------------------------------------------------------------------


def test_the_pipeline_table(folder: Path) -> None:
    text = (
        '[pipeline]\nname = "given"\noutputs = "result, kept"\nmax_batch = "5"\nbatching = "timed"\n'
        'instances = "as-written"\ncores = 3\ntarget = "cpu"\ntarget_triton = "25.01"\n'
        '[pipeline.inputs]\ndata = {type = "uint8[H,W,3] bgr"}\n'
        '[a]\nbackend = "S[FloatMat,Result2Key]"\nkey = "kept"\nbatching_timeout = 5\n'
    )
    path = folder / "p.toml"
    path.write_text(text)
    (found,) = check(path).compiled
    assert found.graph.name == "given"
    (entry,) = found.graph.entries
    assert ([port.key for port in entry.outputs], entry.max_batch) == (["result", "kept"], 5)
    options = found.options
    assert (options.batching, options.instances, options.cores) == ("timed", "as-written", 3)


def test_options_of_the_build_win_over_the_table(folder: Path) -> None:
    found = compiled(folder, '[pipeline]\ncores = 7\n[a]\nbackend = "DecodeMat"\n')
    assert found.options.cores == 2


def test_named_dimensions_are_one_size_in_all_inputs(folder: Path) -> None:
    text = (
        '[pipeline.inputs]\ndata = "uint8[H,W,3] bgr"\nmask = "uint8[H,W,1]"\n'
        '[a]\nbackend = "S[FloatMat,KeyA2KeyB]"\nkey_a = "mask"\nkey_b = "kept"\n'
    )
    (entry,) = compiled(folder, text).graph.entries
    data, mask = (port.type for port in entry.inputs)
    assert data.shape[:2] == mask.shape[:2]  # type: ignore[union-attr]
