"""Load tests with the real perf_analyzer, and what is made of their figures."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tpgen.diagnostics import PipelineError
from tpgen.services.client import RequestError
from tpgen.services.counters import Stage
from tpgen.services.load import Settings
from tpgen.services.perf import parse_concurrency, perf
from tpgen.services.perf_report import PerfReport, Row
from tpgen.services.server import TritonServer

SHORT = Settings(measurement_ms=250, stability=1000.0, max_trials=4)
COLUMNS = [
    "concurrency",
    "throughput",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "batch",
    "queue_ms",
    "compute_ms",
    "errors",
    "note",
]
HEADINGS = [
    "concurrency",
    "inferences/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "batch",
    "queue ms",
    "compute ms",
    "errors",
]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("4", [4]),
        (4, [4]),
        ([2, 1], [2, 1]),
        ("1,3,8", [1, 3, 8]),
        ("1:16", [1, 2, 4, 8, 16]),
        ("1:10", [1, 2, 4, 8, 10]),
        ("3:3", [3]),
        ("1:16:5", [1, 6, 11, 16]),
        ("2:7:3", [2, 5]),
    ],
)
def test_levels_of_concurrency(text: str | int | list[int], levels: list[int]) -> None:
    assert parse_concurrency(text) == levels


@pytest.mark.parametrize("text", ["", "a", "0", "0:4", "4:1", "1:4:0", "1:2:3:4", "-1", "1,", [], 0, "1.5"])
def test_other_levels_are_refused(text: str | int | list[int]) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        parse_concurrency(text)


@pytest.mark.triton
def test_a_report_has_figures_of_every_level_and_is_saved(server: TritonServer, tmp_path: Path) -> None:
    said: list[str] = []
    report = perf(server, "double", [{"x": [1, 2, 3, 4]}], "1,4", settings=SHORT, progress=said.append)
    assert report.protocol == "grpc"
    assert [list(row) for row in report.rows] == [COLUMNS, COLUMNS]
    for row, level in zip(report.rows, (1, 4), strict=True):
        assert row["concurrency"] == level
        assert row["errors"] == 0
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert 0 < row["throughput"] < level * 1000 / row["p50_ms"] * 2
        assert 1 <= row["batch"] <= level
        assert row["queue_ms"] > 0
        assert row["compute_ms"] > 0
    assert report.rows[0]["batch"] == 1, "one request at a time leaves nothing to batch"
    assert [line.partition(":")[0] for line in said] == [f"concurrency {n}" for n in (1, 1, 4, 4)]
    table = report.table().splitlines()
    assert re.split(r" {2,}", table[0].strip()) == HEADINGS
    assert [line.split()[0] for line in table[1:3]] == ["1", "4"]

    paths = report.save(tmp_path / "new" / "results")
    assert [path.name for path in paths] == ["perf.csv", "perf.json", "perf.svg"]
    with open(paths[0], newline="") as file:
        assert [float(row["throughput"]) for row in csv.DictReader(file)] == [
            r["throughput"] for r in report.rows
        ]
    assert json.loads(paths[1].read_text())["rows"] == report.rows
    assert len(ElementTree.parse(paths[2]).findall(".//{*}circle")) == 2 * 3


@pytest.mark.triton
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_samples_arrive_as_they_were_given(server: TritonServer, protocol: str) -> None:
    """The models answer with an error, which ends a load test, unless padding and bytes are right."""
    url = server.http_url if protocol == "http" else server.grpc_url
    pictures = [np.full((height, 3, 3), 2, np.uint8) for height in (1, 4, 2)]
    report = perf(url, "padded", [{"img": picture} for picture in pictures], [2], settings=SHORT)
    assert (report.protocol, report.rows[0]["errors"]) == (protocol, 0)
    text = perf(url, "echo", [{"data": b""}, {"data": "a\0b"}, {"data": b"x" * 70_000}], 2, settings=SHORT)
    assert text.rows[0]["errors"] == 0


@pytest.mark.triton
def test_an_ensemble_is_measured_through_its_steps(server: TritonServer) -> None:
    report = perf(server, "quadruple", [{"x": [1, 2, 3, 4]}], "8", settings=SHORT)
    (row,) = report.rows
    (stage,) = report.stages[8]
    assert stage.model == "double"
    assert row["batch"] == pytest.approx(stage.batch, abs=1e-4)
    assert row["batch"] > 1
    assert row["compute_ms"] == pytest.approx(2 * stage.compute_ms, rel=0.2), "each request passes it twice"


@pytest.mark.triton
def test_a_level_that_never_settles_has_figures_and_a_note(server: TritonServer) -> None:
    never = Settings(measurement_ms=100, stability=0.0001, max_trials=3)
    report = perf(server, "double", [{"x": [1, 2, 3, 4]}], "2", settings=never)
    assert report.rows[0]["throughput"] > 0
    assert "not stable" in report.notes[0]
    assert "note: concurrency 2: not stable" in report.table()


@pytest.mark.triton
def test_a_model_slower_than_a_window_gets_a_longer_one(server: TritonServer) -> None:
    brief = Settings(measurement_ms=40, stability=1000.0, max_trials=3)
    report = perf(server, "slow", [{"x": [1, 2, 3, 4]}], "1", settings=brief)
    assert report.rows[0]["p50_ms"] > 150
    assert "take longer" in report.notes[0]


@pytest.mark.triton
def test_a_model_that_begins_to_fail_is_reported_with_its_words(server: TritonServer) -> None:
    with pytest.raises(PipelineError, match="tired of it") as caught:
        perf(server, "tired", [{"x": [1, 2, 3, 4]}], "1", settings=SHORT)
    assert [d.code for d in caught.value.diagnostics] == ["TP707"]


@pytest.mark.triton
def test_a_level_that_a_queue_refuses_shows_its_failures(server: TritonServer, tmp_path: Path) -> None:
    report = perf(server, "narrow", [{"x": [1, 2, 3, 4]}], "1,16", settings=SHORT)
    low, high = report.rows
    assert (low["errors"], low["note"] is None or "longer" in str(low["note"])) == (0, True)
    assert high["throughput"] is None and int(high["errors"] or 0) > 0
    assert str(high["note"]).startswith("requests were refused, as a queue was full")
    with open(report.save(tmp_path)[0], newline="") as file:
        assert list(csv.DictReader(file))[1]["note"] == high["note"]


@pytest.mark.triton
@pytest.mark.parametrize(
    ("model", "samples", "code", "words"),
    [
        ("dubble", [{"x": [1, 2, 3, 4]}], "TP706", "did you mean 'double'"),
        (None, [{"x": [1, 2, 3, 4]}], "TP706", "--model"),
        ("echo", [{"data": b"good"}, {"data": b"bad"}], "TP708", "sample 2 of 2 fails: echo.toml:6"),
        ("echo", [{"data": [b"a", b"b"]}], "TP708", "is a batch"),
        ("echo", [{"date": b"a"}], "TP708", "no input 'date'"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(
    server: TritonServer, model: str | None, samples: list[dict[str, object]], code: str, words: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        perf(server, model, samples, "1", settings=SHORT)
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert words in str(caught.value)


@pytest.mark.triton
def test_no_server_at_all() -> None:
    with pytest.raises(RequestError, match="no server answers"):
        perf("grpc://127.0.0.1:1", "double", [{"x": [1, 2, 3, 4]}], "1")


def made_up(*rows: Row) -> PerfReport:
    report = PerfReport("ocr <&>", "127.0.0.1:8001", "grpc", 3, Settings())
    for row in rows:
        report.add(row, [Stage("ocr", 9, 0, 1.5, 0.25, 2.0), Stage("ocr__det", 9, 0, None, None, None)])
    return report


def test_a_level_without_figures_leaves_gaps_not_zeros() -> None:
    good = Row(1, 100.0, 1.0, 2.0, 3.0, 1.0, 0.5, 0.25, 0)
    report = made_up(good, Row(2, None, None, None, None, None, None, None, 7, "queue is full"))
    lines = report.table().splitlines()
    assert lines[2].split() == ["2", "-", "-", "-", "-", "-", "-", "-", "7"]
    assert lines[4].startswith("model (at concurrency 2)")
    assert lines[6].split() == ["ocr__det", "9", "-", "-", "-"]
    assert lines[-1] == "note: concurrency 2: queue is full"
    assert report.rows[1]["throughput"] is None
    assert report.measured[1].summary() == "no figures: queue is full"
    drawing = ElementTree.fromstring(report.svg())
    assert len(drawing.findall(".//{*}circle")) == 3
    assert len([text for text in drawing.findall(".//{*}text") if text.text == "\u00d7"]) == 2


def test_levels_that_varied_or_failed_are_marked_in_the_chart() -> None:
    sound = Row(1, 100.0, 1.0, 2.0, 3.0, 1.0, 0.5, 0.25, 0)
    varied = replace(sound, concurrency=2, note="not stable: ...", stable=False)
    failed = Row(16, None, None, None, None, None, None, None, 3, "queue is full")
    drawing = ElementTree.fromstring(made_up(sound, failed, varied).svg())
    fills = [dot.get("fill") for dot in drawing.findall(".//{*}circle")]
    assert len(fills) == 6 and fills.count("#ffffff") == 3
    texts = [str(text.text) for text in drawing.findall(".//{*}text")]
    assert texts.count("16") == 2, "the level stands on both axes"
    assert any("not stable" in text and "failed" in text for text in texts)
    assert len(drawing.findall(".//{*}polyline[@stroke-width='2.5']")) == 6, "no line passes the failed level"
    (legend,) = [text for text in texts if text.startswith("grpc")]
    plain = ElementTree.fromstring(made_up(sound).svg())
    assert legend not in [text.text for text in plain.findall(".//{*}text")]


def test_the_chart_is_drawn_to_scale_with_names_and_units() -> None:
    rows = [Row(2**n, 100.0 * (n + 1), n + 1.0, n + 2.0, n + 2.0, 1.0, 0.1, 0.1, 0) for n in range(4)]
    drawing = ElementTree.fromstring(made_up(*rows).svg())
    texts = [text.text for text in drawing.findall(".//{*}text")]
    assert {"ocr <&>", "Throughput, inferences/s", "Latency, ms", "concurrent requests", "p50", "p99"} <= set(
        texts
    )
    assert [text for text in texts if text in {"1", "2", "4", "8"}].count("8") >= 2
    dots = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in drawing.findall(".//{*}circle")][:4]
    steps = {round(b[1] - a[1], 1) for a, b in pairwise(dots)}
    assert len(steps) == 1, "equal steps of throughput are equally high"
    assert steps.pop() < 0, "and more is higher"
    width, height = float(drawing.get("width", 0)), float(drawing.get("height", 0))
    assert all(0 < x < width and 0 < y < height for x, y in dots)
