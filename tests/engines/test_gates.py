"""What a converted model may lose, and on the trained models of the examples what it does lose."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from engines.onnx_build import model, node, tensor
from examples import ROOT
from tpgen.engines.comparing import Comparison, compare
from tpgen.engines.gates import Gate, accuracy_gate, gates_of, half_gates
from tpgen.ir.decisive import Boxes, Classes


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
    (gate,) = half_gates([replace(found, rows=200)])
    assert not gate.passed
    assert gate.text().startswith("FAILED: y: share of rows with the same top-1: 0 (at least 0.995)")


@pytest.mark.parametrize(("precision", "needed"), [("fp16", 200), ("int8", 100)])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("most", [None, 0.03])
def test_few_rows_are_judged_by_their_values(
    precision: str, needed: int, rows: int, most: float | None
) -> None:
    """Of one row the top-1 may always move, so that it would say nothing."""
    for factor, passes in ((-1, False), (1.0001, True)):
        (gate,) = gates_of(compare(scaled(1), scaled(factor), [{"x": ROWS[:rows]}]), precision, most)
        assert gate.passed is passes
        assert f"(top-1 is not judged: {rows} rows, of {needed})" in gate.text()


def test_infinite_values_do_not_make_differences_small() -> None:
    rows = np.array([[0, 1, 2, -np.inf]], np.float32)
    (found,) = compare(scaled(1), scaled(1, shift=0.5), [{"x": rows}])
    assert found.largest == pytest.approx(0.25)


def test_classes_lie_along_the_axis_that_is_read() -> None:
    """Of a map of classes each pixel is a row; where nobody says what an axis is, there are none."""
    maps = np.random.default_rng(0).normal(size=(1, 3, 10, 10)).astype(np.float32)
    one, other = reordered([3, 10, 10], 1, [0, 1, 2]), reordered([3, 10, 10], 1, [0, 2, 1])
    (found,) = compare(one, other, [{"x": maps}], {"y": Classes(-3)})
    assert (found.rows, found.same_top1) == (100, (maps.argmax(1) == 0).mean())
    (found,) = compare(one, other, [{"x": maps}])
    assert found.rows == 0


# --- detectors ---


def reordered(item: list[int], axis: int, order: list[int]) -> bytes:
    """A model that answers what it gets in another order along an axis."""
    shape = ["N", *item]
    nodes = [node("Gather", "x i", "y", axis=axis)]
    constants = {"i": np.array(order, np.int64)}
    return model(nodes, [tensor("x", shape)], [tensor("y", shape)], constants).SerializeToString()


def detected(passing: int, classes: int = 80, count: int = 400) -> NDArray[np.float32]:
    """What a detector answers for an image, in columns: boxes in pixels, then scores."""
    random = np.random.default_rng(passing)
    found = np.zeros((1, 4 + classes, count), np.float32)
    found[:, :4] = random.uniform(10, 630, (1, 4, count))
    found[:, 4:] = random.uniform(0, 0.02, (1, classes, count))
    found[:, 4 + random.integers(classes, size=passing), np.arange(passing)] = 0.9
    return found


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("passing", [0, 40, 300])
def test_a_detector_whose_classes_change_places_fails(precision: str, passing: int) -> None:
    kept = reordered([84, 400], 1, list(range(84)))
    turned = reordered([84, 400], 1, [*range(4), *range(83, 3, -1)])
    found = compare(kept, turned, [{"x": detected(passing)}], {"y": Boxes(0.25, is_columns=True)})
    gates = gates_of(found, precision, None)
    assert not all(gate.passed for gate in gates)
    assert found[0].rows == passing
    assert any("same top-1" in gate.what for gate in gates) is (passing == 300)


@pytest.mark.parametrize("passing", [0, 40, 300])
def test_a_detector_that_is_only_rounded_passes(passing: int) -> None:
    """Most boxes have no object in them, and their best class is chance."""
    shape = ["N", 84, 400]
    nodes = [node("Cast", "x", "h", to=onnx.TensorProto.FLOAT16), node("Cast", "h", "y", to=1)]
    rounded = model(nodes, [tensor("x", shape)], [tensor("y", shape)], {}).SerializeToString()
    kept = reordered([84, 400], 1, list(range(84)))
    answer = detected(passing)
    answer[:, 4, : passing // 2] = 0.89995  # as good as another class, but for a rounding
    found = compare(kept, rounded, [{"x": answer}], {"y": Boxes(0.25, is_columns=True)})
    assert all(gate.passed for gate in half_gates(found)), [gate.text() for gate in half_gates(found)]


def test_rows_of_boxes_have_objectness() -> None:
    """What scores 0.6 x 0.5 passes 0.25, what scores 0.6 x 0.3 does not."""
    rows = np.zeros((1, 3, 8), np.float32)
    rows[..., 4:] = [[0.6, 0.5, 0, 0], [0.6, 0.3, 0, 0], [0.9, 0, 0.9, 0]]
    one, other = reordered([3, 8], 2, list(range(8))), reordered([3, 8], 2, [0, 1, 2, 3, 4, 6, 5, 7])
    classes, places = compare(one, other, [{"x": rows}], {"y": Boxes(0.25, has_objectness=True)})
    assert (classes.rows, classes.same_top1, places.largest) == (2, 0, 0)
    assert classes.largest == pytest.approx(0.81)


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


def test_a_value_that_neither_has_is_no_difference() -> None:
    built = model([node("Log", "x", "y")], [tensor("x", ["N"])], [tensor("y", ["N"])]).SerializeToString()
    (found,) = compare(built, built, [{"x": np.array([-1.0, 1.0, 2.0], np.float32)}])
    assert (found.largest, found.mean) == (0, 0)


def test_a_point_of_accuracy() -> None:
    assert accuracy_gate(0.98, 0.975).passed and accuracy_gate(0.98, 0.99).passed
    assert not accuracy_gate(0.98, 0.969).passed


def test_they_are_printed() -> None:
    found = Comparison("y", 200, 0.995, 0.01, 0.001)
    (gate,) = half_gates([found])
    assert (
        found.text()
        == "y: top-1 the same in 99.50% of 200 rows, difference 1.00e-02 of the range at most, 1.00e-03 mean"
    )
    assert gate.text() == "ok: y: share of rows with the same top-1: 0.995 (at least 0.995)"
