"""What the DALI lowering refuses, and the words for it; DALI itself is not needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dali.chains import INPUTS, compiled_chain, nodes
from tpgen.emit.dali import GIVEN_UP, DaliChain, Refusal

DECODE = 'backend = "DecodeMat"'
RESIZE = 'backend = "ResizeMat"\nresize_h = 8\nresize_w = 9'
IMAGE = '[pipeline.inputs]\ndata = "uint8[H,W,3] bgr"\n'
BOX = f'{INPUTS}_box = "int32[4]"\n'
SIZES = f'{INPUTS}resize_h = "int32[]"\nresize_w = "int32[]"\n'

# Tables, inputs, and a part of the reason.
REFUSED = {
    "no raw bytes": ((DECODE, RESIZE), '[pipeline.inputs]\ndata = "bytes"\n', 'wire = "uint8"'),
    "no bytes at all": ((RESIZE,), IMAGE, "not an encoded image"),
    "a box": ((DECODE, 'backend = "CropMat"', RESIZE), BOX, "reads '_box' of each item"),
    "sizes of the item": ((DECODE, 'backend = "DynamicResizeMat"'), SIZES, "reads 'resize_h' of each item"),
    "no counterpart": (
        (DECODE, RESIZE, 'backend = "SaveMat"\nsave_dir = "."'),
        INPUTS,
        "no counterpart of SaveMat",
    ),
    "varying size": ((DECODE,), INPUTS, "leave DALI in one shape"),
    "too far off": (
        (DECODE, 'backend = "PillowResizeMat"\nresize_h = 8\nresize_w = 9'),
        INPUTS,
        "by up to 31 grey levels, of which 3 are accepted",
    ),
    "an error of its own": (
        (f"{DECODE}\non_error = 'skip'", RESIZE),
        INPUTS,
        GIVEN_UP,
    ),
    "a filter": (
        (DECODE, f'{RESIZE}\nfilter = "result2other"'),
        INPUTS,
        "filter 'result2other' decides image by image",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_call_and_the_reason(name: str, tmp_path: Path) -> None:
    tables, head, reason = REFUSED[name]
    chain = compiled_chain(tmp_path, nodes(*tables), head=head)
    found = chain.lowered()
    assert isinstance(found, Refusal), found
    assert reason in found.reason
    assert found.place is not None or name == "no bytes at all"


def test_a_fallback_behind_the_chain_is_refused(tmp_path: Path) -> None:
    tables = (
        'backend = "DecodeTensor"\ndata_format = "hwc"\ncolor = "bgr"',
        f'{DECODE}\nfilter = "or"',
        RESIZE,
    )
    chain = compiled_chain(tmp_path, nodes(*tables))
    found = chain.lowered(most=1)
    assert isinstance(found, Refusal)
    assert found.call is not None and found.call.label == "n1.DecodeMat"
    assert "filter 'or'" in found.reason and 'preprocess = "opencv"' in found.reason


def test_a_key_that_the_chain_does_not_compute_is_refused(tmp_path: Path) -> None:
    chain = compiled_chain(
        tmp_path,
        nodes(DECODE, 'backend = "ResizePadMat"\nmax_h = 8\nmax_w = 9'),
        outputs=("inverse_trans",),
    )
    assert isinstance(chain.lowered(), DaliChain)
    found = chain.lowered(most=1)
    assert isinstance(found, Refusal) and "'inverse_trans' is read behind the chain" in found.reason


def test_keys_that_nobody_reads_are_not_returned(tmp_path: Path) -> None:
    letter_box = 'backend = "LetterBoxMat"\nresize_h = 8\nresize_w = 9'
    tables = nodes(DECODE, 'backend = "cvtColorMat"\ncolor = "rgb"', letter_box)
    alone = compiled_chain(tmp_path, tables).lowered()
    all_three = compiled_chain(tmp_path, tables, outputs=("scale", "result", "offset")).lowered()
    assert isinstance(alone, DaliChain) and alone.returned == ("n2",)
    assert isinstance(all_three, DaliChain) and all_three.returned == ("n2_scale", "n2", "n2_offset")


def test_the_gpu_is_marked_unverified(tmp_path: Path) -> None:
    chain = compiled_chain(tmp_path, nodes(DECODE, RESIZE))
    on_cpu, on_gpu = chain.lowered(), chain.lowered(device="gpu")
    assert isinstance(on_cpu, DaliChain) and on_cpu.notes == (GIVEN_UP,)
    assert isinstance(on_gpu, DaliChain) and "unverified on GPU" in on_gpu.notes[1]
    assert '(data, "mixed")' in chain.code("gpu") and '(data, "cpu")' in chain.code()


@pytest.mark.parametrize("name", ["resize", "fn", "math", "types", "images", "class", "autoserialize"])
def test_names_of_nodes_never_hide_names_of_the_code(name: str, tmp_path: Path) -> None:
    fitted = 'backend = "FixRatioResizeMat"\nmax_h = 5\nmax_w = 5'
    text = f'[first]\n{DECODE}\nnext = "{name}"\n\n[{name}]\n{fitted}\n'
    chain = compiled_chain(tmp_path, f'{text}next = "last"\n\n[last]\n{RESIZE}\n')
    code = chain.code()
    variables = re.findall(r"^    ([\w, ]+) = ", code.partition("@pipeline_def")[2], re.MULTILINE)
    taken = {one for names in variables for one in names.split(", ")}
    assert len(taken) == 5 and not taken & {"fn", "math", "types", "autoserialize", "class"}
    assert re.findall(r"^def ([a-z]\w*)\(\):", code, re.MULTILINE)[0] not in taken


def test_a_chain_of_which_other_nodes_read_the_middle_is_refused(tmp_path: Path) -> None:
    text = f'[a]\n{DECODE}\nnext = "b,c"\n\n[b]\n{RESIZE}\n\n[c]\n{RESIZE}\n\n[d]\nbackend = "Identity"\n'
    text += 'map = "b[result:data], c[result:other]"\n'
    text = text.replace(f"[b]\n{RESIZE}", f'[b]\n{RESIZE}\nnext = "d"')
    text = text.replace(f"[c]\n{RESIZE}", f'[c]\n{RESIZE}\nnext = "d"')
    found = compiled_chain(tmp_path, text).lowered(most=2)
    assert isinstance(found, Refusal)
    assert "node 'a' has other followers" in found.reason and found.place is not None
