"""Which queue a node's `timeout_ms` bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.driver import BuildOptions, build, check
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


CHAIN = """
[pipeline]
inputs = {data = "float32[4]"}
[first]
backend = "Identity"
timeout_ms = 200
next = "second"
[second]
backend = "Identity"
timeout_ms = 50
next = "third"
[third]
backend = "Identity"
"""


def test_the_shortest_holds_where_nodes_share_a_queue_and_the_other_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(CHAIN)
    found = build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(cores=2))
    config = parse((tmp_path / "repository" / "p" / "config.pbtxt").read_text())
    assert config.dynamic_batching.default_queue_policy.default_timeout_microseconds == 50_000
    (warning,) = found.diagnostics
    assert warning.span is not None
    assert (warning.code, warning.severity.value, warning.span.line) == ("TP921", "warning", 6)
    assert "'first'" in warning.message
    assert "'second'" in warning.message
    assert "model p: timeout_ms = 50" in found.compiled[0].decisions


def test_a_timeout_above_the_first_node_is_told_of_once(tmp_path: Path) -> None:
    text = "timeout_ms = 300\n" + CHAIN.replace("timeout_ms = 200", "")
    (tmp_path / "p.toml").write_text(text)
    (warning,) = check(tmp_path / "p.toml", BuildOptions(cores=2)).diagnostics
    assert warning.span is not None
    assert (warning.code, warning.span.line) == ("TP921", 11)
    assert "'first', 'third'" in warning.message


def test_queues_of_their_own_have_their_own_timeouts(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(CHAIN)
    found = check(tmp_path / "p.toml", BuildOptions(fuse="none", cores=2))
    assert not found.diagnostics
    assert {"model p__first: timeout_ms = 200", "model p__second: timeout_ms = 50"} <= {
        *found.compiled[0].decisions
    }
