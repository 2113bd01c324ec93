"""Answers as text, as JSON and as arrays."""

from __future__ import annotations

import json

import numpy as np

from tpgen.cli.report import finite
from tpgen.cli.show import describe, to_arrays, to_json


def test_vectors_are_ranked() -> None:
    logits = np.array([0.5, -1.0, 3.25, 0.0, 9.0, 1.0, 2.0, -3.0], np.float32)
    first, second = describe({"result": logits}).splitlines()
    assert first == "  result  float32[8]  0.5 -1 3.25 0 9 1 ..."
    assert second.split() == ["largest:", "4", "(9),", "2", "(3.25),", "6", "(2),", "5", "(1),", "0", "(0.5)"]


def test_what_is_no_vector_of_floats_is_not_ranked() -> None:
    assert "largest" not in describe({"a": np.zeros((2, 8), np.float32), "b": np.arange(9)})
    assert "largest" not in describe({"a": np.zeros(3, np.float32)})
    assert describe({"a": np.float32(2.5)}) == "  a  float32[]  2.5"


def test_other_values() -> None:
    text = describe(
        {
            "text": "AB",
            "gone": None,
            "raw": b"\xff\xd8" + bytes(100),
            "texts": [f"t{i}" for i in range(9)],
            "labels": np.array([b"cat", b"dog"], dtype=object),
            "empty": np.zeros((0, 4), np.int32),
            "boxes": [np.zeros(4, np.int32)],
        }
    )
    assert [line.rstrip() for line in text.splitlines()] == [
        "  text    'AB'",
        "  gone    absent",
        "  raw     102 bytes: " + repr((b"\xff\xd8" + bytes(100))[:32]) + "...",
        "  texts   a list of 9",
        "          - 't0'",
        "          - 't1'",
        "          - 't2'",
        "          - 't3'",
        "          ... and 5 more",
        "  labels  string[2]  'cat' 'dog'",
        "  empty   int32[0,4]",
        "  boxes   a list of 1",
        "          - int32[4]  0 0 0 0",
    ]


def test_json_is_json() -> None:
    values = {
        "array": np.array([[1.0, np.nan], [np.inf, 0.5]]),
        "scalar": np.float32(0.25),
        "texts": np.array([b"a", "\u00e4"], dtype=object),
        "list": [np.arange(2), np.arange(3)],
        "bytes": b"\x00\xff",
        "absent": None,
        "flag": np.bool_(True),
    }
    document = json.loads(json.dumps(finite({k: to_json(v) for k, v in values.items()}), allow_nan=False))
    assert document == {
        "array": [[1.0, None], [None, 0.5]],
        "scalar": 0.25,
        "texts": ["a", "ä"],
        "list": [[0, 1], [0, 1, 2]],
        "bytes": {"base64": "AP8="},
        "absent": None,
        "flag": True,
    }


def test_arrays_need_no_pickle() -> None:
    value = [[np.arange(2)], ["a"], b"\x01", None, np.array([b"x", b"yz"], dtype=object)]
    found = dict(to_arrays("k", value))
    assert set(found) == {"k.0.0", "k.1.0", "k.2", "k.4"}
    assert all(array.dtype.kind != "O" for array in found.values())
    assert found["k.4"].tolist() == ["x", "yz"]
    assert found["k.2"].tolist() == [1]
