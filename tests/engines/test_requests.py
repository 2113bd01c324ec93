"""Requests for engines: their keys, their text, and the command lines that ask for the same."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import EXAMPLES
from tpgen.engines.commands import polygraphy, trtexec
from tpgen.engines.plan_files import PLAN, place, plan_for
from tpgen.engines.profiles import Declared, InputRange, plan_profiles
from tpgen.engines.requests import (
    BadRequest,
    EngineRequest,
    Flags,
    Gpu,
    Tensor,
    differences,
    model_hash,
    read_request,
    request_for,
)
from tpgen.engines.signature import read_signature

PROFILES = (
    (
        InputRange("x", (1, 3, 32, 32), (4, 3, 32, 64), (8, 3, 32, 64)),
        InputRange("n", (1, 2), (4, 2), (8, 2)),
    ),
    (
        InputRange("x", (1, 3, 32, 65), (2, 3, 32, 512), (8, 3, 32, 512)),
        InputRange("n", (1, 2), (4, 2), (8, 2)),
    ),
)
REQUEST = EngineRequest(
    model_sha256=model_hash(b"a model"),
    inputs=(Tensor("x", "float32", (None, 3, 32, None)), Tensor("n", "int64", (None, 2))),
    outputs=(Tensor("y", "float32", (None, 10)),),
    profiles=PROFILES,
    precision="fp16",
    gpu=Gpu("NVIDIA L4", "8.9"),
    tensorrt="10.13.2",
)
FULL = Flags(
    tf32=False,
    version_compatible=True,
    exclude_lean_runtime=True,
    hardware_compatibility="ampere_plus",
    refit=True,
    strip=True,
    weight_streaming=True,
    optimization_level=4,
)
CHANGED: dict[str, Any] = {
    "model_sha256": model_hash(b"another"),
    "inputs": (),
    "outputs": (),
    "profiles": PROFILES[:1],
    "precision": "int8",
    "flags": Flags(tf32=False),
    "workspace_mib": 2048,
    "gpu": Gpu("NVIDIA A10", "8.6"),
    "tensorrt": "10.13.3",
}


def test_a_key_never_changes() -> None:
    """Engines that lie in caches are found again: if this fails, raise FORMAT and write the new key here."""
    assert REQUEST.key() == "874c7e03e89edab42d0833600501639f6a217ca323a2b5ad6a56d3dd6ca1650c"
    assert read_request(REQUEST.text()).key() == REQUEST.key()


def test_every_part_of_a_request_is_in_its_key() -> None:
    assert set(CHANGED) == {field.name for field in fields(EngineRequest)}
    keys = {REQUEST.key()} | {replace(REQUEST, **{name: value}).key() for name, value in CHANGED.items()}
    assert len(keys) == len(CHANGED) + 1
    for field in fields(Flags):
        flags = replace(REQUEST.flags, **{field.name: getattr(FULL, field.name)})
        assert replace(REQUEST, flags=flags).key() != REQUEST.key(), field.name


@given(st.sets(st.sampled_from(sorted(CHANGED)), max_size=3))
@settings(max_examples=60)
def test_differences_are_there_exactly_if_keys_differ(names: set[str]) -> None:
    other = replace(REQUEST, **{name: CHANGED[name] for name in names})
    assert bool(differences(REQUEST, other)) == (other.key() != REQUEST.key())
    assert len(differences(REQUEST, other)) == len(names)


def test_a_portable_engine_is_found_on_other_gpus() -> None:
    for level, other, same in (
        ("none", Gpu("NVIDIA L40", "8.9"), False),
        ("same_compute_capability", Gpu("NVIDIA L40", "8.9"), True),
        ("same_compute_capability", Gpu("NVIDIA A10", "8.6"), False),
        ("ampere_plus", Gpu("NVIDIA H200", "9.0"), True),
        ("ampere_plus", Gpu("NVIDIA T4", "7.5"), False),
    ):
        one = replace(REQUEST, flags=Flags(hardware_compatibility=level))  # type: ignore[arg-type]
        assert (one.key() == replace(one, gpu=other).key()) == same
        assert (differences(one, replace(one, gpu=other)) == []) == same


@pytest.mark.parametrize(("origin", "is_for_both"), [("8.6", True), ("7.5", False), ("12.0", True)])
def test_an_engine_for_all_since_ampere_comes_from_one_of_them(
    origin: str, is_for_both: bool, tmp_path: Path
) -> None:
    wide = Flags(hardware_compatibility="ampere_plus")
    place(tmp_path / PLAN, b"engine", replace(REQUEST, flags=wide, gpu=Gpu("one", origin)))
    found = plan_for(tmp_path, Gpu("NVIDIA H200", "9.0")).name
    assert found == (PLAN if is_for_both else "model.sm90.plan")


def test_the_change_is_named() -> None:
    other = replace(REQUEST, profiles=PROFILES[:1], tensorrt="11.0.0", flags=Flags(tf32=False))
    narrow = "x 1x3x32x32 to 8x3x32x64, n 1x2 to 8x2"
    assert differences(REQUEST, other) == [
        f"profiles: {narrow}; x 1x3x32x65 to 8x3x32x512, n 1x2 to 8x2 → {narrow}",
        "tf32: True → False",
        "TensorRT: 10.13.2 → 11.0.0",
    ]


def test_a_request_from_a_model_file() -> None:
    path = EXAMPLES / "ocr" / "recogniser.onnx"
    signature = read_signature(path)
    plan = plan_profiles(signature, [Declared(((1, 3, 32, 32),), ((8, 3, 32, 320),))])
    request = request_for(path.read_bytes(), signature, plan, precision="fp16")
    assert request.inputs == (Tensor("image", "float32", (None, 3, 32, None)),)
    assert request.outputs == (Tensor("steps", "float32", (None, None, 37)),)
    assert request.pending and request.model_sha256 == model_hash(path.read_bytes())
    assert "--maxShapes=image:8x3x32x320" in trtexec(request, "recogniser.onnx", "model.plan")


def test_a_request_without_a_gpu_is_pending() -> None:
    pending = replace(REQUEST, gpu=None, tensorrt=None)
    assert pending.pending and json.loads(pending.text())["key"] is None
    built = pending.on(Gpu("NVIDIA H200", "9.0"), "10.13.2")
    assert not built.pending


@pytest.mark.parametrize("request_", [REQUEST, replace(REQUEST, flags=FULL, workspace_mib=1, gpu=None)])
def test_the_text_holds_all_of_it(request_: EngineRequest) -> None:
    text = request_.text({"trtexec": trtexec(request_, "model.onnx", "model.plan")})
    assert read_request(text) == request_
    assert text == request_.text({"trtexec": trtexec(request_, "model.onnx", "model.plan")})
    assert json.loads(text)["commands"]["trtexec"][0] == "trtexec"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "inputs": 3}', "null"])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"engine\.json"):
        read_request(text)


def test_the_command_line_of_trtexec() -> None:
    assert trtexec(REQUEST, "m.onnx", "m.plan", "t.cache") == (
        "trtexec",
        "--onnx=m.onnx",
        "--saveEngine=m.plan",
        "--skipInference",
        "--stronglyTyped",
        "--profile=0",
        "--minShapes=x:1x3x32x32,n:1x2",
        "--optShapes=x:4x3x32x64,n:4x2",
        "--maxShapes=x:8x3x32x64,n:8x2",
        "--profile=1",
        "--minShapes=x:1x3x32x65,n:1x2",
        "--optShapes=x:2x3x32x512,n:4x2",
        "--maxShapes=x:8x3x32x512,n:8x2",
        "--timingCacheFile=t.cache",
    )
    eleven = trtexec(replace(REQUEST, flags=FULL, workspace_mib=512, tensorrt="11.0.0"), "m.onnx", "m.plan")
    assert "--stronglyTyped" not in eleven
    assert eleven[-9:] == (
        "--noTF32",
        "--versionCompatible",
        "--excludeLeanRuntime",
        "--hardwareCompatibilityLevel=ampere+",
        "--refit",
        "--stripWeights",
        "--allowWeightStreaming",
        "--builderOptimizationLevel=4",
        "--memPoolSize=workspace:512M",
    )


def test_trtexec_gets_names_with_colons_in_quotes() -> None:
    request = replace(REQUEST, profiles=((InputRange("x:0", (1, 3), (2, 3), (4, 3)),),))
    assert "--optShapes='x:0':2x3" in trtexec(request, "m.onnx", "m.plan")


@pytest.fixture(scope="module")
def convert() -> Any:
    """Polygraphy's own tool, with its own parser."""
    from polygraphy.tools.convert import Convert

    return Convert()


def parsed(convert: Any, line: tuple[str, ...]) -> dict[str, Any]:
    """What polygraphy understands of a command line."""
    parser = argparse.ArgumentParser()
    convert.setup_parser(parser.add_subparsers())
    assert line[0] == "polygraphy"
    arguments = parser.parse_args(line[1:])
    found = dict(vars(arguments))
    for group in convert.arg_groups.values():
        group.parse(arguments)
        found |= vars(group)
    return found


def test_polygraphy_reads_its_command_line(convert: Any) -> None:
    found = parsed(convert, polygraphy(REQUEST, "m.onnx", "m.plan", "t.cache"))
    assert (found["model_file"], found["output"], found["convert_to"]) == ("m.onnx", "m.plan", "trt")
    assert found["profile_dicts"] == [
        {one.name: (list(one.low), list(one.opt), list(one.high)) for one in profile} for profile in PROFILES
    ]
    assert found["tf32"] and found["strongly_typed"]
    assert found["load_timing_cache"] == "t.cache"
    assert not any(found[name] for name in ("fp16", "bf16", "int8", "fp8", "refittable", "strip_plan"))
    assert not found["_flags"]


def test_polygraphy_reads_every_flag(convert: Any) -> None:
    request = replace(REQUEST, flags=FULL, workspace_mib=512, tensorrt="11.0.0")
    found = parsed(convert, polygraphy(request, "m.onnx", "m.plan"))
    assert not found["tf32"] and not found["strongly_typed"]
    for name in (
        "version_compatible",
        "exclude_lean_runtime",
        "refittable",
        "strip_plan",
        "weight_streaming",
    ):
        assert found[name], name
    assert found["builder_optimization_level"] == 4
    assert {str(k): v for k, v in found["memory_pool_limits"].items()} == {
        "trt.MemoryPoolType.WORKSPACE": 512 * 2**20
    }
    assert str(found["hardware_compatibility_level"]) == "trt.HardwareCompatibilityLevel.AMPERE_PLUS"
    assert found["_flags"] == ["NATIVE_INSTANCENORM"]


@pytest.mark.parametrize("name", ["x:0", "in put", "image.1", "a/b", "a,b", "it's"])
def test_polygraphy_reads_names_that_are_no_words(convert: Any, name: str) -> None:
    request = replace(REQUEST, profiles=((InputRange(name, (1, 3), (2, 3), (4, 3)),),))
    (profile,) = parsed(convert, polygraphy(request, "m.onnx", "m.plan"))["profile_dicts"]
    assert profile == {name: ([1, 3], [2, 3], [4, 3])}
