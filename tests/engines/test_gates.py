"""What a converted model may lose, and on the trained models of the examples what it does lose."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from engines.onnx_build import model, node, tensor
from examples import ROOT
from tpgen.engines.gates import Comparison, Gate, accuracy_gate, compare, gates_text, half_gates


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """The program that measures the trained models."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import precision

        return precision
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("form", ["fp16", "int8", "int8 + fp16"])
def test_the_digit_reader(figures: ModuleType, form: str) -> None:
    (row,) = figures.measure(figures.digits(calibration=100), [form])
    assert row.comparison.rows >= 350
    assert row.gate.passed, row
    assert row.before - row.after <= 0.01


@pytest.mark.parametrize("form", ["fp16", "int8", "int8 + fp16"])
def test_the_recogniser_on_a_few_pages(figures: ModuleType, form: str) -> None:
    (row,) = figures.measure(figures.recogniser(6, calibration=24), [form])
    assert row.comparison.rows >= 500
    assert row.comparison.same_top1 >= (0.995 if form == "fp16" else 0.98)
    assert row.before - row.after <= 0.02  # of few characters: the long form holds the point


@pytest.mark.slow
@pytest.mark.parametrize("form", ["fp16", "int8", "int8 + fp16"])
def test_the_recogniser(figures: ModuleType, form: str) -> None:
    (row,) = figures.measure(figures.recogniser(100), [form])
    assert row.gate.passed, row


# --- the gates themselves ---


def scaled(factor: float, shift: float = 0.0) -> bytes:
    nodes = [node("Mul", "x k", "m"), node("Add", "m s", "y")]
    constants = {"k": np.float32(factor), "s": np.float32(shift)}
    built = model(nodes, [tensor("x", ["N", 4])], [tensor("y", ["N", 4])], constants)
    return built.SerializeToString()


ROWS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 10, 0, 0]], np.float32)


def test_differences_are_relative_to_the_range_over_all_samples() -> None:
    (found,) = compare(scaled(1), scaled(1, shift=0.5), [{"x": ROWS[:2]}, {"x": ROWS[2:]}])
    assert found == Comparison("y", 3, 1.0, pytest.approx(0.05), pytest.approx(0.05))  # type: ignore[arg-type]


def test_rows_whose_largest_moved() -> None:
    (found,) = compare(scaled(1), scaled(-1), [{"x": ROWS}])
    assert found.same_top1 == 0
    (gate,) = half_gates([found])
    assert not gate.passed and gate.text().startswith(
        "FAILED: y: share of rows with the same top-1: 0 (at least"
    )


def test_an_output_without_classes_is_judged_by_its_values() -> None:
    built = model([node("Mul", "x k", "y")], [tensor("x", ["N"])], [tensor("y", ["N"])], {"k": np.float32(2)})
    other = onnx.ModelProto.FromString(built.SerializeToString())
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.float32(2.1), "k"))
    x = np.array([0.0, 1.0], np.float32)
    (found,) = compare(built.SerializeToString(), other.SerializeToString(), [{"x": x}])
    assert found.rows == 0
    (gate,) = half_gates([found])
    assert not gate.passed and gate.value == pytest.approx(0.05)


def test_values_that_are_no_numbers_fail() -> None:
    (found,) = compare(scaled(1), scaled(float("nan")), [{"x": ROWS}])
    assert found.largest == float("inf")
    assert not Gate("x", float("nan"), 1.0).passed and not Gate("x", float("nan"), 1.0, at_least=True).passed


def test_a_point_of_accuracy() -> None:
    assert accuracy_gate(0.98, 0.975).passed and accuracy_gate(0.98, 0.99).passed
    assert not accuracy_gate(0.98, 0.969).passed


def test_they_are_printed() -> None:
    found = Comparison("y", 200, 0.995, 0.01, 0.001)
    assert gates_text([found], half_gates([found])) == (
        "y: top-1 the same in 99.50% of 200 rows, difference 1.00e-02 of the range at most, 1.00e-03 mean\n"
        "ok: y: share of rows with the same top-1: 0.995 (at least 0.995)\n"
    )
