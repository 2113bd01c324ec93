"""Each rule finds what it is for, at the right place, and nothing in what is nearly that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lint_cases import CASES
from lint_repositories import Case, Server, write
from tpgen.diagnostics import Diagnostic
from tpgen.emit.lint import DIRECTORY_RULES, MODEL_RULES, lint_repository

_NEED_EACH_OTHER = ("circle_", "lib_dali", "dali_", "glue_", "hop_", "share_")


def found(case: Case, folder: Path) -> list[Diagnostic]:
    """What the lint says about the case's model."""
    cases = [case]
    if case.name.startswith(_NEED_EACH_OTHER):
        cases = [other for other in CASES if other.name.startswith(_NEED_EACH_OTHER)]
    write(folder, cases)
    findings = lint_repository(folder, case.target)
    others = [finding for finding in findings if finding.model in case.others]
    assert others == [], "the models that a case needs are good"
    return [finding for finding in findings if finding.model == case.name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_has_its_finding_and_no_other(case: Case, tmp_path: Path) -> None:
    findings = found(case, tmp_path / "models")
    expected = {case.code: "any", **dict.fromkeys(case.more)} if case.code else {}
    assert sorted({finding.code for finding in findings}) == sorted(expected), findings
    for finding in findings:
        assert finding.hint, "every finding says what to do"
        assert finding.span is not None or finding.file is not None
        if finding.code == case.code:
            assert finding.severity.value == case.finding.split()[1]


def test_the_verdicts_follow_from_what_the_server_does() -> None:
    bad = {Server.REFUSES, Server.FAILS, Server.DIES, Server.HANGS, Server.REFUSES_OR_DIES}
    good = {Server.WORKS, Server.LOADS}
    for case in CASES:
        assert case.server not in (good if case.is_error else bad), case.name
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


def _codes(rules: tuple[object, ...]) -> Iterator[str]:
    for rule in rules:
        yield str(rule.__doc__)[:5]


def test_every_rule_has_a_case_and_a_near_miss() -> None:
    """A near miss of a rule is a good model in the same group of cases; here they are only counted."""
    rules = set(_codes(DIRECTORY_RULES)) | set(_codes(MODEL_RULES))
    tripped = {case.code for case in CASES}
    assert rules - tripped == {"TP800", "TP830", "TP838", "TP908"}, "these have tests of their own"
    assert sum(case.finding is None for case in CASES) > 60
