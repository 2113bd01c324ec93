"""Turns the server's running totals into what one stretch of load did: batches formed, time spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

from .client import Client

_COMPUTE = ("compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class Totals:
    """What a model has done since the server started, or between two moments. Times in nanoseconds."""

    requests: int = 0
    failures: int = 0
    inferences: int = 0
    executions: int = 0
    queue_ns: int = 0
    compute_ns: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, earlier: Totals) -> Totals:
        return Totals(*(a - b for a, b in zip(astuple(self), astuple(earlier), strict=True)))


@dataclass(frozen=True)
class Stage:
    """What a model did under load: the mean batch, and the mean times of one request in milliseconds."""

    model: str
    requests: int
    failures: int
    batch: float | None
    queue_ms: float | None
    compute_ms: float | None


class Counters:
    """Reads a server's totals and knows which models an ensemble is made of."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        ready = {entry["name"] for entry in client.models() if entry["state"] == "READY"}
        self._steps = {name: _steps(client, name) for name in ready}

    def read(self) -> dict[str, Totals]:
        """The totals of every model, all of its versions together."""
        totals: dict[str, Totals] = {}
        for entry in self._client.statistics():
            spent = entry.get("inference_stats", {})
            new = Totals(
                int(spent.get("success", {}).get("count", 0)),
                int(spent.get("fail", {}).get("count", 0)),
                int(entry.get("inference_count", 0)),
                int(entry.get("execution_count", 0)),
                int(spent.get("queue", {}).get("ns", 0)),
                sum(int(spent.get(part, {}).get("ns", 0)) for part in _COMPUTE),
            )
            totals[entry["name"]] = totals.get(entry["name"], Totals()) + new
        return totals

    def entry(self, before: Mapping[str, Totals], after: Mapping[str, Totals]) -> Stage:
        """What the measured model did; of an ensemble, all its steps' times and the mean of their batches."""
        own = _used(before, after, self._model)
        parts = (_used(before, after, name) for name in self._leaves(self._model, frozenset()))
        worked = replace(sum(parts, Totals()), requests=own.requests, failures=own.failures)
        return _stage(self._model, worked)

    def stages(self, before: Mapping[str, Totals], after: Mapping[str, Totals]) -> list[Stage]:
        """What each model that works itself (no ensemble) did, if it did anything."""
        names = sorted(name for name in after if not self._steps.get(name))
        stages = [_stage(name, _used(before, after, name)) for name in names]
        return [stage for stage in stages if stage.requests or stage.failures]

    def _leaves(self, model: str, above: frozenset[str]) -> set[str]:
        steps = self._steps.get(model, ())
        if not steps or model in above:
            return {model}
        return set().union(*(self._leaves(step, above | {model}) for step in steps))


def _steps(client: Client, model: str) -> tuple[str, ...]:
    scheduling = client.model_config(model).get("ensemble_scheduling") or {}
    return tuple(step["model_name"] for step in scheduling.get("step", ()))


def _used(before: Mapping[str, Totals], after: Mapping[str, Totals], model: str) -> Totals:
    return after.get(model, Totals()) - before.get(model, Totals())


def _stage(model: str, used: Totals) -> Stage:
    requests = used.requests
    return Stage(
        model,
        requests,
        used.failures,
        batch=used.inferences / used.executions if used.executions else None,
        queue_ms=used.queue_ns / requests / 1e6 if requests else None,
        compute_ms=used.compute_ns / requests / 1e6 if requests else None,
    )
