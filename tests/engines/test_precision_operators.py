"""Every operator of ONNX, by the examples of the standard itself: put in half, it gives the same answer.

About 1,100 of the 1,700 examples hold float32 and are computed by onnxruntime. Each must convert, type-check,
load, keep its interface, and answer within what half precision can tell apart.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest

from tpgen.engines.errors import ModelError
from tpgen.engines.precision import convert_precision
from tpgen.engines.precision_report import Half, PrecisionRequest
from tpgen.engines.session import RunFailed, open_session, run

# Values of 10,000, where half precision counts in steps of 8; statistics of four numbers; a pole.
_TOO_FINE = ("large_number", "training_mode", "test_tan")
_TOO_FINE_FOR_BF16 = ("with_past_and_present_qk_matmul_bias",)  # masks added to small sums


@cache
def examples() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if _is_tensors(case.model)]


def _is_tensors(model: onnx.ModelProto) -> bool:
    values = [*model.graph.input, *model.graph.output]
    kinds = [v.type.tensor_type.elem_type for v in values if v.type.WhichOneof("value") == "tensor_type"]
    return len(kinds) == len(values) and onnx.TensorProto.FLOAT in kinds


def check(case: Any, half: Half) -> bool:
    """Convert and compare one example; False if there is nothing to compare."""
    content, names = case.model.SerializeToString(), [o.name for o in case.model.graph.output]
    feeds = {
        v.name: np.asarray(x) for v, x in zip(case.model.graph.input, case.data_sets[0][0], strict=False)
    }
    try:
        wanted = run(open_session(content), names, feeds)
    except (ModelError, RunFailed):
        return False
    made = convert_precision(content, PrecisionRequest(half), [feeds])
    if not made.report.converted:
        return False
    after = onnx.ModelProto.FromString(made.model)
    assert list(after.graph.input) == list(case.model.graph.input), case.name
    assert list(after.graph.output) == list(case.model.graph.output), case.name
    for form in (made.emulated, made.model) if half == "fp16" else (made.emulated,):
        found = run(open_session(form), names, feeds)
        for one, other in zip(wanted, found, strict=True):
            assert one.dtype == other.dtype and one.shape == other.shape, case.name
            if one.dtype.kind == "f" and one.size:
                finite = np.isfinite(one)
                step = (0.01 if half == "fp16" else 0.08) * max(np.abs(one[finite]).max(initial=0), 1)
                np.testing.assert_allclose(other[finite], one[finite], atol=step, err_msg=case.name)
    return True


def compared(half: Half, step: int) -> int:
    left_out = _TOO_FINE if half == "fp16" else (*_TOO_FINE, *_TOO_FINE_FOR_BF16)
    chosen = [case for case in examples()[::step] if not any(part in case.name for part in left_out)]
    return sum(check(case, half) for case in chosen)


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_some_operators(half: Half) -> None:
    assert compared(half, step=12) > 60


@pytest.mark.slow
@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_all_operators(half: Half) -> None:
    assert compared(half, step=1) > 900
