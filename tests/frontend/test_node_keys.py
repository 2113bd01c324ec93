"""Where an operator's values come from: arguments, qualified keys, the node's keys, global keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tpgen.driver import BuildOptions, check

CASES = {
    "keys of the node": ("S[ResizeMat,ResizeMat]", "resize_h = 1\nresize_w = 2", [(1, 2), (1, 2)]),
    "global keys": ("ResizeMat", "resize_w = 2", [(9, 2)]),
    "one value each": ("S[ResizeMat,ResizeMat]", 'resize_h = "1|3"\nresize_w = 2', [(1, 2), (3, 2)]),
    "an argument wins": (
        "S[ResizeMat(resize_w=5),ResizeMat]",
        "resize_h = 1\nresize_w = 2",
        [(1, 5), (1, 2)],
    ),
    "an argument wins everywhere": ("ResizeMat(resize_w=5)", "resize_h = 1\nresize_w = 2", [(1, 5)]),
    "a qualified key wins": (
        "S[ResizeMat,PillowResizeMat]",
        'resize_h = 1\nresize_w = 2\n"PillowResizeMat::resize_w" = 5',
        [(1, 2), (1, 5)],
    ),
    "a qualified key wins everywhere": ("ResizeMat", 'resize_w = 2\n"ResizeMat::resize_w" = 5', [(9, 5)]),
    "arguments in order": ("ResizeMat(3,resize_w=4)", "", [(3, 4)]),
}


@pytest.mark.parametrize(("backend", "keys", "sizes"), CASES.values(), ids=CASES)
def test_values_of_operators(tmp_path: Path, backend: str, keys: str, sizes: list[tuple[int, int]]) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f'resize_h = 9\n[a]\nbackend = "{backend}"\n{keys}\n')
    (compiled,) = check(path, BuildOptions(cores=1)).compiled
    found: list[Any] = [call.op for _, call in compiled.reference.calls()]
    assert [(op.resize_h, op.resize_w) for op in found] == sizes
