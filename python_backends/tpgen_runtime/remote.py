"""Models of their own that a stage calls: batched requests to the same server (BLS).

Nothing is inherited by such a request, so what clients sent beside their tensors is passed on by hand.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import triton_python_backend_utils as pb_utils

from .errors import ItemError, RemoteError

_IN_FLIGHT = 4  # requests of one stage to one model at a time: enough to fill its batches
_LONGEST_ID = 1000
_BUSY = ("maximum queue size", "timeout expired")  # in what Triton says of a full queue
_SCALARS = (bool, int, str)  # parameters that Triton takes back; it refuses numbers with a fraction

_requests = []  # those whose items the stage works on


def begin(requests):
    """Note the requests that the calls from now on are made for."""
    _requests[:] = requests


class RemoteModel:
    """A model as a kernel on lists: items of equal shapes go together, at most ``max_batch`` a request.

    ``inputs`` and ``outputs`` are its ports, ``names`` the tensors of the outputs. A model with several
    outputs also gives their tuple, first. ``where`` is what its own messages begin with,
    ``pipeline.toml:6 [node]``.
    """

    def __init__(self, model, *, where, inputs, outputs, names, max_batch):
        self._model = model
        self._where = where
        self._inputs = inputs
        self._outputs = outputs
        self._names = list(names)
        self._max_batch = max_batch
        self._pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix=f"calls-{model}")

    def __call__(self, *columns):
        """One list per input in; one per output."""
        rows = list(zip(*columns, strict=True))
        answers = [None] * len(rows)
        chunks = list(self._chunks(rows))
        headers = _headers()
        made = self._pool.map(lambda chunk: self._run(rows, chunk, headers), chunks)
        for chunk, found in zip(chunks, made, strict=True):
            for position, answer in zip(chunk, found, strict=True):
                answers[position] = answer
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

    def _run(self, rows, positions, headers):
        """The answers of some rows: tuples, or what went wrong. A request that fails is tried row by row."""
        answer = self._ask([rows[position] for position in positions], headers)
        if not isinstance(answer, Exception):
            return answer
        if len(positions) == 1:
            return [answer]
        return [self._run(rows, [position], headers)[0] for position in positions]

    def _ask(self, rows, headers):
        tensors = {}
        for port, column in zip(self._inputs, zip(*rows, strict=True), strict=True):
            tensors.update(port.encode(list(column)))
        request = pb_utils.InferenceRequest(
            model_name=self._model,
            requested_output_names=self._names,
            inputs=[pb_utils.Tensor(name, np.ascontiguousarray(value)) for name, value in tensors.items()],
            **headers,
        )
        response = request.exec()
        if response.has_error():
            return self._problem(response.error().message())
        found = {tensor.name(): np.array(tensor.as_numpy()) for tensor in response.output_tensors()}
        return list(zip(*(port.decode(found) for port in self._outputs), strict=True))

    def _problem(self, message):
        """An error of the model: of its input, or of its own making, which begins with the error's class.

        Raises:
            ConnectionError: the model was busy, which can pass.
        """
        if any(word in message.lower() for word in _BUSY):
            raise ConnectionError(f"model '{self._model}': {message}")
        _, here, text = message.partition(f"{self._where} item 0: ")
        if not here:
            return RemoteError(f"model '{self._model}': {message}")
        kind = text.partition(":")[0]
        is_own = kind.isidentifier() and kind[:1].isupper() and kind.endswith(("Error", "Exception", "Exit"))
        return RemoteError(text) if is_own else ItemError(text)


def _headers():
    """What the requests that are worked on have in common, for those made on their behalf."""
    if not _requests:
        return {}
    names = dict.fromkeys(request.request_id() for request in _requests)
    found = {"request_id": ",".join(name for name in names if name)[:_LONGEST_ID]}
    parameters = {request.parameters() for request in _requests}
    if len(parameters) == 1:
        given = json.loads(parameters.pop() or "{}")
        found["parameters"] = {key: value for key, value in given.items() if isinstance(value, _SCALARS)}
    timeouts = [timeout for request in _requests if (timeout := request.timeout())]
    if timeouts:
        found["timeout"] = min(timeouts)
    found["trace"] = _requests[0].trace()
    return found
