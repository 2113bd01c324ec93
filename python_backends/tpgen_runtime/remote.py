"""Models of their own that a stage calls: batched requests to the same server (BLS).

Nothing is inherited by such a request, so what clients sent beside their tensors is passed on by hand.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import triton_python_backend_utils as pb_utils

from . import callers
from .errors import Busy, ItemError, RemoteError

_IN_FLIGHT = 4  # requests of one stage to one model at a time: enough to fill its batches
_LONGEST_ID = 1000
_FULL, _EXPIRED = "maximum queue size", "timeout expired"  # in what Triton says of a queue
# Models on a GPU would leave their answers there, out of numpy's reach. Stubs made without one know no other.
_IN_MEMORY = (
    {"preferred_memory": pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU)}
    if hasattr(pb_utils, "PreferredMemory")
    else {}
)
# Seconds before another attempt, twice as many before each further one, and never more than the last.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 2.0


class RemoteModel:
    """A model as a kernel on lists: items of equal shapes go together, at most ``max_batch`` a request.

    ``inputs`` and ``outputs`` are its ports, ``names`` the tensors of the outputs. A model with several
    outputs also gives their tuple, first. ``where`` is what its own messages begin with,
    ``pipeline.toml:6 [node]``. ``retry``: further attempts while the model has no time, which all rows of
    a call share: whatever else happens to one, no row is waited for more often.
    """

    def __init__(self, model, *, where, inputs, outputs, names, max_batch, retry=0):
        self._model = model
        self._where = where
        self._inputs = inputs
        self._outputs = outputs
        self._names = list(names)
        self._max_batch = max_batch
        self._retry = retry
        self._memory = _IN_MEMORY
        self._pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix=f"calls-{model}")

    def __call__(self, *columns):
        """One list per input in; one per output. What went wrong for a row stands in its place."""
        rows = list(zip(*columns, strict=True))
        answers = [None] * len(rows)
        items = callers.items_of_rows(len(rows))
        works = [_Work(chunk, rows, items, callers.everybody()) for chunk in self._chunks(rows)]
        for attempt in range(self._retry + 1):
            if attempt:
                time.sleep(min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE))
            works = self._run_all(works, answers)
            if not works:
                break
        if len(self._outputs) == 1:
            return [answer if isinstance(answer, Exception) else answer[0] for answer in answers]
        spread = [(a,) * len(self._outputs) if isinstance(a, Exception) else a for a in answers]
        return (spread, *(list(column) for column in zip(*spread, strict=True)))

    def _chunks(self, rows):
        groups = {}
        for position, row in enumerate(rows):
            groups.setdefault(tuple(np.shape(value) for value in row), []).append(position)
        for group in groups.values():
            for start in range(0, len(group), self._max_batch):
                yield group[start : start + self._max_batch]

    def _run_all(self, works, answers):
        """Run requests at the same time; returns those that are worth another attempt."""
        if len(works) == 1:
            return self._run(works[0], answers)
        again = self._pool.map(lambda work: self._run(work, answers), works)
        return [work for some in again for work in some]

    def _run(self, work, answers):
        """Put down the answers of rows: tuples, or what went wrong. Returns what is worth another attempt.

        A request that fails is made again row by row, so that only those at fault fail; one that waited too
        long for the client with the least time, for the other clients. Nothing is asked for those who left.
        """
        if work.is_idle():
            work.put(answers, [RemoteError(callers.CANCELLED)] * len(work.rows))
            return []
        found = self._ask(work)
        if not isinstance(found, Exception):
            work.put(answers, found)
            return []
        work.put(answers, [found] * len(work.rows))
        if not isinstance(found, Busy):
            alone = range(len(work.rows)) if len(work.rows) > 1 else ()
            return [again for one in alone for again in self._run(work.part([one]), answers)]
        patient = work.patient() if _EXPIRED in str(found).lower() else []
        return self._run(work.part(patient), answers) if patient else [work]

    def _ask(self, work):
        """The answers of one request's rows, or the error that all of them got."""
        try:
            response = self._request(work).exec()
            if response.has_error():
                return self._problem(response.error().message())
            found = {tensor.name(): self._unpacked(tensor) for tensor in response.output_tensors()}
            return list(zip(*(port.decode(found) for port in self._outputs), strict=True))
        except Exception as problem:  # noqa: BLE001  (it must stay with these rows)
            return RemoteError(f"{type(problem).__name__}: {problem}")

    def _request(self, work):
        columns = zip(*work.rows, strict=True)
        packed = (self._packed(port, column) for port, column in zip(self._inputs, columns, strict=True))
        return pb_utils.InferenceRequest(
            model_name=self._model,
            requested_output_names=self._names,
            inputs=[tensor for tensors in packed for tensor in tensors],
            **self._memory,
            **work.headers(),
        )

    def _packed(self, port, column):
        """Triton's tensors for the values of one input."""
        encoded = port.encode(list(column))
        return [pb_utils.Tensor(name, np.ascontiguousarray(value)) for name, value in encoded.items()]

    def _unpacked(self, tensor):
        """The rows of an output, in memory of their own: Triton's goes with the response."""
        return np.array(tensor.as_numpy())

    def _problem(self, message):
        """An error of the model: of its input, or of its own making, which begins with the error's class."""
        if any(word in message.lower() for word in (_FULL, _EXPIRED)):
            return Busy(f"model '{self._model}': {message}")
        _, here, text = message.partition(f"{self._where} item 0: ")
        if not here:
            return RemoteError(f"model '{self._model}': {message}")
        kind = text.partition(":")[0]
        is_own = kind.isidentifier() and kind[:1].isupper() and kind.endswith(("Error", "Exception", "Exit"))
        return RemoteError(text) if is_own else ItemError(text)


class _Work:
    """Rows of a call that are one request, and for whom they are: ``items`` of the stage, if known."""

    def __init__(self, positions, rows, items, everybody):
        self._positions = positions
        self._given = rows, items, everybody
        self.rows = [rows[p] for p in positions]
        self._items = None if items is None else [items[p] for p in positions]
        self._everybody = everybody

    def is_idle(self):
        """True if nobody waits for any of the rows."""
        return self._items is not None and all(map(callers.has_left, self._items))

    def patient(self):
        """The positions of the rows whose clients allow more time than the others', or any time."""
        times = [item.owner.caller.headers["timeout"] for item in self._items or ()]
        least = min(filter(None, times), default=0)
        return [position for position, time_ in enumerate(times) if time_ != least]

    def headers(self):
        """What the requests of the rows have in common, for the one that is made on their behalf.

        All ids; the parameters that have the same value everywhere; the least time (`patient` are those
        who allow more); the first trace.
        """
        for_whom = self._callers()
        if not for_whom:
            return {}
        given = [caller.headers for caller in for_whom]
        first, *others = given
        timeouts = [one["timeout"] for one in given if one["timeout"]]
        names = dict.fromkeys(one["request_id"] for one in given)
        parameters = first["parameters"]
        for one in others:
            theirs = one["parameters"]
            parameters = {k: v for k, v in parameters.items() if k in theirs and _same(theirs[k], v)}
        found = {
            "request_id": ",".join(filter(None, names))[:_LONGEST_ID],
            "parameters": parameters,
            "timeout": min(timeouts, default=0),
        }
        traces = (caller.trace() for caller in for_whom)
        trace = next((trace for trace in traces if trace is not None), None)
        return found if trace is None else {**found, "trace": trace}

    def _callers(self):
        if self._items is None:
            return self._everybody
        return {id(caller): caller for caller in (item.owner.caller for item in self._items)}.values()

    def part(self, positions):
        """Some of the rows, by their positions in this request."""
        return _Work([self._positions[p] for p in positions], *self._given)

    def put(self, answers, found):
        """Put the rows' answers where they belong among those of the call."""
        for position, answer in zip(self._positions, found, strict=True):
            answers[position] = answer


def _same(one, other):
    return type(one) is type(other) and one == other
