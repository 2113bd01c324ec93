"""A TensorRT configuration beside the engine.json of its model.

No server here has the tensorrt backend: what is an error is what the backend's sources refuse.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lint_repositories import config, tensors, write_files
from tpgen.emit.lint import lint_repository
from tpgen.engines.profiles import InputRange
from tpgen.engines.requests import EngineRequest, Tensor
from tpgen.types import DType

_MODEL = "0" * 64


def _request(*batches: tuple[int, int]) -> str:
    """An engine from `x` to `y`, both [n, 4], with a profile for each range of batches."""
    profiles = tuple((InputRange("x", (low, 4), (high, 4), (high, 4)),) for low, high in batches)
    ends = [(Tensor(name, DType.FLOAT32.value, (None, 4)),) for name in ("x", "y")]
    return EngineRequest(_MODEL, ends[0], ends[1], profiles).text()


def found(root: Path, request: str, profiles: str = "", **parts: str) -> list[str]:
    """Code, severity and message of what the lint says."""
    change = (
        'parameters { key: "execution_context_allocation_strategy" '
        'value { string_value: "ON_PROFILE_CHANGE" } }'
    )
    group = f"instance_group [{{ kind: KIND_GPU {profiles} }}]"
    text = config(backend='backend: "tensorrt"', instances=group, more=change, **parts)
    write_files(root / "m", "m", {"config.pbtxt": text, "1/model.plan": "", "1/engine.json": request})
    findings = lint_repository(root)
    assert all(finding.span is not None and finding.hint for finding in findings)
    return [f"{finding.code} {finding.severity.value}: {finding.message}" for finding in findings]


def test_a_configuration_that_fits(tmp_path: Path) -> None:
    assert found(tmp_path, _request((1, 8))) == []
    assert found(tmp_path, _request((1, 4), (4, 8)), 'profile: ["0", "1"]') == []
    assert found(tmp_path, _request((1, 16), (16, 32))) == [], "the first profile is enough"
    assert found(tmp_path, _request()) == [], "all shapes are fixed"
    assert found(tmp_path, "{}") == [], "it is another program's"


@pytest.mark.parametrize(
    ("batches", "profiles", "message"),
    [
        ([(1, 4)], "", "TP856 error: max_batch_size of 'm' is 8, and its profiles hold 4 at most"),
        ([(1, 4), (4, 8)], "", "TP856 error: max_batch_size of 'm' is 8, and its profiles hold 4 at most"),
        (
            [(1, 8)],
            'profile: ["0", "1"]',
            "TP856 error: 'm' has no optimization profile 1: 1/engine.json has 1",
        ),
        (
            [(1, 1), (4, 4), (8, 8)],
            'profile: ["0", "1", "2"]',
            "TP856 warning: no profile of 'm' holds a batch of 2: such requests fail",
        ),
    ],
)
def test_profiles(batches: list[tuple[int, int]], profiles: str, message: str, tmp_path: Path) -> None:
    assert found(tmp_path, _request(*batches), profiles) == [message]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("X", "TP830 error: the engine of 'm' has no input 'X'"),
        ("x data_type: TYPE_FP16 dims: [4]", "is TYPE_FP16, and TYPE_FP32 in 1/engine.json"),
        ("x data_type: TYPE_FP32 dims: [3]", "is [-1,3] with its batch dimension, [-1,4] in 1/engine.json"),
        ("x data_type: TYPE_FP32 dims: [-1]", ""),
    ],
)
def test_tensors(entry: str, message: str, tmp_path: Path) -> None:
    findings = found(tmp_path, _request((1, 8)), input=tensors("input", entry))
    assert len(findings) == bool(message) and all(message in finding for finding in findings)
