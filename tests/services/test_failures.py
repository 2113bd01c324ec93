"""Failures of operators in a server's log, told as they come."""

from __future__ import annotations

import json
from pathlib import Path

from tpgen.services.failures import FailureWatch

TRACE = "Traceback (most recent call last):\n  File \"ops.py\", line 4, in find\nKeyError: 'boom'"


def logged(message: str, trace: str = TRACE) -> str:
    text = f"{message}\n{trace}"
    return f"E1121 13:39:02.438105 14315 triton.py:146] {json.dumps(text)}\n"


def test_each_traceback_is_told_once_in_ten_seconds(tmp_path: Path) -> None:
    log, now = tmp_path / "log", [100.0]
    watch = FailureWatch(log, lambda: now[0])
    assert watch.fresh() == []
    with open(log, "a") as file:
        file.write('I1121 13:39:02.438105 14315 x.cc:1] "hello"\n' + logged("[a] one") + logged("[a] two"))
        file.write(logged("[a] other", TRACE + "!") + logged("[a] cut")[:30])
    assert watch.fresh() == [f"[a] one\n{TRACE}", f"[a] other\n{TRACE}!"]
    with open(log, "a") as file:
        file.write(logged("[a] cut")[30:])
    now[0] += 9
    assert watch.fresh() == []
    now[0] += 2
    with open(log, "a") as file:
        file.write(logged("[a] late"))
    assert watch.fresh() == [f"[a] late (and 2 more like it before)\n{TRACE}"]


def test_backslashes_and_quotes_are_those_of_the_message(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(logged("[a] \\ 'new' \"one\""))
    assert FailureWatch(log).fresh() == [f"[a] \\ 'new' \"one\"\n{TRACE}"]
