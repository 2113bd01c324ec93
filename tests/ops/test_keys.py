"""Operators on keys: which keys they read, write and take away, and what wrong brackets are told."""

from __future__ import annotations

import pytest

import tpgen.ops  # noqa: F401 - fills the registry
from compare import Call
from tpgen.ir.op import REGISTRY, InferError, Op
from tpgen.types import Array, Bytes, DType, Text, Type

FLOAT = Array(DType.FLOAT32, (4,))
TYPES: dict[str, Type] = {"data": FLOAT, "a": Bytes(), "b": Text(), "c": FLOAT}


def make(name: str, **attributes: object) -> Op:
    return REGISTRY[name](**attributes)


def effect(op: Op) -> tuple[tuple[str, ...], dict[str, Type], tuple[str, ...]]:
    """Keys read, types written, keys taken away."""
    written = dict(op.infer(Call(TYPES)))
    assert tuple(written) == op.outputs()
    return op.inputs(), written, op.deletes()


@pytest.mark.parametrize(
    ("op", "reads", "writes", "deletes"),
    [
        (make("Result2Key"), ("data",), {"key": FLOAT, "result": FLOAT}, ()),
        (make("Result2Other", other="x"), ("data",), {"x": FLOAT, "result": FLOAT}, ()),
        (make("KeyA2KeyB", key_a="a", key_b="x"), ("a", "data"), {"x": Bytes(), "result": FLOAT}, ()),
        (make("KeyA2KeyB", key_a="a", key_b="result"), ("a",), {"result": Bytes()}, ()),
        (
            make("Copy", argument="a:x, b:y"),
            ("a", "b", "data"),
            {"x": Bytes(), "y": Text(), "result": FLOAT},
            (),
        ),
        (make("cp", argument="data:x"), ("data",), {"x": FLOAT, "result": FLOAT}, ()),
        (make("Copy", argument="a:result"), ("a",), {"result": Bytes()}, ()),
        (make("Copy", argument="a:data"), ("a",), {"data": Bytes(), "result": Bytes()}, ()),
        (
            make("Copy", argument="a:b,b:a"),
            ("a", "b", "data"),
            {"b": Bytes(), "a": Text(), "result": FLOAT},
            (),
        ),
        (make("mv", argument="a:x"), ("a", "data"), {"x": Bytes(), "result": FLOAT}, ("a",)),
        (
            make("Move", argument="a:b,b:a"),
            ("a", "b", "data"),
            {"b": Bytes(), "a": Text(), "result": FLOAT},
            (),
        ),
        (make("Move", argument="data:x"), ("data",), {"x": FLOAT, "result": FLOAT}, ()),
        (make("Add", argument="k:v,l:w"), ("data",), {"k": Text(), "l": Text(), "result": FLOAT}, ()),
        (make("add", argument="result:v"), (), {"result": Text()}, ()),
        (make("AddInt", argument="n:-3"), ("data",), {"n": Array(DType.INT64, ()), "result": FLOAT}, ()),
        (make("rm", argument="a, z"), ("data",), {"result": FLOAT}, ("a", "z")),
        (make("Keep", keep=("a",)), ("data",), {"result": FLOAT}, ()),
    ],
)
def test_keys(op: Op, reads: tuple[str, ...], writes: dict[str, Type], deletes: tuple[str, ...]) -> None:
    assert effect(op) == (reads, writes, deletes)


def test_keep_takes_away_what_exists_and_is_not_named() -> None:
    bound = make("Keep", keep=("a", "x")).bind({"data", "result", "a", "b", "c"}, is_root=False)  # type: ignore[attr-defined]
    assert bound.deletes() == ("b", "c")
    unbound = make("Keep").bind({"data", "a"}, is_root=True)  # type: ignore[attr-defined]
    assert unbound.deletes() == ()


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("Copy", "", "'Copy' needs pairs in brackets"),
        ("Copy", "a=b", "'a=b' is not a pair source:target"),
        ("Copy", "a:b,", "'' is not a pair source:target"),
        ("Move", "a:x,b:x", "'x' is written twice in Move[a:x,b:x]"),
        ("Add", "k:", "'k:' is not a pair key:value"),
        ("Add", "k:1,k:2", "'k' is written twice in Add[k:1,k:2]"),
        ("AddInt", "k:1.5", "'k' is '1.5', but a whole number is needed"),
        ("AddInt", "k:9223372036854775808", "'k' is '9223372036854775808', but a whole number is needed"),
        ("Remove", "", "'Remove[]' names no key"),
        ("Remove", "a,,b", "'Remove[a,,b]' names no key"),
        ("Remove", "result", "'data' and 'result' cannot be removed: they are handed on"),
    ],
)
def test_wrong_brackets(name: str, argument: str, message: str) -> None:
    op = make(name, argument=argument)
    assert isinstance(op.inputs() + op.outputs() + op.deletes(), tuple), "keys are asked for before types"
    with pytest.raises(InferError) as caught:
        op.infer(Call(TYPES))
    assert (caught.value.code, caught.value.message, caught.value.attribute) == ("TP117", message, "argument")
    assert caught.value.hint
