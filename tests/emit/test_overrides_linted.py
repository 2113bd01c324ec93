"""Raw ModelConfig fields that are valid and yet wrong: the lint's findings, at the keys of the TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

import tpgen
from examples import NAMES, pipeline, small_resnet
from tpgen.diagnostics import Diagnostic, PipelineError, Severity
from tpgen.driver.build import build
from tpgen.driver.options import BuildOptions
from tpgen.emit.lint import lint_repository

_HEAD = """\
[first]
backend = "Identity"
next = "second"
[second]
backend = "Identity"
[pipeline]
name = "two"
"""


def findings(folder: Path, text: str, fuse: str = "auto") -> list[Diagnostic]:
    """What a build finds, all about the TOML; errors keep it from writing, and a check says the same."""
    source = folder / "two.toml"
    source.write_text(_HEAD + text)
    options = BuildOptions(fuse=fuse, cores=2)
    try:
        found = tuple(build(source, folder / "models", options).diagnostics)
        assert (folder / "models" / "tpgen.json").exists()
        assert all(d.severity is not Severity.ERROR for d in found)
        checked = tpgen.check(source, options).diagnostics
    except PipelineError as error:
        found = error.diagnostics
        assert not (folder / "models").exists()
        with pytest.raises(PipelineError) as raised:
            tpgen.check(source, options)
        checked = raised.value.diagnostics
    assert checked == found
    assert all(str(folder / "lint") not in f"{d.message} {d.hint}" and d.file is None for d in found)
    return list(found)


def places(found: list[Diagnostic]) -> list[tuple[str, str, int, str]]:
    """Code, severity, line after the head, and the text pointed at."""
    head = _HEAD.count("\n")
    return [(d.code, d.severity.value, d.span.line - head, d.span.text) for d in found if d.span is not None]


_WRONG = {
    "an element of a list": (
        "triton.first.dynamic_batching = {preferred_batch_size = [4, 16]}",
        ("TP840", "error", 1, "16"),
    ),
    "a group without effect": (
        (
            '[[pipeline.triton.first.instance_group]]\nkind = "KIND_CPU"\ncount = 2\n'
            "[[pipeline.triton.first.instance_group]]\ncount = 0"
        ),
        ("TP858", "warning", 5, "count"),
    ),
    "a group of the other kind": (
        'triton.first.instanceGroup = [{kind = "KIND_CPU", gpus = [0]}]',
        ("TP855", "error", 1, "0"),
    ),
    "a group that takes no requests": (
        "triton.first.instance_group = [{passive = true}]",
        ("TP857", "error", 1, "passive"),
    ),
    "profiles of another backend": (
        'triton.first.instance_group = [{}, {profile = ["0"]}]',
        ("TP856", "error", 1, '"0"'),
    ),
    "a tensor that the model does not have": (
        (
            '[[pipeline.triton.first.model_warmup]]\nname = "w"\nbatch_size = 1\n'
            'inputs.nothing = {data_type = "TYPE_STRING", dims = [1], zero_data = true}'
        ),
        ("TP863", "error", 2, "name"),
    ),
    "a missing field": (
        "[pipeline.triton.first.dynamic_batching]\npriority_levels = 2",
        ("TP841", "error", 1, "pipeline.triton.first.dynamic_batching"),
    ),
    "the key of a map": (
        (
            "[pipeline.triton.first.dynamicBatching]\npriorityLevels = 2\ndefaultPriorityLevel = 1\n"
            "priorityQueuePolicy.3.maxQueueSize = 1"
        ),
        ("TP841", "error", 4, "3"),
    ),
    "the value of a map": (
        'triton.first.parameters.FORCE_CPU_ONLY_INPUT_TENSORS = {string_value = "true"}',
        ("TP867", "error", 1, "string_value"),
    ),
    "a version that is not there": (
        "triton.first.version_policy.specific.versions = [2]",
        ("TP806", "error", 1, "specific"),
    ),
    "a field that was not given": (
        "triton.first.dynamic_batching.default_queue_policy.default_timeout_microseconds = 0",
        ("TP851", "warning", 1, "default_queue_policy"),
    ),
    "a sample that the stage fails on": (
        (
            '[[pipeline.triton.first.model_warmup]]\nname = "w"\nbatch_size = 1\n'
            'inputs.data = {data_type = "TYPE_STRING", dims = [1], zero_data = true}'
        ),
        ("TP924", "warning", 4, "zero_data"),
    ),
    "a file that can be put there": (
        (
            '[[pipeline.triton.first.model_warmup]]\nname = "w"\nbatch_size = 1\n'
            'inputs.data = {data_type = "TYPE_STRING", dims = [1], input_data_file = "cat.jpg"}'
        ),
        ("TP865", "warning", 4, "input_data_file"),
    ),
}


@pytest.mark.parametrize("fuse", ["auto", "none"])
@pytest.mark.parametrize(("text", "expected"), _WRONG.values(), ids=_WRONG)
def test_a_wrong_field_is_found_at_its_key(
    text: str, expected: tuple[str, str, int, str], fuse: str, tmp_path: Path
) -> None:
    (found,) = findings(tmp_path, text, fuse)
    assert places([found]) == [expected]
    assert found.node == "first"
    assert found.model == ("two" if fuse == "auto" else "two__first")
    assert found.hint


def test_of_two_nodes_in_one_model_the_one_that_counts_is_named(tmp_path: Path) -> None:
    text = (
        "triton.first.dynamic_batching.preferred_batch_size = [9]\n"
        "triton.first.instance_group = [{passive = true}]\n"
        "triton.second.dynamic_batching.preferred_batch_size = [10]\n"
    )
    found = findings(tmp_path, text)
    assert sorted(places(found)) == [("TP840", "error", 3, "10"), ("TP857", "error", 2, "passive")]
    assert {d.code: d.node for d in found} == {"TP840": "second", "TP857": "first"}


@pytest.mark.parametrize(
    "text",
    [
        "triton.first.dynamic_batching.preferred_batch_size = [4, 8]",
        'triton.first.instance_group = [{kind = "KIND_CPU", count = 3}]',
        "triton.first.dynamic_batching.default_queue_policy.max_queue_size = 0",
    ],
)
def test_nothing_is_said_about_good_fields(text: str, tmp_path: Path) -> None:
    assert findings(tmp_path, text) == []


def test_a_cache_is_noted_as_the_server_has_to_be_started_with_one(tmp_path: Path) -> None:
    note, warning = findings(tmp_path, "triton.first.response_cache.enable = true")
    assert (note.code, note.severity) == ("TP879", "note")
    assert (warning.code, warning.severity) == ("TP922", "warning")  # as it is a Python stage


@pytest.mark.parametrize("fuse", ["auto", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_the_repositories_of_the_examples_have_no_findings(name: str, fuse: str, tmp_path: Path) -> None:
    models = {"resnet50": str(small_resnet(tmp_path))} if name == "resnet50" else {}
    build(pipeline(name), tmp_path / "models", BuildOptions(fuse=fuse, cores=2, models=models))
    assert lint_repository(tmp_path / "models") == []
