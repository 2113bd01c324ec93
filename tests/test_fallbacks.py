"""Nodes with `or` behind nodes of several operators: what they find in ``data`` of items without a result."""

from __future__ import annotations

import random
from pathlib import Path
from textwrap import dedent

import pytest

from all_ways import compare, write
from random_pipelines import read_pipeline
from tpgen.diagnostics import PipelineError
from tpgen.driver import check

OPS = """
import numpy as np
from tpgen_runtime import Tensor, op

IMAGE = Tensor("uint8", ["H", "W", 3], color="rgb")


@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": IMAGE})
def blank(data):
    return np.full((2, 2, 3), len(data) % 256, np.uint8)


@op(inputs={"data": IMAGE}, outputs={"result": IMAGE})
def tall(data):
    return data if data.shape[0] > data.shape[1] else None
"""
CASES = {
    "a fallback": """
        [decode]
        backend = "Sequential[DecodeTensor(data_format=hwc),cvtColorMat(color=rgb)]"
        next = "other"
        [other]
        backend = "Sequential[DecodeMat,cvtColorMat(color=rgb)]"
        filter = "or"
        """,
    "two fallbacks": """
        [decode]
        backend = "Sequential[DecodeTensor(data_format=hwc),cvtColorMat(color=rgb)]"
        next = "other"
        [other]
        backend = "Sequential[DecodeMat,cvtColorMat(color=rgb)]"
        filter = "or"
        next = "last"
        [last]
        backend = "Python[ops:blank]"
        filter = "or"
        """,
    "a fork behind which nothing fails": """
        [decode]
        backend = "Sequential[DecodeMat,HasKey(plain)[Identity,cvtColorMat(color=rgb)]]"
        next = "last"
        [last]
        backend = "Python[ops:blank]"
        filter = "or"
        [pipeline.inputs]
        plain = "int64[]"
        """,
}


@pytest.mark.parametrize("case", CASES)
def test_a_fallback_gets_what_the_client_sent(case: str, tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(OPS)
    name = case.replace(" ", "-")
    made = read_pipeline(dedent(CASES[case]), tmp_path, name)
    types = made.compiled.reference.types
    assert types is not None
    node = made.compiled.reference.leaves(made.compiled.reference.entries[0].root)[0]
    first = made.compiled.reference.nodes[node].calls[0].label
    assert str(types.before[first]["data"]) == "bytes"
    assert len(compare(made, tmp_path, name, random.Random(1))) == 8


def test_behind_code_that_may_decline_data_is_one_or_the_other(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(OPS)
    text = CASES["a fallback"].replace(
        "cvtColorMat(color=rgb)]", "cvtColorMat(color=rgb),Python[ops:tall]]", 1
    )
    with pytest.raises(PipelineError, match=r"TP311.*reads 'data'.*uint8\[H,W,3\].*and bytes"):
        check(write(tmp_path, text))
