"""Whatever a directory holds, the lint answers with findings and never with an exception."""

from __future__ import annotations

import os
import random
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lint_cases import CASES
from lint_repositories import config, ensemble, python, step, write, write_files
from tpgen.diagnostics import Diagnostic, Severity, render
from tpgen.emit.lint import lint_repository

_TEXTS = sorted(
    {
        text
        for case in CASES
        for path, text in case.files.items()
        if path == "config.pbtxt" and isinstance(text, str) and not text.startswith("->")
    }
)


def lint(root: Path) -> list[Diagnostic]:
    """The findings; each can be printed."""
    findings = lint_repository(root)
    for finding in findings:
        assert render(finding) and finding.to_json()["message"] and finding.hint
    return findings


def codes(root: Path) -> set[str]:
    return {finding.code for finding in lint(root)}


def test_what_is_no_repository_is_said(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere") == {"TP800"}
    (tmp_path / "file").write_text("text")
    assert codes(tmp_path / "file") == {"TP800"}
    (tmp_path / "empty").mkdir()
    (finding,) = lint(tmp_path / "empty")
    assert finding.code == "TP800" and finding.severity is Severity.ERROR
    (tmp_path / "circle").symlink_to("circle")
    assert codes(tmp_path / "circle") == {"TP800"}


def test_a_model_directory_given_for_its_repository(tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", python())
    (finding,) = lint(tmp_path / "m")
    assert finding.code == "TP800" and str(tmp_path) in str(finding.hint)


def test_links_in_circles_and_pipes(tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", python())
    (tmp_path / "m" / "self").symlink_to(tmp_path)  # the repository, in itself
    (tmp_path / "m" / "1" / "up").symlink_to(tmp_path / "m")
    os.mkfifo(tmp_path / "m" / "1" / "pipe.py")
    assert codes(tmp_path) == set()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    assert codes(tmp_path) == {"TP802"}
    (tmp_path / "m" / "config.pbtxt").unlink()
    os.mkfifo(tmp_path / "m" / "config.pbtxt")
    assert codes(tmp_path) == {"TP802", "TP810"}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    for name in ("closed", "open"):
        write_files(tmp_path / name, name, python())
    (tmp_path / "open" / "config.pbtxt").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        assert codes(tmp_path) == {"TP800", "TP810"}
    finally:
        (tmp_path / "closed").chmod(stat.S_IRWXU)


def test_binary_files(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(200_000)
    write_files(tmp_path / "both", "both", {"config.pbtxt": noise, "1/model.py": noise})
    write_files(tmp_path / "code", "code", python(noise))
    write_files(tmp_path / "onnx", "onnx", {"config.pbtxt": config(backend=""), "1/model.onnx": noise})
    found = {finding.model: set() for finding in lint(tmp_path)}
    for finding in lint(tmp_path):
        found[finding.model].add(finding.code)
    assert found == {"both": {"TP811", "TP813"}, "code": {"TP832"}, "onnx": {"TP838"}}


def test_a_configuration_that_is_far_too_large(tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", {"config.pbtxt": " " * (5 << 20), "1/model.py": ""})
    assert codes(tmp_path) == {"TP810"}


@pytest.mark.parametrize(
    "text", ["input {" * 50_000, "input [" * 50_000, "{" * 50_000, '"' * 50_000, "a:" * 50_000]
)
def test_depth_without_end(text: str, tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", python(name=text))
    assert codes(tmp_path) == {"TP811"}


def test_code_of_great_depth(tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", python("x = " + "(" * 5_000 + ")" * 5_000))
    write_files(tmp_path / "n", "n", python("x = " + "-" * 50_000 + "1"))
    assert codes(tmp_path) == {"TP832"}


def test_ten_thousand_directories(tmp_path: Path) -> None:
    for index in range(10_000):
        (tmp_path / f"d{index}").mkdir()
    findings = lint(tmp_path)
    assert {finding.code for finding in findings} == {"TP801"}
    assert len(findings) == 9 and "9992 more" in findings[-1].message


def test_ensembles_in_great_number_and_depth(tmp_path: Path) -> None:
    """A chain of thousands of steps, written backwards, and a thousand ensembles, each in the next."""
    tensors = ["x", *(f"t{index}" for index in range(2_000)), "y"]
    steps = [step(reads=(("x", a),), writes=(("y", b),)) for a, b in pairwise(tensors)]
    write(tmp_path, [case for case in CASES if case.name == "e_works"])
    write_files(tmp_path / "chain", "chain", ensemble(*reversed(steps)))
    for index in range(1_000):
        name = f"nested{index}"
        write_files(tmp_path / name, name, ensemble(step(f"nested{index - 1}" if index else "lib_step")))
    (finding,) = lint(tmp_path)
    assert finding.code == "TP860" and finding.model == "chain", "it is slow, and nothing worse"


def _mutated(text: str, seed: int) -> str:
    """The text with a few pieces removed, doubled, or replaced by others."""
    dice = random.Random(seed)
    signs = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "'",
        "<",
        ">",
        "-1",
        "0",
        "99999999999",
        "\0",
        "é",
        "\n",
        " x ",
    ]
    for _ in range(dice.randint(1, 6)):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.randint(0, 12))
        text = text[:start] + dice.choice([*signs, "", text[start:end] * 2]) + text[end:]
    return text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(_TEXTS), seed=st.integers(0, 10**9))
def test_mutated_configurations(text: str, seed: int, tmp_path: Path) -> None:
    write_files(tmp_path / "lib_step", "lib_step", python())
    write_files(tmp_path / "m", "m", {"config.pbtxt": _mutated(text.replace("{name}", "m"), seed).encode()})
    (tmp_path / "m" / "1").mkdir(exist_ok=True)
    lint(tmp_path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes(data: bytes, tmp_path: Path) -> None:
    write_files(tmp_path / "m", "m", {"config.pbtxt": data, "1/model.py": data})
    lint(tmp_path)
