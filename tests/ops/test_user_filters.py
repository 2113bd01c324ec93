"""Filters of the user's own: what an item's status does, and what reading the file tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_triton import Server
from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, Compiled, build, compile_pipeline, load_interpreter
from tpgen.ir.filters import Otherwise
from tpgen.runner.interpreter import ItemError

CODE = """
import numpy as np
from tpgen_runtime import ItemError

CALLS = []
RUN = "Run"


def by_mode(result, mode: str):
    CALLS.append(mode)
    if mode == "raise":
        raise KeyError("gone")
    if mode == "bad input":
        raise ItemError("too long")
    if mode == "change":
        result[:] = 0
    return mode


def constants(result, *, least=2):
    if len(result) < least:
        return "Skip"
    return "Swap" if result[0] > 0 else RUN


class Older:
    def forward(self, item):
        return "Skip" if item.get("mode") == "skip" else "Run"


def shadowed(data):
    RUN = str(len(data))
    return RUN
"""
VALUE = np.arange(3, dtype=np.float32)


def compiled(folder: Path, text: str) -> Compiled:
    (folder / "mine.py").write_text(CODE, encoding="utf-8")
    (folder / "p.toml").write_text(text, encoding="utf-8")
    bag = Bag()
    made = compile_pipeline(folder / "p.toml", BuildOptions(cores=2), bag, folder)
    assert made is not None, bag.diagnostics
    return made


def answers(folder: Path, text: str, *items: dict[str, Any]) -> list[dict[str, Any] | ItemError]:
    made = compiled(folder, text)
    return load_interpreter(made).run(made.graph.entries[0], items)


THREE = """
[pipeline]
outputs = ["result", "b", "c"]
[a]
backend = "Identity"
next = "b"
[b]
backend = "AddInt[b:1]"
filter = "Python[mine:by_mode]"
next = "c"
[c]
backend = "AddInt[c:1]"
filter = "Run"
"""


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("Run", {"result", "b", "c"}),
        ("Swap", {"result", "b", "c"}),
        ("Skip", {"result", "c"}),
        ("SerialSkip", {"result"}),
        ("SubGraphSkip", {"result"}),
        ("Break", {"result"}),
    ],
)
def test_what_a_status_does_at_a_node(mode: str, keys: set[str], tmp_path: Path) -> None:
    (found,) = answers(tmp_path, THREE, {"data": b"x", "mode": mode})
    assert isinstance(found, dict)
    assert found.keys() == keys


@pytest.mark.parametrize(
    ("mode", "message", "is_input"),
    [
        ("Error", "refused by filter 'Python[mine:by_mode]'", True),
        ("bad input", "too long", True),
        ("raise", "KeyError: 'gone'", False),
        ("Skp", "TypeError: mine.py, by_mode() returned 'Skp'; a filter returns one of Run, Skip", False),
    ],
)
def test_one_item_fails_alone(mode: str, message: str, is_input: bool, tmp_path: Path) -> None:
    good = {"data": b"x", "mode": "Run"}
    first, second, third = answers(tmp_path, THREE, good, {"data": b"y", "mode": mode}, good)
    assert isinstance(second, ItemError)
    assert str(second).startswith(f"p.toml:8 [b] item 1: {message}")
    assert second.is_input is is_input
    assert first == third
    assert not isinstance(first, ItemError)


def test_arrays_are_read_only(tmp_path: Path) -> None:
    text = THREE.replace("[a]", '[pipeline.inputs]\ndata = "float32[N]"\n[a]', 1)
    (found,) = answers(tmp_path, text, {"data": VALUE.copy(), "mode": "change"})
    assert isinstance(found, ItemError)
    assert "read-only" in str(found)


def test_keys_that_nothing_writes_are_inputs(tmp_path: Path) -> None:
    made = compiled(tmp_path, THREE)
    assert {port.key: str(port.type) for port in made.graph.entries[0].inputs} == {
        "data": "bytes",
        "mode": "string",
    }


CONSTANTS = """
[pipeline.inputs]
data = "float32[N]"
[a]
backend = "Identity"
next = "b"
[b]
backend = "Identity"
filter = "Python[mine:constants]"
least = 3
"""


def test_constants_narrow_what_may_happen(tmp_path: Path) -> None:
    made = compiled(tmp_path, CONSTANTS)
    filter_ = made.graph.nodes["b"].calls[0].filter
    assert filter_.outcomes == {Otherwise.SKIP, Otherwise.BREAK, Otherwise.ERROR}
    assert filter_.verdict is not None
    assert dict(filter_.verdict.settings) == {"least": 3}  # type: ignore[union-attr]


def test_a_name_bound_in_the_function_is_no_constant(tmp_path: Path) -> None:
    made = compiled(tmp_path, CONSTANTS.replace("constants", "shadowed").replace("least = 3", ""))
    assert made.graph.nodes["b"].calls[0].filter.outcomes == frozenset(Otherwise)


def test_a_class_in_the_older_style(tmp_path: Path) -> None:
    text = THREE.replace("by_mode", "Older").replace("[a]", '[pipeline.inputs]\nmode = "string"\n[a]', 1)
    skipped, ran, without = answers(
        tmp_path, text, {"data": b"x", "mode": "skip"}, {"data": b"x", "mode": "no"}, {"data": b"x"}
    )
    assert isinstance(skipped, dict)
    assert isinstance(ran, dict)
    assert skipped.keys() == {"result", "c"}
    assert ran == without


def test_the_code_is_loaded_once_and_taken_along(tmp_path: Path) -> None:
    compiled(tmp_path, THREE)
    build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(cores=2))
    version = tmp_path / "repository" / "p" / "1"
    assert (version / "user" / "mine.py").read_text() == CODE
    assert (version / "stage.py").read_text().count("user_filter.UserFilter(") == 1
    with Server(tmp_path / "repository") as server:
        assert "p" in server.models
