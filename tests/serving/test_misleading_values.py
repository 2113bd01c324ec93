"""Keys and raw fields with values that say something else than they seem to: told at their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_models import write_models
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, check
from tpgen.emit.config_pbtxt import parse

TOML = """
[pipeline]
name = "p"
inputs = {{data = "float32[3,8,8]"}}
[net]
backend = "TensorrtTensor"
model = "convolution.onnx"
execution_provider = "cuda"
execution_provider_options = {{{option}}}
"""
OPTIONS = BuildOptions(target="gpu", cores=2)


def pipeline(folder: Path, option: str) -> Path:
    """The file of a pipeline with this option."""
    write_models(folder)
    (folder / "p.toml").write_text(TOML.format(option=option))
    return folder / "p.toml"


@pytest.mark.parametrize("value", ["[1, 2]", "{a = 1}"])
def test_what_is_no_single_value_is_refused_at_the_option(tmp_path: Path, value: str) -> None:
    with pytest.raises(PipelineError) as raised:
        check(pipeline(tmp_path, f"device_id = 0, gpu_mem_limit = {value}"), OPTIONS)
    (found,) = raised.value.diagnostics
    assert found.code == "TP103" and found.span is not None
    assert (found.span.line, found.span.text) == (9, "gpu_mem_limit")
    assert "'gpu_mem_limit'" in found.message


@pytest.mark.parametrize(("value", "text"), [("true", "true"), ("3", "3"), ("'x'", "x")])
def test_switches_and_numbers_are_text_in_the_configuration(tmp_path: Path, value: str, text: str) -> None:
    build(pipeline(tmp_path, f"gpu_mem_limit = {value}"), tmp_path / "repository", OPTIONS)
    config = parse((tmp_path / "repository" / "p__net" / "config.pbtxt").read_text())
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.parameters["gpu_mem_limit"] == text


@pytest.mark.parametrize("field", ["response_cache = {enable = true}", "responseCache = {enable = true}"])
def test_a_raw_cache_in_front_of_a_python_stage_is_warned_of(tmp_path: Path, field: str) -> None:
    path = pipeline(tmp_path, "")
    path.write_text(f"{path.read_text()}[pipeline.triton.net]\n{field}\n")
    for target, told in (("cpu", [11]), ("gpu", [])):
        found = check(path, BuildOptions(target=target, cores=2)).diagnostics
        said = [one for one in found if "second time" in one.message]
        assert [(one.code, one.span.line) for one in said if one.span] == [("TP922", line) for line in told]
