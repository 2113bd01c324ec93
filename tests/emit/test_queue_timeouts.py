"""Which queue a node's `timeout_ms` bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.driver import BuildOptions, build
from tpgen.emit.config_pbtxt import parse
from tpgen.emit.configs import QUEUE_TIMEOUT_US

BRANCHES = """
[pipeline]
name = "p"
inputs = {data = "float32[3,8,8]"}
[begin]
backend = "Identity"
next = "net, other"
[net]
backend = "TensorrtTensor"
model = "convolution.onnx"
timeout_ms = 5
[other]
backend = "Identity"
"""


@pytest.mark.parametrize(
    ("fuse", "expected"), [("auto", {"p": 5000}), ("none", {"p": QUEUE_TIMEOUT_US, "p__net": 5000})]
)
def test_a_timeout_bounds_the_queue_that_the_node_waits_in(
    fuse: str, expected: dict[str, int], tmp_path: Path
) -> None:
    write_models(tmp_path)
    (tmp_path / "p.toml").write_text(BRANCHES)
    build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(fuse=fuse, cores=2))
    configs = (parse(path.read_text()) for path in (tmp_path / "repository").glob("*/config.pbtxt"))
    found = {
        config.name: config.dynamic_batching.default_queue_policy.default_timeout_microseconds
        for config in configs
    }
    assert found == expected
