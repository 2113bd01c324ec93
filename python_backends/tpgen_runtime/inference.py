"""Model inference in a Python stage: batching by shape, and the ONNX Runtime session."""

import math
import threading
from itertools import islice

import numpy as np

from . import padding
from .batches import Sizes
from .errors import ItemError


class Model:
    """A model that is called with lists, one entry per item. Subclasses run one batch (`_infer`).

    ``mean`` and ``std`` (one value per channel, 0 to 255 scale) normalise the first input, whose items are
    ``[C,H,W]``, or ``[H,W,C]`` with ``channels_last``. Items of equal shapes run together, in batches of
    ``min_batch`` to ``max_batch``; one that cannot be cut into such is filled up by repeating its last item.
    ``groups``: the model is several files, each with the smallest and largest batch that it takes.
    ``batched``: the model has a batch axis.

    The arrays that `_infer` gets may be memory that the next batch uses again; its answers may not.
    """

    def __init__(
        self,
        *,
        inputs,
        outputs,
        max_batch,
        min_batch,
        batched,
        mean=(),
        std=(),
        channels_last=False,
        groups=(),
    ):
        self._inputs = inputs
        self._outputs = outputs
        self._dtypes = []
        self._mean = _per_channel(mean, 0.0, channels_last)
        self._std = _per_channel(std, 1.0, channels_last)
        self._sizes = Sizes((groups or [(min_batch, max_batch)]) if batched else [(1, 1)])
        self._batched = batched
        self._packs = None
        self._memory = threading.local()

    def __call__(self, *columns):
        """One list per input (or one list of tuples) in, the same per output."""
        inputs = [self._values(*one) for one in zip(self._columns(columns), self._dtypes, strict=True)]
        answers = [None] * len(columns[0])
        for group in _groups_of_equal_shape(inputs):
            start = 0
            for part, count, size in self._sizes.cut(len(group)):
                self._run(group[start : start + count], inputs, answers, part, size)
                start += count
        if len(self._outputs) == 1:
            return [answer if isinstance(answer, ItemError) else answer[0] for answer in answers]
        tuples = [
            (answer,) * len(self._outputs) if isinstance(answer, ItemError) else answer for answer in answers
        ]
        return (tuples, *(list(column) for column in zip(*tuples, strict=True)))

    def _columns(self, columns):
        """One list of values per input."""
        if len(columns) == len(self._inputs):
            return columns
        return list(zip(*columns[0], strict=True)) or [()] * len(self._inputs)

    def _values(self, values, dtype):
        """Values as arrays; strings as objects, as numpy's own strings lose zeros at their end."""
        if dtype == np.object_:
            return [np.asarray(value, np.object_) for value in values]
        return [np.asarray(value) for value in values]

    def _infer(self, arrays, group):
        """Run the model on its input arrays (batch axis included, if it has one); returns its outputs.

        ``group``: which of its files, from 0.
        Raises ItemError if the model does not take these shapes.
        """
        raise NotImplementedError

    def _run(self, positions, inputs, answers, group, size):
        """Run one batch of ``size`` rows. One that the model refuses is run row by row: one is at fault."""
        columns = [[column[p] for p in positions] for column in inputs]
        try:
            if self._batched:
                arrays = [self._batch(index, column, size) for index, column in enumerate(columns)]
            else:
                arrays = [self._alone(index, value) for index, (value,) in enumerate(columns)]
            outputs = self._infer(arrays, group)
        except ItemError as problem:
            if len(positions) == 1:
                answers[positions[0]] = problem
                return
            ((group, _, size),) = self._sizes.cut(1)
            for position in positions:
                self._run([position], inputs, answers, group, size)
            return
        padding.note_rows(size, size - len(positions))
        answered = islice(zip(*outputs, strict=False), len(positions)) if self._batched else [tuple(outputs)]
        for position, answer in zip(positions, answered, strict=True):
            answers[position] = answer

    def _batch(self, index, values, size):
        """``size`` values of input ``index`` along a new first axis, normalised, of the model's dtype."""
        dtype = np.dtype(self._dtypes[index])
        if index == 0 and self._packs is not None:
            batch = self._kept_memory(index, (size, *self._packs.shape(values[0])), dtype)
            self._packs(values, batch[: len(values)])
            batch[len(values) :] = batch[len(values) - 1]
            return batch
        if dtype.hasobject or (size == 1 and not self._normalizes(index)):
            values = [*values, *[values[-1]] * (size - len(values))]
            return np.ascontiguousarray(values[0][np.newaxis] if size == 1 else np.stack(values), dtype)
        batch = self._kept_memory(index, (size, *values[0].shape), dtype)
        for target, value in zip(batch, values, strict=False):
            if self._normalizes(index):
                _normalize_into(target, value, self._mean, self._std)
            else:
                target[...] = value
        batch[len(values) :] = batch[len(values) - 1]
        return batch

    def _alone(self, index, value):
        """The value of input ``index`` of a model without a batch axis."""
        if index == 0 and self._packs is not None:
            return self._batch(index, [value], 1)[0]
        if self._normalizes(index):
            normalized = np.empty(value.shape, np.float32)
            _normalize_into(normalized, value, self._mean, self._std)
            value = normalized
        return np.ascontiguousarray(value, self._dtypes[index]).reshape(value.shape)

    def _normalizes(self, index):
        return index == 0 and (self._mean is not None or self._std is not None)

    def _kept_memory(self, index, shape, dtype):
        """An array for the batches of one input. Fresh memory for each costs more than the copy into it."""
        kept = self._memory.__dict__
        size = math.prod(shape) * dtype.itemsize
        if index not in kept or kept[index].size < size:
            kept[index] = np.empty(size, np.uint8)
        return kept[index][:size].view(dtype).reshape(shape)


class OnnxModel(Model):
    """An ONNX model on ONNX Runtime's CPU provider, with ``threads`` threads (None: its default).

    ``model`` is its file, or the bytes of it; with ``groups``, a list with those of each. ``packs``
    (`image.Packing`) makes what the first input takes from its items.
    """

    def __init__(self, *, model, groups=(), packs=None, threads=None, **declared):
        super().__init__(groups=groups, **declared)
        self._packs = packs
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Idle threads would spin for work and take the cores from other instances: 1.4 × the CPU time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        self._sessions = [
            onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            for file in (model if groups else [model])
        ]
        found = {info.name: info for info in self._sessions[0].get_inputs()}
        self._dtypes = [_NUMPY_TYPES[found[name].type] for name in self._inputs]
        self._ranks = [len(found[name].shape) for name in self._inputs]

    def _infer(self, arrays, group):
        feed = {
            name: array if array.ndim == rank else array[np.newaxis]  # [1,C,H,W] of a model without batches
            for name, array, rank in zip(self._inputs, arrays, self._ranks, strict=True)
        }
        try:
            return self._sessions[group].run(self._outputs, feed)
        except Exception as problem:
            if type(problem).__name__ != "InvalidArgument":
                raise
            raise ItemError(f"the model does not take this input: {str(problem).splitlines()[0]}") from None


def _normalize_into(target, tensor, mean, std):
    """``(tensor - mean) / std`` in float32; ``mean`` and ``std`` meet its channels, or are None."""
    result = target if target.dtype == np.float32 else np.empty(tensor.shape, np.float32)
    result[...] = tensor
    if mean is not None:
        result -= mean
    if std is not None:
        result /= std
    if result is not target:
        target[...] = result


def _per_channel(values, neutral, channels_last):
    """The values in a shape that meets the channels of an image; None if they change nothing."""
    if not values or all(value == neutral for value in values):
        return None
    return np.asarray(values, np.float32).reshape((-1,) if channels_last else (-1, 1, 1))


def _groups_of_equal_shape(columns):
    """Positions of the rows, those with equal shapes together, in order of first appearance."""
    groups = {}
    shapes = ([value.shape for value in column] for column in columns)
    for position, row in enumerate(zip(*shapes, strict=True)):
        groups.setdefault(row, []).append(position)
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
