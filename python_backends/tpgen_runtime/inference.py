"""Model inference in a Python stage: batching by shape, and the ONNX Runtime session."""

import numpy as np

from .errors import ItemError


class Model:
    """A model that is called with lists, one entry per item. Subclasses run one batch (`_infer`).

    ``mean`` and ``std`` (one value per channel, 0 to 255 scale) normalise the first input, whose items are
    ``[C,H,W]``. Items of equal shapes run together, in batches of at most ``max_batch``; a batch smaller
    than ``min_batch`` is filled up by repeating its last item. ``batched``: the model has a batch axis.
    """

    def __init__(self, inputs, outputs, mean, std, max_batch, min_batch, batched):
        self._inputs = inputs
        self._outputs = outputs
        self._dtypes = []
        self._mean = _per_channel(mean, 0.0)
        self._std = _per_channel(std, 1.0)
        self._max_batch = max_batch if batched else 1
        self._min_batch = min_batch
        self._batched = batched

    def __call__(self, *columns):
        """One list per input (or one list of tuples) in, the same per output."""
        rows = self._rows(columns)
        prepared = [self._prepare(row) for row in rows]
        answers = [None] * len(rows)
        for group in _groups_of_equal_shape(prepared):
            for start in range(0, len(group), self._max_batch):
                self._run(group[start : start + self._max_batch], prepared, answers)
        if len(self._outputs) == 1:
            return [answer if isinstance(answer, ItemError) else answer[0] for answer in answers]
        tuples = [
            (answer,) * len(self._outputs) if isinstance(answer, ItemError) else answer for answer in answers
        ]
        return (tuples, *(list(column) for column in zip(*tuples, strict=True)))

    def _rows(self, columns):
        """One tuple of input values per item."""
        if len(columns) > 1:
            return list(zip(*columns, strict=True))
        return [(value,) if len(self._inputs) == 1 else value for value in columns[0]]

    def _infer(self, arrays):
        """Run the model on its input arrays (batch axis included, if it has one); returns its outputs.

        Raises ItemError if the model does not take these shapes.
        """
        raise NotImplementedError

    def _prepare(self, row):
        values = list(row)
        if self._mean is not None or self._std is not None:
            values[0] = normalize(values[0], self._mean, self._std)
        return [_cast(value, dtype) for value, dtype in zip(values, self._dtypes, strict=True)]

    def _run(self, positions, prepared, answers):
        """Run one batch; a batch that the model refuses is an `ItemError` for its items."""
        try:
            outputs = self._infer(self._stacked([prepared[p] for p in positions]))
        except ItemError as problem:
            for position in positions:
                answers[position] = problem
            return
        for row, position in enumerate(positions):
            answers[position] = tuple(o[row] if self._batched else o for o in outputs)

    def _stacked(self, rows):
        if not self._batched:
            return rows[0]
        missing = self._min_batch - len(rows)
        rows = rows + [rows[-1]] * missing if missing > 0 else rows
        if len(rows) == 1:
            return [value[np.newaxis] for value in rows[0]]
        return [np.stack(column) for column in zip(*rows, strict=True)]


class OnnxModel(Model):
    """An ONNX model on ONNX Runtime's CPU provider, with ``threads`` threads (None: its default)."""

    def __init__(self, *, model, mean, std, max_batch, min_batch, inputs, outputs, batched, threads=None):
        super().__init__(inputs, outputs, mean, std, max_batch, min_batch, batched)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Idle threads would spin for work and take the cores from other instances: 1.4 × the CPU time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        found = {info.name: info for info in self._session.get_inputs()}
        self._dtypes = [_NUMPY_TYPES[found[name].type] for name in inputs]
        self._ranks = [len(found[name].shape) for name in inputs]

    def _infer(self, arrays):
        feed = {
            name: array if array.ndim == rank else array[np.newaxis]  # [1,C,H,W] of a model without batches
            for name, array, rank in zip(self._inputs, arrays, self._ranks, strict=True)
        }
        try:
            return self._session.run(self._outputs, feed)
        except Exception as problem:
            if type(problem).__name__ != "InvalidArgument":
                raise
            raise ItemError(f"the model does not take this input: {str(problem).splitlines()[0]}") from None


def normalize(tensor, mean, std):
    """``(tensor - mean) / std`` in float32; ``mean`` and ``std`` are ``[C,1,1]``, or None."""
    result = tensor.astype(np.float32)
    if mean is not None:
        result = result - mean
    return result if std is None else result / std


def _per_channel(values, neutral):
    if not values or all(value == neutral for value in values):
        return None
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def _cast(value, dtype):
    if dtype is np.object_:
        return np.asarray(value, dtype=np.object_)
    return np.ascontiguousarray(value, dtype=dtype)


def _groups_of_equal_shape(prepared):
    """Positions of the rows, those with equal shapes together, in order of first appearance."""
    groups = {}
    for position, row in enumerate(prepared):
        groups.setdefault(tuple(value.shape for value in row), []).append(position)
    return groups.values()


_NUMPY_TYPES = {
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(string)": np.object_,
}
