"""Running a generated stage in this process, behind the same adaptive batching as on the server.

A batch forms from what is waiting when a worker becomes free: nobody waits for a batch to fill.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import queue
import threading
import weakref
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeAlias

from .interpreter import ItemError
from .kernels import tag_of

_numbers = itertools.count()
Outcome = dict[str, Any]
_Queue: TypeAlias = "queue.SimpleQueue[_Ticket | None]"


class Pipe:
    """A compiled pipeline as a function of dictionaries. Thread-safe; close it, or use it in ``with``.

    ``pipe(d)`` reads the entry's inputs from ``d`` and puts its outputs there; an absent output's key is
    removed. A list of dictionaries runs concurrently.

    Raises (from a call):
        ItemError: the item failed; its dictionary is as it was. Of a list, the first error is raised after
            all others were done.
    """

    def __init__(self, version_directory: Path, max_batch: int, workers: int, threads: int) -> None:
        module = _load_module(version_directory / "stage.py")
        runtime = importlib.import_module("tpgen_runtime.stage")
        self._waiting: _Queue = queue.SimpleQueue()
        self._item_class = runtime.Item
        stages = []
        for _ in range(workers):
            stage = module.PipelineStage()
            stage.load(runtime.LoadContext(str(version_directory), threads))
            stages.append(stage)
        self._inputs = {port.key: port for port in stages[0].inputs}
        self._outputs = {port.key: port for port in stages[0].outputs}
        # The workers hold the queue, not the pipe: a pipe that nobody refers to any more ends them.
        self._threads = [
            threading.Thread(
                target=_work, args=(stage, self._waiting, max_batch), daemon=True, name="tpgen-pipe"
            )
            for stage in stages
        ]
        for thread in self._threads:
            thread.start()
        self._end = weakref.finalize(self, _end_workers, self._waiting, workers)

    def __call__(self, data: MutableMapping[str, Any] | Sequence[MutableMapping[str, Any]]) -> None:
        """Run one dictionary, or several concurrently; see the class."""
        listed = [data] if isinstance(data, MutableMapping) else list(data)
        tickets = [self._submit(one) for one in listed]
        first: ItemError | None = None
        for one, ticket in zip(listed, tickets, strict=True):
            outcome = ticket.future.result()
            if isinstance(outcome, ItemError):
                first = first or outcome
                continue
            for key, port in self._outputs.items():
                one.pop(key, None)
                if port.has_tag:
                    one.pop(f"{key}_tag", None)
            one.update(outcome)
        if first is not None:
            raise first

    def close(self) -> None:
        """Let the workers end; calls that wait are answered first."""
        self._end()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, data: Mapping[str, Any]) -> _Ticket:
        if not self._end.alive:
            raise RuntimeError("the pipe is closed")
        ticket = _Ticket(self._outputs)
        try:
            values = {
                key: _accepted(port, data)
                for key, port in self._inputs.items()
                if key in data or not port.optional_value
            }
        except ItemError as problem:
            ticket.future.set_result(problem)
            return ticket
        ticket.item = self._item_class(values, ticket, 0)
        self._waiting.put(ticket)
        return ticket


def _end_workers(waiting: _Queue, workers: int) -> None:
    for _ in range(workers):
        waiting.put(None)


def _work(stage: Any, waiting: _Queue, max_batch: int) -> None:
    """Take what is waiting as one batch, again and again, until None comes."""
    while (ticket := waiting.get()) is not None:
        batch = [ticket]
        while len(batch) < max_batch:
            try:
                more = waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                waiting.put(None)  # for later: first what waits is answered
                break
            batch.append(more)
        _process(stage, batch)


class _Ticket:
    """The owner of one item: turns what the stage says of it into an outcome."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self.future: Future[Outcome | ItemError] = Future()
        self.item: Any = None
        self._outputs = outputs

    def finished(self, item: Any) -> None:
        if item.reason and "result" not in item:
            self.settle(ItemError(item.reason, is_input=True))
            return
        try:
            found = {key: _sent(port, item[key]) for key, port in self._outputs.items() if key in item}
            tags = [key for key in found if self._outputs[key].has_tag]
            self.settle({**found, **{f"{key}_tag": tag_of(found[key]) for key in tags}})
        except Exception as problem:  # noqa: BLE001  (the caller gets it)
            self.settle(ItemError(str(problem), is_input=False))

    def failed(self, item: Any, message: str) -> None:
        self.settle(ItemError(message, is_input=False, place=getattr(message, "place", "")))

    def settle(self, outcome: Outcome | ItemError) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


def _process(stage: Any, batch: list[_Ticket]) -> None:
    try:
        stage.process([ticket.item for ticket in batch])
    except Exception as problem:  # noqa: BLE001  (whatever it is, nobody may wait for ever)
        for ticket in batch:
            ticket.settle(ItemError(f"{type(problem).__name__}: {problem}", is_input=False))
    for ticket in batch:
        ticket.settle(ItemError("the stage did not finish this item", is_input=False))


def _accepted(port: Any, data: Mapping[str, Any]) -> Any:
    """The value of an input, as it would arrive over the wire: user code may change it, not the caller's."""
    if port.key not in data:
        raise ItemError(f"input '{port.key}' is missing", is_input=True)
    try:
        return port.decode(port.encode([copy.deepcopy(data[port.key])]))[0]
    except Exception as problem:  # noqa: BLE001  (the runtime's own errors, which this module cannot name)
        raise ItemError(str(problem), is_input=True) from None


def _sent(port: Any, value: Any) -> Any:
    """The value of an output, as a client would get it."""
    return port.decode(port.encode([value]))[0]


def _load_module(path: Path) -> ModuleType:
    """Load a stage under a name of its own, so that two pipelines never share one."""
    name = f"_tpgen_stage_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
