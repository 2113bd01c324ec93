"""A Grafana dashboard of a repository: the figures of every node, and those that Triton keeps per model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_WINDOW = "[$__rate_interval]"
_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_HEIGHT, _WIDTH, _COLUMNS = 8, 8, 3  # Grafana's grid is 24 wide


@dataclass(frozen=True)
class ServedEntry:
    """An entry, the nodes of the TOML behind it in their order, and the Triton models that run it."""

    name: str
    nodes: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class _Panel:
    """A graph over time; ``queries`` are pairs of a legend and PromQL."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str


def dashboard(title: str, entries: Sequence[ServedEntry]) -> dict[str, Any]:
    """The dashboard as Grafana's JSON model: for each entry a row of its nodes, and one of Triton's."""
    panels: list[dict[str, Any]] = []
    top = 0
    for name, shown in _rows(entries):
        panels.append(_row(len(panels) + 1, name, top))
        top += 1
        for position, panel in enumerate(shown):
            line, column = divmod(position, _COLUMNS)
            panels.append(_graph(len(panels) + 1, panel, column * _WIDTH, top + line * _HEIGHT))
        top += -(-len(shown) // _COLUMNS) * _HEIGHT
    return {
        "uid": "tpgen-pipelines",
        "title": title,
        "tags": ["tpgen", "triton"],
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": panels,
    }


def _rows(entries: Iterable[ServedEntry]) -> Iterator[tuple[str, list[_Panel]]]:
    for entry in entries:
        if entry.nodes:
            yield f"{entry.name}: nodes", list(_node_panels(entry))
        yield f"{entry.name}: Triton", list(_triton_panels(entry))


def _node_panels(entry: ServedEntry) -> Iterator[_Panel]:
    """Of each node, what docs/metrics.md says of its counters."""

    def rate(counter: str, node: str) -> str:
        labels = f'pipeline="{entry.name}",node="{_escaped(node)}"'
        return f"sum(rate(tpgen_node_{counter}_total{{{labels}}}{_WINDOW}))"

    def each(over: str, under: str = "") -> tuple[tuple[str, str], ...]:
        return tuple(
            (node, f"{rate(over, node)} / {rate(under, node)}" if under else rate(over, node))
            for node in entry.nodes
        )

    yield _Panel("items a second", "ops", each("items"), "Items that entered the node.")
    yield _Panel("seconds a batch", "s", each("seconds", "batches"), "The latency of a batch in the node.")
    yield _Panel("items a batch", "short", each("items", "batches"), "The batch size that the node gets.")
    yield _Panel("errors a second", "ops", each("errors"), "Items that its operators could not work on.")
    yield _Panel(
        "skipped a second", "ops", each("skipped"), "Items that ended in front of it or passed it by."
    )
    yield _Panel("busy processes", "short", each("seconds"), "Seconds of processes that it takes a second.")


def _triton_panels(entry: ServedEntry) -> Iterator[_Panel]:
    def rate(counter: str, model: str) -> str:
        return f'sum(rate(nv_inference_{counter}{{model="{model}"}}{_WINDOW}))'

    def each(over: str, under: str = "", scale: str = "") -> tuple[tuple[str, str], ...]:
        return tuple(
            (model, f"{rate(over, model)} / {rate(under, model)}{scale}" if under else rate(over, model))
            for model in entry.models
        )

    pending = tuple(
        (model, f'sum(nv_inference_pending_request_count{{model="{model}"}})') for model in entry.models
    )
    micro = " / 1e6"
    yield _Panel("requests a second", "reqps", each("request_success"), "Requests with an answer.")
    yield _Panel("failed requests a second", "reqps", each("request_failure"), "By Triton's own account.")
    yield _Panel("waiting requests", "short", pending, "In the queue at the moment.")
    queue = each("queue_duration_us", "request_success", micro)
    yield _Panel("queue time of a request", "s", queue, "From its arrival to the start of its batch.")
    compute = each("compute_infer_duration_us", "request_success", micro)
    yield _Panel("computing time of a request", "s", compute, "Of the batch that it was in.")
    yield _Panel("items an execution", "short", each("count", "exec_count"), "The size of Triton's batches.")


def _escaped(name: str) -> str:
    """A name inside the quotes of PromQL."""
    return re.sub(r'(["\\])', r"\\\1", name)


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": 24, "x": 0, "y": top}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _graph(number: int, panel: _Panel, left: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": left, "y": top},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": f"Q{index}", "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for index, (legend, expr) in enumerate(panel.queries, start=1)
        ],
    }
