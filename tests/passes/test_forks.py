"""``HasKey(key=k)[A,B]`` and ``NotHasKey``: two ways inside a backend, taken item by item."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, Compiled, compile_pipeline, load_interpreter, pipe
from tpgen.runner.interpreter import ItemError

HEAD = """
[pipeline]
outputs = ["result", "a", "b", "c", "note2"]
[pipeline.inputs]
note = "string"
[n]
backend = "Sequential[Add[c:before],{fork},Copy[data:result]]"
"""
WITH = {"data": b"x", "note": "n"}
WITHOUT = {"data": b"x"}


def compiled(folder: Path, fork: str) -> Compiled:
    text = HEAD.format(fork=fork)
    written = [key for key in ("a", "b", "c", "note2") if re.search(rf"\b{key}:[^,]|:{key}\b", text)]
    keys = ["result", *written]
    text = text.replace('["result", "a", "b", "c", "note2"]', repr(keys).replace("'", '"'))
    text += 'key = "note"\n' if "IsKeyExistFilter" in fork else ""
    (folder / "p.toml").write_text(text, encoding="utf-8")
    bag = Bag()
    made = compile_pipeline(folder / "p.toml", BuildOptions(cores=2), bag, folder)
    assert made is not None, bag.diagnostics
    return made


def answers(folder: Path, fork: str) -> list[dict[str, Any]]:
    """What an item with the key and one without it are answered, interpreted and in generated code."""
    made = compiled(folder, fork)
    found = load_interpreter(made).run(made.graph.entries[0], [WITH, WITHOUT])
    run = pipe(folder / "p.toml")
    for item, wanted in zip((WITH, WITHOUT), found, strict=True):
        assert not isinstance(wanted, ItemError), wanted
        data = dict(item)
        run(data)
        assert {key: value for key, value in data.items() if key not in item} == wanted
    return [one for one in found if isinstance(one, dict)]


@pytest.mark.parametrize(
    ("fork", "having", "lacking"),
    [
        ("HasKey(key=note)[Add[a:1],Add[b:1]]", "a", "b"),
        ("NotHasKey(key=note)[Add[a:1],Add[b:1]]", "b", "a"),
        ("HasKey(note)[Sequential[Add[a:1],Add[b:1]]]", "ab", ""),
        ("NotHasKey(note)[Add[a:1]]", "", "a"),
        ("HasKey(note)[NotHasKey(key=other)[Add[a:1],Add[b:2]],Add[b:1]]", "a", "b"),
    ],
)
def test_each_item_takes_its_way(fork: str, having: str, lacking: str, tmp_path: Path) -> None:
    found = answers(tmp_path, fork)
    assert [one.keys() - {"result", "c"} for one in found] == [set(having), set(lacking)]
    assert [one["result"] for one in found] == [b"x", b"x"]


def test_what_an_item_has_on_arrival_decides(tmp_path: Path) -> None:
    removed = answers(tmp_path, "HasKey(note)[Sequential[Remove[note],Add[a:1]],Add[b:1]]")
    assert [one.keys() & {"a", "b"} for one in removed] == [{"a"}, {"b"}]


def test_a_missing_value_can_be_filled_in(tmp_path: Path) -> None:
    filled = answers(tmp_path, "NotHasKey(note)[Add[note:none]],Copy[note:note2]")
    assert [one["note2"] for one in filled] == ["n", "none"]


def test_a_filter_before_the_container_passes_by_both_ways(tmp_path: Path) -> None:
    passed = answers(tmp_path, "(IsKeyExistFilter)NotHasKey(other)[Add[a:1],Add[b:1]]")
    assert [one.keys() for one in passed] == [{"result", "a", "c"}, {"result", "c"}]


def test_a_sequence_that_ends_in_one_way_leaves_the_node(tmp_path: Path) -> None:
    left = answers(tmp_path, "HasKey(note)[Sequential[Add[a:1],(Break)Identity]],Add[b:1]")
    assert [one.keys() for one in left] == [{"result", "a", "c"}, {"result", "b", "c"}]


def test_types_of_one_way_are_not_seen_in_the_other(tmp_path: Path) -> None:
    made = compiled(
        tmp_path,
        "HasKey(note)[Sequential[Copy[note:result,data:kept],Copy[data:a],Copy[kept:result]],Copy[data:b]]",
    )
    types = made.graph.types
    assert types is not None
    outputs = {port.key: str(port.type) for port in made.graph.entries[0].outputs if port.key in ("a", "b")}
    assert outputs == {"a": "string", "b": "bytes"}
