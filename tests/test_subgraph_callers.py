"""Sub-graphs with several callers: what is there at the end is for each caller what its own items have."""

from __future__ import annotations

import json
import random
from pathlib import Path
from textwrap import dedent

import pytest

from all_ways import compare
from random_pipelines import read_pipeline

OPS = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op

NUMBER = Tensor("int64", [])


@op(inputs={"data": NUMBER, "mark": NUMBER}, outputs={"result": NUMBER})
def plus(data, mark):
    return data + mark


@op(inputs={"data": NUMBER}, outputs={"result": NUMBER})
def odd(data):
    return data if data % 2 else None


@op(inputs={"data": [NUMBER]}, outputs={"result": NUMBER})
def count(data):
    return np.int64(len(data))


@op(inputs={"data": NUMBER}, outputs={"result": [NUMBER]})
def several(data):
    return [data + i for i in range(int(data) % 3)]
"""
START = """
    [pipeline]
    outputs = OUTPUTS
    [pipeline.inputs]
    data = "int64[]"
    mark = "int64[]"
    [first]
    backend = "Identity"
    next = "a, b"
    [sub]
    backend = "Sequential[Identity,HasKey(mark)[Copy[data:hue]]]"
"""
# Each with the keys that it answers.
CASES = {
    "a key that the sub-graph writes for the items of one caller": (
        ["a.seen", "b.result"],
        """
        [a]
        backend = "Sequential[Copy[data:mark],Jump(jump=sub),Copy[hue:seen]]"
        [b]
        backend = "Jump(jump=sub)"
        """,
    ),
    "a key that one caller brings": (
        ["a.result", "b.result"],
        """
        [a]
        backend = "Sequential[Copy[data:mark],Jump(jump=sub),Python[ops:plus]]"
        [b]
        backend = "Jump(jump=sub)"
        """,
    ),
    "a caller within a sub-graph": (
        ["a.seen", "b.result"],
        """
        [a]
        backend = "Sequential[Copy[data:mark],Jump(jump=outer),Copy[hue:seen]]"
        [b]
        backend = "Jump(jump=sub)"
        [outer]
        backend = "Jump(jump=sub)"
        """,
    ),
    "elements of one caller": (
        ["a.hue", "b.result"],
        """
        [a]
        backend = "Sequential[Copy[data:mark],Python[ops:several],MapReduce(jump=sub,merge=hue)]"
        [b]
        backend = "Jump(jump=sub)"
        """,
    ),
    "a result that the items of one caller may lack": (
        ["a.result", "b.result", "b.seen"],
        """
        [a]
        backend = "Sequential[Python[ops:odd],Jump(jump=sub)]"
        [b]
        backend = "Sequential[Copy[data:mark],Jump(jump=sub),Copy[hue:seen],Python[ops:plus]]"
        """,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_caller_gets_what_its_own_items_have(case: str, tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(OPS)
    name = case.replace(" ", "-")
    outputs, text = CASES[case]
    made = read_pipeline(dedent(START).replace("OUTPUTS", json.dumps(outputs)) + dedent(text), tmp_path, name)
    found = compare(made, tmp_path, name, random.Random(1))
    assert all(isinstance(one, dict) for one in found)
