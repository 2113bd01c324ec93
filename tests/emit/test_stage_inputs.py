"""What a client may leave out is optional in every model that it is led to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tpgen.driver import BuildOptions, build
from tpgen.emit.config_pbtxt import parse

TEXT = """
[small]
backend = "FixRatioResizeMat"
max_h = 8
max_w = 9
next = "cut"
[cut]
backend = "CropMat"
next = "twice"
[twice]
backend = "Python[twice_ops:twice]"
[pipeline]
outputs = ["result"]
"""
OPS = """
from tpgen_runtime import Tensor, op

@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3]), "marks": Tensor("float32", ["N", 2])},
    outputs={"result": Tensor("float32", ["N", 2])},
)
def twice(data, marks):
    return marks * 2
"""


def _optional(config: Path) -> dict[str, bool]:
    parsed: Any = parse(config.read_text())
    return {tensor.name: tensor.optional for tensor in parsed.input}


def test_sizes_from_clients_are_optional_in_stages_as_well(tmp_path: Path) -> None:
    (tmp_path / "twice_ops.py").write_text(OPS)
    (tmp_path / "cut.toml").write_text(TEXT)
    build(tmp_path / "cut.toml", tmp_path / "repository", BuildOptions(fuse="none", cores=1))
    from_client = {"data_shape": True, "_box": False, "marks_count": True}
    found = {
        name: _optional(tmp_path / "repository" / name / "config.pbtxt")
        for name in ("cut", "cut__small", "cut__cut", "cut__twice")
    }
    assert found["cut"] == {"data": False, "_box": False, "marks": False} | from_client
    assert found["cut__small"] == {"data": False, "data_shape": True}
    assert found["cut__cut"] == {"data": False, "data_shape": False, "_box": False}
    assert found["cut__twice"] == {"data": False, "data_shape": False, "marks": False, "marks_count": True}
