"""``TASK_RESULT_KEY`` and its like in values."""

from __future__ import annotations

from pathlib import Path

from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, compile_pipeline
from tpgen.frontend.macros import MACROS, expand, expand_offsets

TEXT = """
[pipeline]
outputs = ["TASK_RESULT_KEY", "TASK_BOX_KEY"]
[a]
backend = "Copy[TASK_DATA_KEY:TASK_BOX_KEY,data:TASK_RESULT_KEY]"
next = ["b"]
[b]
map = "a[TASK_RESULT_KEY:data,_box:TASK_BOX_KEY]"
backend = "Identity"
"""


def test_the_values_are_those_of_the_dialect() -> None:
    assert expand("TASK_RESULT_KEY, xTASK_DATA_KEY TASK_DATA_KEY2 TASK_REQUEST_SIZE_KEY") == (
        "result, xTASK_DATA_KEY TASK_DATA_KEY2 request_size"
    )
    assert MACROS["TASK_BOX_KEY"] == "_box"


def test_places_stay_those_of_the_file() -> None:
    written = "a[TASK_BOX_KEY:b]"
    offsets = tuple(range(10, 10 + len(written) + 1))
    places = expand_offsets(written, offsets)
    expanded = expand(written)
    assert len(places) == len(expanded) + 1
    assert places[expanded.index("_box")] == 10 + written.index("TASK")
    assert places[expanded.index(":b")] == 10 + written.index(":b")
    assert places[-1] == offsets[-1]


def test_every_value_may_have_them(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(TEXT)
    bag = Bag()
    values = {("b", "backend"): "Copy[TASK_DATA_KEY:TASK_RESULT_KEY]"}
    made = compile_pipeline(path, BuildOptions(cores=2, values=values), bag, tmp_path)
    assert made is not None, bag.diagnostics
    assert [port.key for port in made.graph.entries[0].outputs] == ["result", "_box"]
