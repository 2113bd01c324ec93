"""Files that are no pipelines, pipelines beyond all measure, and pipelines with random faults.

All end with findings, or compile; nothing else is raised, and none takes longer than its size asks for.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpgen.diagnostics import MOST_ERRORS, PipelineError, render
from tpgen.driver import BuildOptions, check

SIZE = 2_000_000


def findings(path: Path, content: bytes | str) -> list[str]:
    """The codes of what `check` finds; empty if nothing is wrong. Whatever is found can be shown."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        check(path, BuildOptions(cores=2))
    except PipelineError as caught:
        text = "\n".join(render(diagnostic, color=True) for diagnostic in caught.diagnostics)
        assert len(text) < 200_000, "nobody reads that much"
        return [diagnostic.code for diagnostic in caught.diagnostics]
    return []


def words(count: int, length: int = 8) -> list[str]:
    source = random.Random(count)
    return ["".join(source.choices(string.ascii_lowercase, k=length)) for _ in range(count)]


def repeated(part: str) -> str:
    return part * (SIZE // len(part))


PREPARE = '[a]\nbackend = "Sequential[DecodeMat,ResizeMat]"\nresize_w = 1\nresize_h = '
GARBAGE: dict[str, tuple[Callable[[], bytes | str], str]] = {
    "random bytes": (lambda: random.Random(1).randbytes(SIZE), "TP002"),
    "random text": (lambda: "".join(random.Random(2).choices(string.printable, k=SIZE)), "TP003"),
    "words": (lambda: " ".join(words(SIZE // 9)), "TP003"),
    "one character": (lambda: "[" * SIZE, "TP003"),
    "spaces": (lambda: " \n" * (SIZE // 2), "TP205"),
    "a comment": (lambda: "#" * SIZE, "TP205"),
    "global keys": (lambda: "".join(f"{word} = 1\n" for word in words(100_000)), "TP102"),
    "node keys": (lambda: "[a]\n" + "".join(f"{word} = 1\n" for word in words(100_000)), "TP102"),
    "nodes": (lambda: "".join(f"[{word}]\n" for word in words(100_000)), "TP206"),
    "unknown nodes": (lambda: '[a]\nnext = "' + "x," * 100_000 + '"\n', "TP201"),
    "unknown operators": (lambda: '[a]\nbackend = "S[' + ",".join(words(990)) + ']"\n', "TP101"),
    "brackets": (lambda: '[a]\nbackend = "' + repeated("[") + '"\n', "TP110"),
    "commas": (lambda: '[a]\nbackend = "S[' + repeated(",") + ']"\n', "TP110"),
    "operators": (lambda: '[a]\nbackend = "S[' + repeated("Identity,") + 'Identity]"\n', "TP110"),
    "a long name": (lambda: '[a]\nbackend = "' + repeated("x") + '"\n', "TP110"),
    "pairs": (lambda: '[a]\nbackend = "Copy[' + repeated("data:k,") + '"]\n', "TP003"),
    "a long number": (lambda: PREPARE + repeated("9") + "\n", "TP003"),
    "a long hexadecimal number": (lambda: PREPARE + "0x" + repeated("f") + "\n", "TP103"),
    "a long text for a number": (lambda: PREPARE + '"' + repeated("9") + '"\n', "TP103"),
    "alternatives": (lambda: PREPARE + '"' + repeated("1|") + '"\n', "TP107"),
    "a long list": (lambda: PREPARE + "[" + repeated("1,") + "]\n", "TP003"),
    "a nested type": (
        lambda: '[a]\n[pipeline.inputs]\ndata = "' + "[" * SIZE + "bytes" + "]" * SIZE + '"\n',
        "TP114",
    ),
    "dimensions": (lambda: '[a]\n[pipeline.inputs]\ndata = "uint8[' + repeated("1,") + ']"\n', "TP114"),
    "outputs": (lambda: '[a]\n[pipeline]\noutputs = "' + repeated("x,") + '"\n', "TP210"),
    "fields": (
        lambda: "[a]\n[pipeline.triton.a]\n" + "".join(f"{word} = 1\n" for word in words(20_000)),
        "TP115",
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(name: str, tmp_path: Path) -> None:
    make, code = GARBAGE[name]
    found = findings(tmp_path / "garbage.toml", make())
    assert code in found
    assert len(found) <= MOST_ERRORS + 1


def chain(count: int, last: str = "") -> str:
    nodes = [
        f'[n{i}]\nbackend = "Sequential[ResizeMat,cvtColorMat]"\nresize_h = 8\nresize_w = 8\n'
        f'color = "{("rgb", "bgr")[i % 2]}"\nnext = "n{i + 1}"\n'
        for i in range(count)
    ]
    return '[start]\nbackend = "DecodeMat"\nnext = "n0"\n' + "".join(nodes) + f"[n{count}]\n{last}"


def test_a_chain_of_5000_nodes(tmp_path: Path) -> None:
    assert findings(tmp_path / "chain.toml", chain(5000)) == []
    assert findings(tmp_path / "chain.toml", chain(5000, 'backend = "DecodeMat"\n')) == ["TP301"]
    assert findings(tmp_path / "chain.toml", chain(5000, 'next = "n0"\n')) == ["TP202"]


def test_a_chain_of_300_models(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_text(chain(300))
    assert check(path, BuildOptions(cores=2, fuse="none")).compiled


def test_many_nodes_that_are_all_wrong(tmp_path: Path) -> None:
    wrong = "".join(f'[n{i}]\nbackend = "DecodMat"\nnext = "m{i}"\n' for i in range(5000))
    assert len(findings(tmp_path / "wrong.toml", wrong)) == MOST_ERRORS + 1


VALID = """\
batching_timeout = 5
precision = "fp16"

[pipeline]
name = "p"
max_batch = 4
outputs = ["result", "kept"]

[pipeline.inputs]
data = {type = "bytes", wire = "uint8"}

[pipeline.triton.first]
dynamic_batching = {max_queue_delay_microseconds = 5}

[first]
backend = "DecodeMat(max_pixels=1000)"
next = "second"
instance_num = 2

[second]
backend = "Sequential[ResizeMat,S[cvtColorMat],Result2Key,SyncTensor[Mat2Tensor]]"
resize_h = 8
"ResizeMat::resize_w" = "8"
color = "|rgb||"
key = "kept"
next = ["third"]

[third]
backend = "Sequential[FloatTensor,Normalize(mean=[1,2,3],std=[1,1,1])]"
max = "4x3x8x8"
"""
FRAGMENTS = [
    *("[", "]", "{", "}", "(", ")", '"', "'", "=", ",", "|", "&", ":", "::", ".", "#", "\n", "\\", " ", "\0"),
    *(
        "[pipeline]",
        "[[first]]",
        "[first.2]",
        "null",
        "-1",
        "0",
        "1e999",
        "nan",
        "1979-05-27",
        "0x" + "f" * 40,
    ),
    *(
        "true",
        '"first"',
        "[]",
        "{}",
        "'''",
        '"""',
        "\\u0000",
        "é",
        "\N{PILE OF POO}",
        "{{",
        "..",
        "__",
        "TASK_",
    ),
    *(
        "backend",
        "next",
        "map",
        "filter",
        "swap",
        "Run",
        "Sequential",
        "Python[x:y]",
        "Copy[a:b]",
        "Onnx",
        "data",
    ),
    *("result", "model", "triton", "inputs", "outputs", "uint8[H,W,3] bgr", "[int32[4]]", "string"),
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The valid pipeline with a few pieces cut out, doubled, moved, or put in."""
    text = VALID
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 30)))
        kind = draw(st.sampled_from(("cut", "double", "put", "replace", "line")))
        if kind == "cut":
            text = text[:at] + text[to:]
        elif kind == "double":
            text = text[:to] + text[at:to] + text[to:]
        elif kind == "put":
            text = text[:at] + draw(st.sampled_from(FRAGMENTS)) + text[at:]
        elif kind == "replace":
            text = text[:at] + draw(st.sampled_from(FRAGMENTS)) + text[to:]
        else:
            lines = text.split("\n")
            lines.insert(draw(st.integers(0, len(lines))), lines.pop(draw(st.integers(0, len(lines) - 1))))
            text = "\n".join(lines)
    return text


def test_the_undamaged_pipeline_is_valid(tmp_path: Path) -> None:
    assert findings(tmp_path / "p.toml", VALID) == []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=damaged())
def test_damaged_pipelines(text: str, tmp_path: Path) -> None:
    findings(tmp_path / "p.toml", text)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from(
        ["backend", "next", "resize_h", "max", "min", "mean", "instance_num", "batching_timeout", "model"]
    ),
    value=st.recursive(
        st.one_of(
            st.integers().map(str),
            st.floats().map(lambda number: str(number) if number == number else "nan"),
            st.booleans().map(lambda flag: str(flag).lower()),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).map(
                lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            ),
        ),
        lambda inner: st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        max_leaves=5,
    ),
)
def test_any_value_of_any_key(key: str, value: str, tmp_path: Path) -> None:
    lines = ['backend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor,Onnx]"', "resize_h = 8", "resize_w = 8"]
    kept = [line for line in lines if not line.startswith(f"{key} =")]
    assert findings(tmp_path / "p.toml", "\n".join(["[a]", *kept, f"{key} = {value}", ""]))
