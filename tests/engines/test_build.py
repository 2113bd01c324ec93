"""Engines are built as their requests say, with calls that TensorRT has; here with a stand-in for it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from engines.fake_tensorrt import FakeTensorRT
from engines.onnx_build import model, node, tensor
from engines.real_bindings import FILE as SIGNATURES
from tpgen.diagnostics import ToolMissing
from tpgen.engines.build import (
    BuildFailed,
    build_engine,
    find_tensorrt,
    version_of,
    with_weights,
)
from tpgen.engines.profiles import InputRange
from tpgen.engines.requests import EngineRequest, Flags, Gpu, Tensor, model_hash
from tpgen.engines.tensorrt_api import CALLS, ENUMERATIONS, PROPERTIES

MODEL = model([node("Relu", "x", "y")], [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]).SerializeToString()
REQUEST = EngineRequest(
    model_sha256=model_hash(MODEL),
    inputs=(Tensor("x", "float32", (None, 4)),),
    outputs=(Tensor("y", "float32", (None, 4)),),
    profiles=((InputRange("x", (1, 4), (8, 4), (8, 4)),), (InputRange("x", (9, 4), (32, 4), (32, 4)),)),
    gpu=Gpu("NVIDIA L4", "8.9"),
    tensorrt="10.13.2",
)


def built(fake: FakeTensorRT, request: EngineRequest = REQUEST, content: bytes = MODEL) -> dict[str, Any]:
    plan, timings = build_engine(fake.module, request, content)
    assert timings.startswith(b"timings of")
    found: dict[str, Any] = json.loads(plan)
    return found


@pytest.mark.parametrize("version", ["10.3.0", "10.13.2.6", "11.0.0.114"])
def test_every_version_gets_a_network_whose_types_the_model_decides(version: str) -> None:
    found = built(FakeTensorRT(version), replace(REQUEST, tensorrt=".".join(version.split(".")[:3])))
    assert found["strongly_typed"] is True
    assert found["flags"] == ["TF32"]
    assert found["profiles"] == [{"x": [[1, 4], [8, 4], [8, 4]]}, {"x": [[9, 4], [32, 4], [32, 4]]}]


@pytest.mark.parametrize("version", ["10.13.2", "11.0.0"])
def test_all_flags(version: str) -> None:
    flags = Flags(
        tf32=False,
        version_compatible=True,
        exclude_lean_runtime=True,
        hardware_compatibility="ampere_plus",
        strip=True,
        weight_streaming=True,
        optimization_level=4,
    )
    found = built(FakeTensorRT(version), replace(REQUEST, flags=flags, workspace_mib=512, tensorrt=version))
    assert set(found["flags"]) == {
        "EXCLUDE_LEAN_RUNTIME",
        "NATIVE_INSTANCENORM",
        "REFIT_IDENTICAL",
        "STRIP_PLAN",
        "VERSION_COMPATIBLE",
        "WEIGHT_STREAMING",
    }
    assert found["WORKSPACE"] == 512 * 2**20
    assert found["builder_optimization_level"] == 4
    assert found["hardware_compatibility_level"] == 0  # AMPERE_PLUS, the first in the stand-in


def test_weights_that_may_change_are_not_assumed_to_stay() -> None:
    flags = built(FakeTensorRT(), replace(REQUEST, flags=Flags(strip=True, refit=True)))["flags"]
    assert set(flags) == {"REFIT", "STRIP_PLAN", "TF32"}


def test_weights_are_put_into_a_plan_without_them() -> None:
    fake = FakeTensorRT()
    plan, _ = build_engine(fake.module, replace(REQUEST, flags=Flags(strip=True)), MODEL)
    whole = json.loads(with_weights(fake.module, plan, MODEL))
    assert whole == {**json.loads(plan), "weights": "EXCLUDE_WEIGHTS"}
    names = [name for name, *_ in fake.calls]
    assert names.index("OnnxParserRefitter.refit_from_bytes") < names.index("Refitter.refit_cuda_engine")
    with pytest.raises(BuildFailed, match="the weights don't fit the plan: no initializer of that name"):
        with_weights(fake.module, plan, b"")
    fake.broken = True
    with pytest.raises(BuildFailed, match="did not take the weights"):
        with_weights(fake.module, plan, MODEL)


def test_a_level_that_an_older_release_lacks() -> None:
    fake = FakeTensorRT("10.3.0")
    fake.module.HardwareCompatibilityLevel = ModuleType("levels")  # type: ignore[attr-defined]
    flags = Flags(hardware_compatibility="same_compute_capability")
    with pytest.raises(BuildFailed, match=r"TensorRT 10\.3\.0 has no .*SAME_COMPUTE_CAPABILITY"):
        built(fake, replace(REQUEST, flags=flags, tensorrt="10.3.0"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_sha256": model_hash(b"x")}, "the model is another than the request's"),
        ({"tensorrt": "10.12.0"}, r"the engine is for TensorRT 10\.12\.0, but 10\.13\.2 is installed"),
        ({"inputs": (Tensor("z", "float32", (None, 4)),)}, "inputs are x; 'z' is missing"),
        ({"inputs": ()}, "has inputs that the configuration has not: x"),
        ({"outputs": (Tensor("y", "float16", (None, 4)),)}, r"'y' is float32\[\?,4\], not float16\[\?,4\]"),
        ({"outputs": (Tensor("y", "float32", (None, 5)),)}, r"'y' is float32\[\?,4\], not float32\[\?,5\]"),
    ],
)
def test_an_engine_that_would_not_fit_is_not_built(change: dict[str, Any], message: str) -> None:
    fake = FakeTensorRT()
    with pytest.raises(BuildFailed, match=message):
        built(fake, replace(REQUEST, **change))
    assert not any(name == "Builder.build_serialized_network" for name, *_ in fake.calls)


def test_failures_of_tensorrt_itself() -> None:
    with pytest.raises(BuildFailed, match=r"TensorRT can't read the model: .+"):
        built(FakeTensorRT(), replace(REQUEST, model_sha256=model_hash(b"\xff")), b"\xff")
    fake = FakeTensorRT()
    fake.broken = True
    with pytest.raises(BuildFailed, match="built no engine"):
        built(fake)


@pytest.mark.parametrize("known", [b"", b"timings of 10.13.2.6", b"damaged"])
def test_timings_that_cannot_be_read_are_forgotten(known: bytes) -> None:
    plan, timings = build_engine(FakeTensorRT().module, REQUEST, MODEL, known)
    assert plan and timings == b"timings of 10.13.2.6"


def test_the_stand_in_has_only_what_is_listed() -> None:
    fake = FakeTensorRT("11.0.0")
    assert not hasattr(fake.module, "NetworkDefinitionCreationFlag")
    with pytest.raises(AttributeError):
        _ = fake.module.BuilderFlag.FP16
    builder = fake.module.Builder(None)
    with pytest.raises(AttributeError):
        builder.build_engine(None, None)
    with pytest.raises(TypeError):
        builder.build_serialized_network(None)
    with pytest.raises(AttributeError):
        builder.max_batch_size = 3


def test_the_list_has_nothing_that_11_removed() -> None:
    """Precision is in the model: flags for weak types are gone from 11, and calibrators with them."""
    gone = {
        "BF16",
        "FP16",
        "FP8",
        "INT8",
        "INT4",
        "OBEY_PRECISION_CONSTRAINTS",
        "PREFER_PRECISION_CONSTRAINTS",
    }
    for enumerations in ENUMERATIONS.values():
        assert not gone & set(enumerations["BuilderFlag"])
        assert list(enumerations["BuilderFlag"]) == sorted(enumerations["BuilderFlag"])
    assert not any("calib" in name.lower() or "algorithm" in name.lower() for name in CALLS)


REAL = json.loads(SIGNATURES.read_text())  # read from the real bindings, see real_bindings.py
LATER = {("10.0.1", "SAME_COMPUTE_CAPABILITY")}  # came in the course of 10.x: `build` says so


@pytest.mark.parametrize("version", sorted(REAL))
def test_the_list_agrees_with_the_real_bindings(version: str) -> None:
    real = REAL[version]
    assert {name for name, found in CALLS.items() if list(found) not in real["calls"][name]} == set()
    for kind, names in PROPERTIES.items():
        assert set(names) <= set(real["properties"][kind]), kind
    for kind, names in ENUMERATIONS[int(version.split(".")[0])].items():
        missing = set(names) - set(real["enumerations"][kind])
        assert {(version, name) for name in missing} <= LATER, kind


def test_first_and_last_releases_of_both_versions_were_read() -> None:
    assert {version.split(".")[0] for version in REAL} == {str(major) for major in ENUMERATIONS}
    assert all(set(real["calls"]) == set(CALLS) for real in REAL.values())


# --- finding it ---


def test_without_tensorrt_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ToolMissing) as caught:
        find_tensorrt()
    assert caught.value.command == "pip install 'tpgen[trt]'"


@pytest.mark.parametrize(
    ("version", "known"), [("9.3.0", False), ("10.3.0", True), ("11.1.0.106", True), ("12.0", False)]
)
def test_versions(monkeypatch: pytest.MonkeyPatch, version: str, known: bool) -> None:
    module = ModuleType("tensorrt")
    module.__version__ = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    if known:
        assert find_tensorrt() is module
        assert version_of(module) == ".".join(version.split(".")[:3])
    else:
        with pytest.raises(ToolMissing, match=f"TensorRT {version} is installed"):
            find_tensorrt()


@pytest.mark.gpu
def test_a_real_engine() -> None:
    trt = pytest.importorskip("tensorrt")
    request = replace(REQUEST, tensorrt=version_of(trt))
    plan, timings = build_engine(trt, request, MODEL)
    assert plan and timings
    assert (
        trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(plan).num_optimization_profiles
        == 2
    )
